//! Answers on disk, below a folder in the layout of a module proxy: `PATH/@v/list`, `PATH/@latest`,
//! `PATH/@v/QUERY.info`, each as the upstream sent it. When it was sent is the file's time of modification.
//!
//! The folder is bounded: from time to time the answers that were fetched longest ago are removed.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use goferry_fetch::FetchError;
use goferry_fetch::list::{MAX_LIST, VersionList};
use goferry_fetch::source::{Changing, MAX_INFO};
use goferry_module::ModInfo;
use goferry_module::escape::escape_version;

use super::{Kept, Key};
use crate::store::write_whole;

/// How many answers may be kept.
const FILES: usize = 100_000;
/// How many bytes of them.
const BYTES: u64 = 512 << 20;
/// After how many bytes written, each file counted as at least [`BLOCK`], it is looked whether there are too many.
const LOOK: u64 = 32 << 20;
/// What a small file takes.
const BLOCK: u64 = 4096;
/// A temporary file that is older belongs to nobody.
const LEFT: Duration = Duration::from_secs(3600);
/// What the names of temporary files begin with.
const TEMPORARY: &str = ".new-";

/// Answers on disk.
pub(super) struct Disk {
    dir: PathBuf,
    written: AtomicU64,
    files: usize,
    bytes: u64,
}

/// A file that may be removed.
struct Old {
    fetched: SystemTime,
    size: u64,
    path: PathBuf,
}

impl Disk {
    pub(super) fn new(dir: &Path) -> Disk {
        Disk { dir: dir.to_owned(), written: AtomicU64::new(0), files: FILES, bytes: BYTES }
    }

    /// The file of an answer; `None` where a query has no such name.
    fn file(&self, (path, what): &Key) -> Option<PathBuf> {
        let folder = self.dir.join(path.escape().as_str());
        Some(match what {
            Changing::List => folder.join("@v/list"),
            Changing::Latest => folder.join("@latest"),
            Changing::Query(query) => folder.join("@v").join(format!("{}.info", escape_version(query).ok()?)),
        })
    }

    /// An answer; `None` where it is not kept or is damaged. Blocks.
    pub(super) fn read(&self, key: &Key) -> Option<Kept> {
        let file = File::open(self.file(key)?).ok()?;
        let limit = if key.1 == Changing::List { MAX_LIST } else { MAX_INFO };
        let mut bytes = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut bytes).ok()?;
        let fetched = fs::metadata(self.file(key)?).and_then(|meta| meta.modified()).ok()?;
        let whole = match key.1 {
            Changing::List => VersionList::parse(&bytes).is_ok(),
            _ => ModInfo::parse(&bytes).is_ok(),
        };
        whole.then(|| Kept { bytes: bytes.into(), fetched })
    }

    /// Keeps an answer, where that can be done. Blocks.
    pub(super) fn write(&self, key: &Key, kept: &Kept) {
        let Some(path) = self.file(key) else { return };
        let written = write_whole(&path, &kept.bytes).and_then(|()| {
            let failed = |error| FetchError::local(format_args!("the time of {}", path.display()), &error);
            File::options().write(true).open(&path).and_then(|file| file.set_modified(kept.fetched)).map_err(failed)
        });
        if let Err(error) = written {
            tracing::debug!(module = %key.0, %error, "an answer could not be kept");
            return;
        }
        let size = (kept.bytes.len() as u64).max(BLOCK);
        if self.written.fetch_add(size, Ordering::Relaxed) + size >= LOOK {
            self.prune();
        }
    }

    /// Forgets an answer. Blocks.
    pub(super) fn remove(&self, key: &Key) -> Result<(), FetchError> {
        let Some(path) = self.file(key) else { return Ok(()) };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(FetchError::local(format_args!("removing {}", path.display()), &error))
            }
            _ => Ok(()),
        }
    }

    /// Removes the oldest where there is too much, down to seven eighths. Blocks.
    pub(super) fn prune(&self) {
        self.written.store(0, Ordering::Relaxed);
        let mut all = Vec::new();
        walk(&self.dir, &mut all);
        let mut bytes: u64 = all.iter().map(|old| old.size).sum();
        let mut files = all.len();
        if files <= self.files && bytes <= self.bytes {
            return;
        }
        all.sort_by_key(|old| old.fetched);
        for old in all {
            if files <= self.files / 8 * 7 && bytes <= self.bytes / 8 * 7 {
                break;
            }
            if fs::remove_file(&old.path).is_ok() {
                files -= 1;
                bytes -= old.size;
                // Folders that are empty now go too.
                for folder in old.path.ancestors().skip(1).take_while(|folder| *folder != self.dir) {
                    if fs::remove_dir(folder).is_err() {
                        break;
                    }
                }
            }
        }
    }
}

/// All answers below a folder. What a process that was killed left behind is removed.
fn walk(root: &Path, all: &mut Vec<Old>) {
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                folders.push(entry.path());
                continue;
            }
            let fetched = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            if !entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
                all.push(Old { fetched, size: meta.len().max(BLOCK), path: entry.path() });
            } else if fetched.elapsed().is_ok_and(|age| age > LEFT) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use goferry_module::ModulePath;

    fn key(path: &str, what: Changing) -> Key {
        (ModulePath::parse(path).unwrap(), what)
    }

    fn kept(text: &str, age: u64) -> Kept {
        let fetched = SystemTime::now() - Duration::from_secs(age);
        Kept { bytes: text.as_bytes().to_vec().into(), fetched }
    }

    #[test]
    fn an_answer_keeps_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::new(dir.path());
        let info = r#"{"Version":"v1.0.0"}"#;
        for (key, text, file) in [
            (key("example.com/Mod", Changing::List), "v1.0.0\n", "example.com/!mod/@v/list"),
            (key("example.com/Mod", Changing::Latest), info, "example.com/!mod/@latest"),
            (key("example.com/Mod", Changing::Query("Main".into())), info, "example.com/!mod/@v/!main.info"),
        ] {
            assert!(disk.read(&key).is_none());
            let kept = kept(text, 100);
            disk.write(&key, &kept);
            assert!(dir.path().join(file).is_file());
            let read = disk.read(&key).unwrap();
            assert_eq!((read.bytes, read.fetched), (kept.bytes, kept.fetched));
            disk.remove(&key).unwrap();
            assert!(disk.read(&key).is_none());
            disk.remove(&key).unwrap();
        }
    }

    #[test]
    fn an_empty_list_is_kept_and_a_damaged_answer_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::new(dir.path());
        let (list, latest) = (key("example.com/m", Changing::List), key("example.com/m", Changing::Latest));
        disk.write(&list, &kept("", 1));
        assert_eq!(disk.read(&list).unwrap().bytes.len(), 0);
        disk.write(&latest, &kept("{\"Vers", 1));
        assert!(disk.read(&latest).is_none());
        // What has no name on disk, or too long a one, is kept in memory only.
        for query in ["a/b".to_owned(), "x".repeat(300)] {
            let key = key("example.com/m", Changing::Query(query));
            disk.write(&key, &kept("{}", 1));
            assert!(disk.read(&key).is_none());
        }
    }

    #[test]
    fn the_oldest_go_first() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk { files: 16, ..Disk::new(dir.path()) };
        let keys: Vec<Key> = (0..20).map(|n| key(&format!("example.com/m{n}"), Changing::List)).collect();
        for (age, key) in keys.iter().enumerate() {
            disk.write(key, &kept("v1.0.0\n", age as u64 * 10));
        }
        let mine = dir.path().join("example.com/.new-abc");
        fs::write(&mine, "").unwrap();
        disk.prune();
        let left: Vec<bool> = keys.iter().map(|key| disk.read(key).is_some()).collect();
        assert_eq!(left, (0..20).map(|n| n < 14).collect::<Vec<_>>());
        assert!(!dir.path().join("example.com/m19").exists() && mine.exists());
        let long_ago = SystemTime::now() - LEFT * 2;
        File::options().write(true).open(&mine).unwrap().set_modified(long_ago).unwrap();
        disk.prune();
        assert!(!mine.exists());

        let disk = Disk { bytes: 8 * BLOCK, ..Disk::new(dir.path()) };
        disk.prune();
        assert_eq!(keys.iter().filter(|key| disk.read(key).is_some()).count(), 7);
    }
}
