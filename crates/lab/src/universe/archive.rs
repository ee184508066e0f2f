//! Module zips of a wanted size and their `h1:` hashes, written independently of the code under test.
//!
//! Layout: golang.org/x/mod/zip (every file under `path@version/`). Hash: golang.org/x/mod/sumdb/dirhash, Hash1.

use std::io::{Cursor, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

/// A small generator of numbers that look random (SplitMix64); the same seed gives the same numbers.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}

/// Bytes that do not compress; the same seed gives the same ones.
#[must_use]
pub fn noise(size: usize, seed: u64) -> Vec<u8> {
    Random::new(seed).bytes(size)
}

/// A module zip of about `size` bytes (never fewer than its parts need), and its hash.
pub(super) fn module_zip(path: &str, version: &str, go_mod: &str, size: usize, seed: u64) -> (Vec<u8>, String) {
    let package = path.rsplit('/').next().unwrap_or("m");
    let source = format!(
        "// Package {package} was made up for a test.\npackage {package}\n\n// Number is {seed}.\nconst Number uint64 = {seed}\n"
    );
    let parts = go_mod.len() + source.len() + 3 * (76 + 2 * (path.len() + version.len() + 10)) + 22;
    let filler = Random::new(seed).bytes(size.saturating_sub(parts));
    // In the order of their names, which the hash needs.
    let names = ["data.bin", "go.mod", "module.go"].map(|name| format!("{path}@{version}/{name}"));
    let files = [filler.as_slice(), go_mod.as_bytes(), source.as_bytes()];
    let mut writer = ZipWriter::new(Cursor::new(Vec::with_capacity(size + 512)));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut summary = Sha256::new();
    for (name, content) in names.iter().zip(files) {
        summary.update(format!("{}  {name}\n", hex(&Sha256::digest(content))));
        writer
            .start_file(name.as_str(), options)
            .and_then(|()| Ok(writer.write_all(content)?))
            .expect("memory takes it");
    }
    let zip = writer.finish().expect("memory takes it").into_inner();
    (zip, h1(&summary.finalize()))
}

/// The hash of a go.mod file, as go.sum has it in its `/go.mod` lines.
pub(super) fn go_mod_hash(go_mod: &[u8]) -> String {
    h1(&Sha256::digest(format!("{}  go.mod\n", hex(&Sha256::digest(go_mod)))))
}

fn h1(digest: &[u8]) -> String {
    format!("h1:{}", STANDARD.encode(digest))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
