//! The Go module cache (`$GOMODCACHE`), as the go command keeps it (cmd/go/internal/modfetch/{cache,fetch}.go).
//!
//! | file, below `cache/download/<escaped path>/@v/` | what it is | how it is written |
//! |---|---|---|
//! | `V.info` | version and time, re-marshalled | [`ModCache::write_info`] |
//! | `V.mod` | the go.mod | [`ModCache::write_mod`] |
//! | `list` | the versions whose `.mod` is there | [`ModCache::flush_lists`] |
//! | `V.zip`, `V.ziphash` | the zip, and its `h1:` hash | [`ModCache::install`] |
//! | `V.lock` | locked (flock) while zip or folder change | [`ModCache::lock`] |
//! | `V.partial` | there while the go command writes the folder | honoured by [`ModCache::state`] |
//! | `V.zip.goferry-part-N`, `V.zip.goferry-part.json` | what has arrived of a zip, from byte N on | [`ModCache::partial_zip`] |
//!
//! The folder of a module is `<escaped path>@<escaped version>` below the root. It is written under the name
//! `….tmp-<random>`, which the go command removes when it holds `V.lock`, and becomes visible whole, by rename.
//!
//! Everything here is synchronous and safe beside go commands at work on the same cache.

mod info;
mod install;
mod lock;
mod partial;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use goferry_module::{DirHash, FileKind, ModInfo, ModulePath, ModuleVersion};

pub use self::info::clean_info;
pub use self::install::{Installed, Zip};
pub use self::lock::VersionLock;
pub use self::partial::{Origin, PartialZip, Segment, SegmentWriter};
use crate::error::FetchError;

/// The largest `.mod` that is read, in bytes: the limit of a go.mod in a zip.
const MAX_MOD: u64 = goferry_module::zip::MAX_GO_MOD;

/// The largest `.info` that is read, in bytes.
const MAX_INFO: u64 = goferry_module::info::MAX_INFO as u64;

/// The largest `list` that is read, in bytes.
const MAX_LIST: u64 = 1 << 20;

/// How long a lock is waited for, where nothing else is said.
const LOCK_WAIT: Duration = Duration::from_secs(10 * 60);

/// A module cache.
pub struct ModCache {
    root: PathBuf,
    /// `cache/download`.
    downloads: PathBuf,
    writable_dirs: bool,
    lock_wait: Duration,
    on_wait: Arc<dyn Fn(&str) + Send + Sync>,
    /// The modules whose `list` is older than their `.mod` files.
    stale_lists: Mutex<BTreeSet<ModulePath>>,
}

/// What the cache has of a module version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheState {
    /// `V.info` is there.
    pub has_info: bool,
    /// `V.mod` is there.
    pub has_mod: bool,
    /// `V.zip` is there.
    pub has_zip: bool,
    /// What `V.ziphash` says, where that is a hash. The go command compares it with go.sum, and makes it anew from the
    /// zip where it is none.
    pub hash: Option<DirHash>,
    /// The folder is there and complete, as `DownloadDir` in modfetch/cache.go judges: `V.ziphash` is there and
    /// `V.partial` is not.
    pub extracted: bool,
}

impl CacheState {
    /// The hash of the zip, where both are there and the go command would download nothing.
    #[must_use]
    pub fn zip(&self) -> Option<DirHash> {
        self.hash.filter(|_| self.has_zip)
    }
}

impl ModCache {
    /// The cache at `root`, an absolute path; nothing is read or made yet. `writable_dirs` is `-modcacherw`.
    #[must_use]
    pub fn open(root: &Path, writable_dirs: bool) -> Self {
        Self::of(root, &root.join("cache/download"), writable_dirs)
    }

    /// A folder in the layout of `cache/download`, without the folders of unpacked modules: what `GOPROXY=file://…`
    /// reads. Nothing may be unpacked with it.
    #[must_use]
    pub fn of_downloads(downloads: &Path) -> Self {
        Self::of(downloads, downloads, false)
    }

    fn of(root: &Path, downloads: &Path, writable_dirs: bool) -> Self {
        Self {
            root: root.to_owned(),
            downloads: downloads.to_owned(),
            writable_dirs,
            lock_wait: LOCK_WAIT,
            on_wait: Arc::new(|message| tracing::info!("{message}")),
            stale_lists: Mutex::default(),
        }
    }

    /// Says how long a lock that another process holds is waited for (10 minutes where this is not called), and whom to
    /// tell after the first second of it.
    #[must_use]
    pub fn waiting(mut self, limit: Duration, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.lock_wait = limit;
        self.on_wait = Arc::new(tell);
        self
    }

    /// The root, `$GOMODCACHE`.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `cache/download`: where the files of a module proxy are.
    #[must_use]
    pub fn downloads(&self) -> &Path {
        &self.downloads
    }

    /// `V.info`, `V.mod` or `V.zip`.
    #[must_use]
    pub fn file(&self, module: &ModuleVersion, kind: FileKind) -> PathBuf {
        self.named(module, kind.extension())
    }

    /// `V.ziphash`.
    #[must_use]
    pub fn ziphash(&self, module: &ModuleVersion) -> PathBuf {
        self.named(module, "ziphash")
    }

    /// `V.lock`.
    #[must_use]
    pub fn lock_file(&self, module: &ModuleVersion) -> PathBuf {
        self.named(module, "lock")
    }

    /// `V.partial`.
    #[must_use]
    pub fn partial(&self, module: &ModuleVersion) -> PathBuf {
        self.named(module, "partial")
    }

    /// The folder of the module's files.
    #[must_use]
    pub fn dir(&self, module: &ModuleVersion) -> PathBuf {
        self.root.join(format!("{}@{}", module.path().escape(), module.escaped_version()))
    }

    /// `V.info`, as the go command would use it: JSON of a version and a time. One that names another version is passed
    /// over, too, where the go command would believe it.
    #[must_use]
    pub fn read_info(&self, module: &ModuleVersion) -> Option<Vec<u8>> {
        let data = read_bounded(&self.file(module, FileKind::Info), MAX_INFO)?;
        let info = ModInfo::parse(&data).ok()?;
        (info.version == module.version().as_str()).then_some(data)
    }

    /// `V.mod`, as the go command would use it (`readDiskGoMod`): files that it made before Go 1.11, which begin with
    /// `//vgo 0.0.`, are passed over. The hash is for the caller to check.
    #[must_use]
    pub fn read_mod(&self, module: &ModuleVersion) -> Option<Vec<u8>> {
        read_bounded(&self.file(module, FileKind::Mod), MAX_MOD).filter(|data| !data.starts_with(b"//vgo 0.0."))
    }

    /// What the cache has of a module version. Few system calls, no lock. Where a killed process left a `.mod` that is
    /// not in `list`, that is noted for [`ModCache::flush_lists`].
    #[must_use]
    pub fn state(&self, module: &ModuleVersion) -> CacheState {
        let mut path = self.file_stem(module);
        let stem = path.as_os_str().len();
        let mut at = |extension: &str| {
            let mut name = std::mem::take(&mut path).into_os_string().into_encoded_bytes();
            name.truncate(stem);
            name.extend(extension.as_bytes());
            path = PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(name));
            path.clone()
        };
        let hash = read_bounded(&at(".ziphash"), 4096);
        let has_mod = at(".mod").is_file();
        if has_mod && !self.is_listed(module) {
            self.stale_lists.lock().unwrap_or_else(PoisonError::into_inner).insert(module.path().clone());
        }
        CacheState {
            has_info: at(".info").is_file(),
            has_mod,
            has_zip: at(".zip").is_file(),
            extracted: hash.is_some()
                && self.dir(module).is_dir()
                && matches!(fs::metadata(at(".partial")), Err(e) if e.kind() == io::ErrorKind::NotFound),
            hash: hash.and_then(|data| std::str::from_utf8(&data).ok()?.trim().parse().ok()),
        }
    }

    /// Whether `list` has the version, or is there and never will have it: the go command does not list names that had
    /// to be escaped.
    fn is_listed(&self, module: &ModuleVersion) -> bool {
        let version = module.version().as_str();
        read_bounded(&self.version_dir(module.path()).join("list"), MAX_LIST).is_some_and(|list| {
            module.escaped_version() != version || list.split(|b| *b == b'\n').any(|line| line == version.as_bytes())
        })
    }

    /// Makes the folder that a version's files are in.
    fn make_dir(&self, path: &ModulePath) -> Result<PathBuf, FetchError> {
        let dir = self.version_dir(path);
        fs::create_dir_all(&dir).map_err(|e| FetchError::local(format_args!("creating {}", dir.display()), &e))?;
        Ok(dir)
    }

    fn version_dir(&self, path: &ModulePath) -> PathBuf {
        self.downloads.join(format!("{}/@v", path.escape()))
    }

    fn file_stem(&self, module: &ModuleVersion) -> PathBuf {
        self.downloads.join(format!("{}/@v/{}", module.path().escape(), module.escaped_version()))
    }

    fn named(&self, module: &ModuleVersion, extension: &str) -> PathBuf {
        let mut name = self.file_stem(module).into_os_string();
        name.push(".");
        name.push(extension);
        name.into()
    }
}

impl std::fmt::Debug for ModCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModCache").field("root", &self.root).field("writable_dirs", &self.writable_dirs).finish()
    }
}

impl Drop for ModCache {
    fn drop(&mut self) {
        self.flush_lists();
    }
}

fn read_bounded(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    File::open(path).ok()?.take(limit + 1).read_to_end(&mut data).ok()?;
    (data.len() as u64 <= limit).then_some(data)
}

/// A number that no other process and no other call here has.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::hash::RandomState::new().build_hasher().finish()
}
