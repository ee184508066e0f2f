//! The hashes and proofs of a transparency log (RFC 6962 section 2.1; `golang.org/x/mod/sumdb/tlog`, `tlog.go`).
//!
//! A log of N records is a binary Merkle tree. A full subtree of 2^`level` records is named by its coordinates
//! (`level`, `n`): it covers the records from n·2^level. All such hashes of a log also have one linear order, in which a
//! log only ever appends: the *stored hash index*. Functions here come in pairs: one says which stored hashes are
//! needed, the other takes them, in that order, so that whoever calls decides how they are read.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::{TreeHead, decode_base64, encode_base64};

/// The size of a [`struct@Hash`] in bytes.
pub const HASH_SIZE: usize = 32;

/// The most records that a log can have: sizes are signed 64-bit numbers in its text forms.
pub const MAX_RECORDS: u64 = i64::MAX as u64;

/// The hash of the log without records: SHA-256 of nothing (RFC 6962 section 2.1).
pub const EMPTY_TREE: Hash = Hash([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

/// The hash of a record, a subtree or a whole log. Its text form is padded base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; HASH_SIZE]);

/// Why a proof does not hold, or cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The record is not below the size, or the old size not between 1 and the new one.
    #[error("no proof is possible: {n} does not lie within a log of {size} records")]
    Inputs {
        /// The record's number, or the size of the older log.
        n: u64,
        /// The size of the log.
        size: u64,
    },
    /// Not as many hashes were given as were asked for.
    #[error("{got} hashes were given where {want} are needed")]
    Count {
        /// How many there must be.
        want: usize,
        /// How many there are.
        got: usize,
    },
    /// The proof does not lead to the hash of the log.
    #[error("invalid transparency proof")]
    Failed,
}

/// The hash of a record: SHA-256 of a zero byte and the record (RFC 6962 section 2.1).
#[must_use]
pub fn record_hash(record: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(record).finalize().into())
}

/// The hash of a subtree: SHA-256 of a one byte and the hashes of its halves (RFC 6962 section 2.1).
#[must_use]
pub fn node_hash(left: Hash, right: Hash) -> Hash {
    Hash(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// The stored hash index of the subtree (`level`, `n`). Coordinates beyond every log give `u64::MAX`.
///
/// A record's hash is stored when the record is appended, and after it those of the subtrees that it completes: record
/// m stands at 2m less the number of ones in m, and a subtree `level` places after its last record.
#[must_use]
pub fn stored_hash_index(level: u32, n: u64) -> u64 {
    let Some(last) = 1u128
        .checked_shl(level)
        .and_then(|width| width.checked_mul(u128::from(n) + 1))
        .map(|end| end - 1)
        .filter(|last| *last <= u128::from(MAX_RECORDS))
    else {
        return u64::MAX;
    };
    u64::try_from(2 * last - u128::from(last.count_ones()) + u128::from(level)).unwrap_or(u64::MAX)
}

/// The coordinates (`level`, `n`) of a stored hash index: the inverse of [`stored_hash_index`].
#[must_use]
pub fn split_stored_hash_index(index: u64) -> (u32, u64) {
    // Record m stands at most at 2m, and at least at 2m - 64: the record that stored the hash is near index / 2.
    let position = |record: u64| 2 * u128::from(record) - u128::from(record.count_ones());
    let mut record = index / 2;
    while position(record + 1) <= u128::from(index) {
        record += 1;
    }
    let level = u32::try_from(u128::from(index) - position(record)).expect("a record completes at most 64 subtrees");
    (level, record >> level)
}

/// How many hashes a log of `size` records has stored.
#[must_use]
pub fn stored_hash_count(size: u64) -> u64 {
    // Where the next record would stand is where the last one's hashes end.
    stored_hash_index(0, size)
}

/// The stored hashes that [`tree_hash`] needs: at most one for each bit of `size`, the largest subtree first.
#[must_use]
pub fn tree_hash_indexes(size: u64) -> Vec<u64> {
    let mut need = Vec::new();
    subtree_indexes(0, size, &mut need);
    need
}

/// The hash of the log of `size` records, from the hashes at [`tree_hash_indexes`].
///
/// # Errors
/// When there are not as many hashes as indexes.
pub fn tree_hash(size: u64, hashes: &[Hash]) -> Result<Hash, ProofError> {
    let mut hashes = counted(hashes, size.count_ones() as usize)?;
    Ok(if size == 0 { EMPTY_TREE } else { subtree_hash(0, size, &mut hashes) })
}

/// The stored hashes that [`record_proof`] needs.
///
/// # Errors
/// When a log of `size` records has no record `n`.
pub fn record_proof_indexes(size: u64, n: u64) -> Result<Vec<u64>, ProofError> {
    check_record_inputs(size, n)?;
    let (mut lo, mut hi) = (0, size);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    while hi - lo > 1 {
        let middle = lo + left_half(hi - lo);
        if n < middle {
            after.push((middle, hi));
            hi = middle;
        } else {
            before.push((lo, middle));
            lo = middle;
        }
    }
    let mut need = Vec::new();
    for (lo, hi) in before.into_iter().chain(after.into_iter().rev()) {
        subtree_indexes(lo, hi, &mut need);
    }
    Ok(need)
}

/// The proof (RFC 6962 section 2.1.1, an audit path) that a log of `size` records has a record `n`, from the hashes at
/// [`record_proof_indexes`].
///
/// # Errors
/// When there is no such record, or there are not as many hashes as indexes.
pub fn record_proof(size: u64, n: u64, hashes: &[Hash]) -> Result<Vec<Hash>, ProofError> {
    let mut hashes = counted(hashes, record_proof_indexes(size, n)?.len())?;
    let mut proof = Vec::new();
    prove_record(0, size, n, &mut hashes, &mut proof);
    Ok(proof)
}

/// Checks that `tree` has `record` as its record `n`.
///
/// # Errors
/// When the proof does not show it.
pub fn check_record(proof: &[Hash], tree: &TreeHead, n: u64, record: Hash) -> Result<(), ProofError> {
    check_record_inputs(tree.size, n)?;
    let root = run_record_proof(proof, 0, tree.size, n, record)?;
    if root == tree.hash { Ok(()) } else { Err(ProofError::Failed) }
}

/// The stored hashes that [`tree_proof`] needs.
///
/// # Errors
/// When `old` is not between 1 and `size`.
pub fn tree_proof_indexes(size: u64, old: u64) -> Result<Vec<u64>, ProofError> {
    check_tree_inputs(size, old)?;
    let mut need = Vec::new();
    need_tree_proof(0, size, old, &mut need);
    Ok(need)
}

/// The proof (RFC 6962 section 2.1.2, a consistency proof) that a log of `size` records begins with its first `old`
/// ones, from the hashes at [`tree_proof_indexes`].
///
/// # Errors
/// When `old` is not between 1 and `size`, or there are not as many hashes as indexes.
pub fn tree_proof(size: u64, old: u64, hashes: &[Hash]) -> Result<Vec<Hash>, ProofError> {
    let mut hashes = counted(hashes, tree_proof_indexes(size, old)?.len())?;
    let mut proof = Vec::new();
    prove_tree(0, size, old, &mut hashes, &mut proof);
    Ok(proof)
}

/// Checks that the log at `new` is the log at `old` with records appended.
///
/// # Errors
/// When the proof does not show it.
pub fn check_tree(proof: &[Hash], new: &TreeHead, old: &TreeHead) -> Result<(), ProofError> {
    check_tree_inputs(new.size, old.size)?;
    let (old_root, new_root) = run_tree_proof(proof, 0, new.size, old.size, old.hash)?;
    if old_root == old.hash && new_root == new.hash { Ok(()) } else { Err(ProofError::Failed) }
}

impl Hash {
    /// Parses padded base64 of 32 bytes. `None` for anything else.
    #[must_use]
    pub fn parse(base64: &str) -> Option<Self> {
        decode_base64(base64)?.try_into().ok().map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_base64(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn counted(hashes: &[Hash], want: usize) -> Result<&[Hash], ProofError> {
    if hashes.len() == want { Ok(hashes) } else { Err(ProofError::Count { want, got: hashes.len() }) }
}

fn check_record_inputs(size: u64, n: u64) -> Result<(), ProofError> {
    if n < size && size <= MAX_RECORDS { Ok(()) } else { Err(ProofError::Inputs { n, size }) }
}

fn check_tree_inputs(size: u64, old: u64) -> Result<(), ProofError> {
    if (1..=size).contains(&old) && size <= MAX_RECORDS { Ok(()) } else { Err(ProofError::Inputs { n: old, size }) }
}

/// The records in the left half of a subtree of `count` ones, at least two: the largest power of two below it.
fn left_half(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// The full subtrees that the records [lo, hi) are made of. `lo` is a multiple of the first one's size.
fn subtree_indexes(mut lo: u64, hi: u64, need: &mut Vec<u64>) {
    while lo < hi {
        let level = (hi - lo).ilog2();
        need.push(stored_hash_index(level, lo >> level));
        lo += 1 << level;
    }
}

/// The hash of the records [lo, hi), at least one, taking what `subtree_indexes` asked for.
fn subtree_hash(lo: u64, hi: u64, hashes: &mut &[Hash]) -> Hash {
    let (own, rest) = hashes.split_at((hi - lo).count_ones() as usize);
    *hashes = rest;
    own.iter().copied().rev().reduce(|right, left| node_hash(left, right)).expect("[lo, hi) is not empty")
}

fn prove_record(lo: u64, hi: u64, n: u64, hashes: &mut &[Hash], proof: &mut Vec<Hash>) {
    if hi - lo == 1 {
        return;
    }
    let middle = lo + left_half(hi - lo);
    let sibling = if n < middle {
        prove_record(lo, middle, n, hashes, proof);
        subtree_hash(middle, hi, hashes)
    } else {
        let left = subtree_hash(lo, middle, hashes);
        prove_record(middle, hi, n, hashes, proof);
        left
    };
    proof.push(sibling);
}

/// The hash of the records [lo, hi) that the proof implies.
fn run_record_proof(proof: &[Hash], lo: u64, hi: u64, n: u64, record: Hash) -> Result<Hash, ProofError> {
    if hi - lo == 1 {
        return if proof.is_empty() { Ok(record) } else { Err(ProofError::Failed) };
    }
    let (sibling, rest) = proof.split_last().ok_or(ProofError::Failed)?;
    let middle = lo + left_half(hi - lo);
    Ok(if n < middle {
        node_hash(run_record_proof(rest, lo, middle, n, record)?, *sibling)
    } else {
        node_hash(*sibling, run_record_proof(rest, middle, hi, n, record)?)
    })
}

fn need_tree_proof(lo: u64, hi: u64, old: u64, need: &mut Vec<u64>) {
    if old == hi {
        // From 0 it is the old log itself, whose hash whoever checks knows.
        if lo != 0 {
            subtree_indexes(lo, hi, need);
        }
        return;
    }
    let middle = lo + left_half(hi - lo);
    if old <= middle {
        need_tree_proof(lo, middle, old, need);
        subtree_indexes(middle, hi, need);
    } else {
        subtree_indexes(lo, middle, need);
        need_tree_proof(middle, hi, old, need);
    }
}

fn prove_tree(lo: u64, hi: u64, old: u64, hashes: &mut &[Hash], proof: &mut Vec<Hash>) {
    if old == hi {
        if lo != 0 {
            proof.push(subtree_hash(lo, hi, hashes));
        }
        return;
    }
    let middle = lo + left_half(hi - lo);
    let sibling = if old <= middle {
        prove_tree(lo, middle, old, hashes, proof);
        subtree_hash(middle, hi, hashes)
    } else {
        let left = subtree_hash(lo, middle, hashes);
        prove_tree(middle, hi, old, hashes, proof);
        left
    };
    proof.push(sibling);
}

/// The hashes of the records [lo, hi) that the proof implies: as they were in the old log, and as they are.
fn run_tree_proof(proof: &[Hash], lo: u64, hi: u64, old: u64, root: Hash) -> Result<(Hash, Hash), ProofError> {
    if old == hi {
        return match proof {
            [] if lo == 0 => Ok((root, root)),
            [shared] if lo != 0 => Ok((*shared, *shared)),
            _ => Err(ProofError::Failed),
        };
    }
    let (sibling, rest) = proof.split_last().ok_or(ProofError::Failed)?;
    let middle = lo + left_half(hi - lo);
    if old <= middle {
        let (was, is) = run_tree_proof(rest, lo, middle, old, root)?;
        Ok((was, node_hash(is, *sibling)))
    } else {
        let (was, is) = run_tree_proof(rest, middle, hi, old, root)?;
        Ok((node_hash(*sibling, was), node_hash(*sibling, is)))
    }
}
