//! go.sum (`cmd/go/internal/modfetch/fetch.go`, `readGoSum`).

use std::collections::BTreeMap;

use crate::module_version::ModuleVersion;

/// The largest go.sum that is read, in bytes. The go command has no limit; real ones stay under 1 MiB.
pub const MAX_GO_SUM: usize = 64 << 20;

/// The most differing hashes that one file may have. More than one is already a sign of trouble.
const MAX_HASHES: usize = 64;

/// The hash of a tree with an empty go.mod: an old go command wrote it for non-modules, so it is dropped.
const EMPTY_GO_MOD_HASH: &str = "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=";

const GO_MOD_SUFFIX: &str = "/go.mod";

/// The hashes of a go.sum file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoSum {
    modules: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    duplicates: usize,
}

/// How many module versions a go.sum covers, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SumCounts {
    /// Versions with a hash of their zip.
    pub zip: usize,
    /// Versions with a hash of their go.mod.
    pub go_mod: usize,
    /// Versions with a hash of their go.mod and none of their zip: in the module graph, but not in the build list.
    pub go_mod_only: usize,
    /// Files with more than one differing hash.
    pub several_hashes: usize,
    /// Lines that repeat another line.
    pub duplicates: usize,
    /// Hashes that the go command does not know, because they do not begin with `h1:`.
    pub unknown_algorithm: usize,
}

impl GoSum {
    /// Parses a go.sum. `file` is used in errors only.
    ///
    /// # Errors
    /// At the first line that has not three fields, as the go command does, and for a file over [`MAX_GO_SUM`].
    pub fn parse(file: &str, data: &[u8]) -> Result<Self, GoSumError> {
        if data.len() > MAX_GO_SUM {
            return Err(GoSumError::TooLarge { file: file.to_owned(), size: data.len() });
        }
        let mut sum = Self::default();
        for (index, line) in data.split(|b| *b == b'\n').enumerate() {
            let line = String::from_utf8_lossy(line);
            let mut words = line.split_whitespace();
            let fields = match (words.next(), words.next(), words.next(), words.next()) {
                (None, ..) => continue,
                (Some(path), Some(version), Some(hash), None) => (path, version, hash),
                _ => {
                    let fields = line.split_whitespace().count();
                    return Err(GoSumError::Malformed { file: file.to_owned(), line: index + 1, fields });
                }
            };
            if !sum.add(fields) {
                return Err(GoSumError::TooManyHashes { file: file.to_owned(), line: index + 1 });
            }
        }
        Ok(sum)
    }

    /// The hashes of a module's zip; empty where there is none.
    #[must_use]
    pub fn zip_hashes(&self, path: &str, version: &str) -> &[String] {
        self.modules.get(path).and_then(|versions| versions.get(version)).map_or(&[], Vec::as_slice)
    }

    /// The hashes of a module's go.mod; empty where there is none.
    #[must_use]
    pub fn go_mod_hashes(&self, path: &str, version: &str) -> &[String] {
        self.zip_hashes(path, &format!("{version}{GO_MOD_SUFFIX}"))
    }

    /// Whether a module's zip can be verified without the checksum database (`modfetch.HaveSum`).
    #[must_use]
    pub fn has_zip(&self, module: &ModuleVersion) -> bool {
        known(self.zip_hashes(module.path().as_str(), module.version().as_str()))
    }

    /// Whether a module's go.mod can be verified without the checksum database.
    #[must_use]
    pub fn has_go_mod(&self, module: &ModuleVersion) -> bool {
        known(self.go_mod_hashes(module.path().as_str(), module.version().as_str()))
    }

    /// Every line's path, version (with `/go.mod` for the hash of a go.mod) and hashes, by path and by text of version.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &[String])> {
        self.modules.iter().flat_map(|(path, versions)| {
            versions.iter().map(move |(version, hashes)| (path.as_str(), version.as_str(), hashes.as_slice()))
        })
    }

    /// Whether there is no hash at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }

    /// Counts what is there.
    #[must_use]
    pub fn counts(&self) -> SumCounts {
        let mut counts = SumCounts { duplicates: self.duplicates, ..SumCounts::default() };
        for (path, version, hashes) in self.iter() {
            if let Some(base) = version.strip_suffix(GO_MOD_SUFFIX) {
                counts.go_mod += 1;
                counts.go_mod_only += usize::from(self.zip_hashes(path, base).is_empty());
            } else {
                counts.zip += 1;
            }
            counts.several_hashes += usize::from(hashes.len() > 1);
            counts.unknown_algorithm += hashes.iter().filter(|hash| !hash.starts_with("h1:")).count();
        }
        counts
    }

    fn add(&mut self, (path, version, hash): (&str, &str, &str)) -> bool {
        if hash == EMPTY_GO_MOD_HASH {
            return true;
        }
        let hashes = self.modules.entry(path.to_owned()).or_default().entry(version.to_owned()).or_default();
        if hashes.iter().any(|known| known == hash) {
            self.duplicates += 1;
        } else {
            hashes.push(hash.to_owned());
        }
        hashes.len() <= MAX_HASHES
    }
}

fn known(hashes: &[String]) -> bool {
    hashes.iter().any(|hash| hash.starts_with("h1:"))
}

/// A go.sum that the go command would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GoSumError {
    /// A line has not three fields.
    #[error(
        "malformed go.sum: {file}:{line}: wrong number of fields {fields}, expected 3: module path, version, hash \
         (\"go mod tidy\" drops such lines)"
    )]
    Malformed {
        /// The file's name.
        file: String,
        /// The line, from 1.
        line: usize,
        /// How many fields it has.
        fields: usize,
    },
    /// One file has more differing hashes than any real one.
    #[error("malformed go.sum: {file}:{line}: more than {MAX_HASHES} differing hashes for one module version")]
    TooManyHashes {
        /// The file's name.
        file: String,
        /// The line of the first hash too many, from 1.
        line: usize,
    },
    /// The file is larger than any real one.
    #[error("go.sum too large: {file}: {size} bytes, limit is {MAX_GO_SUM} bytes")]
    TooLarge {
        /// The file's name.
        file: String,
        /// Its size in bytes.
        size: usize,
    },
}
