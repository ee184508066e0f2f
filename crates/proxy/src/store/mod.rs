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
//! | `.goferry/direct` | the module cache of the go commands that clone |
//!
//! No module path begins with a dot, so nothing of `.goferry` can be asked for.
//!
//! A file is checked when this process uses it for the first time, and again when its inode, size or time of change is
//! another one: a zip is read and hashed, and must have the hash that is recorded beside it and pinned; a `.mod` must have
//! the pinned hash, or the one that the checksum database has. What fails is put into quarantine and fetched again.

mod pins;
#[cfg(test)]
mod tests;
mod versions;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use goferry_fetch::fetcher::Judge;
use goferry_fetch::sums::Hashed;
use goferry_fetch::{FailKind, FetchError, ModCache, Unpacker};
use goferry_module::{DirHash, FileKind, ModuleVersion};
use goferry_net::Party;
use http::HeaderValue;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

pub use self::pins::{PinJudge, Pinned, Pins};
use crate::answer::{Entity, EntityContent, FOR_EVER};
use crate::config::SourceMode;

/// What begins with it belongs to goferry.
pub const OWN: &str = ".goferry";
/// Zips whose check is remembered.
const CHECKED: usize = 200_000;

/// A file of the store.
type Key = (ModuleVersion, FileKind);

/// The files of modules, checked.
pub struct Store {
    cache: Arc<ModCache>,
    pins: Arc<Pins>,
    own: PathBuf,
    mode: SourceMode,
    unpacker: Arc<Unpacker>,
    memory: Cache<Key, Entity, Octets>,
    checked: Cache<ModuleVersion, (Stamp, DirHash)>,
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
            fs::create_dir_all(&own)
                .map_err(|error| FetchError::local(format_args!("creating {}", own.display()), &error))?;
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
        match kind {
            FileKind::Info | FileKind::Mod => {
                let key = (module.clone(), kind);
                if let Some(entity) = self.memory.get(&key) {
                    return Ok(Some(entity));
                }
                let bytes = match kind {
                    FileKind::Info => self.info(module).await,
                    _ => self.go_mod(module, judge).await?,
                };
                Ok(bytes.map(|bytes| {
                    let kind = if kind == FileKind::Info { "application/json" } else { "text/plain; charset=utf-8" };
                    let entity = small(bytes.into(), kind, FOR_EVER);
                    self.memory.insert(key, entity.clone());
                    entity
                }))
            }
            FileKind::Zip => self.zip(module, judge).await,
        }
    }

    /// A zip has just been judged and stored: it need not be read again.
    pub fn stored(&self, module: &ModuleVersion, hash: DirHash) {
        if let Ok(file) = File::open(self.cache.file(module, FileKind::Zip))
            && let Ok(stamp) = Stamp::of(&file)
        {
            self.checked.insert(module.clone(), (stamp, hash));
        }
    }

    async fn info(self: &Arc<Self>, module: &ModuleVersion) -> Option<Vec<u8>> {
        let (this, module) = (Arc::clone(self), module.clone());
        blocking(move || Ok(this.cache.read_info(&module))).await.ok().flatten()
    }

    async fn go_mod(
        self: &Arc<Self>,
        module: &ModuleVersion,
        judge: &Arc<dyn Judge>,
    ) -> Result<Option<Vec<u8>>, FetchError> {
        let (this, version) = (Arc::clone(self), module.clone());
        let read = blocking(move || Ok((this.cache.read_mod(&version), this.pins.read(&version).go_mod))).await?;
        let (Some(bytes), pinned) = read else { return Ok(None) };
        let hash = DirHash::of_go_mod(&bytes);
        match pinned {
            Some(pinned) if pinned == hash => return Ok(Some(bytes)),
            // Whoever wrote it had verified it: the go command, or goferry without pins.
            None if self.mode != SourceMode::Fetch => return Ok(Some(bytes)),
            _ => {}
        }
        match judge.check(module, Hashed::GoMod, &hash, "the store").await {
            Ok(()) => Ok(Some(bytes)),
            Err(error) => self.damaged(module, FileKind::Mod, error).await,
        }
    }

    async fn zip(
        self: &Arc<Self>,
        module: &ModuleVersion,
        judge: &Arc<dyn Judge>,
    ) -> Result<Option<Entity>, FetchError> {
        let path = self.cache.file(module, FileKind::Zip);
        let failed = |error: &io::Error| FetchError::local(format_args!("reading {}", path.display()), error);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        let stamp = Stamp::of(&file).map_err(|error| failed(&error))?;
        let hash = match self.checked.get(module).filter(|(known, _)| *known == stamp) {
            Some((_, hash)) => hash,
            None => match self.check_zip(module, judge).await {
                Ok(hash) => {
                    self.checked.insert(module.clone(), (stamp, hash));
                    hash
                }
                Err(error) => return self.damaged(module, FileKind::Zip, error).await,
            },
        };
        Ok(Some(Entity {
            content: EntityContent::Disk(Arc::new(file), stamp.size),
            etag: etag(&hash),
            kind: HeaderValue::from_static("application/zip"),
            cache_control: HeaderValue::from_static(FOR_EVER),
        }))
    }

    /// Reads and hashes a zip.
    async fn check_zip(
        self: &Arc<Self>,
        module: &ModuleVersion,
        judge: &Arc<dyn Judge>,
    ) -> Result<DirHash, FetchError> {
        let (this, version) = (Arc::clone(self), module.clone());
        let (hash, recorded, pinned) = blocking(move || {
            let unpacked = this.unpacker.unpack(&version, &this.cache.file(&version, FileKind::Zip), None)?;
            Ok((unpacked.hash, this.cache.state(&version).hash, this.pins.read(&version).zip))
        })
        .await?;
        let mismatch = |what: &str, known: DirHash| {
            let text = format!(
                "{module}: the zip in the store has the hash {hash}, {what} is {known}: it was damaged or replaced"
            );
            FetchError::new(FailKind::Mismatch, Party::Client, text)
        };
        match (pinned, recorded) {
            (Some(pinned), _) if pinned != hash => Err(mismatch("the one that was verified", pinned)),
            (_, Some(recorded)) if recorded != hash => Err(mismatch("the recorded one", recorded)),
            (None, None) => judge.check(module, Hashed::Zip, &hash, "the store").await.map(|()| hash),
            _ => Ok(hash),
        }
    }

    /// Puts a file that is not what it should be aside, so that it is fetched again.
    async fn damaged<T>(
        self: &Arc<Self>,
        module: &ModuleVersion,
        kind: FileKind,
        error: FetchError,
    ) -> Result<Option<T>, FetchError> {
        if !matches!(error.kind, FailKind::Mismatch | FailKind::Invalid) {
            return Err(error);
        }
        tracing::error!(%module, kind = kind.extension(), %error, "a file of the store is damaged");
        if self.mode != SourceMode::Fetch {
            return Err(
                error.with_advice("the store is served as it is (--offline or --frozen): mend or remove the file")
            );
        }
        let (this, module) = (Arc::clone(self), module.clone());
        blocking(move || this.quarantine(&module, kind)).await?;
        Ok(None)
    }

    /// Moves a file, and what says that it is good, out of the layout. Gives its new place.
    ///
    /// # Errors
    /// [`FailKind::Local`] where it cannot be moved.
    pub fn quarantine(&self, module: &ModuleVersion, kind: FileKind) -> Result<PathBuf, FetchError> {
        let folder = self.own.join("quarantine");
        let from = self.cache.file(module, kind);
        let name =
            format!("{module}.{}-{}", kind.extension(), jiff::Timestamp::now().as_nanosecond()).replace('/', "_");
        let to = folder.join(name);
        fs::create_dir_all(&folder).and_then(|()| fs::rename(&from, &to)).map_err(|error| {
            FetchError::local(format_args!("moving {} to {}", from.display(), to.display()), &error)
        })?;
        if kind == FileKind::Zip {
            let _ = fs::remove_file(self.cache.ziphash(module));
        }
        self.forget(module);
        Ok(to)
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
