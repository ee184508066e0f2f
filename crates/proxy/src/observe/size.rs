//! How much the store has.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Least pause between two counts.
const PAUSE: Duration = Duration::from_secs(10);
/// A count takes at most this part of the time.
const SHARE: u32 = 50;

/// What is in a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) quarantined: u64,
}

impl Size {
    /// Counts until told to `stop`; gives how long to wait until the next count, too.
    pub(super) fn of(store: &Path, own: &Path, stop: &AtomicBool) -> (Size, Duration) {
        let began = Instant::now();
        let mut size = Size::default();
        let quarantine = own.join("quarantine");
        let mut folders = vec![store.to_owned()];
        while let Some(folder) = folders.pop() {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    size.files += 1;
                    size.bytes += entry.metadata().map_or(0, |meta| meta.len());
                    size.quarantined += u64::from(folder == quarantine);
                }
            }
        }
        (size, (began.elapsed() * SHARE).max(PAUSE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_bytes_are_counted_and_what_is_in_quarantine() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join(".goferry");
        fs::create_dir_all(own.join("quarantine")).unwrap();
        fs::create_dir_all(dir.path().join("a/@v")).unwrap();
        fs::write(dir.path().join("a/@v/v1.zip"), [0; 100]).unwrap();
        fs::write(own.join("quarantine/x"), [0; 11]).unwrap();
        let go_on = AtomicBool::new(false);
        assert_eq!(Size::of(dir.path(), &own, &go_on).0, Size { files: 2, bytes: 111, quarantined: 1 });
        assert_eq!(Size::of(&dir.path().join("none"), &own, &go_on).0, Size::default());
        assert_eq!(Size::of(dir.path(), &own, &AtomicBool::new(true)).0, Size::default());
    }
}
