//! When versions were used last.
//!
//! It is written as the time of access of `V.ziphash` for a zip, and of `V.mod` (`V.info` where there is none) for the
//! small files, at most once in ten minutes each; in between it is kept in memory. Not that of the zip: its time of
//! change would change with it, and every process that shares the folder would read and hash the zip again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use goferry_fetch::ModCache;
use goferry_module::{FileKind, ModuleVersion};
use quick_cache::sync::Cache;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT};

/// How often a use is written.
const EVERY: u64 = 600;
/// Versions whose use is kept in memory.
const KEPT: usize = 200_000;

/// The uses of a store's versions.
pub(super) struct Uses {
    began: Instant,
    zips: Cache<ModuleVersion, Arc<Use>>,
    small: Cache<ModuleVersion, Arc<Use>>,
}

/// In seconds since the beginning.
#[derive(Debug, Default)]
struct Use {
    last: AtomicU64,
    written: AtomicU64,
}

impl Uses {
    pub(super) fn new() -> Uses {
        Uses { began: Instant::now(), zips: Cache::new(KEPT), small: Cache::new(KEPT) }
    }

    /// A file is being used. True where that is to be written now.
    pub(super) fn note(&self, module: &ModuleVersion, kind: FileKind) -> bool {
        self.note_at(module, kind, self.began.elapsed().as_secs())
    }

    fn note_at(&self, module: &ModuleVersion, kind: FileKind, now: u64) -> bool {
        let uses = if kind == FileKind::Zip { &self.zips } else { &self.small };
        let Some(known) = uses.get(module) else {
            uses.insert(module.clone(), Arc::new(Use { last: now.into(), written: now.into() }));
            return true;
        };
        known.last.store(now, Ordering::Relaxed);
        let written = known.written.load(Ordering::Relaxed);
        now.saturating_sub(written) >= EVERY
            && known.written.compare_exchange(written, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Writes what was kept.
    pub(super) fn flush(&self, cache: &ModCache) {
        let now = self.began.elapsed().as_secs();
        for (uses, kind) in [(&self.zips, FileKind::Zip), (&self.small, FileKind::Mod)] {
            for (module, known) in uses.iter() {
                let last = known.last.load(Ordering::Relaxed);
                if last > known.written.swap(last, Ordering::Relaxed) {
                    write(cache, &module, kind, SystemTime::now() - Duration::from_secs(now.saturating_sub(last)));
                }
            }
        }
    }
}

/// Writes a use. It is a hint: where it cannot be written, the time of the file's own change counts.
pub(super) fn write(cache: &ModCache, module: &ModuleVersion, kind: FileKind, when: SystemTime) {
    let done = match kind {
        FileKind::Zip => set(&cache.ziphash(module), when),
        _ => set(&cache.file(module, FileKind::Mod), when) || set(&cache.file(module, FileKind::Info), when),
    };
    if !done {
        tracing::trace!(%module, kind = kind.extension(), "its last use is not recorded");
    }
}

fn set(path: &Path, when: SystemTime) -> bool {
    let since = when.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let access = Timespec { tv_sec: since.as_secs().cast_signed(), tv_nsec: since.subsec_nanos().into() };
    let times = Timestamps { last_access: access, last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT } };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::super::scan::Scan;
    use super::super::tests::{Folder, module};
    use super::*;

    #[test]
    fn written_at_first_and_then_every_ten_minutes() {
        let (uses, module) = (Uses::new(), module("v1.0.0"));
        assert!(uses.note_at(&module, FileKind::Zip, 5));
        assert!(uses.note_at(&module, FileKind::Mod, 5), "the small files by themselves");
        assert!(!uses.note_at(&module, FileKind::Info, 100) && !uses.note_at(&module, FileKind::Zip, 604));
        assert!(uses.note_at(&module, FileKind::Zip, 605));
        assert!(!uses.note_at(&module, FileKind::Zip, 606));
    }

    #[test]
    fn the_zip_is_not_touched() {
        let folder = Folder::new();
        folder.add("v1.0.0", &["info", "mod", "zip", "ziphash"]);
        let (store, module) = (folder.store(), module("v1.0.0"));
        let stamp = |extension: &str| {
            let meta = std::fs::metadata(folder.file("v1.0.0", extension)).unwrap();
            (meta.mtime(), meta.ctime(), meta.ctime_nsec())
        };
        let (zip, modified) = (stamp("zip"), stamp("ziphash").0);
        let then = SystemTime::now() + Duration::from_secs(1000);
        write(store.cache(), &module, FileKind::Zip, then);
        assert_eq!(stamp("zip"), zip);
        assert_eq!(stamp("ziphash").0, modified, "the time of its content stays");
        let held = &Scan::of(folder.dir()).unwrap().versions[0];
        let off =
            |used: Option<SystemTime>| used.unwrap().duration_since(then).unwrap_or_else(|error| error.duration());
        assert!(off(held.zip_used) < Duration::from_secs(1) && off(held.small_used) > Duration::from_secs(900));
        write(store.cache(), &module, FileKind::Info, then);
        assert!(off(Scan::of(folder.dir()).unwrap().versions[0].small_used) < Duration::from_secs(1));
    }

    #[test]
    fn what_was_kept_is_written_in_the_end() {
        let folder = Folder::new();
        folder.add("v1.0.0", &["mod", "zip", "ziphash"]);
        let (store, module) = (folder.store(), module("v1.0.0"));
        let uses = Uses::new();
        uses.note_at(&module, FileKind::Zip, 0);
        let long_ago = SystemTime::now() - Duration::from_secs(5000);
        write(store.cache(), &module, FileKind::Zip, long_ago);
        let before = Scan::of(folder.dir()).unwrap().versions[0].zip_used;
        uses.flush(store.cache());
        assert_eq!(Scan::of(folder.dir()).unwrap().versions[0].zip_used, before, "nothing was kept");
        uses.zips.get(&module).unwrap().last.store(1, Ordering::Relaxed);
        write(store.cache(), &module, FileKind::Zip, long_ago);
        uses.flush(store.cache());
        let meta = std::fs::metadata(folder.file("v1.0.0", "ziphash")).unwrap();
        assert!(SystemTime::now().duration_since(meta.accessed().unwrap()).unwrap_or_default().as_secs() < 100);
    }
}
