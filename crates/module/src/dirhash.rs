//! `h1:` hashes (`golang.org/x/mod/sumdb/dirhash`).

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read, Seek, Write};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::zip::{Archive, MAX_ZIP_FILE, ZipError};

/// The hash of a module zip or of a go.mod, as in go.sum: the SHA-256 of a list of names with the SHA-256 of each file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirHash([u8; 32]);

impl DirHash {
    /// `dirhash.Hash1` over names and the SHA-256 of each content, in any order.
    ///
    /// # Errors
    /// Where a name holds a line break: two lists could then have one hash.
    pub fn hash1<N: AsRef<str>>(files: impl IntoIterator<Item = (N, [u8; 32])>) -> Result<Self, NewlineInName> {
        let mut files: Vec<(N, [u8; 32])> = files.into_iter().collect();
        files.sort_by(|a, b| a.0.as_ref().cmp(b.0.as_ref()));
        let mut summary = FileHasher::new();
        for (name, sum) in &files {
            let name = name.as_ref();
            if name.contains('\n') {
                return Err(NewlineInName { name: name.chars().take(256).collect() });
            }
            let mut line = String::with_capacity(67 + name.len());
            for byte in sum {
                line.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
                line.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
            }
            line.push_str("  ");
            line.push_str(name);
            line.push('\n');
            summary.update(line.as_bytes());
        }
        Ok(Self(summary.finish()))
    }

    /// The hash of a go.mod, as in go.sum lines whose version ends in `/go.mod`.
    #[must_use]
    pub fn of_go_mod(content: &[u8]) -> Self {
        let mut hasher = FileHasher::new();
        hasher.update(content);
        Self::hash1([("go.mod", hasher.finish())]).expect("the name has no line break")
    }

    /// The hash of a module zip (`dirhash.HashZip`). Inflates every file once and keeps none.
    ///
    /// # Errors
    /// Where the zip is damaged, larger than the go command allows, or reading fails.
    pub fn of_zip<R: Read + Seek>(reader: R) -> Result<Self, ZipError> {
        let mut archive = Archive::open(reader)?;
        if archive.total_size() > MAX_ZIP_FILE {
            return Err(ZipError::ContentTooLarge);
        }
        let names: Vec<String> = archive.entries().iter().map(|entry| entry.name().to_owned()).collect();
        // Where a name is there twice, Go hashes the last of them twice.
        let last: HashMap<&str, usize> = names.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
        let mut sums = vec![[0; 32]; names.len()];
        for (index, name) in names.iter().enumerate().filter(|(index, name)| last[name.as_str()] == *index) {
            let mut hasher = FileHasher::new();
            archive.read(index, &mut hasher)?;
            sums[last[name.as_str()]] = hasher.finish();
        }
        Self::hash1(names.iter().map(|name| (name, sums[last[name.as_str()]])))
            .map_err(|e| ZipError::Malformed(e.to_string()))
    }

    /// The 32 bytes of the hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for DirHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "h1:{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for DirHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for DirHash {
    type Err = HashError;

    fn from_str(s: &str) -> Result<Self, HashError> {
        s.strip_prefix("h1:")
            .and_then(|text| STANDARD.decode(text).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| HashError { text: s.chars().take(128).collect() })
    }
}

/// A SHA-256 that is fed piece by piece, as [`DirHash::hash1`] needs it of each file.
#[derive(Clone, Default)]
pub struct FileHasher(Sha256);

impl FileHasher {
    /// Nothing hashed yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all bytes added.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

impl fmt::Debug for FileHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileHasher")
    }
}

impl Write for FileHasher {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.update(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file name that cannot be part of a hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("file names with line breaks cannot be hashed: {name:?}")]
pub struct NewlineInName {
    /// The name, cut to 256 characters.
    pub name: String,
}

/// A text that is not an `h1:` hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid hash {text:?}: expected h1: and the base64 of 32 bytes")]
pub struct HashError {
    /// The text, cut to 128 characters.
    pub text: String,
}
