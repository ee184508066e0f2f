//! The folder that a zip is written to, with few system calls: one `mkdirat` a directory, and `openat`, `write` and
//! `close` a file.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat, mkdirat};

use crate::error::FetchError;

const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC).union(OFlag::O_NOFOLLOW);

/// An empty folder with the directories that a zip needs.
pub(super) struct Tree<'n> {
    root: File,
    path: PathBuf,
    /// All directories below, each after the one that it is in.
    dirs: BTreeSet<&'n str>,
}

impl<'n> Tree<'n> {
    /// Makes the directories of `names`, which are relative and clean, in `root`.
    pub(super) fn make(root: &Path, names: impl Iterator<Item = &'n str>) -> Result<Self, FetchError> {
        let path = root.to_owned();
        let failed = |at: &Path, e: nix::Error| {
            FetchError::local(format_args!("creating the directory {}", at.display()), &e.into())
        };
        let root = nix::fcntl::open(root, DIRECTORY, Mode::empty()).map_err(|e| failed(root, e))?;
        let dirs = directories(names);
        for dir in &dirs {
            mkdirat(&root, *dir, Mode::from_bits_truncate(0o777)).map_err(|e| failed(&path.join(dir), e))?;
        }
        Ok(Self { root: root.into(), path, dirs })
    }

    /// Takes the right to write from all directories, the deepest first (`makeDirsReadOnly` in modfetch/fetch.go). Like
    /// there, it is done as well as it can be.
    pub(super) fn make_read_only(&self) {
        let Ok(meta) = self.root.metadata() else { return };
        let mode = meta.permissions().mode() & 0o7777 & !0o222;
        for dir in self.dirs.iter().rev() {
            let _ = fchmodat(&self.root, *dir, Mode::from_bits_truncate(mode), FchmodatFlags::FollowSymlink);
        }
        let _ = self.root.set_permissions(Permissions::from_mode(mode));
    }

    /// A writer for one thread.
    pub(super) fn writer(&self) -> Writer<'_, 'n> {
        Writer { tree: self, dir: String::new(), open: None }
    }
}

/// All directories of the names, each after the one that it is in.
fn directories<'n>(names: impl Iterator<Item = &'n str>) -> BTreeSet<&'n str> {
    let mut dirs = BTreeSet::new();
    for name in names {
        let mut rest = name;
        while let Some((dir, _)) = rest.rsplit_once('/') {
            if !dirs.insert(dir) {
                break;
            }
            rest = dir;
        }
    }
    dirs
}

/// Writes files of a [`Tree`]. It keeps the directory of the last file open: files of one directory lie together.
pub(super) struct Writer<'a, 'n> {
    tree: &'a Tree<'n>,
    dir: String,
    open: Option<OwnedFd>,
}

impl Writer<'_, '_> {
    /// Writes a whole file.
    pub(super) fn write(&mut self, name: &str, content: &[u8]) -> Result<(), FetchError> {
        let mut file = self.create(name)?;
        if content.is_empty() {
            return Ok(());
        }
        file.write_all(content).map_err(|e| self.failed(name, &e))
    }

    /// Creates a file, mode 0444 less the umask.
    pub(super) fn create(&mut self, name: &str) -> Result<File, FetchError> {
        let (dir, base) = name.rsplit_once('/').unwrap_or(("", name));
        if dir != self.dir {
            self.open = None;
            dir.clone_into(&mut self.dir);
        }
        let made = self.open_in(dir, base);
        made.map(File::from).map_err(|e| self.failed(name, &e.into()))
    }

    /// An error about a file of the tree.
    pub(super) fn failed(&self, name: &str, error: &io::Error) -> FetchError {
        FetchError::local(format_args!("writing {}", self.tree.path.join(name).display()), error)
    }

    fn open_in(&mut self, dir: &str, base: &str) -> nix::Result<OwnedFd> {
        const NEW: OFlag = OFlag::O_WRONLY.union(OFlag::O_CREAT).union(OFlag::O_EXCL).union(OFlag::O_CLOEXEC);
        let mode = Mode::from_bits_truncate(0o444);
        if dir.is_empty() {
            return openat(&self.tree.root, base, NEW, mode);
        }
        let parent = match self.open.take() {
            Some(parent) => parent,
            None => openat(&self.tree.root, dir, DIRECTORY, Mode::empty())?,
        };
        openat(self.open.insert(parent), base, NEW, mode)
    }
}

/// Removes a module's folder with its read-only directories (`RemoveAll` in modfetch/fetch.go). Nothing there is fine.
pub(crate) fn remove_tree(root: &Path) -> io::Result<()> {
    match fs::remove_dir_all(root) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => return fs::remove_file(root),
        Err(e) if e.kind() != io::ErrorKind::PermissionDenied => return Err(e),
        Err(_) => make_writable(root),
        Ok(()) => return Ok(()),
    }
    fs::remove_dir_all(root)
}

fn make_writable(root: &Path) {
    let mode = Mode::from_bits_truncate(0o777);
    let _ = fchmodat(nix::fcntl::AT_FDCWD, root, mode, FchmodatFlags::FollowSymlink);
    if let Ok(entries) = fs::read_dir(root) {
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                make_writable(&entry.path());
            }
        }
    }
}
