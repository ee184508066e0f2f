//! What the pools of one HTTP client did since the last look: counters here go on where another client takes its place.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use goferry_fetch::Client;
use goferry_net::Phase;
use goferry_net::pool::{AnswerCounts, Decided, Summary};
use goferry_net::timeline::{Event, Snapshot};

use super::loss::Arrived;
use super::metrics::Metrics;

/// What was seen of a client's pools.
#[derive(Default)]
pub(super) struct Pools {
    seen: BTreeMap<String, Seen>,
    healed: u64,
}

#[derive(Default)]
struct Seen {
    summary: Summary,
    reused: u64,
    segments_in: u64,
    answers: AnswerCounts,
    /// Connections whose opening was counted.
    opened: BTreeSet<u32>,
}

/// What is new of an origin.
pub(super) struct New {
    pub(super) origin: String,
    pub(super) decisions: Vec<Decided>,
    pub(super) arrived: Arrived,
    pub(super) open: usize,
}

impl Pools {
    /// Adds what is new to the figures, and gives what there is to say of it. What is open now is told by the `newest`
    /// client only.
    pub(super) fn look(&mut self, client: &Client, metrics: &Metrics, newest: bool) -> Vec<New> {
        let healed = client.healed();
        metrics.upstream.healed.inc_by(healed.saturating_sub(self.healed));
        self.healed = healed;
        let mut all = Vec::new();
        // Several origins may share the label of those that have none of their own.
        let mut gauges: BTreeMap<String, [i64; 3]> = BTreeMap::new();
        for pool in client.pools() {
            let (summary, load) = (pool.summary(), pool.load());
            let label = metrics.origin(&summary.origin);
            let seen = self.seen.entry(summary.origin.clone()).or_default();
            let gauge = gauges.entry(label.clone()).or_default();
            gauge[0] += number(summary.open);
            gauge[1] += number(load.in_flight.iter().map(|(_, streams)| streams).sum());
            gauge[2] += number(load.waiting);
            let before = std::mem::take(&mut seen.summary);
            let up = &metrics.upstream;
            let origin = [label.as_str()];
            up.opened.with_label_values(&origin).inc_by(summary.opened.saturating_sub(before.opened));
            up.requests.with_label_values(&origin).inc_by(summary.requests.saturating_sub(before.requests));
            up.reused.with_label_values(&origin).inc_by(load.reused.saturating_sub(seen.reused));
            up.bytes.with_label_values(&origin).inc_by(summary.bytes.saturating_sub(before.bytes));
            let segments = load.segments_in.saturating_sub(seen.segments_in);
            let out_of_order = summary.out_of_order.saturating_sub(before.out_of_order);
            up.segments.with_label_values(&origin).inc_by(segments);
            up.out_of_order.with_label_values(&origin).inc_by(out_of_order);
            if let Some(round_trip) = summary.round_trip {
                up.round_trip.with_label_values(&origin).set(round_trip.as_secs_f64());
            }
            for (phase, count) in &summary.not_opened {
                let new = count.saturating_sub(before.not_opened.get(phase).copied().unwrap_or(0));
                up.not_opened.with_label_values(&[&label, phase_name(*phase)]).inc_by(new);
            }
            for (why, count) in &summary.ended {
                let new = count.saturating_sub(before.ended.get(why).copied().unwrap_or(0));
                if new > 0 {
                    up.ended.with_label_values(&[&label, cause(why)]).inc_by(new);
                }
            }
            metrics.answers(&label, &seen.answers, &load.answers);
            if summary.opened > before.opened {
                seen.handshakes(&pool.snapshots(), metrics);
            }
            let decisions = newer(&summary.decisions, &before.decisions);
            for decided in &decisions {
                up.decisions.with_label_values(&[&label, decision(&decided.text)]).inc();
            }
            let arrived = Arrived { segments, out_of_order, decided: !decisions.is_empty() };
            all.push(New { origin: summary.origin.clone(), decisions, arrived, open: summary.open });
            // Neither ever goes back: a request that was not sent is taken out of the count again.
            let requests = summary.requests.max(before.requests);
            (seen.reused, seen.segments_in) = (load.reused.max(seen.reused), load.segments_in);
            seen.answers = load.answers;
            seen.summary = Summary { requests, ..summary };
        }
        for (label, [open, streams, waiting]) in gauges.into_iter().filter(|_| newest) {
            metrics.upstream.connections.with_label_values(&[&label]).set(open);
            metrics.upstream.streams.with_label_values(&[&label]).set(streams);
            metrics.upstream.waiting.with_label_values(&[&label]).set(waiting);
        }
        all
    }
}

impl Seen {
    fn handshakes(&mut self, snapshots: &[Snapshot], metrics: &Metrics) {
        for snapshot in snapshots {
            if !self.opened.insert(snapshot.number) {
                continue;
            }
            for timed in &snapshot.events {
                if let Event::Phase { phase, took } = &timed.event {
                    metrics.upstream.handshake.with_label_values(&[phase_name(*phase)]).observe(took.as_secs_f64());
                }
            }
        }
        // The pool shows the open ones and the newest of the others.
        self.opened.retain(|number| snapshots.iter().any(|snapshot| snapshot.number == *number));
    }
}

/// The decisions that `before` does not have.
fn newer(now: &[Decided], before: &[Decided]) -> Vec<Decided> {
    let last = before.last().map_or(Duration::ZERO, |decided| decided.at);
    let known = |decided: &Decided| decided.at < last || (decided.at == last && before.contains(decided));
    now.iter().filter(|decided| !known(decided)).cloned().collect()
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Why a connection ended, as one of few words.
fn cause(why: &str) -> &'static str {
    const CAUSES: &[(&str, &str)] = &[
        ("closed by the peer", "closed_by_peer"),
        ("closed after an answer", "closed_after_answer"),
        ("lost", "lost"),
        ("GOAWAY", "goaway"),
        ("protocol error", "protocol_error"),
        ("drained", "drained"),
        ("idle", "idle"),
        ("dead", "dead"),
        ("no SETTINGS", "no_settings"),
        ("the server has allowed no stream", "no_streams"),
    ];
    CAUSES.iter().find(|(begin, _)| why.starts_with(begin)).map_or("other", |(_, word)| word)
}

/// What was decided, as one of few words.
fn decision(text: &str) -> &'static str {
    const DECISIONS: &[(&str, &str)] = &[
        (" more connections: ", "grow"),
        (" connections kept: ", "keep"),
        ("back to HTTP/2", "http2"),
        ("back to ", "shrink"),
        ("HTTP/1.1 from now on", "http1"),
        ("could not be opened", "dial_failed"),
    ];
    DECISIONS.iter().find(|(part, _)| text.contains(part)).map_or("other", |(_, word)| word)
}

pub(super) fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Resolve => "resolve",
        Phase::Connect => "connect",
        Phase::Tunnel => "tunnel",
        Phase::Tls => "tls",
        Phase::Http2 => "http2",
        Phase::Http1 => "http1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_causes_and_decisions() {
        for (why, word) in [
            ("GOAWAY NO_ERROR", "goaway"),
            ("GOAWAY 0xdeadbeef", "goaway"),
            ("lost", "lost"),
            ("no SETTINGS from the server within 5 s", "no_settings"),
            ("something new", "other"),
        ] {
            assert_eq!(cause(why), word);
        }
        for (text, word) in [
            ("3 more connections: 2 losses within 0.4 s; 3.0 Mbit/s with 1", "grow"),
            ("4 connections kept: the sum grew: 3.0 Mbit/s before, 12.0 Mbit/s with them", "keep"),
            ("back to 1: the sum did not grow: 3.0 Mbit/s before, 3.0 Mbit/s with them", "shrink"),
            ("HTTP/2 does not work here (no SETTINGS): HTTP/1.1 from now on", "http1"),
            ("the server takes no HTTP/1.1: back to HTTP/2", "http2"),
        ] {
            assert_eq!(decision(text), word);
        }
    }

    #[test]
    fn a_decision_is_new_once() {
        let decided = |at: u64, text: &str| Decided { at: Duration::from_secs(at), text: text.to_owned() };
        let before = [decided(1, "a"), decided(2, "b")];
        let now = [decided(1, "a"), decided(2, "b"), decided(2, "c"), decided(3, "d")];
        assert_eq!(newer(&now, &before), [decided(2, "c"), decided(3, "d")]);
        assert_eq!(newer(&now, &[]), now);
        assert!(newer(&now, &now).is_empty());
    }
}
