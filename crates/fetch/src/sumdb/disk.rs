//! The files that are shared with the go command (`cmd/go/internal/modfetch`, `sumdb.go`, `ReadCache` to `WriteConfig`;
//! `cmd/go/internal/lockedfile`).
//!
//! Look-ups and tiles are written to a temporary file and renamed, where the go command writes in place under a lock:
//! its readers, who lock too, find either nothing or all of it. The `latest` file is edited in place under the lock, as
//! whoever waits for the lock has the file open.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use goferry_module::sumdb::note;

use crate::error::FetchError;

/// The files of one database.
pub(super) struct Disk {
    /// `$GOMODCACHE/cache/download/sumdb/NAME`.
    cache: PathBuf,
    /// `$GOPATH/pkg/sumdb/NAME/latest`.
    latest: PathBuf,
    /// Whether what is in the files may be damaged, and is passed over.
    doubted: bool,
    /// Whether something was read from a file.
    read: AtomicBool,
}

impl Disk {
    pub(super) fn new(name: &str, cache_dir: &Path, config_dir: &Path) -> Self {
        let latest = config_dir.join(name).join("latest");
        Self { cache: cache_dir.join(name), latest, doubted: false, read: AtomicBool::new(false) }
    }

    /// The same files, taken for damaged: look-ups and tiles are not read, but written anew.
    pub(super) fn doubted(self) -> Self {
        Self { doubted: true, ..self }
    }

    /// Whether these files are taken for damaged.
    pub(super) fn is_doubted(&self) -> bool {
        self.doubted
    }

    /// Whether something was read from a file: then an error may be of the file and not of the database.
    pub(super) fn was_read(&self) -> bool {
        self.read.load(Ordering::Relaxed)
    }

    /// The file of a path that begins with `/lookup/` or `/tile/`.
    pub(super) fn cached(&self, path: &str) -> PathBuf {
        self.cache.join(path.trim_start_matches('/'))
    }

    /// The directory of look-ups and tiles.
    pub(super) fn cache(&self) -> &Path {
        &self.cache
    }

    /// The file of the last tree head seen.
    pub(super) fn latest(&self) -> &Path {
        &self.latest
    }

    /// A cached file; of one that is longer than `limit`, its first `limit` + 1 bytes. `None` if it cannot be read or
    /// is empty: the go command may have made it and not have locked it yet.
    pub(super) async fn read_cache(&self, path: &str, limit: usize) -> Option<Bytes> {
        if self.doubted {
            return None;
        }
        let file = self.cached(path);
        let data = blocking(move || read_locked(&file, limit).ok()).await.filter(|data| !data.is_empty())?;
        self.read.store(true, Ordering::Relaxed);
        Some(data)
    }

    /// Caches a verified file. Where that fails, it will be fetched again some day, as by the go command.
    pub(super) async fn write_cache(&self, path: &str, data: Bytes) {
        let file = self.cached(path);
        blocking(move || cache(&file, &data)).await;
    }

    /// The `latest` file; empty if there is none.
    pub(super) async fn read_latest(&self) -> Result<Bytes, FetchError> {
        let file = self.latest.clone();
        let note = blocking(move || match read_locked(&file, note::MAX_SIZE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Bytes::new()),
            read => read.map_err(|error| FetchError::local(format_args!("reading {}", file.display()), &error)),
        })
        .await?;
        self.read.fetch_or(!note.is_empty(), Ordering::Relaxed);
        Ok(note)
    }

    /// Puts `new` into the `latest` file in place of `old`. `false` if something else is in it by now.
    pub(super) async fn replace_latest(&self, old: Bytes, new: Bytes) -> Result<bool, FetchError> {
        let file = self.latest.clone();
        blocking(move || {
            replace_locked(&file, &old, &new)
                .map_err(|error| FetchError::local(format_args!("writing {}", file.display()), &error))
        })
        .await
    }
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => panic!("the runtime is shutting down: {error}"),
        },
    }
}

fn cache(file: &Path, data: &[u8]) {
    if let Err(error) = write_renamed(file, data) {
        tracing::debug!(file = %file.display(), %error, "could not cache");
    }
}

pub(super) fn read_locked(path: &Path, limit: usize) -> io::Result<Bytes> {
    let file = File::open(path)?;
    file.lock_shared()?;
    read_bounded(&file, limit)
}

fn read_bounded(file: &File, limit: usize) -> io::Result<Bytes> {
    let mut data = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut data)?;
    Ok(data.into())
}

fn write_renamed(path: &Path, data: &[u8]) -> io::Result<()> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(dir)?;
    // The permissions of any new file: less what the umask takes away.
    let mut file = tempfile::Builder::new()
        .prefix(".goferry-")
        .suffix(".tmp")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(dir)?;
    file.write_all(data)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn replace_locked(path: &Path, old: &[u8], new: &[u8]) -> io::Result<bool> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    file.lock()?;
    let found = read_bounded(&file, note::MAX_SIZE)?;
    if !found.is_empty() && found != old {
        return Ok(false);
    }
    // Never empty in between: what ends then must not take the history with it.
    file.seek(SeekFrom::Start(0))?;
    file.write_all(new)?;
    file.set_len(new.len() as u64)?;
    Ok(true)
}
