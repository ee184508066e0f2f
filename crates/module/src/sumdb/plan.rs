//! Which tiles prove that hashes are in a log, and the proof (`golang.org/x/mod/sumdb/tlog`, `tile.go`,
//! `TileHashReader`).
//!
//! The tiles at the right edge of the log give its hash, so they are checked against the tree head. Every other tile is
//! complete, and its hash stands in the tile above it, which was checked before. Nothing is used that was not checked.

use std::collections::HashMap;

use super::TreeHead;
use super::tile::{MAX_HEIGHT, Tile, TileError, subtree_hash};
use super::tlog::{Hash, MAX_RECORDS, ProofError, stored_hash_index, tree_hash, tree_hash_indexes};

/// The tiles that are needed to read some hashes of a log, each with the tiles that authenticate it.
///
/// It is made, the caller fetches [`TilePlan::tiles`], and [`TilePlan::verify`] gives the hashes. Only then are the
/// tiles fit to be kept.
#[derive(Clone, Debug)]
pub struct TilePlan {
    tree: TreeHead,
    /// The right edge first, then parents before their children.
    tiles: Vec<Tile>,
    /// The hashes that make up the log's hash, and the number of the tile that each is in.
    edge: Vec<Wanted>,
    /// The number of the tiles at the right edge, which are authenticated by the log's hash.
    edge_tiles: usize,
    /// For every other tile, where its own hash stands.
    parents: Vec<Wanted>,
    /// The hashes that were asked for.
    wanted: Vec<Wanted>,
}

/// Why a plan cannot be made or fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No tile has this height.
    #[error("no tile has the height {0}")]
    Height(u32),
    /// The log has no hash with this stored hash index, or more records than any log.
    #[error("the hash with index {index} is not in a log of {size} records")]
    NotInTree {
        /// The stored hash index.
        index: u64,
        /// The size of the log.
        size: u64,
    },
    /// Not as many tiles were given as were asked for.
    #[error("{got} tiles were given where {want} are needed")]
    Count {
        /// How many there must be.
        want: usize,
        /// How many there are.
        got: usize,
    },
    /// A tile's data is not of its size.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// The tiles at the right edge do not have the log's hash. At least one is wrong; it cannot be said which.
    #[error("downloaded inconsistent tile: the tiles do not have the hash of the log of {size} records")]
    Root {
        /// The size of the log.
        size: u64,
    },
    /// A tile does not have the hash that the tile above it has for it.
    #[error("downloaded inconsistent tile: {tile} does not have the hash that the tile above it gives")]
    Inconsistent {
        /// The tile.
        tile: Tile,
    },
}

#[derive(Clone, Copy, Debug)]
struct Wanted {
    index: u64,
    tile: usize,
}

impl TilePlan {
    /// Plans for the hashes with these stored hash indexes in the log at `tree`, from tiles of `height`
    /// ([`super::tile::HEIGHT`] for the go command).
    ///
    /// For the record n it is the index (0, n); to check that an older log of m records is the beginning of this one,
    /// those of [`tree_hash_indexes`]\(m\). Many at once share their tiles.
    ///
    /// # Errors
    /// When the height is no tile's, or an index not in the log.
    pub fn new(height: u32, tree: TreeHead, indexes: &[u64]) -> Result<Self, PlanError> {
        if !(1..=MAX_HEIGHT).contains(&height) {
            return Err(PlanError::Height(height));
        }
        let end = stored_hash_index(0, tree.size);
        let outside = |index: &&u64| **index >= end || tree.size > MAX_RECORDS;
        if let Some(index) = indexes.iter().find(outside) {
            return Err(PlanError::NotInTree { index: *index, size: tree.size });
        }
        let mut plan = Self {
            tree,
            tiles: Vec::new(),
            edge: Vec::new(),
            edge_tiles: 0,
            parents: Vec::new(),
            wanted: Vec::with_capacity(indexes.len()),
        };
        let mut order = HashMap::new();
        if tree.size <= MAX_RECORDS {
            plan.add_edge(height, &mut order);
        }
        for index in indexes {
            let tile = plan.add(Tile::for_index(height, *index), &mut order);
            plan.wanted.push(Wanted { index: *index, tile });
        }
        Ok(plan)
    }

    /// The log that the tiles are held against.
    #[must_use]
    pub fn tree(&self) -> TreeHead {
        self.tree
    }

    /// The tiles to be fetched, none twice. A narrower one can be cut from the complete one at its place.
    #[must_use]
    pub fn tiles(&self) -> &[Tile] {
        &self.tiles
    }

    /// Checks every tile, and gives the hashes in the order in which they were asked for. `data` is in the order of
    /// [`TilePlan::tiles`].
    ///
    /// # Errors
    /// When a tile is missing, not of its size, or not a tile of this log.
    pub fn verify<D: AsRef<[u8]>>(&self, data: &[D]) -> Result<Vec<Hash>, PlanError> {
        if data.len() != self.tiles.len() {
            return Err(PlanError::Count { want: self.tiles.len(), got: data.len() });
        }
        for (tile, data) in self.tiles.iter().zip(data) {
            let got = data.as_ref().len();
            if got != tile.size() {
                return Err(TileError::Size { tile: *tile, want: tile.size(), got }.into());
            }
        }
        let read = |hash: &Wanted| self.tiles[hash.tile].hash_at(data[hash.tile].as_ref(), hash.index);

        let edge = self.edge.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        if tree_hash(self.tree.size, &edge) != Ok(self.tree.hash) {
            return Err(PlanError::Root { size: self.tree.size });
        }
        let others = self.tiles.iter().zip(data).skip(self.edge_tiles);
        for ((tile, data), parent) in others.zip(&self.parents) {
            if read(parent)? != subtree_hash(data.as_ref()) {
                return Err(PlanError::Inconsistent { tile: *tile });
            }
        }
        Ok(self.wanted.iter().map(read).collect::<Result<_, _>>()?)
    }

    fn add_edge(&mut self, height: u32, order: &mut HashMap<Tile, usize>) {
        for index in tree_hash_indexes(self.tree.size) {
            let narrow = Tile::for_index(height, index);
            let tile = narrow.ancestor(0, self.tree.size).expect("a hash of the log is in one of its tiles");
            let next = self.tiles.len();
            let number = *order.entry(tile).or_insert(next);
            if number == next {
                self.tiles.push(tile);
            }
            self.edge.push(Wanted { index, tile: number });
        }
        self.edge_tiles = self.tiles.len();
    }

    /// The number of the tile, which is added after those above it that are not planned yet.
    fn add(&mut self, narrow: Tile, order: &mut HashMap<Tile, usize>) -> usize {
        let ancestor = |up| narrow.ancestor(up, self.tree.size).expect("the edge is above every tile of the log");
        let mut missing = Vec::new();
        let mut number = loop {
            let tile = ancestor(u32::try_from(missing.len()).expect("there are at most 64 levels"));
            match order.get(&tile) {
                Some(number) => break *number,
                None => missing.push(tile),
            }
        };
        for tile in missing.into_iter().rev() {
            let level = (tile.level().expect("a tile of hashes") + 1) * tile.height();
            self.parents.push(Wanted { index: stored_hash_index(level, tile.n()), tile: number });
            number = self.tiles.len();
            order.insert(tile, number);
            self.tiles.push(tile);
        }
        number
    }
}

/// Checks that the log at `new` begins with the log at `old`, from the verified hashes at
/// [`tree_hash_indexes`]\(`old.size`\).
///
/// # Errors
/// When it does not: the database has shown two histories.
pub fn check_prefix(old: &TreeHead, hashes: &[Hash]) -> Result<(), ProofError> {
    if tree_hash(old.size, hashes)? == old.hash { Ok(()) } else { Err(ProofError::Failed) }
}
