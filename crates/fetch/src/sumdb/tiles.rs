//! Tiles from memory, disk or the server, each once (`golang.org/x/mod/sumdb`, `client.go`, `ReadTiles` and
//! `SaveTiles`).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use goferry_module::sumdb::plan::PlanError;
use goferry_module::sumdb::tlog::{Hash, stored_hash_index};
use goferry_module::sumdb::{Tile, TilePlan, TreeHead, tile};
use goferry_net::Party;

use super::disk::Disk;
use super::remote::Remote;
use super::security;
use crate::error::{FailKind, FetchError};
use crate::memo::{Memo, all};

/// The longest tile of records that is read, in bytes. The go command asks for none.
const MAX_DATA: usize = 4 << 20;

/// The tiles of one database. The memory of them grows by 8 KiB a tile, at most sixteen tiles a look-up.
pub(super) struct Tiles {
    disk: Arc<Disk>,
    remote: Arc<Remote>,
    flights: Memo<Tile, Result<Data, FetchError>>,
    /// Those that need not be written: they are on disk, or will be.
    saved: Mutex<HashSet<Tile>>,
}

/// What a tile is said to hold.
#[derive(Clone)]
struct Data {
    bytes: Bytes,
    from_disk: bool,
}

impl AsRef<[u8]> for Data {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Tiles {
    pub(super) fn new(disk: Arc<Disk>, remote: Arc<Remote>) -> Self {
        Self { disk, remote, flights: Memo::default(), saved: Mutex::default() }
    }

    /// The hashes that were planned for, from tiles that are verified and kept.
    pub(super) async fn hashes(&self, plan: &TilePlan) -> Result<Vec<Hash>, FetchError> {
        let data = all(plan.tiles().iter().map(|tile| self.read(*tile))).await;
        let data = data.into_iter().collect::<Result<Vec<_>, _>>()?;
        let hashes = plan.verify(&data).map_err(|error| self.refuse(&error, &data))?;
        self.save(plan.tiles(), &data).await;
        Ok(hashes)
    }

    /// Begins to fetch the tiles that a record will be verified with. Whatever fails here fails again where it matters.
    pub(super) async fn warm(&self, tree: TreeHead, record: u64) {
        if record < tree.size
            && let Ok(plan) = TilePlan::new(tile::HEIGHT, tree, &[stored_hash_index(0, record)])
        {
            all(plan.tiles().iter().map(|tile| self.read(*tile))).await;
        }
    }

    /// One tile: verified and kept where the log at `tree` has the whole of it, else as the server gives it.
    pub(super) async fn one(&self, tile: Tile, tree: TreeHead) -> Result<Bytes, FetchError> {
        let Some(level) = tile.level() else {
            return self.remote.get(&format!("/{tile}"), MAX_DATA).await;
        };
        let below = level * tile.height();
        let hashes = tree.size.checked_shr(below).unwrap_or(0);
        let first = tile.n() << tile.height();
        if tile.height() == tile::HEIGHT && tile.is_complete() && first + u64::from(tile.width()) <= hashes {
            let plan = TilePlan::new(tile::HEIGHT, tree, &[stored_hash_index(below, first)]);
            let plan = plan.map_err(|error| FetchError::invalid(format!("{tile}: {error}")))?;
            self.hashes(&plan).await?;
        }
        let data = self.read(tile).await?.bytes;
        if data.len() != tile.size() {
            let text = format!("{tile} has {} bytes, not {}", data.len(), tile.size());
            return Err(FetchError::invalid(text));
        }
        Ok(data)
    }

    async fn read(&self, tile: Tile) -> Result<Data, FetchError> {
        self.flights.get(tile, || self.find(tile)).await
    }

    /// The tile, or the beginning of the complete one at its place, from the disk, else from the server. A server may
    /// have dropped the narrow one once the complete one was there. The complete one is not kept then: only the part
    /// that was asked for gets verified.
    async fn find(&self, tile: Tile) -> Result<Data, FetchError> {
        let complete = tile.complete();
        let (path, complete_path) = (format!("/{tile}"), format!("/{complete}"));
        if let Some(bytes) = self.disk.read_cache(&path, tile.size()).await {
            self.mark_saved(tile);
            return Ok(Data { bytes, from_disk: true });
        }
        if tile != complete
            && let Some(bytes) = self.disk.read_cache(&complete_path, complete.size()).await
        {
            self.mark_saved(tile);
            return Ok(Data { bytes: beginning(&bytes, tile), from_disk: true });
        }
        let error = match self.remote.get(&path, tile.size()).await {
            Ok(bytes) => return Ok(Data { bytes, from_disk: false }),
            Err(error) => error,
        };
        if tile != complete
            && let Ok(bytes) = self.remote.get(&complete_path, complete.size()).await
        {
            return Ok(Data { bytes: beginning(&bytes, tile), from_disk: false });
        }
        Err(error)
    }

    /// Whether this is the first time that the tile is marked.
    fn mark_saved(&self, tile: Tile) -> bool {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner).insert(tile)
    }

    async fn save(&self, tiles: &[Tile], data: &[Data]) {
        let new = tiles.iter().zip(data).filter(|(tile, _)| self.mark_saved(**tile));
        all(new.map(async |(tile, data)| self.disk.write_cache(&format!("/{tile}"), data.bytes.clone()).await)).await;
    }

    fn refuse(&self, error: &PlanError, data: &[Data]) -> FetchError {
        let from_disk = data.iter().filter(|data| data.from_disk).count();
        let mut detail = error.to_string();
        if from_disk > 0 {
            let dir = self.disk.cache().display();
            detail = format!("{detail}\n{from_disk} of {} tiles were read from {dir}", data.len());
        }
        let kind = match error {
            PlanError::Root { .. } | PlanError::Inconsistent { .. } => FailKind::Mismatch,
            _ => FailKind::Invalid,
        };
        if kind == FailKind::Mismatch {
            detail = security::unproven(&detail);
        }
        if from_disk == 0 {
            return FetchError::new(kind, Party::Upstream, detail);
        }
        let error = FetchError::new(kind, Party::Client, detail);
        error.with_advice(format!("the cache may be damaged: remove {} and try again", self.disk.cache().display()))
    }
}

/// As much of a complete tile as belongs to a narrower one; of a damaged one, as little as is left.
fn beginning(complete: &Bytes, tile: Tile) -> Bytes {
    let widest = tile.complete().width() as usize;
    complete.slice(..complete.len().min(tile.complete().size()) / widest * tile.width() as usize)
}
