//! Which of the tiles at the edge of a log is damaged, told by what is kept below them: complete tiles and look-ups.
//!
//! A tile at the edge says the hash of each tile or record below it again. Where the hashes of those that are kept, put in
//! place of what the edge says, give the hash that the database has signed, what they replaced is damaged and all else there
//! is proven. Where they do not, a tile of which all is kept below it, and fits, is not the one: else both were changed.

use std::collections::HashMap;
use std::io;

use bytes::Bytes;
use goferry_module::sumdb::tlog::{HASH_SIZE, Hash};
use goferry_module::sumdb::{Tile, TilePlan, tile};

use super::Kept;

/// What is known of the tiles at an edge that do not give the hash of the log.
pub(super) enum Told {
    /// These are damaged, each with what it says wrongly. All others are proven.
    Damaged(Vec<(Tile, String)>),
    /// It is one of these.
    Among(Vec<Tile>),
}

/// A tile at the edge, and what is kept below it.
struct Held {
    tile: Tile,
    said: Bytes,
    /// By the number in the tile: the hash, and whose it is.
    below: Vec<(usize, Hash, String)>,
}

/// Tells the damaged tiles of an edge, of which none but `doubtful` can be. `records` are the hashes of those in look-ups.
/// `None` where a file has vanished.
pub(super) fn tell(
    kept: &Kept<'_>,
    edge: &TilePlan,
    doubtful: impl Fn(Tile) -> bool,
    records: &HashMap<u64, Hash>,
) -> io::Result<Option<Told>> {
    let mut held = Vec::with_capacity(edge.tiles().len());
    for &tile in edge.tiles() {
        let Some(said) = kept.read(tile)? else { return Ok(None) };
        let below = if doubtful(tile) { below(kept, tile, records)? } else { Vec::new() };
        held.push(Held { tile, said, below });
    }
    let mended: Vec<Vec<u8>> = held.iter().map(Held::mended).collect();
    if edge.verify(&mended).is_ok() {
        let wrong = held.iter().filter_map(|held| Some((held.tile, held.wrong().next()?.to_owned())));
        return Ok(Some(Told::Damaged(wrong.collect())));
    }
    let among: Vec<Tile> = held.iter().map(|held| held.tile).filter(|tile| doubtful(*tile)).collect();
    let left: Vec<Tile> =
        held.iter().filter(|held| doubtful(held.tile) && !held.fits()).map(|held| held.tile).collect();
    Ok(Some(Told::Among(if left.is_empty() { among } else { left })))
}

impl Held {
    /// The tile with what is kept below it.
    fn mended(&self) -> Vec<u8> {
        let mut bytes = self.said.to_vec();
        for (number, hash, _) in &self.below {
            bytes[number * HASH_SIZE..][..HASH_SIZE].copy_from_slice(&hash.0);
        }
        bytes
    }

    /// Whose hashes are others below it.
    fn wrong(&self) -> impl Iterator<Item = &str> {
        let said = |number: usize| &self.said[number * HASH_SIZE..][..HASH_SIZE];
        self.below.iter().filter(move |(number, hash, _)| said(*number) != hash.0).map(|(.., whose)| whose.as_str())
    }

    /// Whether all below it is kept and is what it says.
    fn fits(&self) -> bool {
        self.below.len() * HASH_SIZE == self.said.len() && self.wrong().next().is_none()
    }
}

/// What is kept below a tile, once for each of its hashes.
fn below(kept: &Kept<'_>, tile: Tile, records: &HashMap<u64, Hash>) -> io::Result<Vec<(usize, Hash, String)>> {
    let mut below = Vec::new();
    let Some(level) = tile.level() else { return Ok(below) };
    for number in 0..tile.width() {
        // What is at the edge has so many records below it that this does not overflow.
        let n = (tile.n() << tile.height()) + u64::from(number);
        let found = match level.checked_sub(1) {
            None => records.get(&n).map(|hash| (*hash, format!("record {n}"))),
            Some(level) => match Tile::new(tile::HEIGHT, Some(level), n, 1 << tile::HEIGHT) {
                Some(child) => kept.read(child)?.and_then(|bytes| Some((child.whole_hash(&bytes)?, child.to_string()))),
                None => None,
            },
        };
        below.extend(found.map(|(hash, whose)| (number as usize, hash, whose)));
    }
    Ok(below)
}
