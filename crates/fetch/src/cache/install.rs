//! Zips and folders: checked in one pass, then visible.
//!
//! The order of steps under `V.lock` is safe against a kill at any moment, for the go command that comes next:
//!
//! 1. The files are written to `<folder>.tmp-<random>`, which the go command removes.
//! 2. The hash is judged. Up to here nothing is visible, and on an error nothing stays.
//! 3. Where a folder is there that is not complete, `V.partial` is written before the folder is removed.
//! 4. `V.ziphash` is written. Without `V.zip` the go command passes it over and writes it anew.
//! 5. The zip is renamed to `V.zip`. A zip without folder is unpacked by the go command.
//! 6. The folder is renamed, whole and read-only already.
//! 7. `V.partial` is removed, where there is one. Until then the go command takes the folder for incomplete.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use goferry_module::{DirHash, FileKind, ModuleVersion};

use super::partial::{PART, PartialZip, remove_private_if_left};
use super::write::write_whole;
use super::{CacheState, ModCache, random};
use crate::error::{FailKind, FetchError};
use crate::unpack::{Source, Unpacked, Unpacker, remove_tree};

/// A zip that has arrived whole, not yet judged.
#[derive(Debug)]
pub struct Zip(Kept);

#[derive(Debug)]
enum Kept {
    Memory(Bytes),
    File(PathBuf),
    Parts(PartialZip),
}

impl Zip {
    /// In memory: best for small ones, which are then written once and never read.
    #[must_use]
    pub fn of_bytes(bytes: Bytes) -> Self {
        Self(Kept::Memory(bytes))
    }

    /// A file that is given away, on the file system of the cache. It is renamed, or removed on an error.
    #[must_use]
    pub fn of_file(path: PathBuf) -> Self {
        Self(Kept::File(path))
    }

    pub(super) fn of_parts(parts: PartialZip) -> Self {
        Self(Kept::Parts(parts))
    }

    fn path(&self) -> Option<PathBuf> {
        match &self.0 {
            Kept::Memory(_) => None,
            Kept::File(path) => Some(path.clone()),
            Kept::Parts(parts) => Some(parts.whole()),
        }
    }

    fn source(&self) -> Result<Source, FetchError> {
        match (&self.0, self.path()) {
            (Kept::Memory(bytes), _) => Ok(Source::Memory(bytes.clone())),
            (_, path) => open(&path.unwrap_or_default()),
        }
    }

    /// Removes it.
    fn discard(self) {
        match self.0 {
            Kept::Memory(_) => {}
            Kept::File(path) => drop(fs::remove_file(path)),
            Kept::Parts(parts) => parts.discard(),
        }
    }
}

/// A module version that is now in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The hash of the zip, approved by the caller.
    pub hash: DirHash,
    /// How many files and bytes were read; `None` where another process had done it already.
    pub unpacked: Option<Unpacked>,
}

impl ModCache {
    /// Puts a zip into the cache: inflates every file once, and thereby checks it, hashes it and, with `extract`, writes
    /// it; then `expected` judges the hash (go.sum, checksum database); only then zip, hash and folder become visible.
    /// Waits for `V.lock` and for a worker. Where another process was quicker, its zip is used and this one removed.
    ///
    /// # Errors
    /// Whatever `expected` says; [`FailKind::Invalid`] where the go command would not take the zip, or a file of it is
    /// damaged, which is then named; [`FailKind::Local`] where this machine cannot read, write or lock. Nothing of the
    /// zip is visible then. Pieces stay, to be used by the next run, except where the zip itself is at fault
    /// ([`FailKind::Invalid`], [`FailKind::Mismatch`]).
    pub fn install(
        &self,
        module: &ModuleVersion,
        zip: Zip,
        expected: impl FnOnce(DirHash) -> Result<(), FetchError>,
        extract: bool,
        unpacker: &Unpacker,
    ) -> Result<Installed, FetchError> {
        let result = self.install_locked(module, &zip, expected, extract, unpacker);
        match (&result, zip) {
            (Err(error), zip @ Zip(Kept::Parts(_))) => {
                if matches!(error.kind, FailKind::Invalid | FailKind::Mismatch) {
                    zip.discard();
                }
            }
            // Where it has been renamed, nothing of that name is there any more.
            (_, zip) => zip.discard(),
        }
        result
    }

    /// Unpacks a zip that is in the cache already, and judges it with the same pass. Where it is unpacked already, only
    /// its recorded hash is judged, as the go command does. Writes `V.ziphash` where that is missing.
    ///
    /// # Errors
    /// As [`ModCache::install`]. The zip stays where it is, whatever is wrong with it.
    pub fn extract_cached(
        &self,
        module: &ModuleVersion,
        expected: impl FnOnce(DirHash) -> Result<(), FetchError>,
        unpacker: &Unpacker,
    ) -> Result<Installed, FetchError> {
        let _lock = self.lock(module)?;
        self.cached(module, self.state(module), expected, true, unpacker)
    }

    /// The same without unpacking: the zip is read and hashed even where its hash is recorded.
    ///
    /// # Errors
    /// As [`ModCache::install`]. The zip stays where it is, whatever is wrong with it.
    pub fn hash_cached(
        &self,
        module: &ModuleVersion,
        expected: impl FnOnce(DirHash) -> Result<(), FetchError>,
        unpacker: &Unpacker,
    ) -> Result<Installed, FetchError> {
        let _lock = self.lock(module)?;
        let path = self.file(module, FileKind::Zip);
        self.place(module, &open(&path)?, self.state(module), expected, false, unpacker, || Ok(()))
    }

    /// Copies a zip from elsewhere, for [`ModCache::install`].
    ///
    /// # Errors
    /// [`FailKind::Local`].
    pub fn copy_in(&self, module: &ModuleVersion, from: &Path) -> Result<Zip, FetchError> {
        self.make_dir(module.path())?;
        let mut path = self.file(module, FileKind::Zip).into_os_string();
        // A name that is removed where this process is killed, by us and by the go command.
        path.push(format!("{:016x}.tmp", random()));
        let path = PathBuf::from(path);
        fs::copy(from, &path).map_err(|e| {
            let _ = fs::remove_file(&path);
            FetchError::local(format_args!("copying {} to {}", from.display(), path.display()), &e)
        })?;
        Ok(Zip::of_file(path))
    }

    fn install_locked(
        &self,
        module: &ModuleVersion,
        zip: &Zip,
        expected: impl FnOnce(DirHash) -> Result<(), FetchError>,
        extract: bool,
        unpacker: &Unpacker,
    ) -> Result<Installed, FetchError> {
        let _lock = self.lock(module)?;
        let state = self.state(module);
        if state.zip().is_some() {
            return self.cached(module, state, expected, extract, unpacker);
        }
        self.remove_left(module, zip.path().as_deref());
        let target = self.file(module, FileKind::Zip);
        let commit = || match zip.path() {
            None => match &zip.0 {
                Kept::Memory(bytes) => write_whole(&target, bytes),
                _ => Ok(()),
            },
            Some(path) => {
                fs::rename(&path, &target).map_err(|e| {
                    FetchError::local(format_args!("renaming {} to {}", path.display(), target.display()), &e)
                })?;
                if let Kept::Parts(parts) = &zip.0 {
                    parts.installed();
                }
                Ok(())
            }
        };
        self.place(module, &zip.source()?, state, expected, extract, unpacker, commit)
    }

    fn cached(
        &self,
        module: &ModuleVersion,
        state: CacheState,
        expected: impl FnOnce(DirHash) -> Result<(), FetchError>,
        extract: bool,
        unpacker: &Unpacker,
    ) -> Result<Installed, FetchError> {
        if let Some(hash) = state.zip().filter(|_| state.extracted || !extract) {
            expected(hash)?;
            return Ok(Installed { hash, unpacked: None });
        }
        self.remove_left(module, None);
        let path = self.file(module, FileKind::Zip);
        self.place(module, &open(&path)?, state, expected, extract, unpacker, || Ok(())).map_err(|e| {
            if e.kind == FailKind::Invalid {
                let advice = format!("remove {}, or run go clean -modcache; it will be fetched again", path.display());
                return e.with_advice(advice);
            }
            e
        })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one step with its two decisions; a struct would only name them twice"
    )]
    fn place(
        &self,
        module: &ModuleVersion,
        source: &Source,
        state: CacheState,
        expected: impl FnOnce(DirHash) -> Result<(), FetchError>,
        extract: bool,
        unpacker: &Unpacker,
        commit: impl FnOnce() -> Result<(), FetchError>,
    ) -> Result<Installed, FetchError> {
        let dir = self.dir(module);
        let temporary = if extract { Some(Temporary::beside(&dir)?) } else { None };
        let into = temporary.as_ref().map(|temporary| temporary.0.as_path());
        let unpacked = unpacker.run(module, source, into, !self.writable_dirs)?;
        expected(unpacked.hash)?;
        let partial = self.partial(module);
        if extract && fs::symlink_metadata(&dir).is_ok() {
            fs::write(&partial, b"")
                .map_err(|e| FetchError::local(format_args!("writing {}", partial.display()), &e))?;
            remove_tree(&dir).map_err(|e| FetchError::local(format_args!("removing {}", dir.display()), &e))?;
        }
        if state.hash != Some(unpacked.hash) {
            write_whole(&self.ziphash(module), unpacked.hash.to_string().as_bytes())?;
        }
        if let Err(error) = commit() {
            if state.hash.is_none() {
                let _ = fs::remove_file(self.ziphash(module));
            }
            return Err(error);
        }
        if let Some(temporary) = temporary {
            fs::rename(&temporary.0, &dir).map_err(|e| {
                FetchError::local(format_args!("renaming {} to {}", temporary.0.display(), dir.display()), &e)
            })?;
            temporary.keep();
            match fs::remove_file(&partial) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(FetchError::local(format_args!("removing {}", partial.display()), &e));
                }
                _ => {}
            }
        }
        Ok(Installed { hash: unpacked.hash, unpacked: Some(unpacked) })
    }

    /// Removes what killed processes have left, as the go command does under the lock: `V.zip*.tmp` and
    /// `<folder>.tmp-*`. As well as it can be done.
    fn remove_left(&self, module: &ModuleVersion, except: Option<&Path>) {
        let (zip, dir) = (self.file(module, FileKind::Zip), self.dir(module));
        let names = |path: &Path| -> Vec<String> {
            let entries = path.parent().and_then(|parent| fs::read_dir(parent).ok());
            entries.into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
        };
        let base = |path: &Path| path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let zip_name = base(&zip);
        let private = format!("{zip_name}{PART}-x");
        for name in names(&zip) {
            let path = zip.with_file_name(&name);
            if name.starts_with(&zip_name) && name.ends_with(".tmp") && except != Some(&path) {
                let _ = fs::remove_file(path);
            } else if name.starts_with(&private) && except != Some(&path) {
                remove_private_if_left(zip.parent().unwrap_or(Path::new("/")), &name);
            }
        }
        let old = format!("{}.tmp-", base(&dir));
        for name in names(&dir) {
            if name.starts_with(&old) {
                let _ = remove_tree(&dir.with_file_name(name));
            }
        }
    }
}

/// A folder that is removed with all it holds, unless it is kept.
struct Temporary(PathBuf);

impl Temporary {
    fn beside(dir: &Path) -> Result<Self, FetchError> {
        let mut name = dir.as_os_str().to_owned();
        name.push(format!(".tmp-{:016x}", random()));
        let path = PathBuf::from(name);
        let parent = dir.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent)
            .and_then(|()| fs::create_dir(&path))
            .map_err(|e| FetchError::local(format_args!("creating {}", path.display()), &e))?;
        Ok(Self(path))
    }

    fn keep(mut self) {
        self.0 = PathBuf::new();
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            let _ = remove_tree(&self.0);
        }
    }
}

fn open(path: &Path) -> Result<Source, FetchError> {
    let file = File::open(path).map_err(|e| FetchError::local(format_args!("opening {}", path.display()), &e))?;
    Source::of_file(file, path)
}
