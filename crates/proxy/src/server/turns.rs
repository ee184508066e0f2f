//! How many at once, where how many may be changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts those who have a turn.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<AtomicUsize>);

/// A turn; over when this is dropped.
pub(super) struct Turn(Arc<AtomicUsize>);

impl Turns {
    /// A turn, where fewer than `limit` have one. Nobody loses theirs where the limit is lower than before.
    pub(super) fn take(&self, limit: usize) -> Option<Turn> {
        let taken =
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| (taken < limit).then_some(taken + 1));
        taken.is_ok().then(|| Turn(Arc::clone(&self.0)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_the_moment_counts() {
        let turns = Turns::default();
        let all: Vec<_> = (0..3).map_while(|_| turns.take(3)).collect();
        assert_eq!(all.len(), 3);
        assert!(turns.take(3).is_none() && turns.take(2).is_none());
        assert!(turns.take(4).is_some());
        drop(all);
        assert!(turns.take(1).is_some() && turns.take(0).is_none());
    }
}
