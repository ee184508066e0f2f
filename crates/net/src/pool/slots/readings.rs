//! What a tick reads of each connection, and what follows from it: how much it is given, and whether more are opened.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{FLOOR_SHARED, Slots, UNKNOWN};
use crate::pool::growth::{Decision, Flow, Tick};
use crate::pool::windows;
use crate::timeline::Timeline;

/// So many bytes may be outstanding on a connection, whatever its rate.
const CEILING: u64 = 64 << 20;
/// Whoever is nearer than this has no windows that hold anything back.
const NEAR: Duration = Duration::from_millis(2);
/// Ticks over which a connection's rate is taken for its width.
const TICKS: u32 = 2;
/// A rate that is at most this times the one before does not grow: no slow start, which doubles it each round trip.
const STEADY: f64 = 1.25;
/// More streams are of use where the rate grew by this.
const GREW: f64 = 1.1;
/// Below this many bytes a second it is not the flow that is waited for.
const LEAST_RATE: f64 = 20_000.0;

/// How many large files a connection carries at once whatever is outstanding: more than its rate asks for, where each stream
/// is held back on its own (by a small window of the sender's) and not the connection.
///
/// That cannot be seen, so it is tried: twice as many, and again as long as the rate grows with them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Width {
    streams: usize,
    /// Bytes and time at the start of the present reading, and its ticks so far.
    start: (u64, Duration),
    ticks: u32,
    /// The last rate, and that of before the last widening.
    last: f64,
    before: f64,
    given_up: bool,
}

impl Width {
    /// The number of streams; 0 where the bytes outstanding decide alone.
    pub(super) fn streams(&self) -> usize {
        self.streams
    }

    /// One tick: so many bytes so far, so many large files at once. `held_back`: others wait, and not for the path.
    fn tick(&mut self, bytes: u64, now: Duration, large: usize, held_back: bool) {
        if self.given_up || !held_back || large == 0 {
            (self.start, self.ticks, self.last) = ((bytes, now), 0, 0.0);
            return;
        }
        self.ticks += 1;
        if self.ticks < TICKS {
            return;
        }
        let seconds = now.saturating_sub(self.start.1).as_secs_f64().max(1e-6);
        let rate = bytes.saturating_sub(self.start.0) as f64 / seconds;
        let steady = rate >= LEAST_RATE && rate <= self.last * STEADY;
        (self.start, self.ticks, self.last) = ((bytes, now), 0, rate);
        if !steady {
            return;
        }
        if self.streams > 0 && rate < self.before * GREW {
            (self.given_up, self.streams) = (true, 0);
            return;
        }
        (self.streams, self.before, self.last) = (large * 2, rate, 0.0);
    }
}

impl Slots {
    pub(super) fn note_round_trip(&mut self, seen: Option<Duration>) {
        if let Some(seen) = seen.filter(|seen| !seen.is_zero()) {
            self.round_trip = Some(self.round_trip.map_or(seen, |old| old.min(seen)));
        }
    }

    /// One tick: readings, each connection's room, and the rule of growth. Says how long until the next tick.
    pub(in crate::pool) fn tick(&mut self, now: Duration) -> Duration {
        let timelines: Vec<Arc<Timeline>> = self.slots.iter().map(|slot| Arc::clone(&slot.shared.timeline)).collect();
        for timeline in &timelines {
            self.note_round_trip(timeline.round_trip());
        }
        let round_trip = self.round_trip.unwrap_or(Duration::from_millis(50)).max(Duration::from_micros(200));
        let mut flows = Vec::with_capacity(self.slots.len());
        // Requests wait, and the path is not what they wait for.
        let held_back =
            !self.large.is_empty() && !self.growth.is_lossy() && !self.growth.is_full() && round_trip > NEAR;
        let shared_loss = self.growth.is_lossy() && self.usable() > 1;
        for slot in &mut self.slots {
            let timeline = &slot.shared.timeline;
            let bytes = timeline.bytes_in();
            let seconds = now.saturating_sub(slot.last_tick).as_secs_f64();
            if seconds > 0.0 {
                let rate = (bytes - slot.last_bytes) as f64 / seconds;
                // What the next round trips bring, so that the sender never runs dry: more while its window doubles. On a
                // path that loses the next loss is near, and what was given to one flow is lost to the others.
                let grows = rate > slot.last_rate * 1.25 && !shared_loss;
                slot.last_rate = rate;
                slot.mean_rate += (rate - slot.mean_rate) * 0.2;
                slot.width.tick(bytes, now, slot.large, held_back);
                let room = (rate * round_trip.as_secs_f64() * if grows { 8.0 } else { 3.0 }) as u64;
                let old = slot.shared.room.load(Ordering::Relaxed);
                slot.shared.room.store(room.max(old - old / 4).min(CEILING), Ordering::Relaxed);
            }
            (slot.last_bytes, slot.last_tick) = (bytes, now);
            let first = timeline.first_read();
            let tcp = timeline.read_tcp();
            let present = tcp.map_or(0, |info| info.rcv_rtt_us);
            // What the kernel knew of the path when the last byte came is not the path's present.
            let present = if timeline.quiet() > round_trip * 2 { 0 } else { present };
            flows.push(Flow {
                number: timeline.number(),
                bytes,
                present_round_trip: (present > 0).then(|| Duration::from_micros(u64::from(present))),
                out_of_order: tcp.map_or(0, |info| info.rcv_ooopack),
                draining: slot.draining,
                flowing: first.map(|first| timeline.age().saturating_sub(first)),
            });
        }
        let average = self.known_size.0.checked_div(self.known_size.1).unwrap_or(UNKNOWN);
        let waiting: u64 =
            self.large.iter().map(|queued| if queued.0.expect == UNKNOWN { average } else { queued.0.expect }).sum();
        let outstanding: u64 = self.slots.iter().map(|slot| slot.shared.outstanding.load(Ordering::Relaxed)).sum();
        let exhausted = self.protocol == "HTTP/2"
            && !(self.small.is_empty() && self.large.is_empty())
            && self.slots.iter().filter(|slot| !slot.draining).all(|slot| {
                slot.shared.timeline.settings_seen()
                    && slot.in_flight >= self.limit(slot).max(1)
                    && slot.shared.outstanding.load(Ordering::Relaxed) < FLOOR_SHARED
            });
        if self.protocol == "HTTP/2" && !self.http1_only {
            let tick = Tick {
                now,
                round_trip,
                flows,
                dialling: self.dialling,
                backlog: waiting + outstanding + (self.small.len() as u64) * 2048,
                streams_exhausted: exhausted,
            };
            let decision = self.growth.tick(&tick);
            self.apply(decision, now);
        }
        let (connections, loses) = (self.sharing(), self.growth.is_lossy());
        for slot in &self.slots {
            let (room, window) = (slot.shared.room.load(Ordering::Relaxed), &slot.shared.stream_window);
            window.set(windows::of_stream(connections, room, window.size(), loses));
        }
        round_trip.clamp(Duration::from_millis(10), Duration::from_millis(100))
    }

    fn apply(&mut self, decision: Decision, now: Duration) {
        match decision {
            Decision::Stay => {}
            Decision::Open(count, why) => {
                self.target = self.usable() + count;
                self.decide(now, format!("{count} more connections: {why}"));
            }
            Decision::Keep(why) => {
                self.target = self.usable().max(1);
                self.decide(now, format!("{} connections kept: {why}", self.usable()));
            }
            Decision::Drop(numbers, why) => {
                for number in &numbers {
                    self.drain(*number, "the trial failed");
                }
                self.target = self.usable().max(1);
                self.decide(now, format!("back to {}: {why}", self.usable()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most streams that a connection is given that carries so many bytes a second with so many streams.
    fn width(waiting: usize, carries: impl Fn(usize) -> f64) -> usize {
        let mut width = Width::default();
        let (mut bytes, mut streams, mut most) = (0.0, 4, 4);
        for n in 1..=60 {
            bytes += carries(streams) * 0.05;
            width.tick(bytes as u64, Duration::from_millis(50) * n, streams, streams < waiting);
            streams = streams.max(width.streams().min(waiting));
            most = most.max(streams);
        }
        most
    }

    #[test]
    fn streams_that_are_held_back_each_get_company() {
        assert_eq!(width(60, |streams| streams as f64 * 320_000.0), 60);
    }

    #[test]
    fn a_connection_that_carries_no_more_is_given_twice_as_many_once() {
        assert_eq!(width(60, |_| 2_000_000.0), 8);
    }

    #[test]
    fn a_rate_that_grows_by_itself_is_left_alone() {
        let growing = std::cell::Cell::new(10_000.0);
        let carries = |_: usize| growing.replace(growing.get() * 1.3);
        assert_eq!(width(60, carries), 4);
    }

    #[test]
    fn what_trickles_is_left_alone() {
        assert_eq!(width(60, |_| 5_000.0), 4);
    }
}
