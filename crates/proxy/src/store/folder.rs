//! Changes below a folder that others may write too: every part of a path is opened by itself, and none that is a
//! symbolic link, so that nothing outside the folder can be meant.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, Mode, OFlags};

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC).union(OFlags::RDONLY);

/// Removes a file, or a symbolic link itself. False where it is not there.
pub(super) fn remove(root: &Path, below: &Path) -> io::Result<bool> {
    let (folder, name) = match parent(root, below) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    match rustix::fs::unlinkat(&folder, &name, AtFlags::empty()) {
        Err(rustix::io::Errno::NOENT) => Ok(false),
        other => other.map(|()| true).map_err(io::Error::from),
    }
}

/// Renames a file. False where it is not there.
pub(super) fn rename(root: &Path, from: &Path, to: &Path) -> io::Result<bool> {
    let (to_folder, to_name) = parent(root, to)?;
    let (from_folder, from_name) = match parent(root, from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    match rustix::fs::renameat(&from_folder, &from_name, &to_folder, &to_name) {
        Err(rustix::io::Errno::NOENT) => Ok(false),
        other => other.map(|()| true).map_err(io::Error::from),
    }
}

/// The folder that a path is in, and its last part.
fn parent(root: &Path, below: &Path) -> io::Result<(OwnedFd, OsString)> {
    let mut folder = rustix::fs::open(root, FOLDER, Mode::empty())?;
    let mut parts = below.components().peekable();
    loop {
        let Some(Component::Normal(part)) = parts.next() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is not below", below.display())));
        };
        if parts.peek().is_none() {
            return Ok((folder, part.to_owned()));
        }
        folder = rustix::fs::openat(&folder, part, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn nothing_outside_the_folder() {
        let (inside, outside) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let (root, kept) = (inside.path(), outside.path().join("a/x"));
        fs::create_dir_all(outside.path().join("a")).unwrap();
        fs::create_dir_all(root.join("b")).unwrap();
        fs::write(&kept, b"x").unwrap();
        fs::write(root.join("b/y"), b"y").unwrap();
        symlink(outside.path(), root.join("out")).unwrap();
        symlink(&kept, root.join("b/link")).unwrap();
        for below in ["out/a/x", "../x", "/etc/passwd", "", "b/../../x"] {
            assert!(remove(root, Path::new(below)).is_err(), "{below}");
        }
        assert!(rename(root, Path::new("out/a/x"), Path::new("b/z")).is_err());
        assert!(rename(root, Path::new("b/y"), Path::new("out/a/z")).is_err());
        assert!(remove(root, Path::new("b/link")).unwrap(), "the link itself may go");
        assert!(kept.exists() && !outside.path().join("a/z").exists());
        assert!(rename(root, Path::new("b/y"), Path::new("b/z")).unwrap());
        assert!(!rename(root, Path::new("b/y"), Path::new("b/z")).unwrap());
        assert!(remove(root, Path::new("b/z")).unwrap() && !remove(root, Path::new("b/z")).unwrap());
        assert!(!remove(root, Path::new("none/z")).unwrap());
    }
}
