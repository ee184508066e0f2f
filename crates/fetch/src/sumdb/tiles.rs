//! Tiles from memory, disk or the server, each once (`golang.org/x/mod/sumdb`, `client.go`, `ReadTiles` and
//! `SaveTiles`).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// Those that were verified.
    proven: Mutex<HashSet<Tile>>,
    /// Those of a log that may yet turn out to be another one, with the tree head that they were verified against.
    unsettled: Mutex<Vec<(TreeHead, Tile, Bytes)>>,
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
        let (saved, proven, unsettled) = Default::default();
        Self { disk, remote, flights: Memo::default(), saved, proven, unsettled }
    }

    /// The hashes that were planned for, from tiles that are verified. They are kept once the log is [settled](Self::settle).
    pub(super) async fn hashes(&self, plan: &TilePlan) -> Result<Vec<Hash>, FetchError> {
        let data = all(plan.tiles().iter().map(|tile| self.read(*tile))).await;
        let data = data.into_iter().collect::<Result<Vec<_>, _>>()?;
        let hashes = plan.verify(&data).map_err(|error| self.refuse(&error, &data))?;
        self.proven.lock().unwrap_or_else(PoisonError::into_inner).extend(plan.tiles());
        self.save(plan.tree(), plan.tiles(), &data);
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

    /// One tile: verified and kept where the log at `tree` has it, else as the server gives it.
    pub(super) async fn one(&self, tile: Tile, tree: TreeHead) -> Result<Bytes, FetchError> {
        let Some(level) = tile.level() else {
            return self.remote.get(&format!("/{tile}"), MAX_DATA).await;
        };
        if let Some(wide) = self.within(tile, level, tree)? {
            self.hashes(&wide).await?;
            let same = |other: &&Tile| (other.level(), other.n()) == (tile.level(), tile.n());
            if let Some(other) = wide.tiles().iter().find(same).filter(|other| other.width() >= tile.width()) {
                let bytes = self.read(*other).await?.bytes;
                return Ok(bytes.slice(..tile.size().min(bytes.len())));
            }
        }
        let bytes = self.find(tile).await?.bytes;
        if bytes.len() != tile.size() {
            return Err(FetchError::invalid(format!("{tile} has {} bytes, not {}", bytes.len(), tile.size())));
        }
        Ok(bytes)
    }

    /// What proves a tile, where all of it is in the log at `tree`.
    fn within(&self, tile: Tile, level: u32, tree: TreeHead) -> Result<Option<TilePlan>, FetchError> {
        let below = level * tile.height();
        let end = tile.n().checked_mul(1 << tile.height()).and_then(|first| first.checked_add(tile.width().into()));
        let known = tree.size.checked_shr(below).unwrap_or(0);
        if tile.height() != tile::HEIGHT || end.is_none_or(|end| end > known) {
            return Ok(None);
        }
        let first = tile.n() << tile.height();
        let plan = TilePlan::new(tile::HEIGHT, tree, &[stored_hash_index(below, first)]);
        plan.map(Some).map_err(|error| FetchError::invalid(format!("{tile}: {error}")))
    }

    /// The tile, or the beginning of the complete one at its place, from the disk.
    pub(super) async fn kept(&self, tile: Tile) -> Option<Bytes> {
        let complete = tile.complete();
        let exact = self.disk.read_cache(&format!("/{tile}"), tile.size()).await;
        if let Some(bytes) = exact.filter(|bytes| bytes.len() == tile.size()) {
            return Some(bytes);
        }
        tile.level()?;
        let bytes = self.disk.read_cache(&format!("/{complete}"), complete.size()).await?;
        (bytes.len() == complete.size()).then(|| beginning(&bytes, tile))
    }

    /// Whether the tile was verified since this was made.
    pub(super) fn is_proven(&self, tile: Tile) -> bool {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner).contains(&tile)
    }

    /// The log at `tree` is the right one: what was verified against it is written to disk.
    pub(super) async fn settle(&self, tree: TreeHead) {
        let settled: Vec<_> = self.unsettled().extract_if(.., |(of, ..)| *of == tree).collect();
        all(settled.into_iter().map(async |(_, tile, bytes)| {
            self.disk.write_cache(&format!("/{tile}"), bytes).await;
        }))
        .await;
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

    fn save(&self, tree: TreeHead, tiles: &[Tile], data: &[Data]) {
        let new = tiles.iter().zip(data).filter(|(tile, _)| self.mark_saved(**tile));
        self.unsettled().extend(new.map(|(tile, data)| (tree, *tile, data.bytes.clone())));
    }

    fn unsettled(&self) -> MutexGuard<'_, Vec<(TreeHead, Tile, Bytes)>> {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use goferry_module::sumdb::Database;
    use goferry_module::{ProxyList, ProxyUrl};

    use super::*;
    use crate::web::{BoxFuture, Web};

    struct NoWeb;

    impl Web for NoWeb {
        fn get<'a>(&'a self, _: &'a ProxyUrl, rest: &'a str, _: usize) -> BoxFuture<'a, Result<Bytes, FetchError>> {
            Box::pin(async move { Err(FetchError::invalid(rest.to_owned())) })
        }
    }

    fn tiles(dir: &Path) -> Tiles {
        let name = "sum.example.com".to_owned();
        let db = Database { name, key: String::new(), public_key: [0; 32], url: None };
        let remote = Remote::new(&db, ProxyList::parse("off").unwrap(), Arc::new(NoWeb));
        Tiles::new(Arc::new(Disk::new(&db.name, dir, dir)), Arc::new(remote))
    }

    fn save(tiles: &Tiles, tree: TreeHead, path: &str) {
        let data = Data { bytes: Bytes::from_static(&[7; 32]), from_disk: false };
        tiles.save(tree, &[Tile::parse(path).unwrap()], &[data]);
    }

    fn is_kept(tiles: &Tiles, path: &str) -> bool {
        tiles.disk.cached(&format!("/{path}")).exists()
    }

    #[tokio::test]
    async fn tiles_are_written_when_their_log_is_the_right_one() {
        let dir = tempfile::tempdir().unwrap();
        let tiles = tiles(dir.path());
        let (right, fork) = (TreeHead { size: 3, hash: Hash([1; 32]) }, TreeHead { size: 3, hash: Hash([2; 32]) });
        save(&tiles, right, "tile/8/0/000.p/1");
        save(&tiles, fork, "tile/8/0/000.p/2");
        assert!(!is_kept(&tiles, "tile/8/0/000.p/1"), "it may yet be another log");
        tiles.settle(right).await;
        save(&tiles, right, "tile/8/0/000.p/3");
        assert!(is_kept(&tiles, "tile/8/0/000.p/1"));
        assert!(!is_kept(&tiles, "tile/8/0/000.p/2"), "of the fork");
        assert!(!is_kept(&tiles, "tile/8/0/000.p/3"), "not settled yet");
        tiles.settle(right).await;
        assert!(is_kept(&tiles, "tile/8/0/000.p/3") && !is_kept(&tiles, "tile/8/0/000.p/2"));
    }
}
