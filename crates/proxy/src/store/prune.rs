//! Taking versions out of a store, beside whoever uses it.
//!
//! What was not used for longest goes first, and of it the large part: `.zip` and `.ziphash`. `.info` and `.mod` stay,
//! because every build of a project reads those of many versions whose zip it never needs; they go where they were not
//! used for long themselves, or where all zips together are not enough. Pins stay in any case: what is fetched again must
//! be what was seen first. So do `V.lock` files: one that is removed while another process waits for it locks nothing.
//!
//! A file that is being sent is sent to its end: whoever has it open keeps it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use goferry_fetch::{FetchError, ModCache};
use goferry_module::{FileKind, ModulePath, ModuleVersion, Version};

use super::scan::{Held, OtherKind, Scan, space};
use super::{OWN, Pins, folder};

/// How long a temporary file may be, whose writer is gone as far as can be told.
const TEMPORARY: Duration = Duration::from_secs(3600);
/// How long what has arrived of a zip is kept, to go on there.
const PARTIAL: Duration = Duration::from_secs(24 * 3600);
/// How long another process's work on a `list` is waited for.
const LIST_WAIT: Duration = Duration::from_secs(10);

/// What is to be taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The space that the store may take; `.goferry/direct` is not counted.
    pub max_size: Option<u64>,
    /// What was not used for so long goes.
    pub older_than: Option<Duration>,
    /// What was used since then stays, whatever the space.
    pub keep: Duration,
}

/// What goes of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Victim {
    /// The version.
    pub module: ModuleVersion,
    /// Whether `.zip` and `.ziphash` go, or `.info` and `.mod`.
    pub zip: bool,
    /// Their space.
    pub bytes: u64,
    /// When they were used last.
    pub used: Option<SystemTime>,
}

/// What was taken out, or would be.
#[derive(Clone, Debug, Default)]
pub struct Pruned {
    /// In the order in which it went.
    pub victims: Vec<Victim>,
    /// Files of the quarantine that went.
    pub quarantined: usize,
    /// Space that is free again.
    pub freed: u64,
    /// Space that is still taken, `.goferry/direct` not counted.
    pub left: u64,
    /// Versions that stayed because another process is at work on them.
    pub busy: Vec<ModuleVersion>,
}

/// Takes out of the store at `dir` what `limits` say. `scan` is of that folder; with `dry_run` nothing is removed.
///
/// # Errors
/// Where the folder is no store, or a file of it cannot be removed.
pub fn prune(dir: &Path, scan: &Scan, limits: &Limits, dry_run: bool) -> Result<Pruned, FetchError> {
    scan.refuse_other_folders(dir)?;
    let now = SystemTime::now();
    let mut pruned = Pruned { left: scan.bytes() - scan.direct, ..Pruned::default() };
    let over = |left: u64| limits.max_size.is_some_and(|most| left > most);
    let age = |used: Option<SystemTime>| now.duration_since(used.unwrap_or(SystemTime::UNIX_EPOCH)).unwrap_or_default();
    let old = |used: Option<SystemTime>| limits.older_than.is_some_and(|most| age(used) > most);
    for (path, bytes, changed) in quarantine(dir) {
        if over(pruned.left) || old(Some(changed)) {
            if !dry_run {
                remove(dir, &path)?;
            }
            pruned.quarantined += 1;
            pruned.free(bytes);
        }
    }
    let work = Work::new(dir);
    for victim in order(scan) {
        if !(old(victim.used) || over(pruned.left) && age(victim.used) >= limits.keep) {
            continue;
        }
        if dry_run || work.take(&victim)? {
            pruned.free(victim.bytes);
            pruned.victims.push(victim);
        } else {
            pruned.busy.push(victim.module);
        }
    }
    if !pruned.victims.is_empty() && !dry_run {
        work.done();
    }
    Ok(pruned)
}

impl Pruned {
    fn free(&mut self, bytes: u64) {
        self.freed += bytes;
        self.left = self.left.saturating_sub(bytes);
    }
}

/// Zips by their last use, then small files by theirs.
fn order(scan: &Scan) -> Vec<Victim> {
    let mut victims: Vec<Victim> = scan
        .versions
        .iter()
        .flat_map(|held| {
            let zip = held.zip.or(held.ziphash).map(|_| (true, held.zip_bytes(), held.zip_used));
            let small = held.info.or(held.go_mod).map(|_| (false, held.small_bytes(), held.small_used));
            let of = |(zip, bytes, used)| Victim { module: held.module.clone(), zip, bytes, used };
            [zip.map(of), small.map(of)].into_iter().flatten()
        })
        .collect();
    victims.sort_by_key(|victim| (!victim.zip, victim.used));
    victims
}

/// What was forgotten.
#[derive(Clone, Debug, Default)]
pub struct Forgotten {
    /// Versions of which there were files, or a pin.
    pub versions: Vec<ModuleVersion>,
    /// Space that is free again.
    pub freed: u64,
}

/// Removes all of a version, or of all versions of a module: files and pins; with all versions the upstream's answers about
/// the module that may change, too. Waits for whoever is at work on them.
///
/// # Errors
/// Where the folder is no store, a lock cannot be had within 10 minutes, or a file cannot be removed.
pub fn forget(dir: &Path, path: &ModulePath, version: Option<&Version>) -> Result<Forgotten, FetchError> {
    let scan = Scan::of(dir)?;
    scan.refuse_other_folders(dir)?;
    let wanted = |module: &ModuleVersion| {
        module.path() == path && version.is_none_or(|version| module.version().as_str() == version.as_str())
    };
    let held: Vec<&Held> = scan.versions.iter().filter(|held| wanted(&held.module)).collect();
    let pins = Pins::new(&dir.join(OWN).join("pins"));
    let mut forgotten = Forgotten::default();
    let work = Work::new(dir);
    let waiting = ModCache::of_downloads(dir);
    for held in &held {
        let _lock = waiting.lock(&held.module)?;
        work.remove(&held.module, &["zip", "ziphash", "info", "mod", "partial"])?;
        work.cache.discard_pieces(&held.module);
        forgotten.freed += held.bytes();
        forgotten.versions.push(held.module.clone());
        work.cache.list_changed(path);
    }
    let pinned = pins.versions(path).into_iter().filter_map(|version| ModuleVersion::new(path.clone(), version).ok());
    for module in pinned.filter(|module| wanted(module)) {
        pins.remove(&module);
        if !forgotten.versions.contains(&module) {
            forgotten.versions.push(module);
        }
    }
    if version.is_none() {
        let names = Path::new(OWN).join("names").join(path.escape().as_str());
        let queries = names.join("@v");
        let files = fs::read_dir(dir.join(&queries)).into_iter().flatten().flatten();
        for file in files.map(|entry| queries.join(entry.file_name())).chain([names.join("@latest")]) {
            remove(dir, &file)?;
        }
    }
    if !forgotten.versions.is_empty() {
        work.done();
    }
    Ok(forgotten)
}

/// Removes what killed processes left: temporary files that nobody writes any more, and what has arrived of zips that
/// nobody asked for again within a day. Gives the space that is free again.
pub(super) fn sweep(dir: &Path, scan: &Scan) -> u64 {
    let mut freed = 0;
    for other in &scan.others {
        let age = SystemTime::now().duration_since(other.changed).unwrap_or_default();
        let name = other.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let left = match other.kind {
            // Locked by its writer from the moment after it is made until it is renamed.
            OtherKind::Temporary if name.contains(".goferry-") && !name.starts_with('.') => {
                age > Duration::from_secs(10) && is_unlocked(&dir.join(&other.path))
            }
            OtherKind::Temporary => age > TEMPORARY,
            OtherKind::Partial => {
                let stem = name.strip_suffix(".json").or_else(|| name.rsplit_once('-').map(|(stem, _)| stem));
                let first = dir.join(&other.path).with_file_name(format!("{}-0", stem.unwrap_or(name)));
                age > PARTIAL && is_unlocked(&first)
            }
            OtherKind::Stray | OtherKind::Link => false,
        };
        if left && folder::remove(dir, &other.path).unwrap_or(false) {
            tracing::debug!(path = %other.path.display(), "removed what a killed process left");
            freed += other.bytes;
        }
    }
    freed
}

/// Whether no process has the file locked; also where it is not there.
fn is_unlocked(path: &Path) -> bool {
    match File::open(path) {
        Ok(file) => file.try_lock().is_ok(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// The files of the quarantine, oldest first.
fn quarantine(dir: &Path) -> Vec<(PathBuf, u64, SystemTime)> {
    let below = Path::new(OWN).join("quarantine");
    let entries = fs::read_dir(dir.join(&below)).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let meta = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((below.join(entry.file_name()), space(&meta), meta.modified().ok()?))
        })
        .collect();
    files.sort_by_key(|(_, _, changed)| *changed);
    files
}

/// Who removes.
struct Work<'a> {
    dir: &'a Path,
    /// Waits for no version's lock.
    hasty: ModCache,
    cache: ModCache,
}

impl Work<'_> {
    fn new(dir: &Path) -> Work<'_> {
        let cache = |wait| ModCache::of_downloads(dir).waiting(wait, |_| {});
        Work { dir, hasty: cache(Duration::ZERO), cache: cache(LIST_WAIT) }
    }

    /// False where another process is at work on the version.
    fn take(&self, victim: &Victim) -> Result<bool, FetchError> {
        let Ok(_lock) = self.hasty.lock(&victim.module) else { return Ok(false) };
        if victim.zip {
            self.remove(&victim.module, &["zip", "ziphash"])?;
        } else {
            self.remove(&victim.module, &["info", "mod"])?;
            self.cache.list_changed(victim.module.path());
        }
        Ok(true)
    }

    /// Removes files of a version; the first one first: without its zip a `.ziphash` says nothing.
    fn remove(&self, module: &ModuleVersion, extensions: &[&str]) -> Result<(), FetchError> {
        let zip = self.cache.file(module, FileKind::Zip);
        for extension in extensions {
            let file = zip.with_extension("").into_os_string();
            let mut file = file;
            file.push(format!(".{extension}"));
            let file = PathBuf::from(file);
            remove(self.dir, file.strip_prefix(self.dir).unwrap_or(&file))?;
        }
        Ok(())
    }

    /// Writes the `list`s anew, and tells servers that share the folder.
    fn done(&self) {
        self.cache.flush_lists();
        super::tell_others(self.dir);
    }
}

fn remove(dir: &Path, below: &Path) -> Result<bool, FetchError> {
    folder::remove(dir, below)
        .map_err(|error| FetchError::local(format_args!("removing {}", dir.join(below).display()), &error))
}

#[cfg(test)]
mod tests {
    use goferry_fetch::sums::Hashed;
    use goferry_module::DirHash;

    use super::super::tests::{Folder, module, path};
    use super::super::uses;
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// v1.0.0 was used five hours ago, v1.1.0 four, and so on; the small files one hour later.
    fn folder() -> Folder {
        let folder = Folder::new();
        fs::create_dir_all(folder.dir().join(OWN)).unwrap();
        let cache = ModCache::of_downloads(folder.dir());
        for n in 0..4_u32 {
            let version = format!("v1.{n}.0");
            folder.add(&version, &["info", "mod", "zip", "ziphash"]);
            let now = SystemTime::now();
            for extension in ["info", "mod", "zip", "ziphash"] {
                let file = File::open(folder.file(&version, extension)).unwrap();
                file.set_modified(now - HOUR * 24).unwrap();
                file.set_times(fs::FileTimes::new().set_accessed(now - HOUR * 23)).unwrap();
            }
            uses::write(&cache, &module(&version), FileKind::Zip, now - HOUR * (5 - n));
            uses::write(&cache, &module(&version), FileKind::Mod, now - HOUR * (4 - n));
        }
        cache.list_changed(&path());
        cache.flush_lists();
        folder
    }

    fn pruned(folder: &Folder, limits: Limits) -> Pruned {
        prune(folder.dir(), &Scan::of(folder.dir()).unwrap(), &limits, false).unwrap()
    }

    fn left(folder: &Folder) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder.dir().join("example.com/!m/@v"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".lock") && name != "list")
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_least_recently_used_zips_go_first() {
        let folder = folder();
        let size = Scan::of(folder.dir()).unwrap().bytes();
        let dry = prune(folder.dir(), &Scan::of(folder.dir()).unwrap(), &Limits::default(), true).unwrap();
        assert!(dry.victims.is_empty() && dry.left == size, "no limit, nothing to do");
        let pruned = pruned(&folder, Limits { max_size: Some(size - 1), ..Limits::default() });
        let [victim] = &pruned.victims[..] else { panic!("{pruned:?}") };
        assert!(victim.zip && victim.module.version().as_str() == "v1.0.0");
        assert_eq!(left(&folder)[..3], ["v1.0.0.info", "v1.0.0.mod", "v1.1.0.info"]);
        assert!(pruned.left < size);
        // What was used a moment ago goes first no longer.
        let cache = ModCache::of_downloads(folder.dir());
        uses::write(&cache, &module("v1.1.0"), FileKind::Zip, SystemTime::now());
        let scan = Scan::of(folder.dir()).unwrap();
        let next = prune(folder.dir(), &scan, &Limits { max_size: Some(scan.bytes() - 1), ..Limits::default() }, true);
        assert_eq!(next.unwrap().victims[0].module.version().as_str(), "v1.2.0");
    }

    #[test]
    fn small_files_go_where_zips_are_not_enough_and_pins_stay() {
        let folder = folder();
        let pins = Pins::new(&folder.dir().join(OWN).join("pins"));
        let hash = DirHash::of_go_mod(b"x");
        pins.write(&module("v1.0.0"), Hashed::Zip, hash).unwrap();
        let pruned = pruned(&folder, Limits { max_size: Some(0), keep: HOUR * 3 / 2, ..Limits::default() });
        // Within the last 90 minutes only the small files of v1.3.0 were used.
        assert_eq!(left(&folder), ["v1.3.0.info", "v1.3.0.mod"]);
        assert_eq!(
            pruned.victims.iter().map(|victim| victim.zip).collect::<Vec<_>>()[3..],
            [true, false, false, false]
        );
        assert_eq!(fs::read_to_string(folder.dir().join("example.com/!m/@v/list")).unwrap(), "v1.3.0\n");
        assert_eq!(pins.read(&module("v1.0.0")).zip, Some(hash));
    }

    #[test]
    fn by_age() {
        let folder = folder();
        pruned(&folder, Limits { older_than: Some(HOUR * 7 / 2), ..Limits::default() });
        let names = left(&folder);
        assert!(!names.iter().any(|name| name.starts_with("v1.0.0")), "{names:?}");
        assert_eq!(names[..3], ["v1.1.0.info", "v1.1.0.mod", "v1.2.0.info"], "its zip was older");
    }

    #[test]
    fn what_is_at_work_stays() {
        let folder = folder();
        let other = ModCache::of_downloads(folder.dir());
        let _lock = other.lock(&module("v1.0.0")).unwrap();
        let pruned = pruned(&folder, Limits { max_size: Some(0), ..Limits::default() });
        assert_eq!(pruned.busy.len(), 2);
        assert_eq!(left(&folder), ["v1.0.0.info", "v1.0.0.mod", "v1.0.0.zip", "v1.0.0.ziphash"]);
    }

    #[test]
    fn forgetting_takes_the_pin_too() {
        let folder = folder();
        let pins = Pins::new(&folder.dir().join(OWN).join("pins"));
        for version in ["v1.0.0", "v1.1.0", "v1.9.0"] {
            pins.write(&module(version), Hashed::Zip, DirHash::of_go_mod(b"x")).unwrap();
        }
        let version = Version::parse("v1.0.0").unwrap();
        let names = folder.dir().join(".goferry/names/example.com/!m");
        fs::create_dir_all(names.join("@v")).unwrap();
        for name in ["@v/list", "@v/main.info", "@latest"] {
            fs::write(names.join(name), b"x").unwrap();
        }
        assert_eq!(forget(folder.dir(), &path(), Some(&version)).unwrap().versions, [module("v1.0.0")]);
        assert!(names.join("@v/list").exists());
        assert_eq!(pins.read(&module("v1.0.0")).zip, None);
        assert!(pins.read(&module("v1.1.0")).zip.is_some());
        assert!(!left(&folder).iter().any(|name| name.starts_with("v1.0.0")));
        assert_eq!(
            fs::read_to_string(folder.dir().join("example.com/!m/@v/list")).unwrap(),
            "v1.1.0\nv1.2.0\nv1.3.0\n"
        );
        assert_eq!(forget(folder.dir(), &path(), None).unwrap().versions.len(), 4, "one of them had a pin only");
        assert!(fs::read_dir(names.join("@v")).unwrap().next().is_none() && !names.join("@latest").exists());
        assert!(left(&folder).is_empty() && pins.read(&module("v1.9.0")).zip.is_none());
        assert!(forget(folder.dir(), &path(), None).unwrap().versions.is_empty());
    }

    #[test]
    fn no_other_folder() {
        let folder = Folder::new();
        fs::write(folder.dir().join("v1.0.0.zip"), b"x").unwrap();
        let scan = Scan::of(folder.dir()).unwrap();
        assert!(prune(folder.dir(), &scan, &Limits { max_size: Some(0), ..Limits::default() }, false).is_err());
        assert!(forget(folder.dir(), &path(), None).is_err());
        assert!(folder.dir().join("v1.0.0.zip").exists());
    }

    #[test]
    fn what_killed_processes_left() {
        let folder = folder();
        let left = [
            ("v1.4.0", "mod.goferry-0123.tmp", Duration::from_secs(60)),
            ("v1.4.0", "zip0123.tmp", HOUR * 2),
            ("v1.4.0", "zip.goferry-part-0", HOUR * 25),
            ("v1.4.0", "zip.goferry-part.json", HOUR * 25),
        ];
        let stays = [
            ("v1.5.0", "mod.goferry-0123.tmp", Duration::ZERO),
            ("v1.5.0", "zip0123.tmp", HOUR / 2),
            ("v1.5.0", "zip.goferry-part-0", HOUR * 2),
            ("v1.6.0", "zip.goferry-part-0", HOUR * 25),
            ("v1.6.0", "mod.goferry-0123.tmp", HOUR),
            ("v1.6.0", "sum", HOUR * 99),
        ];
        for (version, extension, age) in left.into_iter().chain(stays) {
            folder.add(version, &[extension]);
            File::open(folder.file(version, extension)).unwrap().set_modified(SystemTime::now() - age).unwrap();
        }
        let locked = ["zip.goferry-part-0", "mod.goferry-0123.tmp"].map(|extension| {
            let file = File::open(folder.file("v1.6.0", extension)).unwrap();
            file.lock().unwrap();
            file
        });
        sweep(folder.dir(), &Scan::of(folder.dir()).unwrap());
        for (version, extension, _) in left {
            assert!(!folder.file(version, extension).exists(), "{version} {extension}");
        }
        for (version, extension, _) in stays {
            assert!(folder.file(version, extension).exists(), "{version} {extension}");
        }
        drop(locked);
    }
}
