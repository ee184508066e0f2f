//! Reading all of a store, and saying what in it is not what it should be.

use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use goferry_fetch::{FetchError, ModCache, Unpacker};
use goferry_module::{DirHash, FileKind, ModuleVersion};

use super::check::{mismatch, read_ziphash};
use super::scan::{Held, Scan};
use super::{OWN, Pinned, Pins, quarantine, tell_others};

/// How long whoever is at work on a version is waited for, before its files are called damaged.
const WAIT: Duration = Duration::from_secs(60);

/// What reading a store has shown.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// Files that were read and found good.
    pub sound: usize,
    /// Of these, `.mod` and `.zip` that are held against nothing: no pin and, of a zip, no recorded hash.
    pub unpinned: usize,
    /// Files that are not what they should be.
    pub damaged: Vec<Damaged>,
    /// Files that could not be read, and why.
    pub unreadable: Vec<String>,
}

/// A file that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The version.
    pub module: ModuleVersion,
    /// Which of its files.
    pub kind: FileKind,
    /// What is wrong with it.
    pub reason: String,
    /// Whether it is in quarantine now.
    pub quarantined: bool,
}

/// Reads every file of every version, on all cores: a zip must be one that the go command takes and have the hash that is
/// recorded beside it and the pinned one, a `.mod` the pinned one, a `.info` must be JSON that names its version. With
/// `repair` what is damaged goes into quarantine. `progress` is told how many versions of how many were read.
///
/// # Errors
/// Where the folder is no store, or what is damaged cannot be put aside.
pub fn audit(
    dir: &Path,
    scan: &Scan,
    repair: bool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Audit, FetchError> {
    scan.refuse_other_folders(dir)?;
    let reader = Reader {
        cache: ModCache::of_downloads(dir).waiting(WAIT, |_| {}),
        pins: Pins::new(&dir.join(OWN).join("pins")),
        unpacker: Unpacker::default(),
    };
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let outcome = Mutex::new((Audit::default(), None));
    let work = || {
        while let Some(held) = scan.versions.get(next.fetch_add(1, Ordering::Relaxed)) {
            let one = reader.version(held, repair);
            let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
            match one {
                Ok(one) => outcome.0.add(one),
                Err(error) => {
                    outcome.1.get_or_insert(error);
                    return;
                }
            }
            drop(outcome);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, scan.versions.len());
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        (1..threads.min(scan.versions.len())).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    let (mut audit, error) = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = error {
        return Err(error);
    }
    audit
        .damaged
        .sort_by(|a, b| (a.module.to_string(), a.kind.extension()).cmp(&(b.module.to_string(), b.kind.extension())));
    if audit.damaged.iter().any(|damaged| damaged.quarantined) {
        reader.cache.flush_lists();
        tell_others(dir);
    }
    Ok(audit)
}

impl Audit {
    fn add(&mut self, other: Audit) {
        self.sound += other.sound;
        self.unpinned += other.unpinned;
        self.damaged.extend(other.damaged);
        self.unreadable.extend(other.unreadable);
    }
}

struct Reader {
    cache: ModCache,
    pins: Pins,
    unpacker: Unpacker,
}

/// What reading a file has shown.
enum Seen {
    /// Not there, or not any more.
    Gone,
    Sound,
    /// Sound by itself, and there is nothing that it could be held against.
    Unpinned,
    Damaged(String),
}

impl Reader {
    fn version(&self, held: &Held, repair: bool) -> Result<Audit, FetchError> {
        let mut audit = Audit::default();
        let pinned = self.pins.read(&held.module);
        let kinds = [(FileKind::Info, held.info), (FileKind::Mod, held.go_mod), (FileKind::Zip, held.zip)];
        for kind in kinds.iter().filter(|(_, there)| there.is_some()).map(|(kind, _)| *kind) {
            match self.settled(&held.module, kind, pinned) {
                Ok(Seen::Gone) => {}
                Ok(Seen::Sound) => audit.sound += 1,
                Ok(Seen::Unpinned) => {
                    audit.sound += 1;
                    audit.unpinned += 1;
                }
                Ok(Seen::Damaged(reason)) => {
                    let quarantined = repair && quarantine(&self.cache, &held.module, kind)?.is_some();
                    if quarantined && kind == FileKind::Mod {
                        self.cache.list_changed(held.module.path());
                    }
                    audit.damaged.push(Damaged { module: held.module.clone(), kind, reason, quarantined });
                }
                Err(error) => audit.unreadable.push(format!("{}: {error}", held.module)),
            }
        }
        Ok(audit)
    }

    /// What seems damaged is read again when nobody is at work on it: it may have been replaced while it was read.
    fn settled(&self, module: &ModuleVersion, kind: FileKind, pinned: Pinned) -> Result<Seen, FetchError> {
        match self.read(module, kind, pinned)? {
            Seen::Damaged(_) => {
                // A folder that cannot be written cannot be locked either.
                let _lock = self.cache.lock(module);
                self.read(module, kind, self.pins.read(module))
            }
            seen => Ok(seen),
        }
    }

    fn read(&self, module: &ModuleVersion, kind: FileKind, pinned: Pinned) -> Result<Seen, FetchError> {
        let path = self.cache.file(module, kind);
        let gone = || fs::symlink_metadata(&path).is_err();
        let verdict = |hash: DirHash, what: &str, known: &[(&str, Option<DirHash>)]| {
            let wrong =
                known.iter().find_map(|(which, known)| known.filter(|known| *known != hash).map(|k| (*which, k)));
            match wrong {
                Some((which, known)) => Seen::Damaged(mismatch(module, what, hash, which, known).to_string()),
                None if known.iter().all(|(_, known)| known.is_none()) => Seen::Unpinned,
                None => Seen::Sound,
            }
        };
        match kind {
            FileKind::Info => Ok(match self.cache.read_info(module) {
                Some(_) => Seen::Sound,
                None if gone() => Seen::Gone,
                None => Seen::Damaged(format!("{module}: the .info is not JSON that names this version")),
            }),
            FileKind::Mod => Ok(match self.cache.read_mod(module) {
                Some(bytes) => {
                    verdict(DirHash::of_go_mod(&bytes), ".mod", &[("the one that was verified", pinned.go_mod)])
                }
                None if gone() => Seen::Gone,
                None => {
                    File::open(&path).map_err(|error| FetchError::local(path.display(), &error))?;
                    Seen::Damaged(format!("{module}: the .mod is none that the go command would use"))
                }
            }),
            FileKind::Zip => match self.unpacker.unpack(module, &path, None) {
                Ok(unpacked) => {
                    let recorded = read_ziphash(&self.cache.ziphash(module));
                    let known = [("the one that was verified", pinned.zip), ("the recorded one", recorded)];
                    Ok(verdict(unpacked.hash, "zip", &known))
                }
                Err(_) if gone() => Ok(Seen::Gone),
                Err(error) if matches!(error.kind, goferry_fetch::FailKind::Local(_)) => Err(error),
                Err(error) => Ok(Seen::Damaged(error.to_string())),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use goferry_fetch::sums::Hashed;

    use super::super::tests::{Folder, module};
    use super::*;

    fn damage(folder: &Folder, version: &str, extension: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let file = folder.file(version, extension);
        let mut bytes = fs::read(&file).unwrap();
        change(&mut bytes);
        fs::write(file, bytes).unwrap();
    }

    fn folder() -> Folder {
        let folder = Folder::new();
        let pins = Pins::new(&folder.dir().join(OWN).join("pins"));
        for n in 0..8 {
            let version = format!("v1.{n}.0");
            folder.add(&version, &["info", "mod", "zip", "ziphash"]);
            let hash = read_ziphash(&folder.file(&version, "ziphash")).unwrap();
            pins.write(&module(&version), Hashed::Zip, hash).unwrap();
            pins.write(&module(&version), Hashed::GoMod, DirHash::of_go_mod(b"module example.com/M\n")).unwrap();
        }
        folder
    }

    fn audited(folder: &Folder, repair: bool) -> Audit {
        audit(folder.dir(), &Scan::of(folder.dir()).unwrap(), repair, &|_, _| {}).unwrap()
    }

    #[test]
    fn each_damage_is_found_and_put_aside() {
        let folder = folder();
        let count = AtomicUsize::new(0);
        let told = |_: usize, _: usize| {
            count.fetch_add(1, Ordering::Relaxed);
        };
        let sound = audit(folder.dir(), &Scan::of(folder.dir()).unwrap(), false, &told).unwrap();
        assert!(sound.damaged.is_empty() && sound.sound == 24 && sound.unpinned == 0, "{sound:?}");
        assert_eq!(count.into_inner(), 8);
        damage(&folder, "v1.0.0", "zip", |bytes| bytes[62] ^= 1);
        damage(&folder, "v1.1.0", "zip", |bytes| bytes.truncate(bytes.len() / 2));
        damage(&folder, "v1.2.0", "mod", |bytes| bytes.extend(b"// changed\n"));
        damage(&folder, "v1.3.0", "info", Vec::clear);
        damage(&folder, "v1.4.0", "ziphash", |bytes| bytes[5] ^= 1);
        fs::remove_file(folder.file("v1.5.0", "ziphash")).unwrap();
        damage(&folder, "v1.6.0", "info", |bytes| *bytes = br#"{"Version":"v9.9.9"}"#.to_vec());
        // A sound zip of another version.
        let other = fs::read(folder.file("v1.6.0", "zip")).unwrap();
        damage(&folder, "v1.7.0", "zip", |bytes| *bytes = other);
        let names = |audit: &Audit| -> Vec<String> {
            let name = |one: &Damaged| format!("{}.{}", one.module.version(), one.kind.extension());
            audit.damaged.iter().map(name).collect()
        };
        let wanted =
            ["v1.0.0.zip", "v1.1.0.zip", "v1.2.0.mod", "v1.3.0.info", "v1.4.0.zip", "v1.6.0.info", "v1.7.0.zip"];
        let found = audited(&folder, false);
        assert_eq!(names(&found), wanted);
        assert!(found.damaged.iter().all(|one| !one.quarantined) && folder.file("v1.0.0", "zip").exists());
        let repaired = audited(&folder, true);
        assert_eq!(names(&repaired), wanted);
        assert!(repaired.damaged.iter().all(|one| one.quarantined), "{repaired:?}");
        assert!(!folder.file("v1.0.0", "zip").exists() && !folder.file("v1.0.0", "ziphash").exists());
        assert_eq!(fs::read_dir(folder.dir().join(".goferry/quarantine")).unwrap().count(), 7);
        let list = fs::read_to_string(folder.dir().join("example.com/!m/@v/list")).unwrap();
        assert!(!list.contains("v1.2.0") && list.contains("v1.3.0"), "{list}");
        assert!(audited(&folder, false).damaged.is_empty());
    }

    #[test]
    fn what_nothing_is_known_of() {
        let folder = Folder::new();
        folder.add("v1.0.0", &["info", "mod", "zip"]);
        let audit = audited(&folder, false);
        assert_eq!((audit.sound, audit.unpinned, audit.damaged.len()), (3, 2, 0));
    }
}
