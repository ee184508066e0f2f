//! What a running link can be told, and what it counts. Shared between the [`Link`](super::Link) and its relay threads.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use super::packet::Kind;

/// One of the two directions of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the server to the client: the direction of downloads.
    ToClient,
    /// From the client to the server: requests and acknowledgements.
    ToServer,
}

/// What a link does with IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ipv6Mode {
    /// The same as with IPv4.
    #[default]
    Pass,
    /// Every packet is swallowed, so that `connect` waits.
    SwallowAll,
    /// TCP connections open, and every packet with data is swallowed: IPv6 that connects and then stalls.
    SwallowData,
}

/// What happened to the packets of one direction since the link was made.
///
/// `offered = lost + queue_dropped + swallowed + delivered + refused + those still on their way`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets the sending side put on the link.
    pub offered: u64,
    /// Packets lost at random.
    pub lost: u64,
    /// Packets dropped because the queue before the rate limiter was full.
    pub queue_dropped: u64,
    /// Packets swallowed by a black hole or by [`Ipv6Mode`].
    pub swallowed: u64,
    /// Packets that arrived.
    pub delivered: u64,
    /// Bytes that arrived, IP headers included.
    pub delivered_bytes: u64,
    /// Packets that the receiving kernel did not take.
    pub refused: u64,
}

/// The counters of both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkCounters {
    /// From the server to the client.
    pub to_client: Counters,
    /// From the client to the server.
    pub to_server: Counters,
}

/// Both lanes and what they have in common.
#[derive(Debug, Default)]
pub(super) struct Control {
    pub(super) to_client: Lane,
    pub(super) to_server: Lane,
    blackhole: AtomicBool,
    ipv6: AtomicU8,
}

impl Control {
    pub(super) fn lane(&self, direction: Direction) -> &Lane {
        match direction {
            Direction::ToClient => &self.to_client,
            Direction::ToServer => &self.to_server,
        }
    }

    pub(super) fn set_blackhole(&self, on: bool) {
        self.blackhole.store(on, Ordering::Relaxed);
    }

    pub(super) fn set_ipv6(&self, mode: Ipv6Mode) {
        self.ipv6.store(mode as u8, Ordering::Relaxed);
    }

    /// Whether a packet that is about to enter the link is swallowed.
    pub(super) fn swallows(&self, kind: Kind) -> bool {
        const ALL: u8 = Ipv6Mode::SwallowAll as u8;
        const DATA: u8 = Ipv6Mode::SwallowData as u8;
        if self.blackhole.load(Ordering::Relaxed) {
            return true;
        }
        let mode = self.ipv6.load(Ordering::Relaxed);
        matches!((mode, kind), (ALL, Kind::V6Control | Kind::V6Data) | (DATA, Kind::V6Data))
    }

    /// Whether a packet that is already on its way is swallowed at its end.
    pub(super) fn blackhole(&self) -> bool {
        self.blackhole.load(Ordering::Relaxed)
    }
}

/// The controls and counters of one direction.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// The bits of an `f64` from 0 to 1.
    loss: AtomicU64,
    pub(super) offered: Counter,
    pub(super) lost: Counter,
    pub(super) queue_dropped: Counter,
    pub(super) swallowed: Counter,
    pub(super) delivered: Counter,
    pub(super) delivered_bytes: Counter,
    pub(super) refused: Counter,
}

impl Lane {
    pub(super) fn set_loss(&self, probability: f64) {
        self.loss.store(probability.to_bits(), Ordering::Relaxed);
    }

    pub(super) fn loss(&self) -> f64 {
        f64::from_bits(self.loss.load(Ordering::Relaxed))
    }

    pub(super) fn counters(&self) -> Counters {
        Counters {
            offered: self.offered.get(),
            lost: self.lost.get(),
            queue_dropped: self.queue_dropped.get(),
            swallowed: self.swallowed.get(),
            delivered: self.delivered.get(),
            delivered_bytes: self.delivered_bytes.get(),
            refused: self.refused.get(),
        }
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_modes_swallow_what_they_say() {
        let control = Control::default();
        assert!(!control.swallows(Kind::V6Data));
        control.set_ipv6(Ipv6Mode::SwallowData);
        assert!(control.swallows(Kind::V6Data) && !control.swallows(Kind::V6Control) && !control.swallows(Kind::Other));
        control.set_ipv6(Ipv6Mode::SwallowAll);
        assert!(control.swallows(Kind::V6Data) && control.swallows(Kind::V6Control) && !control.swallows(Kind::Other));
        control.set_ipv6(Ipv6Mode::Pass);
        control.set_blackhole(true);
        assert!(control.swallows(Kind::Other));
    }
}
