//! The checksum database's log, against a Merkle tree that is computed as RFC 6962 section 2.1 writes it.

use goferry_module::sumdb::TreeHead;
use goferry_module::sumdb::plan::{PlanError, TilePlan, check_prefix};
use goferry_module::sumdb::tile::{HEIGHT, Tile, TileError};
use goferry_module::sumdb::tlog::{
    EMPTY_TREE, Hash, MAX_RECORDS, ProofError, check_record, check_tree, node_hash, record_hash, record_proof,
    record_proof_indexes, split_stored_hash_index, stored_hash_count, stored_hash_index, tree_hash, tree_hash_indexes,
    tree_proof, tree_proof_indexes,
};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

/// A log whose every hash is computed from its records, by the definitions and nothing else.
struct NaiveLog {
    records: Vec<Vec<u8>>,
}

impl NaiveLog {
    fn of(size: usize) -> Self {
        Self { records: (0..size).map(|i| format!("record {i}").into_bytes()).collect() }
    }

    fn head(&self) -> TreeHead {
        self.head_at(self.records.len())
    }

    fn head_at(&self, size: usize) -> TreeHead {
        TreeHead { size: size as u64, hash: Hash(mth(&self.records[..size])) }
    }

    /// The hash of the subtree (level, n).
    fn at(&self, level: u32, n: u64) -> Hash {
        let (first, count) = ((n << level) as usize, 1 << level);
        Hash(mth(&self.records[first..first + count]))
    }

    /// All stored hashes, in the order in which a growing log appends them.
    fn stored(&self) -> Vec<Hash> {
        let mut stored = Vec::new();
        for record in 0..self.records.len() as u64 {
            for level in 0..=(record + 1).trailing_zeros() {
                stored.push(self.at(level, record >> level));
            }
        }
        stored
    }

    fn tile(&self, tile: &Tile) -> Vec<u8> {
        let level = tile.level().unwrap() * tile.height();
        let first = tile.n() << tile.height();
        (first..first + u64::from(tile.width())).flat_map(|n| self.at(level, n).0).collect()
    }
}

/// MTH of RFC 6962 section 2.1.
fn mth(records: &[Vec<u8>]) -> [u8; 32] {
    match records {
        [] => Sha256::digest([]).into(),
        [one] => Sha256::new().chain_update([0]).chain_update(one).finalize().into(),
        many => {
            let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
            Sha256::new().chain_update([1]).chain_update(mth(left)).chain_update(mth(right)).finalize().into()
        }
    }
}

/// PATH of RFC 6962 section 2.1.1.
fn path(n: usize, records: &[Vec<u8>]) -> Vec<[u8; 32]> {
    if records.len() == 1 {
        return Vec::new();
    }
    let k = records.len().next_power_of_two() / 2;
    let (left, right) = records.split_at(k);
    let (mut proof, sibling) = if n < k { (path(n, left), right) } else { (path(n - k, right), left) };
    proof.push(mth(sibling));
    proof
}

/// SUBPROOF of RFC 6962 section 2.1.2.
fn subproof(m: usize, records: &[Vec<u8>], known: bool) -> Vec<[u8; 32]> {
    if m == records.len() {
        return if known { Vec::new() } else { vec![mth(records)] };
    }
    let k = records.len().next_power_of_two() / 2;
    let (left, right) = records.split_at(k);
    let (mut proof, sibling) =
        if m <= k { (subproof(m, left, known), right) } else { (subproof(m - k, right, false), left) };
    proof.push(mth(sibling));
    proof
}

fn pick(stored: &[Hash], indexes: &[u64]) -> Vec<Hash> {
    indexes.iter().map(|index| stored[usize::try_from(*index).unwrap()]).collect()
}

fn bytes(proof: &[Hash]) -> Vec<[u8; 32]> {
    proof.iter().map(|hash| hash.0).collect()
}

#[test]
fn stored_hashes_are_numbered_in_the_order_they_are_appended() {
    let mut next = 0;
    for record in 0..5000_u64 {
        assert_eq!(stored_hash_count(record), next);
        for level in 0..=(record + 1).trailing_zeros() {
            assert_eq!(stored_hash_index(level, record >> level), next);
            assert_eq!(split_stored_hash_index(next), (level, record >> level));
            next += 1;
        }
    }
    for (level, n) in [(63, 1), (64, 0), (0, u64::MAX), (u32::MAX, u64::MAX), (0, MAX_RECORDS + 1)] {
        assert_eq!(stored_hash_index(level, n), u64::MAX, "({level}, {n}) is beyond every log");
    }
    let last = stored_hash_index(0, MAX_RECORDS);
    assert_eq!(split_stored_hash_index(last), (0, MAX_RECORDS));
    assert_eq!(split_stored_hash_index(u64::MAX), (0, MAX_RECORDS + 1), "the largest number is in no log");
}

#[test]
fn hashes_have_the_domain_separation_of_the_rfc() {
    assert_eq!(EMPTY_TREE.0, mth(&[]));
    assert_eq!(record_hash(b"x").0, mth(&[b"x".to_vec()]));
    let (a, b) = (record_hash(b"a"), record_hash(b"b"));
    assert_eq!(node_hash(a, b).0, mth(&[b"a".to_vec(), b"b".to_vec()]));
    assert_ne!(node_hash(a, b), node_hash(b, a));
    assert_eq!(Hash::parse(&a.to_string()), Some(a));
    assert_eq!(Hash::parse("AAAA"), None);
    assert_eq!(Hash::parse(a.to_string().trim_end_matches('=')), None);
}

#[test]
fn every_proof_of_every_small_log_is_the_rfcs_and_holds() {
    for size in 0..40 {
        let log = NaiveLog::of(size);
        let (stored, head) = (log.stored(), log.head());
        assert_eq!(stored.len() as u64, stored_hash_count(head.size));
        assert_eq!(tree_hash(head.size, &pick(&stored, &tree_hash_indexes(head.size))), Ok(head.hash));
        for n in 0..head.size {
            let need = record_proof_indexes(head.size, n).unwrap();
            let proof = record_proof(head.size, n, &pick(&stored, &need)).unwrap();
            assert_eq!(bytes(&proof), path(n as usize, &log.records));
            let record = log.at(0, n);
            assert_eq!(check_record(&proof, &head, n, record), Ok(()));
            for wrong in (0..head.size).filter(|wrong| *wrong != n) {
                assert!(check_record(&proof, &head, wrong, record).is_err(), "{n} of {size} shown to be {wrong}");
            }
        }
        for old in 1..=size {
            let need = tree_proof_indexes(head.size, old as u64).unwrap();
            let proof = tree_proof(head.size, old as u64, &pick(&stored, &need)).unwrap();
            assert_eq!(bytes(&proof), subproof(old, &log.records, true));
            assert_eq!(check_tree(&proof, &head, &log.head_at(old)), Ok(()));
        }
    }
}

#[test]
fn impossible_proofs_are_refused() {
    let (hash, head) = (EMPTY_TREE, NaiveLog::of(5).head());
    assert_eq!(check_record(&[], &head, 5, hash), Err(ProofError::Inputs { n: 5, size: 5 }));
    assert_eq!(check_record(&[], &TreeHead::EMPTY, 0, hash), Err(ProofError::Inputs { n: 0, size: 0 }));
    assert_eq!(check_tree(&[], &head, &TreeHead::EMPTY), Err(ProofError::Inputs { n: 0, size: 5 }));
    let huge = TreeHead { size: MAX_RECORDS + 1, hash };
    assert!(check_record(&[], &huge, 0, hash).is_err());
    assert!(check_tree(&[], &huge, &head).is_err());
    assert_eq!(record_proof(5, 0, &[]), Err(ProofError::Count { want: 3, got: 0 }));
    assert_eq!(tree_hash(5, &[hash]), Err(ProofError::Count { want: 2, got: 1 }));
    // The largest log there can be: the work is bounded by its height.
    let largest = TreeHead { size: MAX_RECORDS, hash };
    assert_eq!(check_record(&[hash; 63], &largest, 0, hash), Err(ProofError::Failed));
    assert_eq!(check_record(&vec![hash; 1000], &largest, MAX_RECORDS - 1, hash), Err(ProofError::Failed));
}

#[test]
fn tile_paths() {
    for (path, height, level, n, width) in [
        ("tile/3/4/x001/x234/067.p/1", 3, Some(4), 1_234_067, 1),
        ("tile/3/4/x001/x234/067", 3, Some(4), 1_234_067, 8),
        ("tile/8/0/000", 8, Some(0), 0, 256),
        ("tile/8/data/x001/000.p/255", 8, None, 1000, 255),
        ("tile/30/63/x009/x223/x372/x036/x854/x775/807", 30, Some(63), MAX_RECORDS, 1 << 30),
    ] {
        let tile = Tile::new(height, level, n, width).unwrap();
        assert_eq!(tile.to_string(), path);
        assert_eq!(Tile::parse(path), Ok(tile));
    }
    for bad in [
        "",
        "tile",
        "tile/8/0",
        "tile/8/0/",
        "/tile/8/0/000",
        "tile/0/0/000",
        "tile/31/0/000",
        "tile/8/-1/000",
        "tile/8/64/000",
        "tile/8/0/0",
        "tile/8/0/x000/001",
        "tile/8/0/001/001",
        "tile/8/0/x001",
        "tile/8/0/+01",
        "tile/08/0/000",
        "tile/8/0/1000",
        "tile/8/0/000.p/0",
        "tile/8/0/000.p/256",
        "tile/8/0/000.p/01",
        "tile/8/0/000.p",
        "tile/8/0/.p/1",
        "tile/8/0.p/1",
        "tile/8/0/x009/x223/x372/x036/x854/x775/808",
        "tile/8/0/x999/x999/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert!(matches!(Tile::parse(bad), Err(TileError::Path { .. })), "{bad}");
    }
    assert_eq!(Tile::new(8, Some(0), 0, 257), None);
    assert_eq!(Tile::new(0, Some(0), 0, 1), None);
}

#[test]
fn a_plan_of_the_go_commands_height_in_a_large_log() {
    // 2^16 + 300 records: a log with tiles on three levels.
    let tree = TreeHead { size: 65_836, hash: EMPTY_TREE };
    let plan = TilePlan::new(HEIGHT, tree, &[stored_hash_index(0, 70), stored_hash_index(0, 71)]).unwrap();
    let paths: Vec<String> = plan.tiles().iter().map(ToString::to_string).collect();
    let edge = ["tile/8/2/000.p/1", "tile/8/1/001.p/1", "tile/8/0/257.p/44"];
    assert_eq!(paths[..3], edge);
    assert_eq!(paths[3..], ["tile/8/1/000", "tile/8/0/000"], "both records share their tiles");
}

#[test]
fn plans_refuse_what_is_not_in_the_log() {
    let log = NaiveLog::of(7);
    let end = stored_hash_index(0, 7);
    for index in [end, u64::MAX] {
        let error = TilePlan::new(2, log.head(), &[0, index]).unwrap_err();
        assert_eq!(error, PlanError::NotInTree { index, size: 7 });
    }
    assert_eq!(TilePlan::new(0, log.head(), &[0]).unwrap_err(), PlanError::Height(0));
    assert_eq!(TilePlan::new(31, log.head(), &[0]).unwrap_err(), PlanError::Height(31));
    assert!(TilePlan::new(2, TreeHead::EMPTY, &[0]).is_err());
    let nothing = TilePlan::new(2, TreeHead::EMPTY, &[]).unwrap();
    assert_eq!(nothing.verify::<Vec<u8>>(&[]), Ok(Vec::new()));
    let largest = TreeHead { size: MAX_RECORDS, hash: EMPTY_TREE };
    assert_eq!(TilePlan::new(8, largest, &[0]).unwrap().tiles().len(), 15);
}

#[test]
fn a_log_that_was_rewritten_has_no_common_prefix() {
    let (old, mut new) = (NaiveLog::of(11), NaiveLog::of(50));
    let prefix = |new: &NaiveLog| {
        let plan = TilePlan::new(3, new.head(), &tree_hash_indexes(11)).unwrap();
        let data: Vec<Vec<u8>> = plan.tiles().iter().map(|tile| new.tile(tile)).collect();
        check_prefix(&old.head(), &plan.verify(&data).unwrap())
    };
    assert_eq!(prefix(&new), Ok(()));
    new.records[4] = b"another".to_vec();
    assert_eq!(prefix(&new), Err(ProofError::Failed));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_changed_proof_fails(size in 1usize..200, a: prop::sample::Index, b: prop::sample::Index, bit in 0usize..256) {
        let log = NaiveLog::of(size);
        let (stored, head) = (log.stored(), log.head());
        let flip = |hash: &mut Hash| hash.0[bit / 8] ^= 1 << (bit % 8);

        let n = a.index(size) as u64;
        let proof = record_proof(head.size, n, &pick(&stored, &record_proof_indexes(head.size, n).unwrap())).unwrap();
        let record = log.at(0, n);
        prop_assert_eq!(check_record(&proof, &head, n, record), Ok(()));
        let (mut other_record, mut other_head) = (record, head);
        flip(&mut other_record);
        flip(&mut other_head.hash);
        prop_assert!(check_record(&proof, &head, n, other_record).is_err());
        prop_assert!(check_record(&proof, &other_head, n, record).is_err());
        for changed in changes(&proof, b, flip) {
            prop_assert!(check_record(&changed, &head, n, record).is_err());
        }

        let old = log.head_at(n as usize + 1);
        let need = tree_proof_indexes(head.size, old.size).unwrap();
        let proof = tree_proof(head.size, old.size, &pick(&stored, &need)).unwrap();
        prop_assert_eq!(check_tree(&proof, &head, &old), Ok(()));
        let mut other_old = old;
        flip(&mut other_old.hash);
        prop_assert!(check_tree(&proof, &head, &other_old).is_err());
        prop_assert!(check_tree(&proof, &other_head, &old).is_err());
        for changed in changes(&proof, b, flip) {
            prop_assert!(check_tree(&changed, &head, &old).is_err());
        }
    }

    #[test]
    fn tiles_prove_every_hash_and_a_changed_one_proves_none(
        size in 1usize..300,
        height in 1u32..9,
        wanted in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        at: prop::sample::Index,
        bit in 0u8..8,
    ) {
        let log = NaiveLog::of(size);
        let (stored, head) = (log.stored(), log.head());
        let indexes: Vec<u64> = wanted.iter().map(|index| index.index(stored.len()) as u64).collect();
        let plan = TilePlan::new(height, head, &indexes).unwrap();
        let tiles = plan.tiles();
        let mut data: Vec<Vec<u8>> = tiles.iter().map(|tile| log.tile(tile)).collect();
        prop_assert_eq!(plan.verify(&data), Ok(pick(&stored, &indexes)));
        for (i, tile) in tiles.iter().enumerate() {
            prop_assert!(!tiles[..i].contains(tile), "{} is asked for twice", tile);
            prop_assert_eq!(Tile::parse(&tile.to_string()), Ok(*tile));
        }

        // Any bit of any tile, since every tile's every hash is authenticated.
        let tile = at.index(data.len());
        let byte = at.index(data[tile].len());
        data[tile][byte] ^= 1 << bit;
        let error = plan.verify(&data).unwrap_err();
        let told = matches!(error, PlanError::Root { .. } | PlanError::Inconsistent { .. });
        prop_assert!(told, "{}", error);
        data[tile].pop();
        let short = matches!(plan.verify(&data), Err(PlanError::Tile(TileError::Size { .. })));
        prop_assert!(short);
        data.pop();
        let few = matches!(plan.verify(&data), Err(PlanError::Count { .. }));
        prop_assert!(few);
    }

    #[test]
    fn tile_paths_are_read_back(height in 1u32..=30, level in prop::option::of(0u32..=63), n in 0..=MAX_RECORDS, w: u32) {
        let tile = Tile::new(height, level, n, w % (1 << height) + 1).unwrap();
        prop_assert_eq!(Tile::parse(&tile.to_string()), Ok(tile));
    }

    #[test]
    fn indexes_have_one_tile_each(height in 1u32..=30, index: u64) {
        let tile = Tile::for_index(height, index);
        prop_assert!(tile.width() <= 1 << height);
        let (level, n) = split_stored_hash_index(index);
        prop_assert_eq!(tile.level(), Some(level / height));
        prop_assert_eq!(tile.n(), u64::try_from((u128::from(n) << (level % height)) >> height).unwrap());
    }
}

/// The proof with one of its hashes changed, one too few, one too many.
fn changes(proof: &[Hash], at: prop::sample::Index, flip: impl Fn(&mut Hash)) -> Vec<Vec<Hash>> {
    let mut all = vec![[proof, &[EMPTY_TREE]].concat()];
    if !proof.is_empty() {
        let mut changed = proof.to_vec();
        flip(&mut changed[at.index(proof.len())]);
        all.extend([changed, proof[1..].to_vec(), proof[..proof.len() - 1].to_vec()]);
    }
    all
}
