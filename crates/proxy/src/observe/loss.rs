//! The field's rule of thumb on losses: are they above a threshold, is the pool the limit, or is it the network?
//!
//! Pure: counts in, reports out. docs/operations.md says what the thresholds mean and why they are what they are.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::clients::Sent;

/// Share of segments sent again to a client, above which its path loses too much: at 1 % one flow of 1,460-byte segments
/// gets 1.2 x MSS / (RTT x sqrt(loss)) (Mathis et al. 1997): 2.8 Mbit/s at 50 ms.
pub const SENT_AGAIN: f64 = 0.01;
/// Share of segments that came out of order from an upstream. A receiver does not see losses: after each lost segment what
/// is in flight behind it comes out of order, so this is some times the loss.
pub const OUT_OF_ORDER: f64 = 0.02;
/// Fewer segments say nothing.
pub const LEAST: u64 = 1000;
/// Counts older than this are let go.
const WINDOW: Duration = Duration::from_secs(60);
/// Between two reports about the same.
const PAUSE: Duration = Duration::from_secs(60);
/// Clients whose counts are kept, at most.
const CLIENTS: usize = 4096;
/// Reports on clients at once.
const REPORTS: usize = 5;

/// What is to be told of a path.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The origin, or the client's address.
    pub whom: String,
    /// Segments counted.
    pub segments: u64,
    /// Of these lost or late, 0 to 1.
    pub share: f64,
}

/// What one upstream's connections counted since the last look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arrived {
    /// Segments with data that came.
    pub segments: u64,
    /// Of these out of order.
    pub out_of_order: u64,
    /// Whether its pool decided something meanwhile: it is at work on it.
    pub decided: bool,
}

/// Whose counts grow until they say something.
#[derive(Debug, Default)]
pub struct Rule {
    upstreams: HashMap<String, Counted>,
    clients: HashMap<String, Counted>,
}

#[derive(Debug)]
struct Counted {
    since: Instant,
    segments: u64,
    bad: u64,
    reported: Option<Instant>,
}

impl Counted {
    fn new(now: Instant) -> Counted {
        Counted { since: now, segments: 0, bad: 0, reported: None }
    }

    fn add(&mut self, segments: u64, bad: u64, now: Instant) {
        if now.saturating_duration_since(self.since) > WINDOW {
            self.forget(now);
        }
        self.segments += segments;
        self.bad += bad;
    }

    fn forget(&mut self, now: Instant) {
        (self.since, self.segments, self.bad) = (now, 0, 0);
    }

    /// The share of bad ones where it is above `limit`, there is enough to say so, and it was not said lately.
    fn judge(&mut self, limit: f64, now: Instant) -> Option<(u64, f64)> {
        if self.segments < LEAST {
            return None;
        }
        let (segments, share) = (self.segments, self.bad as f64 / self.segments as f64);
        self.forget(now);
        let said = self.reported.is_some_and(|at| now.saturating_duration_since(at) < PAUSE);
        if share <= limit || said {
            return None;
        }
        self.reported = Some(now);
        Some((segments, share))
    }
}

impl Rule {
    /// Judges what came from an upstream. While its pool decides, nothing is reported: whether more connections help is
    /// being measured.
    pub fn arrived(&mut self, origin: &str, arrived: Arrived, now: Instant) -> Option<Report> {
        let counted = self.upstreams.entry(origin.to_owned()).or_insert_with(|| Counted::new(now));
        if arrived.decided {
            counted.forget(now);
            return None;
        }
        counted.add(arrived.segments, arrived.out_of_order, now);
        let (segments, share) = counted.judge(OUT_OF_ORDER, now)?;
        Some(Report { whom: origin.to_owned(), segments, share })
    }

    /// Judges what was sent to clients, by address; the worst first, and few at once.
    pub fn sent(&mut self, sent: &HashMap<String, Sent>, now: Instant) -> Vec<Report> {
        let gone = |counted: &Counted| now.saturating_duration_since(counted.since) > WINDOW * 2;
        self.clients.retain(|_, counted| !gone(counted));
        let mut reports = Vec::new();
        for (address, sent) in sent {
            if self.clients.len() >= CLIENTS && !self.clients.contains_key(address) {
                continue;
            }
            let counted = self.clients.entry(address.clone()).or_insert_with(|| Counted::new(now));
            counted.add(sent.segments, sent.again, now);
            if let Some((segments, share)) = counted.judge(SENT_AGAIN, now) {
                reports.push(Report { whom: address.clone(), segments, share });
            }
        }
        reports.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.whom.cmp(&b.whom)));
        reports.truncate(REPORTS);
        reports
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_secs(5);

    fn arrived(segments: u64, out_of_order: u64) -> Arrived {
        Arrived { segments, out_of_order, decided: false }
    }

    #[test]
    fn a_losing_upstream_is_reported_once_a_minute() {
        let (mut rule, start) = (Rule::default(), Instant::now());
        let reports: Vec<u32> =
            (0..36).filter(|n| rule.arrived("https://a", arrived(2000, 100), start + STEP * *n).is_some()).collect();
        assert_eq!(reports, [0, 12, 24]);
        let report = Rule::default().arrived("https://a", arrived(2000, 100), start).unwrap();
        assert_eq!(report, Report { whom: "https://a".to_owned(), segments: 2000, share: 0.05 });
    }

    #[test]
    fn while_the_pool_decides_the_network_is_not_blamed() {
        let (mut rule, now) = (Rule::default(), Instant::now());
        let decided = Arrived { decided: true, ..arrived(20_000, 4000) };
        assert_eq!(rule.arrived("https://a", decided, now), None);
        assert_eq!(rule.arrived("https://a", arrived(500, 100), now + STEP), None, "too few to say anything");
        assert!(rule.arrived("https://a", arrived(500, 100), now + STEP * 2).is_some(), "together they are enough");
    }

    #[test]
    fn a_good_path_and_old_counts_are_not_reported() {
        let (mut rule, now) = (Rule::default(), Instant::now());
        assert_eq!(rule.arrived("https://a", arrived(100_000, 2000), now), None, "2 % is not above 2 %");
        assert_eq!(rule.arrived("https://a", arrived(600, 600), now), None);
        let later = now + WINDOW + STEP;
        assert_eq!(rule.arrived("https://a", arrived(600, 600), later), None, "the first are a minute old");
    }

    #[test]
    fn the_worst_clients_are_named() {
        let (mut rule, now) = (Rule::default(), Instant::now());
        let sent: HashMap<String, Sent> =
            (0..20).map(|n| (format!("10.0.0.{n}"), Sent { segments: 1000, again: n * 5 })).collect();
        let reports = rule.sent(&sent, now);
        let named: Vec<&str> = reports.iter().map(|report| report.whom.as_str()).collect();
        assert_eq!(named, ["10.0.0.19", "10.0.0.18", "10.0.0.17", "10.0.0.16", "10.0.0.15"]);
        assert!(rule.sent(&sent, now + STEP).is_empty(), "once a minute");
    }
}
