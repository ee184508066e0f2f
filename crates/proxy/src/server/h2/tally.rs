//! How many requests of a connection are being answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Counts them.
pub(super) struct Tally {
    began: Instant,
    running: AtomicUsize,
    /// When the last one ended: milliseconds from the beginning.
    ended: AtomicU64,
}

impl Tally {
    pub(super) fn new() -> Arc<Tally> {
        Arc::new(Tally { began: Instant::now(), running: AtomicUsize::new(0), ended: AtomicU64::new(0) })
    }

    /// One more, until what is given back is dropped.
    pub(super) fn running(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(self))
    }

    /// Since when there has been none; `None` where there is one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.running.load(Ordering::Acquire) == 0)
            .then(|| self.began + Duration::from_millis(self.ended.load(Ordering::Relaxed)))
    }
}

/// A request that is being answered.
pub(super) struct Running(Arc<Tally>);

impl Drop for Running {
    fn drop(&mut self) {
        let millis = self.0.began.elapsed().as_millis();
        self.0.ended.store(u64::try_from(millis).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.0.running.fetch_sub(1, Ordering::Release);
    }
}
