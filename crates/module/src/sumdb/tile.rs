//! Tiles: how a log's hashes are published (`golang.org/x/mod/sumdb/tlog`, `tile.go`).
//!
//! A tile of height H at level L with number N holds the hashes (H·L, N·2^H), (H·L, N·2^H + 1) and so on: 2^H of them
//! if it is complete, fewer at the right edge of a log. The hashes between the tile's own level and the next tile level
//! are computed from them. [`super::plan`] says which tiles prove what.

use std::fmt;

use super::tlog::{HASH_SIZE, Hash, MAX_RECORDS, node_hash, split_stored_hash_index};

/// The height of the tiles that the go command asks for.
pub const HEIGHT: u32 = 8;

/// The greatest height of a tile.
pub const MAX_HEIGHT: u32 = 30;

/// The greatest level of a tile.
pub const MAX_LEVEL: u32 = 63;

/// Numbers in paths are cut into groups of three digits, so that no directory gets too large.
const PATH_BASE: u64 = 1000;

/// The coordinates of a tile. Its text form is its path, `tile/H/L/NNN`, with `.p/W` after it if it is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    height: u32,
    /// `None` for a tile of records.
    level: Option<u32>,
    n: u64,
    width: u32,
}

/// Why a tile, its path or its data are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// The path is not the one way to write a tile's coordinates.
    #[error("malformed tile path {path:?}: expected tile/H/L/NNN or tile/H/L/NNN.p/W")]
    Path {
        /// The path, cut after 100 characters.
        path: String,
    },
    /// The data is not of the tile's size.
    #[error("{tile} has {got} bytes, not {want}")]
    Size {
        /// The tile.
        tile: Tile,
        /// The size of its hashes in bytes.
        want: usize,
        /// The size of the data in bytes.
        got: usize,
    },
    /// The tile does not hold the hash that was asked for.
    #[error("the hash with index {index} is in {holder}, not in {tile}")]
    Elsewhere {
        /// The stored hash index.
        index: u64,
        /// The narrowest tile that holds it.
        holder: Tile,
        /// The tile that was searched.
        tile: Tile,
    },
}

impl Tile {
    /// The tile with these coordinates; level `None` stands for records instead of hashes.
    ///
    /// `None` unless 1 ≤ height ≤ [`MAX_HEIGHT`], level ≤ [`MAX_LEVEL`], n < 2^63 and 1 ≤ width ≤ 2^height.
    #[must_use]
    pub fn new(height: u32, level: Option<u32>, n: u64, width: u32) -> Option<Self> {
        let fits = (1..=MAX_HEIGHT).contains(&height)
            && level.is_none_or(|level| level <= MAX_LEVEL)
            && n <= MAX_RECORDS
            && (1..=1 << height).contains(&width);
        fits.then_some(Self { height, level, n, width })
    }

    /// The narrowest tile that holds a stored hash.
    ///
    /// # Panics
    /// When the height is not from 1 to [`MAX_HEIGHT`].
    #[must_use]
    pub fn for_index(height: u32, index: u64) -> Self {
        place(height, index).0
    }

    /// Parses a path without a leading slash.
    ///
    /// # Errors
    /// When it is not what [`Tile`] is written as. Levels above [`MAX_LEVEL`] are refused too, which
    /// `tlog.ParseTilePath` lets pass and then has no use for.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        parse(path).ok_or_else(|| TileError::Path { path: path.chars().take(100).collect() })
    }

    /// The height, from 1 to [`MAX_HEIGHT`].
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The level, in tiles; `None` for a tile of records.
    #[must_use]
    pub fn level(&self) -> Option<u32> {
        self.level
    }

    /// The number within the level.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// How many hashes (or records) it has, from 1 to 2^height.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Whether it is as wide as its height allows.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.width == 1 << self.height
    }

    /// The complete tile at its place. Its data begins with that of every narrower one; a server may have only it.
    #[must_use]
    pub fn complete(&self) -> Self {
        Self { width: 1 << self.height, ..*self }
    }

    /// The size of its data in bytes, if it is a tile of hashes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.width as usize * HASH_SIZE
    }

    /// The hash with this stored hash index, from the tile's data.
    ///
    /// # Errors
    /// When the data is too short, or the hash is not in this tile.
    pub fn hash_at(&self, data: &[u8], index: u64) -> Result<Hash, TileError> {
        if data.len() < self.size() {
            return Err(TileError::Size { tile: *self, want: self.size(), got: data.len() });
        }
        let (holder, first, count) = place(self.height, index);
        if (holder.level, holder.n) != (self.level, self.n) || holder.width > self.width {
            return Err(TileError::Elsewhere { index, holder, tile: *self });
        }
        Ok(subtree_hash(&data[first * HASH_SIZE..][..count * HASH_SIZE]))
    }

    /// The hash of all that a complete tile has, given its bytes: what the tile above says of it. `None` where it is not
    /// complete, is one of records, or the bytes are not as many.
    #[must_use]
    pub fn whole_hash(&self, data: &[u8]) -> Option<Hash> {
        let whole = self.level.is_some() && self.is_complete() && data.len() == self.size();
        whole.then(|| subtree_hash(data))
    }

    /// The tile `up` levels above it in the log of `size` records, as wide as it is there. `None` if there is none.
    pub(super) fn ancestor(&self, up: u32, size: u64) -> Option<Self> {
        let level = self.level? + up;
        let n = self.n.checked_shr(up * self.height).unwrap_or(0);
        let hashes = size.checked_shr(level * self.height).unwrap_or(0);
        let left = hashes.checked_sub(n << self.height).filter(|left| *left > 0)?;
        let width = u32::try_from(left).unwrap_or(u32::MAX).min(1 << self.height);
        Some(Self { height: self.height, level: Some(level), n, width })
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            None => write!(f, "tile/{}/data/", self.height)?,
            Some(level) => write!(f, "tile/{}/{level}/", self.height)?,
        }
        let mut scale = PATH_BASE;
        while self.n / scale >= PATH_BASE {
            scale *= PATH_BASE;
        }
        while scale >= PATH_BASE && self.n >= PATH_BASE {
            write!(f, "x{:03}/", self.n / scale % PATH_BASE)?;
            scale /= PATH_BASE;
        }
        write!(f, "{:03}", self.n % PATH_BASE)?;
        if self.is_complete() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

/// The hash of a complete subtree of 2^k hashes, in place of the bytes of the hashes.
pub(super) fn subtree_hash(data: &[u8]) -> Hash {
    if let Ok(hash) = data.try_into() {
        return Hash(hash);
    }
    let (left, right) = data.split_at(data.len() / 2);
    node_hash(subtree_hash(left), subtree_hash(right))
}

/// The narrowest tile that holds a stored hash, and which of its hashes the hash is made of: the first, and how many.
fn place(height: u32, index: u64) -> (Tile, usize, usize) {
    assert!((1..=MAX_HEIGHT).contains(&height), "no tile has the height {height}");
    let (level, n) = split_stored_hash_index(index);
    let within = level % height;
    let per_tile = height - within;
    let in_tile = u32::try_from(n & ((1 << per_tile) - 1)).expect("below 2^MAX_HEIGHT");
    let width = (in_tile + 1) << within;
    let tile = Tile { height, level: Some(level / height), n: n >> per_tile, width };
    (tile, (in_tile << within) as usize, 1 << within)
}

fn parse(path: &str) -> Option<Tile> {
    let mut parts: Vec<&str> = path.strip_prefix("tile/")?.split('/').collect();
    let height: u32 = parts.first()?.parse().ok().filter(|height| (1..=MAX_HEIGHT).contains(height))?;
    let level = match *parts.get(1)? {
        "data" => None,
        level => Some(level.parse().ok()?),
    };
    let mut width = 1 << height;
    if let Some(stem) = parts.iter().rev().nth(1).and_then(|part| part.strip_suffix(".p")) {
        width = parts.pop()?.parse().ok().filter(|narrow| *narrow < width)?;
        *parts.last_mut()? = stem;
    }
    let groups = parts.get(2..).filter(|groups| !groups.is_empty())?;
    let mut n: u64 = 0;
    for group in groups {
        let group: u64 = group.strip_prefix('x').unwrap_or(group).parse().ok().filter(|group| *group < PATH_BASE)?;
        n = n.checked_mul(PATH_BASE)?.checked_add(group)?;
    }
    // Signs, zeros in front and misplaced x are caught by writing it again.
    Tile::new(height, level, n, width).filter(|tile| tile.to_string() == path)
}
