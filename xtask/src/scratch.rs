//! Where tests put their temporary files.

use std::path::Path;

use nix::sys::statvfs::{FsFlags, statvfs};
use tempfile::TempDir;

/// What must be free for it, in bytes; tests take much less.
const ROOM: u64 = 4 << 30;

/// A folder in memory, where there is room for one and the caller has not chosen another with TMPDIR. Module caches are
/// thousands of small files, made and removed at once: on ext4 much of a test's time is the search for free inodes.
pub(crate) fn in_memory() -> Option<TempDir> {
    let memory = Path::new("/dev/shm");
    let found = statvfs(memory).ok()?;
    let room = found.blocks_available().saturating_mul(found.fragment_size());
    if std::env::var_os("TMPDIR").is_some() || found.flags().contains(FsFlags::ST_NOEXEC) || room < ROOM {
        return None;
    }
    tempfile::Builder::new().prefix("goferry-tests-").tempdir_in(memory).ok()
}
