//! The streams of a connection that are being answered, and whose turn it is.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::super::counters::ActiveGuard;
use super::super::plan::{End, Plan};

/// One stream being answered.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) plan: Plan,
    pub(super) ready_at: Instant,
    pub(super) headers_sent: bool,
    pub(super) head_only: bool,
    pub(super) sent: u64,
    /// What the client allows.
    pub(super) window: i64,
    /// What the fault allows: bytes sent, and when they count no more.
    pub(super) throttle: Option<Throttle>,
    pub(super) stalled: bool,
    pub(super) _active: ActiveGuard,
}

impl Stream {
    /// Body bytes left before the answer ends or goes wrong; `None`: without end.
    pub(super) fn left(&self) -> Option<u64> {
        if self.head_only { Some(0) } else { self.plan.sendable().map(|all| all.saturating_sub(self.sent)) }
    }

    /// Whether a frame of this stream can be written at `now`, given the connection's window.
    pub(super) fn can_progress(&mut self, now: Instant, connection_window: i64) -> bool {
        if self.stalled || now < self.ready_at || self.plan.end == End::Never {
            return false;
        }
        if !self.headers_sent || self.left() == Some(0) {
            return true;
        }
        let throttled = self.throttle.as_mut().is_some_and(|throttle| throttle.available(now) == 0);
        self.window > 0 && connection_window > 0 && !throttled
    }
}

/// At most so many bytes in each round trip.
#[derive(Debug)]
pub(super) struct Throttle {
    limit: u64,
    in_flight: u64,
    releases: VecDeque<(Instant, u64)>,
}

impl Throttle {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit: u64::from(limit), in_flight: 0, releases: VecDeque::new() }
    }

    pub(super) fn available(&mut self, now: Instant) -> u64 {
        while let Some((at, bytes)) = self.releases.front().copied()
            && at <= now
        {
            self.releases.pop_front();
            self.in_flight -= bytes;
        }
        self.limit.saturating_sub(self.in_flight)
    }

    pub(super) fn sent(&mut self, now: Instant, bytes: u64, round_trip: Duration) {
        self.in_flight += bytes;
        self.releases.push_back((now + round_trip, bytes));
    }

    fn next_release(&self) -> Option<Instant> {
        self.releases.front().map(|(at, _)| *at)
    }
}

/// All streams of a connection, served in turn.
#[derive(Debug, Default)]
pub(super) struct Streams {
    all: BTreeMap<u32, Stream>,
    served_last: u32,
}

impl Streams {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn insert(&mut self, id: u32, stream: Stream) {
        self.all.insert(id, stream);
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Stream> {
        self.all.get_mut(&id)
    }

    pub(super) fn remove(&mut self, id: u32) {
        self.all.remove(&id);
    }

    pub(super) fn add_to_windows(&mut self, delta: i64) {
        for stream in self.all.values_mut() {
            stream.window += delta;
        }
    }

    /// The next stream that can be served, of the `limit` oldest, round robin.
    pub(super) fn next(&mut self, now: Instant, connection_window: i64, limit: usize) -> Option<u32> {
        let last = self.served_last;
        let mut first = None;
        let mut chosen = None;
        for (id, stream) in self.all.iter_mut().take(limit) {
            if !stream.can_progress(now, connection_window) {
                continue;
            }
            if *id > last {
                chosen = Some(*id);
                break;
            }
            first = first.or(Some(*id));
        }
        let next = chosen.or(first)?;
        self.served_last = next;
        Some(next)
    }

    /// When a stream that cannot be served now may be.
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        let waits =
            self.all.values().filter(|stream| !stream.stalled && stream.plan.end != End::Never).filter_map(|stream| {
                if stream.ready_at > now {
                    return Some(stream.ready_at);
                }
                stream.throttle.as_ref().and_then(Throttle::next_release)
            });
        waits.min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttle_gives_its_bytes_back_after_a_round_trip() {
        let start = Instant::now();
        let mut throttle = Throttle::new(1000);
        throttle.sent(start, 600, Duration::from_millis(20));
        assert_eq!(throttle.available(start), 400);
        throttle.sent(start, 400, Duration::from_millis(20));
        assert_eq!(throttle.available(start + Duration::from_millis(19)), 0);
        assert_eq!(throttle.available(start + Duration::from_millis(20)), 1000);
    }
}
