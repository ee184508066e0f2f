//! A transparency log that is signed and published as tiles.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use goferry_module::sumdb::tlog::{Hash, node_hash, record_hash, stored_hash_index, tree_hash, tree_hash_indexes};
use goferry_module::sumdb::{Tile, TreeHead, Verifier};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

pub(crate) const NAME: &str = "sum.example.com";

/// A log of records, at every size that it ever had.
#[derive(Clone, Default)]
pub(crate) struct Log {
    records: Vec<String>,
    stored: Vec<Hash>,
}

impl Log {
    pub(crate) fn add(&mut self, record: &str) {
        let n = self.size();
        self.records.push(record.to_owned());
        self.stored.push(record_hash(record.as_bytes()));
        for level in 1..=(n + 1).trailing_zeros() {
            let right = (n >> (level - 1)) & !1;
            self.stored.push(node_hash(self.hash(level - 1, right), self.hash(level - 1, right + 1)));
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.records.len() as u64
    }

    pub(crate) fn record(&self, id: u64) -> &str {
        &self.records[usize::try_from(id).unwrap()]
    }

    /// The record that has lines of this module at this version.
    pub(crate) fn find(&self, path: &str, version: &str) -> Option<u64> {
        let prefix = format!("{path} {version} ");
        self.records.iter().position(|record| record.starts_with(&prefix)).map(|id| id as u64)
    }

    pub(crate) fn head(&self, size: u64) -> TreeHead {
        let at = |index: &u64| self.stored[usize::try_from(*index).unwrap()];
        let hashes: Vec<Hash> = tree_hash_indexes(size).iter().map(at).collect();
        TreeHead { size, hash: tree_hash(size, &hashes).unwrap() }
    }

    /// The signed tree head at a size.
    pub(crate) fn signed(&self, size: u64) -> String {
        sign(&self.head(size).to_string())
    }

    /// A tile, if the log of `size` records has it.
    pub(crate) fn tile(&self, path: &str, size: u64) -> Option<Vec<u8>> {
        let tile = Tile::parse(path).ok()?;
        let level = tile.level()? * tile.height();
        let first = tile.n() << tile.height();
        let end = first + u64::from(tile.width());
        (end <= size >> level).then(|| (first..end).flat_map(|n| self.hash(level, n).0).collect())
    }

    pub(crate) fn key(&self) -> String {
        verifier().to_string()
    }

    fn hash(&self, level: u32, n: u64) -> Hash {
        self.stored[usize::try_from(stored_hash_index(level, n)).unwrap()]
    }
}

pub(crate) fn sign(text: &str) -> String {
    let verifier = verifier();
    let signature = [&verifier.key_hash().to_be_bytes(), pair().sign(text.as_bytes()).as_ref()].concat();
    format!("{text}\n— {NAME} {}\n", STANDARD.encode(signature))
}

fn verifier() -> Verifier {
    Verifier::new(NAME, pair().public_key().as_ref().try_into().unwrap()).unwrap()
}

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}
