//! Small files: `.info`, `.mod`, `.ziphash` and `list`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::PoisonError;

use goferry_module::{FileKind, ModulePath, ModuleVersion, Version};

use super::info::clean_info;
use super::lock::{open_lock, try_lock};
use super::{ModCache, random};
use crate::error::FetchError;

/// Within names of temporary files that this program makes. They end in `.tmp`, as the go command's do.
const MARK: &str = ".goferry-";

impl ModCache {
    /// Writes `V.info` as the go command does from what a proxy sent ([`clean_info`]), and gives what was written.
    ///
    /// # Errors
    /// [`FailKind::Invalid`](crate::FailKind::Invalid) where it is not JSON of that form or names another version,
    /// [`FailKind::Local`](crate::FailKind::Local) where it cannot be written.
    pub fn write_info(&self, module: &ModuleVersion, sent: &[u8]) -> Result<Vec<u8>, FetchError> {
        let data = clean_info(module, sent)?;
        self.make_dir(module.path())?;
        write_whole(&self.file(module, FileKind::Info), &data)?;
        Ok(data)
    }

    /// Writes `V.mod`, whose hash the caller has checked. The `list` of the module is then out of date until
    /// [`ModCache::flush_lists`]: call that once for many.
    ///
    /// # Errors
    /// [`FailKind::Local`](crate::FailKind::Local) where it cannot be written.
    pub fn write_mod(&self, module: &ModuleVersion, content: &[u8]) -> Result<(), FetchError> {
        self.make_dir(module.path())?;
        write_whole(&self.file(module, FileKind::Mod), content)?;
        self.stale_lists.lock().unwrap_or_else(PoisonError::into_inner).insert(module.path().clone());
        Ok(())
    }

    /// A `.mod` of the module came or went by other means: its `list` is out of date until [`ModCache::flush_lists`].
    pub fn list_changed(&self, path: &ModulePath) {
        self.stale_lists.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone());
    }

    /// Rewrites the `list` of every module that got a `.mod`, each once and under its lock. Also done when the cache is
    /// dropped. The go command does not mind where this fails, nor do we: only a proxy that serves the cache reads it,
    /// and it is made anew with the next version.
    pub fn flush_lists(&self) {
        let stale = std::mem::take(&mut *self.stale_lists.lock().unwrap_or_else(PoisonError::into_inner));
        for path in stale {
            if let Err(error) = self.rewrite_list(&path) {
                tracing::debug!("{error}");
            }
        }
    }

    /// `rewriteVersionList`.
    fn rewrite_list(&self, path: &ModulePath) -> Result<(), FetchError> {
        let dir = self.version_dir(path);
        let list = dir.join("list");
        let failed = |e: io::Error| FetchError::local(format_args!("writing {}", list.display()), &e);
        let mut file = open_lock(&list).map_err(failed)?;
        self.wait_for(&file, &list)?;
        let mut versions = Vec::new();
        for entry in fs::read_dir(&dir).map_err(failed)?.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if let Some(version) = name.strip_suffix(".mod") {
                versions.extend(Version::parse(version).ok().filter(Version::is_canonical));
            } else if name.contains(MARK) && name.ends_with(".tmp") {
                remove_if_left(&dir.join(name));
            }
        }
        versions.sort();
        let text: String = versions.iter().map(|version| format!("{version}\n")).collect();
        let mut old = Vec::new();
        (&mut file).take(text.len() as u64 + 1).read_to_end(&mut old).map_err(failed)?;
        if old == text.as_bytes() {
            return Ok(());
        }
        // As the go command: zeros first, so that a write cut short can be told.
        file.set_len(0).map_err(failed)?;
        file.set_len(text.len() as u64).map_err(failed)?;
        std::os::unix::fs::FileExt::write_all_at(&file, text.as_bytes(), 0).map_err(|e| {
            let _ = file.set_len(0);
            failed(e)
        })
    }
}

/// Writes a file under another name and renames it (`writeDiskCache`), mode 0666 less the umask.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> Result<(), FetchError> {
    let failed = |e: &io::Error| FetchError::local(format_args!("writing {}", path.display()), e);
    let mut tries = 0;
    loop {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!("{MARK}{:016x}.tmp", random()));
        let temporary = Path::new(&temporary);
        let done = write_new(temporary, content).and_then(|file| {
            fs::rename(temporary, path)?;
            drop(file);
            Ok(())
        });
        match done {
            Ok(()) => return Ok(()),
            // Someone took it for one that was left behind, before it was locked.
            Err(e) if e.kind() == io::ErrorKind::NotFound && tries < 3 => tries += 1,
            Err(e) => {
                let _ = fs::remove_file(temporary);
                return Err(failed(&e));
            }
        }
    }
}

/// A new file, locked as long as it is open, so that others see that it is in use.
fn write_new(path: &Path, content: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let _ = file.try_lock();
    file.write_all(content)?;
    Ok(file)
}

/// Removes a temporary file whose writer is gone.
pub(super) fn remove_if_left(path: &Path) {
    if let Ok(file) = File::open(path)
        && try_lock(&file, path).unwrap_or(false)
    {
        let _ = fs::remove_file(path);
    }
}
