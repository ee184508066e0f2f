//! When one flow is the limit: the rule by which a pool opens more connections and keeps or drops them.
//!
//! Pure: readings in, decisions out. docs/pool.md describes it with what it does on each link.
//!
//! A shared HTTP/2 connection is one congestion window. With loss and a CUBIC or Reno sender each loss takes a part
//! of it, and the flow stays below what the path gives (about 1.2 x MSS / (RTT x sqrt(loss)), Mathis et al. 1997).
//! The receiver cannot see the sender's retransmits. It sees segments that arrive out of order (`tcpi_rcv_ooopack`)
//! and its own goodput. Neither proves that more flows would carry more, so the proof is a trial: open more, and keep
//! them only if the sum grew.

use std::time::Duration;

/// A trial is kept when the sum grew by this factor.
const GREW: f64 = 1.1;
/// So clearly that half the time is enough to say so.
const CLEARLY: f64 = 1.6;
/// Flows that lose and carry less than this part of the best sum ever seen are not at the path's limit.
const BELOW_BEST: f64 = 0.8;
/// A round trip this much above the least one is one with a queue in it.
const QUEUEING: f64 = 1.2;
/// For so many round trips after a queue was seen the path counts as full: a loss empties the queue for a moment.
const FULL_FOR: u32 = 12;
/// Least work left, in seconds at the present rate, that a trial is worth: loss was seen.
const WORTH_LOSSY: f64 = 0.35;
/// The same where nothing but a flat rate speaks for a trial.
const WORTH_FLAT: f64 = 2.0;
/// Below this many bytes a second it is not the flow that is waited for.
const LEAST_RATE: f64 = 20_000.0;
/// First pause after a trial that failed, and the longest: it doubles with each.
const PAUSE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

/// The counters of one connection at a tick.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// The connection's number.
    pub number: u32,
    /// Bytes that arrived so far.
    pub bytes: u64,
    /// Segments out of order so far.
    pub out_of_order: u32,
    /// Whether it takes no more requests.
    pub draining: bool,
    /// Since its first byte arrived.
    pub flowing: Option<Duration>,
    /// The receiver's estimate of the present round trip (`tcpi_rcv_rtt`).
    pub present_round_trip: Option<Duration>,
}

/// All that a decision needs.
#[derive(Clone, Debug)]
pub struct Tick {
    /// Since the pool began.
    pub now: Duration,
    /// Round trip to the one who answers.
    pub round_trip: Duration,
    /// The open connections.
    pub flows: Vec<Flow>,
    /// Connections being opened.
    pub dialling: usize,
    /// Bytes that requests in flight and waiting are expected to bring.
    pub backlog: u64,
    /// Whether requests wait although no connection may take more streams.
    pub streams_exhausted: bool,
}

impl Tick {
    /// Whether a flow's present round trip is well above the least one: they share the queue.
    fn is_queueing(&self) -> bool {
        let limit = self.round_trip.mul_f64(QUEUEING) + Duration::from_millis(2);
        self.flows.iter().filter_map(|flow| flow.present_round_trip).any(|present| present > limit)
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Stay,
    /// Open so many more; the text says why.
    Open(usize, String),
    /// Give these connections no more requests; the text says why.
    Drop(Vec<u32>, String),
    /// The trial's connections stay; the text says why.
    Keep(String),
}

/// The rule's memory.
#[derive(Clone, Debug)]
pub struct Growth {
    cap: usize,
    /// Sums of bytes and of out-of-order segments at past ticks, oldest first.
    past: Vec<(Duration, u64, u32)>,
    seen: Vec<(u32, u64, u32)>,
    bytes: u64,
    out_of_order: u32,
    best: f64,
    trial: Option<Trial>,
    next_trial: Duration,
    pause: Duration,
    lossy: bool,
    full_until: Duration,
    queueing_until: Duration,
    now: Duration,
}

#[derive(Clone, Debug)]
struct Trial {
    started: Duration,
    before: f64,
    old: Vec<u32>,
}

impl Growth {
    /// No connections beyond `cap`.
    #[must_use]
    pub fn new(cap: usize) -> Growth {
        Growth {
            cap,
            past: Vec::new(),
            seen: Vec::new(),
            bytes: 0,
            out_of_order: 0,
            best: 0.0,
            trial: None,
            next_trial: Duration::ZERO,
            pause: PAUSE.0,
            lossy: false,
            full_until: Duration::ZERO,
            queueing_until: Duration::ZERO,
            now: Duration::ZERO,
        }
    }

    /// Whether the path is full: a queue stood on it a moment ago, so that more flows would only share what there is.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.now < self.full_until
    }

    /// Whether a queue stands on the path right now: those that are open fill it.
    #[must_use]
    pub fn is_queueing(&self) -> bool {
        self.now < self.queueing_until
    }

    /// Whether a trial runs: its connections are to be opened although nothing waits, for what others carry can be split and
    /// moved.
    #[must_use]
    pub fn is_trying(&self) -> bool {
        self.trial.is_some()
    }

    /// Bytes a second over the `window` that ended at `now`.
    fn rate(&self, now: Duration, window: Duration) -> Option<f64> {
        let from = now.checked_sub(window)?;
        let upto = |limit: Duration| self.past.iter().rev().find(|(at, ..)| *at <= limit);
        let ((start, before, _), (end, after, _)) = (upto(from)?, upto(now)?);
        let seconds = end.saturating_sub(*start).as_secs_f64();
        Some((after - before) as f64 / seconds.max(1e-6))
    }

    /// Ticks within the last `window` in which segments arrived out of order: one for each loss, or a little fewer.
    fn losses(&self, now: Duration, window: Duration) -> usize {
        let from = now.saturating_sub(window);
        let recent: Vec<u32> = self.past.iter().filter(|(at, ..)| *at >= from).map(|(.., ooo)| *ooo).collect();
        recent.windows(2).filter(|pair| pair[1] > pair[0]).count()
    }

    /// Judges one tick. Ticks come about once a round trip, and at least every 100 ms.
    pub fn tick(&mut self, tick: &Tick) -> Decision {
        self.take(tick);
        self.now = tick.now;
        if tick.is_queueing() {
            self.queueing_until = tick.now + tick.round_trip * 2;
            self.full_until = tick.now + (tick.round_trip * FULL_FOR).max(Duration::from_millis(200));
        }
        let window = (tick.round_trip * 4).max(Duration::from_millis(120));
        let Some(rate) = self.rate(tick.now, window) else { return Decision::Stay };
        self.best = self.best.max(rate);
        let losses = self.losses(tick.now, window * 2);
        if losses > 0 {
            self.lossy = true;
        }
        if self.trial.is_some() {
            return self.judge(tick, rate, window);
        }
        let usable = tick.flows.iter().filter(|flow| !flow.draining).count();
        if usable == 0 || tick.dialling > 0 || usable >= self.cap || tick.now < self.next_trial {
            return Decision::Stay;
        }
        let left = tick.backlog as f64 / rate.max(1.0);
        let round_trip = tick.round_trip.as_secs_f64();
        let before = self.rate(tick.now - window.min(tick.now), window);
        let flat = rate >= LEAST_RATE && before.is_some_and(|before| rate <= before * 1.1);
        // Where a queue stands on the path, the path is full: its losses and its flat rate are its own.
        let full = self.is_full();
        let more = if losses >= 1 && !full && left > WORTH_LOSSY.max(round_trip * 6.0) {
            // Each flow loses on its own, and each step costs a handshake and a judgement: doubling is too slow.
            Some((
                if losses >= 2 { 8 } else { 4 },
                format!("{losses} losses within {:.1} s", (window * 2).as_secs_f64()),
            ))
        } else if tick.streams_exhausted && left > WORTH_LOSSY {
            Some((2, "the server's stream limit is reached and requests wait".to_owned()))
        } else if flat && !full && round_trip > 0.002 && left > WORTH_FLAT {
            Some((2, "the rate no longer grows".to_owned()))
        } else {
            None
        };
        let Some((factor, why)) = more else { return Decision::Stay };
        let open = (usable * factor).min(self.cap) - usable;
        self.trial =
            Some(Trial { started: tick.now, before: rate, old: tick.flows.iter().map(|flow| flow.number).collect() });
        Decision::Open(open, format!("{why}; {} with {usable}", megabits(rate)))
    }

    fn take(&mut self, tick: &Tick) {
        for flow in &tick.flows {
            let index = self.seen.iter().position(|(number, ..)| *number == flow.number);
            let (old_bytes, old_ooo) = index.map_or((0, 0), |index| (self.seen[index].1, self.seen[index].2));
            self.bytes += flow.bytes.saturating_sub(old_bytes);
            self.out_of_order = self.out_of_order.wrapping_add(flow.out_of_order.saturating_sub(old_ooo));
            match index {
                Some(index) => self.seen[index] = (flow.number, flow.bytes, flow.out_of_order),
                None => self.seen.push((flow.number, flow.bytes, flow.out_of_order)),
            }
        }
        self.seen.retain(|(number, ..)| tick.flows.iter().any(|flow| flow.number == *number));
        self.past.push((tick.now, self.bytes, self.out_of_order));
        if self.past.len() > 512 {
            self.past.drain(..256);
        }
    }

    fn judge(&mut self, tick: &Tick, rate: f64, window: Duration) -> Decision {
        let Some(trial) = &self.trial else { return Decision::Stay };
        let new: Vec<&Flow> = tick.flows.iter().filter(|flow| !trial.old.contains(&flow.number)).collect();
        if new.is_empty() && tick.dialling == 0 {
            self.trial = None;
            self.pause(tick.now);
            return Decision::Drop(Vec::new(), "none could be opened, or all ended at once".to_owned());
        }
        let need = (tick.round_trip * 6).max(Duration::from_millis(200));
        // On a path that loses, some handshakes take a second more: half of the new flows are enough to judge by.
        let flowing = |need: Duration| {
            let at_work = new.iter().filter(|flow| flow.draining || flow.flowing.is_some_and(|since| since >= need));
            !new.is_empty() && at_work.count() * 2 >= new.len() + tick.dialling
        };
        let ready = flowing(need) || (flowing(need / 2) && rate >= trial.before * CLEARLY);
        let waited = tick.now.saturating_sub(trial.started);
        if !ready && waited < Duration::from_secs(6).max(tick.round_trip * 20) {
            return Decision::Stay;
        }
        let before = trial.before;
        let numbers: Vec<u32> = new.iter().filter(|flow| !flow.draining).map(|flow| flow.number).collect();
        // A single window is noisy where the flows are few and lose: the better of the last two.
        let earlier = self.rate(tick.now, window * 2).unwrap_or(rate);
        let after = rate.max(earlier);
        let grew = after >= before * GREW;
        // The old rate may have been a burst that cannot last: below the best ever seen, losing, there is room.
        let low = before < self.best * BELOW_BEST && after >= before * 0.9 && after < self.best * BELOW_BEST;
        let room = low && !self.is_full() && self.losses(tick.now, window * 2) > 0;
        self.trial = None;
        if !grew && (tick.backlog as f64) < before * WORTH_LOSSY {
            // There is not enough left to do: the rate says nothing.
            return Decision::Stay;
        }
        if !numbers.is_empty() && (grew || room) {
            self.pause = PAUSE.0;
            self.next_trial = tick.now;
            let text = if grew { "the sum grew" } else { "still below what the path gave before" };
            return Decision::Keep(format!("{text}: {} before, {} with them", megabits(before), megabits(after)));
        }
        self.pause(tick.now);
        Decision::Drop(
            numbers,
            format!("the sum did not grow: {} before, {} with them", megabits(before), megabits(after)),
        )
    }

    fn pause(&mut self, now: Duration) {
        self.next_trial = now + self.pause;
        self.pause = (self.pause * 2).min(PAUSE.1);
    }

    /// Whether losses were ever seen.
    #[must_use]
    pub fn is_lossy(&self) -> bool {
        self.lossy
    }
}

fn megabits(bytes_a_second: f64) -> String {
    format!("{:.1} Mbit/s", bytes_a_second * 8.0 / 1e6)
}

#[cfg(test)]
mod tests;
