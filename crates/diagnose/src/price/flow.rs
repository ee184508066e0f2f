//! One TCP connection as its sender sees it: congestion window, slow start, loss and recovery.
//!
//! Windows are in bytes. The growth rules are those of Linux: a window grows only while it is used
//! (`tcp_is_cwnd_limited`), slow start doubles it each round trip, and Cubic (RFC 9438) multiplies it by 0.7 for a loss.

use crate::price::inputs::Congestion;

/// Payload of a TCP segment in bytes, with time stamps on an Ethernet path.
pub(crate) const MSS: f64 = 1448.0;
/// Initial congestion window (RFC 6928).
const INITIAL_WINDOW: f64 = 10.0 * MSS;
/// Lower bound of the retransmission time-out in Linux (`TCP_RTO_MIN`), in nanoseconds.
pub(crate) const RTO_MIN: u64 = 200_000_000;
/// Cubic's scaling constant in segments per second cubed, and its decrease factor (RFC 9438, section 4).
const CUBIC_C: f64 = 0.4;
const CUBIC_BETA: f64 = 0.7;
/// Additive increase of the Reno-friendly region: `3 * (1 - beta) / (1 + beta)`.
const CUBIC_ALPHA: f64 = 0.53;

/// The sending half of a connection.
#[derive(Debug)]
pub(crate) struct Flow {
    congestion: Congestion,
    cwnd: f64,
    ssthresh: f64,
    /// Bytes sent and not acknowledged.
    pub(crate) in_flight: f64,
    /// Bytes sent so far, and the mark at which the present round ends.
    sent: f64,
    acked: f64,
    round_end: f64,
    /// Most bytes in flight in this round and the one before.
    peak: [f64; 2],
    /// Bytes sent when the window was last cut: losses among them are the same event.
    recovery: f64,
    /// Cubic: window before the cut, time of the cut in ns, Reno-friendly estimate.
    w_max: f64,
    epoch: u64,
    w_est: f64,
    last_send: u64,
    ceiling: f64,
}

impl Flow {
    /// A connection after its handshake. `ceiling` bounds the window: twice the path's bandwidth-delay product.
    pub(crate) fn new(congestion: Congestion, ceiling: f64) -> Flow {
        Flow {
            congestion,
            cwnd: INITIAL_WINDOW,
            ssthresh: f64::INFINITY,
            in_flight: 0.0,
            sent: 0.0,
            acked: 0.0,
            round_end: 0.0,
            peak: [0.0; 2],
            recovery: -1.0,
            w_max: 0.0,
            epoch: 0,
            w_est: 0.0,
            last_send: 0,
            ceiling: ceiling.max(INITIAL_WINDOW),
        }
    }

    /// Bytes that may be sent now.
    pub(crate) fn room(&self) -> f64 {
        if self.in_flight <= 0.0 { self.cwnd } else { self.cwnd - self.in_flight }
    }

    /// A fitting grain for the simulation: the window in eighths, whole segments.
    pub(crate) fn grain(&self) -> f64 {
        ((self.cwnd / 8.0 / MSS).floor() * MSS).clamp(MSS, 65536.0)
    }

    pub(crate) fn send(&mut self, now: u64, rtt: u64, bytes: f64) {
        if self.in_flight <= 0.0 {
            // Idle restart (`tcp_slow_start_after_idle`): half for each time-out that passed.
            let mut idle = now.saturating_sub(self.last_send);
            let rto = rtt + RTO_MIN;
            while idle > rto && self.cwnd > INITIAL_WINDOW {
                self.cwnd = (self.cwnd / 2.0).max(INITIAL_WINDOW);
                idle -= rto;
            }
        }
        self.last_send = now;
        self.sent += bytes;
        self.in_flight += bytes;
        self.peak[1] = self.peak[1].max(self.in_flight);
    }

    pub(crate) fn ack(&mut self, now: u64, rtt: u64, bytes: f64) {
        self.in_flight = (self.in_flight - bytes).max(0.0);
        self.acked += bytes;
        let used = self.peak[0].max(self.peak[1]);
        if self.acked >= self.round_end {
            self.round_end = self.sent;
            self.peak = [self.peak[1], self.in_flight];
        }
        if self.cwnd < self.ssthresh {
            if self.cwnd < 2.0 * used {
                self.cwnd += bytes;
            }
        } else if used + MSS >= self.cwnd {
            self.grow_cubic(now, rtt, bytes);
        }
        self.cwnd = self.cwnd.min(self.ceiling);
    }

    fn grow_cubic(&mut self, now: u64, rtt: u64, bytes: f64) {
        let cwnd = self.cwnd / MSS;
        let acked = bytes / MSS;
        let w_max = self.w_max / MSS;
        let k = (w_max * (1.0 - CUBIC_BETA) / CUBIC_C).cbrt();
        let t = (now.saturating_sub(self.epoch) + rtt) as f64 / 1e9;
        self.w_est += CUBIC_ALPHA * acked / cwnd;
        let cubic = (CUBIC_C * (t - k).powi(3) + w_max).clamp(cwnd, 1.5 * cwnd);
        let next = (cwnd + (cubic - cwnd) / cwnd * acked).max(self.w_est);
        self.cwnd = next * MSS;
    }

    /// A loss was noticed. `timed_out` when nothing later told of it.
    pub(crate) fn lose(&mut self, now: u64, timed_out: bool) {
        if self.congestion == Congestion::Bbr || self.acked < self.recovery {
            return;
        }
        self.recovery = self.sent;
        self.w_max = if self.cwnd < self.w_max { self.cwnd * (1.0 + CUBIC_BETA) / 2.0 } else { self.cwnd };
        self.ssthresh = (self.cwnd * CUBIC_BETA).max(2.0 * MSS);
        self.cwnd = if timed_out { MSS } else { self.ssthresh };
        self.epoch = now;
        self.w_est = self.ssthresh / MSS;
    }
}

/// Which packets are lost: on average one in `1 / share`, evenly spread with a fixed jitter, so that a prediction is repeatable
/// and does not hang on one unlucky draw.
#[derive(Debug)]
pub(crate) struct LossPattern {
    interval: f64,
    next: f64,
    sent: f64,
    drawn: u64,
}

impl LossPattern {
    pub(crate) fn new(share: f64) -> LossPattern {
        let interval = if share > 0.0 { 1.0 / share } else { f64::INFINITY };
        LossPattern { interval, next: interval * 0.5, sent: 0.0, drawn: 0 }
    }

    /// Counts `packets` and says how many of them follow the first lost one; `None` if none was lost.
    pub(crate) fn pass(&mut self, packets: f64) -> Option<f64> {
        self.sent += packets;
        if self.sent < self.next {
            return None;
        }
        let behind = (self.sent - self.next).floor().min(packets - 1.0);
        while self.next <= self.sent {
            self.drawn += 1;
            // The golden ratio's multiples are evenly spread in 0..1.
            let jitter = (self.drawn as f64 * 0.618_033_988_749_895).fract();
            self.next += self.interval * (0.5 + jitter);
        }
        Some(behind)
    }
}
