//! How much a probe may ask of a server, and how long.

use std::time::{Duration, Instant};

/// Requests, connections and time that are left.
#[derive(Clone, Debug)]
pub struct Budget {
    requests: u32,
    connections: u32,
    until: Instant,
}

impl Budget {
    /// 60 requests and 12 connections for an entry; 1,500 and 24 for a deep probe.
    #[must_use]
    pub fn new(deep: bool, time: Duration) -> Budget {
        let (requests, connections) = if deep { (1_500, 24) } else { (60, 12) };
        Budget { requests, connections, until: Instant::now() + time }
    }

    /// Time left, but no more than `wanted`.
    #[must_use]
    pub fn bound(&self, wanted: Duration) -> Duration {
        self.left().min(wanted)
    }

    /// Time left.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Takes a connection, if one is left and there is time.
    pub fn take_connection(&mut self) -> bool {
        let granted = self.connections > 0 && !self.left().is_zero();
        self.connections -= u32::from(granted);
        granted
    }

    /// Takes up to `wanted` requests and gives how many are granted.
    pub fn take_requests(&mut self, wanted: u32) -> u32 {
        let granted = if self.left().is_zero() { 0 } else { wanted.min(self.requests) };
        self.requests -= granted;
        granted
    }

    /// Requests left.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.requests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_granted_beyond_the_budget() {
        let mut budget = Budget::new(false, Duration::from_secs(60));
        assert_eq!(budget.take_requests(50), 50);
        assert_eq!(budget.take_requests(50), 10);
        assert_eq!(budget.take_requests(1), 0);
        assert_eq!((0..20).filter(|_| budget.take_connection()).count(), 12);
        let mut late = Budget::new(true, Duration::ZERO);
        assert!(!late.take_connection());
        assert_eq!(late.take_requests(1), 0);
    }
}
