//! Tile paths from any text, and plans for any log: no panic, each path the only one of its tile, and no tile with a changed byte passes.
#![no_main]

use std::sync::LazyLock;

use goferry_module::sumdb::tlog::{
    EMPTY_TREE, Hash, node_hash, record_hash, stored_hash_index, tree_hash, tree_hash_indexes,
};
use goferry_module::sumdb::{Tile, TilePlan, TreeHead};
use libfuzzer_sys::fuzz_target;

const RECORDS: u64 = 600;

/// All hashes of a log, in the order in which they are stored.
static STORED: LazyLock<Vec<Hash>> = LazyLock::new(|| {
    let mut stored = Vec::new();
    for record in 0..RECORDS {
        stored.push(record_hash(&record.to_be_bytes()));
        for level in 1..=(record + 1).trailing_zeros() {
            let right = (record >> (level - 1)) & !1;
            stored.push(node_hash(at(&stored, level - 1, right), at(&stored, level - 1, right + 1)));
        }
    }
    stored
});

fuzz_target!(|input: (&str, u8, u64, Vec<u64>, u16, u16, Vec<(u16, u16, u8)>)| {
    let (path, height, size, indexes, log, record, edits) = input;
    if let Ok(tile) = Tile::parse(path) {
        assert_eq!(tile.to_string(), path);
        assert!(tile.width() <= tile.complete().width());
        assert_eq!(tile.is_complete(), tile == tile.complete());
    }
    if let Ok(plan) = TilePlan::new(height.into(), TreeHead { size, hash: EMPTY_TREE }, &indexes) {
        assert!(plan.tiles().len() <= 64 + 64 * indexes.len());
        for tile in plan.tiles() {
            assert_eq!(Tile::parse(&tile.to_string()), Ok(*tile));
        }
        assert!(plan.verify(&vec![b""; plan.tiles().len()]).is_err() || plan.tiles().is_empty());
    }
    change(1 + u64::from(log) % RECORDS, record.into(), 1 + u32::from(height) % 8, &edits);
});

/// Reads a record from a log's tiles with some bytes changed.
fn change(size: u64, record: u64, height: u32, edits: &[(u16, u16, u8)]) {
    let record = record % size;
    let head = head(size);
    let plan = TilePlan::new(height, head, &[stored_hash_index(0, record)]).expect("the record is in the log");
    let right: Vec<Vec<u8>> = plan.tiles().iter().map(data).collect();
    let mut changed = right.clone();
    for (tile, byte, value) in edits {
        let tile = usize::from(*tile) % changed.len();
        let byte = usize::from(*byte) % changed[tile].len();
        changed[tile][byte] = *value;
    }
    match plan.verify(&changed) {
        Ok(hashes) => {
            assert_eq!(hashes, [at(&STORED, 0, record)]);
            assert_eq!(changed, right, "a changed tile passed");
        }
        Err(error) => assert_ne!(changed, right, "{error}"),
    }
}

fn head(size: u64) -> TreeHead {
    let index = |index: &u64| STORED[usize::try_from(*index).expect("a small log")];
    let hashes: Vec<Hash> = tree_hash_indexes(size).iter().map(index).collect();
    TreeHead { size, hash: tree_hash(size, &hashes).expect("as many hashes as indexes") }
}

fn data(tile: &Tile) -> Vec<u8> {
    let level = tile.level().expect("a tile of hashes") * tile.height();
    let first = tile.n() << tile.height();
    (first..first + u64::from(tile.width())).flat_map(|n| at(&STORED, level, n).0).collect()
}

fn at(stored: &[Hash], level: u32, n: u64) -> Hash {
    stored[usize::try_from(stored_hash_index(level, n)).expect("a small log")]
}
