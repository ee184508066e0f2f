//! Changing a go.sum or go.mod under the locks that the go command takes (`cmd/go/internal/lockedfile`,
//! `modfetch.SideLock`).

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::error::FetchError;

/// How long another process may hold a lock. The go command holds these for milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(60);
const LOCK_POLL: Duration = Duration::from_millis(5);

/// `cache/lock`, which keeps old go commands from writing at the same time. As in the go command, writing goes on without
/// it where the cache is read-only.
pub(crate) fn side_lock(path: &Path) -> Result<Option<Flock<File>>, FetchError> {
    if let Some(dir) = path.parent() {
        // An error shows when the file is opened.
        let _ = std::fs::create_dir_all(dir);
    }
    match OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o666).open(path) {
        Ok(file) => lock(file, path).map(Some),
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "go.mod and go.sum are written without cache/lock");
            Ok(None)
        }
    }
}

/// For reading: a go command writes in place, and what it has half written is no go.sum.
pub(crate) fn shared_lock(file: File, path: &Path) -> Result<Flock<File>, FetchError> {
    lock_as(file, path, FlockArg::LockSharedNonblock)
}

fn lock(file: File, path: &Path) -> Result<Flock<File>, FetchError> {
    lock_as(file, path, FlockArg::LockExclusiveNonblock)
}

fn lock_as(mut file: File, path: &Path, how: FlockArg) -> Result<Flock<File>, FetchError> {
    let start = Instant::now();
    loop {
        match Flock::lock(file, how) {
            Ok(lock) => return Ok(lock),
            Err((back, Errno::EWOULDBLOCK | Errno::EINTR)) if start.elapsed() < LOCK_WAIT => file = back,
            Err((_, errno)) => {
                let what = format!("locking {} (waited {} s)", path.display(), start.elapsed().as_secs());
                return Err(FetchError::local(what, &errno.into())
                    .with_advice("another go command or editor holds the lock: let it finish, then run this again"));
            }
        }
        std::thread::sleep(LOCK_POLL);
    }
}

/// A file that is open and locked to be changed.
pub(crate) struct Edit {
    name: PathBuf,
    /// Where links lead to.
    target: PathBuf,
    file: Flock<File>,
    created: bool,
    content: Vec<u8>,
}

impl Edit {
    /// Opens, locks and reads a file, which is made where it is missing. A file of more than `limit` bytes is refused.
    pub(crate) fn open(name: &Path, limit: usize) -> Result<Edit, FetchError> {
        let fail = |e: &io::Error| FetchError::local(format_args!("updating {}", name.display()), e);
        loop {
            let (file, created) = open(name).map_err(|e| fail(&e))?;
            let file = lock(file, name)?;
            let target = std::fs::canonicalize(name).map_err(|e| fail(&e))?;
            // Another process may have renamed a new file into place while this one waited for the lock.
            let (ours, there) = (file.metadata().map_err(|e| fail(&e))?, std::fs::metadata(&target));
            if !there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
                continue;
            }
            if !ours.is_file() {
                return Err(fail(&io::Error::other("it is not a regular file")));
            }
            let mut content = Vec::new();
            (&*file).take(limit as u64 + 1).read_to_end(&mut content).map_err(|e| fail(&e))?;
            if content.len() > limit {
                return Err(fail(&io::Error::other(format!("it has more than {limit} bytes"))));
            }
            return Ok(Edit { name: name.to_owned(), target, file, created, content });
        }
    }

    pub(crate) fn content(&self) -> &[u8] {
        &self.content
    }

    /// Gives the file a new content, whole or not at all. Does nothing where it has that content.
    ///
    /// With `rename` by a new file in its place: only for who holds the side lock, since a go command that waits for the
    /// old file's lock would write into that.
    pub(crate) fn replace(&mut self, new: &[u8], rename: bool) -> Result<(), FetchError> {
        let done = if new == self.content {
            Ok(())
        } else {
            match if rename { self.rename_over(new) } else { Ok(false) } {
                Ok(true) => Ok(()),
                Ok(false) => self.in_place(new),
                Err(e) => Err(e),
            }
        };
        done.map_err(|e| FetchError::local(format_args!("updating {}", self.name.display()), &e))?;
        self.created = false;
        Ok(())
    }

    /// `Ok(false)` where a new file could not stand in for the old one.
    fn rename_over(&self, new: &[u8]) -> io::Result<bool> {
        let old = self.file.metadata()?;
        let (Some(dir), Some(name)) = (self.target.parent(), self.target.file_name()) else {
            return Ok(false);
        };
        let mut hidden = OsString::from(".");
        hidden.push(name);
        // One fixed name: what a killed process left is overwritten by the next.
        hidden.push(".goferry-new");
        let path = dir.join(hidden);
        if old.nlink() != 1 {
            return Ok(false);
        }
        let opened = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path);
        let Ok(mut file) = opened else {
            return Ok(false);
        };
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (old.uid(), old.gid()) || !made.is_file() {
            let _ = std::fs::remove_file(&path);
            return Ok(false);
        }
        let result = file
            .write_all(new)
            .and_then(|()| file.set_permissions(old.permissions()))
            .and_then(|()| file.sync_data())
            .and_then(|()| std::fs::rename(&path, &self.target));
        if result.is_err() {
            let _ = std::fs::remove_file(&path);
        }
        result.map(|()| true)
    }

    /// As `lockedfile.Transform` does: what is longer first, so that a full disk shows before anything is overwritten; back
    /// to what was there on an error.
    fn in_place(&self, new: &[u8]) -> io::Result<()> {
        let old = &self.content;
        let written = (|| {
            if new.len() > old.len() {
                self.file.write_all_at(&new[old.len()..], old.len() as u64)?;
            }
            self.file.write_all_at(&new[..new.len().min(old.len())], 0)?;
            self.file.set_len(new.len() as u64)
        })();
        if written.is_err() && self.file.write_all_at(old, 0).is_ok() {
            let _ = self.file.set_len(old.len() as u64);
        }
        written
    }
}

impl Drop for Edit {
    fn drop(&mut self) {
        if self.created {
            // It was made here and nothing was written: as it was before.
            let _ = std::fs::remove_file(&self.name);
        }
    }
}

/// Opens a file to be changed; whether it was made.
fn open(name: &Path) -> io::Result<(File, bool)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o666).custom_flags(libc::O_NONBLOCK);
    match options.open(name) {
        Ok(file) => Ok((file, false)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => match options.create_new(true).open(name) {
            Ok(file) => Ok((file, true)),
            // Another process made it first; or it is a link to nothing, which the go command creates the target of.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                options.create_new(false).create(true).open(name).map(|file| (file, false))
            }
            Err(e) => Err(e),
        },
        Err(e) => Err(e),
    }
}
