//! The figures, in Prometheus' text format. docs/operations.md has the table of them.
//!
//! No label has a value that a client or an upstream may choose: no module path, no user, no reason in words. Origins are
//! those of the settings and where they redirect to, the first [`ORIGINS`] of them.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use goferry_net::pool::AnswerCounts;
use prometheus::core::Collector;
use prometheus::{
    Encoder as _, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use super::clients::Sent;
use super::size::Size;
use super::waits::Waits;
use crate::answer::Peer;
use crate::exchange::{Record, Refused};

/// The type of what [`Metrics::text`] gives.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Origins with figures of their own; the others share one.
pub const ORIGINS: usize = 32;
const OTHER: &str = "other";

/// Upper bounds of the classes of request times, in seconds.
const LONG: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];
/// The same for heads of answers, of which most come from memory.
const SHORT: &[f64] = &[0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// The same for phases of opening a connection.
const HANDSHAKE: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// All figures.
pub struct Metrics {
    registry: Registry,
    origins: Mutex<BTreeSet<String>>,
    requests: IntCounterVec,
    duration: HistogramVec,
    first_byte: HistogramVec,
    response_bytes: IntCounterVec,
    incomplete: IntCounterVec,
    pub(super) in_flight: IntGauge,
    connections: IntGaugeVec,
    connections_opened: IntCounterVec,
    refused: IntCounterVec,
    tcp_segments: IntCounter,
    tcp_retransmits: IntCounter,
    pub(super) upstream: Upstream,
    pub(super) loss_reports: IntCounterVec,
    pub(super) ahead_begun: IntCounter,
    pub(super) ahead_used: IntCounter,
    pub(super) ahead_failed: IntCounter,
    pub(super) ahead_unused: IntGauge,
    pub(super) fetches: IntGauge,
    pub(super) mismatches: IntCounter,
    store_bytes: IntGauge,
    store_files: IntGauge,
    store_quarantined: IntGauge,
    pub(super) ready: IntGauge,
    pub(super) log_dropped: IntCounter,
}

/// The figures of upstreams.
pub(super) struct Upstream {
    pub(super) connections: IntGaugeVec,
    pub(super) opened: IntCounterVec,
    pub(super) not_opened: IntCounterVec,
    pub(super) ended: IntCounterVec,
    pub(super) requests: IntCounterVec,
    pub(super) reused: IntCounterVec,
    pub(super) responses: IntCounterVec,
    pub(super) bytes: IntCounterVec,
    pub(super) streams: IntGaugeVec,
    pub(super) waiting: IntGaugeVec,
    pub(super) segments: IntCounterVec,
    pub(super) out_of_order: IntCounterVec,
    pub(super) round_trip: prometheus::GaugeVec,
    pub(super) decisions: IntCounterVec,
    pub(super) handshake: HistogramVec,
    pub(super) waits: Waits,
    pub(super) healed: IntCounter,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let registry = Registry::new();
        let make = Make(&registry);
        let build = make.gauges("goferry_build_info", "The version that runs; always 1.", &["version"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let start = make.gauge("goferry_start_time_seconds", "When the process began to count, since the Unix epoch.");
        start.set(jiff::Timestamp::now().as_second());
        let upstream = Upstream::new(&make);
        let metrics = Metrics {
            origins: Mutex::default(),
            requests: make.counters(
                "goferry_requests_total",
                "Requests that are over; status none where the client went away before there was one.",
                &["route", "status", "protocol", "cache"],
            ),
            duration: make.histograms(
                "goferry_request_duration_seconds",
                "From the request to the end of the answer, with the time that the client took to read it.",
                &["route"],
                LONG,
            ),
            first_byte: make.histograms(
                "goferry_first_byte_seconds",
                "From the request until the head of the answer was ready.",
                &["cache"],
                SHORT,
            ),
            response_bytes: make.counters(
                "goferry_response_bytes_total",
                "Bytes of content given to clients.",
                &["route"],
            ),
            incomplete: make.counters(
                "goferry_responses_incomplete_total",
                "Answers that were not given to their end: mostly clients that went away.",
                &["protocol"],
            ),
            in_flight: make.gauge("goferry_requests_in_flight", "Requests under way."),
            connections: make.gauges(
                "goferry_connections",
                "Open connections of clients.",
                &["protocol", "tls"],
            ),
            connections_opened: make.counters(
                "goferry_connections_opened_total",
                "Connections that clients opened.",
                &["protocol", "tls"],
            ),
            refused: make.counters(
                "goferry_connections_refused_total",
                "Connections of clients on which nothing could be asked.",
                &["reason"],
            ),
            tcp_segments: make.counter(
                "goferry_client_tcp_segments_total",
                "TCP segments with data sent to clients, the ones sent again included (Linux).",
            ),
            tcp_retransmits: make.counter(
                "goferry_client_tcp_retransmits_total",
                "TCP segments sent again to clients: what the way to them loses (Linux).",
            ),
            upstream,
            loss_reports: make.counters(
                "goferry_network_loss_reports_total",
                "Times that a path lost more than the rule of thumb allows and the pool was not the limit.",
                &["direction"],
            ),
            ahead_begun: make.counter("goferry_prefetch_begun_total", "Files whose fetch began before they were asked for."),
            ahead_used: make.counter("goferry_prefetch_used_total", "Of these, asked for since."),
            ahead_failed: make.counter("goferry_prefetch_failed_total", "Of these, not to be had."),
            ahead_unused: make.gauge("goferry_prefetch_unused", "Files fetched ahead since the start of this configuration that nobody has asked for."),
            fetches: make.gauge("goferry_fetches_in_flight", "Files being fetched from an upstream, each once however many wait."),
            mismatches: make.counter(
                "goferry_verification_failures_total",
                "Files that were fetched and had not the hash of the checksum database, or the pinned one. None was served.",
            ),
            store_bytes: make.gauge("goferry_store_bytes", "Bytes of the files of the store; counted now and then."),
            store_files: make.gauge("goferry_store_files", "Files of the store; counted now and then."),
            store_quarantined: make.gauge("goferry_store_quarantined_files", "Damaged files that were put aside."),
            ready: make.gauge("goferry_ready", "What /readyz says: 1 for ready."),
            log_dropped: make.counter(
                "goferry_log_lines_dropped_total",
                "Lines of the log that were not written since whoever reads it is too slow.",
            ),
            registry: registry.clone(),
        };
        for direction in ["to_client", "from_upstream"] {
            metrics.loss_reports.with_label_values(&[direction]);
        }
        for why in Refused::ALL {
            metrics.refused.with_label_values(&[why.name()]);
        }
        metrics
    }
}

impl Upstream {
    fn new(make: &Make<'_>) -> Upstream {
        let origin: &[&str] = &["origin"];
        let waits = Waits::new().expect("the name is one");
        make.add(&waits);
        Upstream {
            connections: make.gauges("goferry_upstream_connections", "Open connections to upstreams.", origin),
            opened: make.counters(
                "goferry_upstream_connections_opened_total",
                "Connections opened to upstreams.",
                origin,
            ),
            not_opened: make.counters(
                "goferry_upstream_connections_failed_total",
                "Connections to upstreams that could not be opened, by the phase that failed.",
                &["origin", "phase"],
            ),
            ended: make.counters(
                "goferry_upstream_connections_ended_total",
                "Connections to upstreams that ended.",
                &["origin", "cause"],
            ),
            requests: make.counters("goferry_upstream_requests_total", "Requests sent to upstreams.", origin),
            reused: make.counters(
                "goferry_upstream_requests_reused_total",
                "Of these, sent on a connection that had carried one before.",
                origin,
            ),
            responses: make.counters(
                "goferry_upstream_responses_total",
                "Heads of answers from upstreams, by the class of their status.",
                &["origin", "class"],
            ),
            bytes: make.counters(
                "goferry_upstream_received_bytes_total",
                "Bytes of HTTP that came from upstreams, below TLS.",
                origin,
            ),
            streams: make.gauges("goferry_upstream_streams_in_flight", "Requests under way to upstreams.", origin),
            waiting: make.gauges(
                "goferry_upstream_requests_waiting",
                "Requests that wait for a connection to have room.",
                origin,
            ),
            segments: make.counters(
                "goferry_upstream_segments_total",
                "TCP segments with data that came from upstreams (Linux).",
                origin,
            ),
            out_of_order: make.counters(
                "goferry_upstream_out_of_order_segments_total",
                "Of these, out of order: some times what the way from them loses (Linux 5.4).",
                origin,
            ),
            round_trip: make.ratios(
                "goferry_upstream_round_trip_seconds",
                "The least round trip seen to the one who answers.",
                origin,
            ),
            decisions: make.counters(
                "goferry_upstream_pool_decisions_total",
                "Decisions on how many connections are used, and which protocol.",
                &["origin", "decision"],
            ),
            handshake: make.histograms(
                "goferry_upstream_handshake_seconds",
                "Phases of opening a connection to an upstream.",
                &["phase"],
                HANDSHAKE,
            ),
            waits,
            healed: make.counter(
                "goferry_upstream_healed_total",
                "Requests to upstreams that failed on the way and came through in the end.",
            ),
        }
    }
}

impl Metrics {
    /// Everything in Prometheus' text format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = Vec::with_capacity(16 << 10);
        // Only an empty family fails, and those are not gathered.
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "writing the metrics");
        }
        String::from_utf8(text).unwrap_or_default()
    }

    /// An origin's label.
    pub(super) fn origin(&self, origin: &str) -> String {
        let mut known = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(origin) {
            return origin.to_owned();
        }
        if known.len() >= ORIGINS {
            return OTHER.to_owned();
        }
        known.insert(origin.to_owned());
        origin.to_owned()
    }

    pub(super) fn opened(&self, peer: &Peer) {
        let labels = [protocol(peer), flag(peer.tls)];
        self.connections.with_label_values(&labels).inc();
        self.connections_opened.with_label_values(&labels).inc();
    }

    pub(super) fn refused(&self, why: Refused) {
        self.refused.with_label_values(&[why.name()]).inc();
    }

    pub(super) fn closed(&self, peer: &Peer) {
        self.connections.with_label_values(&[protocol(peer), flag(peer.tls)]).dec();
    }

    pub(super) fn sent_to_clients(&self, sent: Sent) {
        self.tcp_segments.inc_by(sent.segments);
        self.tcp_retransmits.inc_by(sent.again);
    }

    /// The upstreams may be others from now on: what is so now is told anew.
    pub(super) fn forget_upstreams(&self) {
        for gauges in [&self.upstream.connections, &self.upstream.streams, &self.upstream.waiting] {
            gauges.reset();
        }
    }

    /// Segments sent to clients, and how many of them again.
    pub(super) fn tcp(&self) -> (u64, u64) {
        (self.tcp_segments.get(), self.tcp_retransmits.get())
    }

    pub(super) fn ended(&self, record: &Record) {
        self.in_flight.dec();
        let route = if record.note.route.is_empty() { "unknown" } else { record.note.route };
        let (protocol, cache) = (protocol(&record.peer), record.note.cache.name());
        let status = record.status.as_ref().map_or("none", |status| status.as_str());
        self.requests.with_label_values(&[route, status, protocol, cache]).inc();
        observe(&self.duration, route, record.total.as_secs_f64());
        if record.status.is_some() {
            observe(&self.first_byte, cache, record.first.as_secs_f64());
        }
        self.response_bytes.with_label_values(&[route]).inc_by(record.bytes);
        if !record.complete {
            self.incomplete.with_label_values(&[protocol]).inc();
        }
    }

    pub(super) fn answers(&self, origin: &str, before: &AnswerCounts, now: &AnswerCounts) {
        self.upstream.waits.add(origin, before, now);
        for (index, class) in ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().enumerate() {
            let new = now.classes[index].saturating_sub(before.classes[index]);
            if new > 0 {
                self.upstream.responses.with_label_values(&[origin, class]).inc_by(new);
            }
        }
    }

    pub(super) fn store(&self, size: Size) {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.store_bytes.set(number(size.bytes));
        self.store_files.set(number(size.files));
        self.store_quarantined.set(number(size.quarantined));
    }
}

fn observe(histograms: &HistogramVec, label: &str, seconds: f64) {
    let histogram: Histogram = histograms.with_label_values(&[label]);
    histogram.observe(seconds);
}

fn protocol(peer: &Peer) -> &'static str {
    if peer.protocol == "HTTP/2" { "http2" } else { "http1" }
}

fn flag(yes: bool) -> &'static str {
    if yes { "true" } else { "false" }
}

/// Makes metrics and registers them. Names are constants and each is used once: that a name is taken or is none would show
/// in the first test.
struct Make<'a>(&'a Registry);

impl Make<'_> {
    fn add<C: Collector + Clone + 'static>(&self, collector: &C) -> C {
        self.0.register(Box::new(collector.clone())).expect("each name is used once");
        collector.clone()
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(&IntCounter::new(name, help).expect("the name is one"))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(&IntCounterVec::new(Opts::new(name, help), labels).expect("the name is one"))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(&IntGauge::new(name, help).expect("the name is one"))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add(&IntGaugeVec::new(Opts::new(name, help), labels).expect("the name is one"))
    }

    fn ratios(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::GaugeVec {
        self.add(&prometheus::GaugeVec::new(Opts::new(name, help), labels).expect("the name is one"))
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str], bounds: &[f64]) -> HistogramVec {
        let opts = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        self.add(&HistogramVec::new(opts, labels).expect("the name is one"))
    }
}

#[cfg(test)]
mod tests;
