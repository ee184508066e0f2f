//! A checksum database: a transparency log of go.sum lines, signed and published as tiles
//! (<https://go.dev/design/25530-sumdb>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use goferry_module::sumdb::tlog::{Hash, node_hash, record_hash, stored_hash_index, tree_hash, tree_hash_indexes};
use goferry_module::sumdb::{Tile, TreeHead, Verifier};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

/// A log of records, at every size that it ever had.
#[derive(Debug, Clone)]
pub struct Log {
    name: String,
    records: Vec<String>,
    stored: Vec<Hash>,
}

impl Log {
    /// One without records, of a database of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), records: Vec::new(), stored: Vec::new() }
    }

    /// Adds a record: the go.sum lines of a module at a version.
    pub fn add(&mut self, record: &str) {
        let n = self.size();
        self.records.push(record.to_owned());
        self.stored.push(record_hash(record.as_bytes()));
        for level in 1..=(n + 1).trailing_zeros() {
            let right = (n >> (level - 1)) & !1;
            self.stored.push(node_hash(self.hash(level - 1, right), self.hash(level - 1, right + 1)));
        }
    }

    /// How many records it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.records.len() as u64
    }

    /// The record of this number.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn record(&self, id: u64) -> &str {
        &self.records[at(id)]
    }

    /// The number of the record that has lines of this module at this version.
    #[must_use]
    pub fn find(&self, path: &str, version: &str) -> Option<u64> {
        let prefix = format!("{path} {version} ");
        self.records.iter().position(|record| record.starts_with(&prefix)).map(|id| id as u64)
    }

    /// The tree head at a size.
    ///
    /// # Panics
    /// Where the log is shorter.
    #[must_use]
    pub fn head(&self, size: u64) -> TreeHead {
        let hashes: Vec<Hash> = tree_hash_indexes(size).iter().map(|index| self.stored[at(*index)]).collect();
        TreeHead { size, hash: tree_hash(size, &hashes).expect("as many hashes as there were indexes") }
    }

    /// The signed tree head at a size.
    #[must_use]
    pub fn signed(&self, size: u64) -> String {
        self.sign(&self.head(size).to_string())
    }

    /// The answer to a look-up of a module at a version, with the tree head at this size.
    #[must_use]
    pub fn lookup(&self, path: &str, version: &str, size: impl FnOnce(u64) -> u64) -> Option<String> {
        let id = self.find(path, version)?;
        Some(format!("{id}\n{}\n{}", self.record(id), self.signed(size(id))))
    }

    /// A tile, if the log of `size` records has it.
    #[must_use]
    pub fn tile(&self, path: &str, size: u64) -> Option<Vec<u8>> {
        let tile = Tile::parse(path).ok()?;
        let level = tile.level()? * tile.height();
        let first = tile.n() << tile.height();
        let end = first + u64::from(tile.width());
        (end <= size >> level).then(|| (first..end).flat_map(|n| self.hash(level, n).0).collect())
    }

    /// The key that verifies what it signs, as in GOSUMDB.
    #[must_use]
    pub fn key(&self) -> String {
        self.verifier().to_string()
    }

    /// A signed note.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        let key_hash = self.verifier().key_hash().to_be_bytes();
        let signature = [&key_hash, pair().sign(text.as_bytes()).as_ref()].concat();
        format!("{text}\n— {} {}\n", self.name, STANDARD.encode(signature))
    }

    fn verifier(&self) -> Verifier {
        let pair = pair();
        let key = pair.public_key().as_ref().try_into().expect("Ed25519 keys have 32 bytes");
        Verifier::new(&self.name, key).expect("a database has a name that a key can have")
    }

    fn hash(&self, level: u32, n: u64) -> Hash {
        self.stored[at(stored_hash_index(level, n))]
    }
}

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("any 32 bytes are a seed")
}

fn at(index: u64) -> usize {
    usize::try_from(index).expect("what is in memory has such an index")
}
