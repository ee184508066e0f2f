//! The store: a folder in the layout of the Go module cache's `cache/download`, so that `GOPROXY=file://…` works on it.
//!
//! | below the folder | what |
//! |---|---|
//! | `<escaped path>/@v/V.{info,mod,zip,ziphash}`, `list` | as the go command keeps them; see [`goferry_fetch::cache`] |
//! | `sumdb/NAME/{lookup,tile}/…` | the checksum database's answers, verified |
//! | `.goferry/pins/…` | the hashes of what was verified when it was stored |
//! | `.goferry/names/…` | the upstream's lists, `@latest` and branches |
//! | `.goferry/sumdb/NAME/latest` | the last tree head seen |
//! | `.goferry/quarantine/…` | what was damaged |
//! | `.goferry/changed` | written anew when a process takes something out, so that others forget it too |
//! | `.goferry/direct` | the module cache of the go commands that clone |
//!
//! No module path begins with a dot, so nothing of `.goferry` can be asked for.
//!
//! A file is checked when this process uses it for the first time, and again when its inode, size or time of change is
//! another one: a zip is read and hashed, and must have the hash that is recorded beside it and pinned; a `.mod` must have
//! the pinned hash, or the one that the checksum database has. What fails is put into quarantine and fetched again.

pub mod audit;
mod check;
pub mod databases;
mod folder;
mod keep;
mod pins;
pub mod prune;
pub mod scan;
#[cfg(test)]
mod tests;
mod uses;
mod versions;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use equivalent::Equivalent;
use goferry_fetch::fetcher::Judge;
use goferry_fetch::{FailKind, FetchError, ModCache, Unpacker};
use goferry_module::{DirHash, FileKind, ModuleVersion};
use goferry_net::Party;
use http::HeaderValue;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

pub use self::keep::Keeper;
pub use self::pins::{PinJudge, Pinned, Pins};
use self::uses::Uses;
use crate::answer::{Entity, EntityContent, FOR_EVER};
use crate::config::SourceMode;
use crate::flight::Flights;

/// What begins with it belongs to goferry.
pub const OWN: &str = ".goferry";
/// The file, below [`OWN`], that is written when something was taken out.
const CHANGED: &str = "changed";
/// Zips whose check is remembered.
const CHECKED: usize = 200_000;

/// A file of the store.
type Key = (ModuleVersion, FileKind);

/// The same, to look with.
#[derive(Hash)]
struct KeyRef<'a>(&'a ModuleVersion, FileKind);

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.0 == key.0 && self.1 == key.1
    }
}

/// The files of modules, checked.
pub struct Store {
    cache: Arc<ModCache>,
    pins: Arc<Pins>,
    own: PathBuf,
    mode: SourceMode,
    unpacker: Arc<Unpacker>,
    memory: Cache<Key, Entity, Octets>,
    checked: Cache<ModuleVersion, (Stamp, DirHash)>,
    checking: Flights<ModuleVersion, Result<Option<(Stamp, DirHash)>, FetchError>>,
    uses: Uses,
    size: AtomicU64,
}

/// By what a file on disk is known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(file: &File) -> io::Result<Stamp> {
        let meta = file.metadata()?;
        Ok(Stamp {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.len(),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }
}

/// Weighs what is in memory.
#[derive(Clone)]
struct Octets;

impl Weighter<Key, Entity> for Octets {
    fn weight(&self, key: &Key, entity: &Entity) -> u64 {
        let content = match &entity.content {
            EntityContent::Memory(bytes) => bytes.len(),
            EntityContent::Disk(..) => 0,
        };
        (content + key.0.path().as_str().len() + 300) as u64
    }
}

impl Store {
    /// Opens the folder; makes it where it may be written.
    ///
    /// # Errors
    /// [`FailKind::Local`] where it cannot be made, or is not there and must be.
    pub fn open(dir: &Path, mode: SourceMode, memory: u64) -> Result<Store, FetchError> {
        let own = dir.join(OWN);
        if mode == SourceMode::Fetch {
            // That it is there does not say that it can be written.
            fs::create_dir_all(&own).and_then(|()| tempfile::tempfile_in(&own).map(drop)).map_err(|error| {
                FetchError::local(
                    format_args!("the store {} cannot be written: {}", dir.display(), own.display()),
                    &error,
                )
                .with_advice("name another folder with --store, or serve this one as it is with --frozen")
            })?;
        } else if !dir.is_dir() {
            let text = format!("there is no store at {}", dir.display());
            return Err(FetchError::new(FailKind::Local(Some(io::ErrorKind::NotFound)), Party::Client, text)
                .with_advice("give its folder with --store, for example $(go env GOMODCACHE)/cache/download"));
        }
        let entries = usize::try_from(memory / 1024).unwrap_or(usize::MAX).clamp(16, 1 << 20);
        Ok(Store {
            cache: Arc::new(ModCache::of_downloads(dir)),
            pins: Arc::new(Pins::new(&own.join("pins"))),
            own,
            mode,
            unpacker: Arc::new(Unpacker::default()),
            memory: Cache::with_weighter(entries, memory, Octets),
            checked: Cache::new(CHECKED),
            checking: Flights::default(),
            uses: Uses::new(),
            size: AtomicU64::new(0),
        })
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.cache.downloads()
    }

    /// The folder of what is goferry's own.
    #[must_use]
    pub fn own(&self) -> &Path {
        &self.own
    }

    /// The layout.
    #[must_use]
    pub fn cache(&self) -> &Arc<ModCache> {
        &self.cache
    }

    /// The hashes of what was verified.
    #[must_use]
    pub fn pins(&self) -> &Arc<Pins> {
        &self.pins
    }

    /// What hashes zips.
    #[must_use]
    pub fn unpacker(&self) -> &Arc<Unpacker> {
        &self.unpacker
    }

    /// Whether the upstream may be asked, and the store written.
    #[must_use]
    pub fn mode(&self) -> SourceMode {
        self.mode
    }

    /// A file, checked. `None` where it is not there, or was damaged and is in quarantine now.
    ///
    /// # Errors
    /// Where it cannot be read, or `judge` could not tell; where it is damaged and cannot be put aside.
    pub async fn get(
        self: &Arc<Self>,
        module: &ModuleVersion,
        kind: FileKind,
        judge: &Arc<dyn Judge>,
    ) -> Result<Option<Entity>, FetchError> {
        let found = self.find(module, kind, judge).await?;
        if found.is_some() {
            self.used(module, kind);
        }
        Ok(found)
    }

    async fn find(
        self: &Arc<Self>,
        module: &ModuleVersion,
        kind: FileKind,
        judge: &Arc<dyn Judge>,
    ) -> Result<Option<Entity>, FetchError> {
        match kind {
            FileKind::Info | FileKind::Mod => {
                if let Some(entity) = self.memory.get(&KeyRef(module, kind)) {
                    return Ok(Some(entity));
                }
                // In a box: what is seldom done must not make the answer to every request larger.
                let bytes = match kind {
                    FileKind::Info => Box::pin(self.info(module)).await?,
                    _ => Box::pin(self.go_mod(module, judge)).await?,
                };
                Ok(bytes.map(|bytes| self.remember((module.clone(), kind), bytes.into())))
            }
            FileKind::Zip => Box::pin(self.zip(module, judge)).await,
        }
    }

    /// A `.info` or `.mod` has just been judged and stored: it takes a block, and need not be read again.
    pub fn stored_small(&self, module: &ModuleVersion, kind: FileKind, bytes: Bytes) {
        self.size.fetch_add(4096, Ordering::Relaxed);
        self.remember((module.clone(), kind), bytes);
    }

    fn remember(&self, key: Key, bytes: Bytes) -> Entity {
        let kind = if key.1 == FileKind::Info { "application/json" } else { "text/plain; charset=utf-8" };
        let entity = small(bytes, kind, FOR_EVER);
        self.memory.insert(key, entity.clone());
        entity
    }

    /// A zip has just been judged and stored: it need not be read again.
    pub fn stored(&self, module: &ModuleVersion, hash: DirHash) {
        if let Ok(file) = File::open(self.cache.file(module, FileKind::Zip))
            && let Ok(stamp) = Stamp::of(&file)
        {
            self.size.fetch_add(stamp.size, Ordering::Relaxed);
            self.checked.insert(module.clone(), (stamp, hash));
        }
    }

    /// Moves a file, and what says that it is good, out of the layout. Gives its new place; `None` where it was not there.
    ///
    /// # Errors
    /// [`FailKind::Local`] where it cannot be moved.
    pub fn quarantine(&self, module: &ModuleVersion, kind: FileKind) -> Result<Option<PathBuf>, FetchError> {
        let moved = quarantine(&self.cache, module, kind)?;
        self.forget(module);
        Ok(moved)
    }

    /// How much space the folder takes in bytes, `.goferry/direct` not counted: as it was found last, and what was stored
    /// since. 0 before the folder was looked through for the first time.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    /// Writes what is known of last uses.
    pub fn flush_uses(&self) {
        if self.mode != SourceMode::Frozen {
            self.uses.flush(&self.cache);
        }
    }

    /// A file is being used.
    fn used(self: &Arc<Self>, module: &ModuleVersion, kind: FileKind) {
        if self.mode != SourceMode::Frozen && self.uses.note(module, kind) {
            let (this, module) = (Arc::clone(self), module.clone());
            tokio::task::spawn_blocking(move || uses::write(&this.cache, &module, kind, SystemTime::now()));
        }
    }

    /// Changes when another process took something out of the store.
    pub(crate) fn changed_file(&self) -> PathBuf {
        self.own.join(CHANGED)
    }

    /// Takes all that is in memory out of it.
    pub fn forget_all(&self) {
        self.memory.clear();
        self.checked.clear();
    }

    /// Takes what is in memory of a version out of it.
    pub fn forget(&self, module: &ModuleVersion) {
        self.checked.remove(module);
        for kind in [FileKind::Info, FileKind::Mod] {
            self.memory.remove(&(module.clone(), kind));
        }
    }
}

/// A small file in memory.
pub(crate) fn small(bytes: Bytes, kind: &'static str, cache_control: &'static str) -> Entity {
    Entity {
        etag: etag(&DirHash::of_go_mod(&bytes)),
        content: EntityContent::Memory(bytes),
        kind: HeaderValue::from_static(kind),
        cache_control: HeaderValue::from_static(cache_control),
    }
}

/// Moves a file into quarantine, and takes the record of its hash away where it is a zip.
fn quarantine(cache: &ModCache, module: &ModuleVersion, kind: FileKind) -> Result<Option<PathBuf>, FetchError> {
    let dir = cache.downloads();
    let below = |path: PathBuf| path.strip_prefix(dir).map_or_else(|_| PathBuf::new(), Path::to_owned);
    let moved = put_aside(dir, &below(cache.file(module, kind)), &format!("{module}.{}", kind.extension()))?;
    if kind == FileKind::Zip {
        let _ = folder::remove(dir, &below(cache.ziphash(module)));
    }
    Ok(moved)
}

/// Moves a file of the folder into quarantine, under a name that says which it was. Gives its new place; `None` where it was
/// not there.
fn put_aside(dir: &Path, from: &Path, what: &str) -> Result<Option<PathBuf>, FetchError> {
    let name = format!("{what}-{}", jiff::Timestamp::now().as_nanosecond()).replace('/', "_");
    // No name of a file has more bytes than 255.
    let name: String = name.chars().rev().take(200).collect::<Vec<_>>().into_iter().rev().collect();
    let folder = Path::new(OWN).join("quarantine");
    let to = folder.join(name);
    let moved =
        fs::create_dir_all(dir.join(&folder)).and_then(|()| folder::rename(dir, from, &to)).map_err(|error| {
            FetchError::local(
                format_args!("moving {} to {}", dir.join(from).display(), dir.join(&to).display()),
                &error,
            )
        })?;
    Ok(moved.then(|| dir.join(to)))
}

/// Tells servers that share the folder that something was taken out of it.
fn tell_others(dir: &Path) {
    let own = dir.join(OWN);
    if own.is_dir()
        && let Err(error) = write_whole(&own.join(CHANGED), jiff::Timestamp::now().to_string().as_bytes())
    {
        tracing::debug!(%error, "servers that use the folder are not told");
    }
}

fn etag(hash: &DirHash) -> HeaderValue {
    HeaderValue::try_from(format!("\"{hash}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Writes a file under another name and renames it.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> Result<(), FetchError> {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |error: &io::Error| FetchError::local(format_args!("writing {}", path.display()), error);
    let dir = path.parent().unwrap_or(Path::new("."));
    let write = || {
        fs::create_dir_all(dir)?;
        let mut file =
            tempfile::Builder::new().prefix(".new-").permissions(fs::Permissions::from_mode(0o666)).tempfile_in(dir)?;
        file.write_all(content)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| failed(&error))
}

/// Runs what blocks where that is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FetchError> + Send + 'static,
) -> Result<T, FetchError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(FetchError::new(FailKind::Invalid, Party::Goferry, format!("a task ended: {error}"))),
    }
}
