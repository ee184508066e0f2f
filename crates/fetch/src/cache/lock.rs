//! Locks on files, as cmd/go/internal/lockedfile takes them: `flock` on Linux and the BSDs, the whole file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use goferry_module::ModuleVersion;

use super::ModCache;
use crate::error::{FailKind, FetchError};

/// When someone is told that a lock is being waited for.
const TELL_AFTER: Duration = Duration::from_secs(1);

/// `V.lock`, held until this is dropped. The file stays, as the go command leaves it.
#[derive(Debug)]
pub struct VersionLock {
    _file: File,
}

impl ModCache {
    /// Locks a module version's zip and folder against all other processes, go commands among them. Waits, as
    /// [`ModCache::waiting`] says.
    ///
    /// # Errors
    /// [`FailKind::Local`] where the file cannot be created, or another process holds the lock for longer.
    pub fn lock(&self, module: &ModuleVersion) -> Result<VersionLock, FetchError> {
        self.make_dir(module.path())?;
        let path = self.lock_file(module);
        let file = open_lock(&path).map_err(|e| FetchError::local(format_args!("opening {}", path.display()), &e))?;
        self.wait_for(&file, &path)?;
        Ok(VersionLock { _file: file })
    }

    /// Locks an open file.
    pub(super) fn wait_for(&self, file: &File, path: &Path) -> Result<(), FetchError> {
        let began = Instant::now();
        let mut told = false;
        let mut pause = Duration::from_millis(1);
        while !try_lock(file, path)? {
            let waited = began.elapsed();
            if waited >= self.lock_wait {
                let detail = format!(
                    "{} is locked by another process, for {} s now",
                    path.display(),
                    self.lock_wait.as_secs_f32()
                );
                let kind = FailKind::Local(Some(io::ErrorKind::WouldBlock));
                return Err(FetchError::new(kind, goferry_net::Party::Client, detail)
                    .with_advice("see which go command holds it (fuser FILE), let it finish or end it"));
            }
            if waited >= TELL_AFTER && !told {
                (self.on_wait)(&format!("waiting for the lock on {}, held by another go command", path.display()));
                told = true;
            }
            std::thread::sleep(pause.min(self.lock_wait - waited));
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// Whether the lock could be had at once.
pub(super) fn try_lock(file: &File, path: &Path) -> Result<bool, FetchError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(e)) => Err(FetchError::local(format_args!("locking {}", path.display()), &e)),
    }
}

/// Opens a file to lock or change it, mode 0666 less the umask, as lockedfile does; creates it where it is not there.
pub(super) fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}
