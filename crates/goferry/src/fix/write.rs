//! Writing one file: a backup beside it, the new text beside it, then a rename, so that there is always a whole file.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::failure::Failure;

use super::plan::{BACKUP, Change, read};

/// Most backups of one file.
const MAX_BACKUPS: u32 = 1000;

/// Replaces the file's text. Returns the backup.
pub(super) fn replace(change: &Change) -> Result<PathBuf, Failure> {
    let file = &change.file;
    let fail = |what: &str, error: std::io::Error| Failure::failed(format!("{}: {what}: {error}", file.display()));
    if read(file)? != change.before {
        return Err(Failure::failed(format!("{} was changed by somebody else just now", file.display()))
            .hint("run the command again"));
    }
    let metadata = fs::metadata(file).map_err(|error| fail("its mode cannot be read", error))?;
    let folder = file.parent().unwrap_or(Path::new("/"));
    let mut new = NamedTempFile::new_in(folder).map_err(|error| fail("no file can be made beside it", error))?;
    new.write_all(change.after.as_bytes()).map_err(|error| fail("the new text cannot be written", error))?;
    keep(new.as_file(), &metadata).map_err(|error| fail("its mode and owner cannot be kept", error))?;
    new.as_file().sync_all().map_err(|error| fail("the new text cannot be written", error))?;
    let backup = backup(change, &metadata).map_err(|error| fail("no backup can be made", error))?;
    new.persist(file).map_err(|error| fail("it cannot be replaced", error.error))?;
    Ok(backup)
}

fn backup(change: &Change, metadata: &fs::Metadata) -> std::io::Result<PathBuf> {
    for n in 1..=MAX_BACKUPS {
        let mut name = change.file.clone().into_os_string();
        name.push(format!("{BACKUP}{n}"));
        let path = PathBuf::from(name);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                // The mode first: the text may hold what others must not read.
                keep(&file, metadata)?;
                file.write_all(change.before.as_bytes())?;
                file.sync_all()?;
                return Ok(path);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(std::io::Error::new(ErrorKind::AlreadyExists, format!("there are {MAX_BACKUPS} backups already")))
}

/// Gives a new file the mode and, where they differ, the owner and group of the one that it stands for.
fn keep(file: &File, like: &fs::Metadata) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, fchown};
        let have = file.metadata()?;
        if (have.uid(), have.gid()) != (like.uid(), like.gid()) {
            fchown(file, Some(like.uid()), Some(like.gid()))?;
        }
    }
    file.set_permissions(like.permissions())
}
