//! `/-/connections`: what the upstream's connections do, as JSON (docs/schema/connections-1.json) and as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use goferry_net::pool::{Decided, Pool};
use goferry_net::timeline::{Event, Snapshot};
use serde::{Deserialize, Serialize};

use super::log::harmless;
use super::log::seconds;
use super::pools::phase_name;

/// The name and version of the schema.
pub const FORMAT: &str = "goferry.connections/1";
/// Events of a connection that are shown.
const EVENTS: usize = 12;
/// The longest text.
const MAX_TEXT: usize = 300;

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connections {
    /// [`FORMAT`].
    pub format: String,
    /// The version that runs.
    pub version: String,
    /// When this was so, RFC 3339.
    pub time: String,
    /// Since the process began to serve.
    pub uptime_seconds: f64,
    /// Requests to upstreams that failed on the way and came through in the end.
    pub healed: u64,
    /// Files being fetched, each once however many wait for it.
    pub fetches: u64,
    /// Clients.
    pub clients: Clients,
    /// Upstreams, the one with the most requests first.
    pub origins: Vec<Origin>,
}

/// The connections of clients in figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Clients {
    /// Open connections by protocol.
    pub connections: BTreeMap<String, u64>,
    /// Requests under way.
    pub requests_in_flight: u64,
    /// TCP segments sent to clients since the start.
    pub segments: u64,
    /// Of these, sent again.
    pub retransmits: u64,
}

/// An upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Scheme, host and port.
    pub origin: String,
    /// `HTTP/2`, `HTTP/1.1`, or empty before the first connection.
    pub protocol: String,
    /// Connections opened so far.
    pub opened: u64,
    /// Connections that could not be opened.
    pub not_opened: u64,
    /// Of those that were opened, open now.
    pub open: u64,
    /// The most that carried requests at once.
    pub most: u64,
    /// Requests sent.
    pub requests: u64,
    /// Requests sent on a connection that had carried one before, of all: 0 to 1.
    pub reuse: f64,
    /// Requests under way.
    pub streams_in_flight: u64,
    /// Requests that wait for a connection to have room.
    pub waiting: u64,
    /// Bytes of HTTP that came.
    pub bytes: u64,
    /// TCP segments with data that came.
    pub segments: u64,
    /// Of these, out of order.
    pub out_of_order: u64,
    /// The least round trip seen.
    pub round_trip_seconds: Option<f64>,
    /// Why connections ended, and how often.
    pub ended: BTreeMap<String, u64>,
    /// What the pool decided, oldest first.
    pub decisions: Vec<Told>,
    /// Its connections, the open ones last; of those that are over the newest.
    pub connections: Vec<Connection>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// So long ago.
    pub seconds_ago: f64,
    /// What.
    pub text: String,
}

/// A connection to an upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// Its number within the origin, from 1.
    pub number: u32,
    /// The address it goes to.
    pub address: Option<String>,
    /// `HTTP/2` or `HTTP/1.1`.
    pub protocol: String,
    /// Since dialling began; to its end where it is over.
    pub age_seconds: f64,
    /// Requests sent on it.
    pub requests: u64,
    /// Requests under way.
    pub streams_in_flight: u64,
    /// The best known round trip.
    pub round_trip_seconds: Option<f64>,
    /// TCP segments with data that came.
    pub segments: u64,
    /// Of these, out of order.
    pub out_of_order: u64,
    /// Bytes of HTTP that came.
    pub bytes: u64,
    /// RST_STREAM frames that came.
    pub resets: u64,
    /// Requests that were sent again because of it.
    pub retries: u64,
    /// Whether the upstream sent GOAWAY.
    pub goaway: bool,
    /// Why it ended; nothing while it is open.
    pub closed: Option<String>,
    /// The newest events, oldest first.
    pub events: Vec<Told>,
}

impl Origin {
    /// An upstream as it is now.
    #[must_use]
    pub fn of(pool: &Pool) -> Origin {
        let (summary, load, snapshots) = (pool.summary(), pool.load(), pool.snapshots());
        let streams = |number: u32| {
            let found = load.in_flight.iter().find(|(known, _)| *known == number);
            found.map_or(0, |(_, streams)| *streams as u64)
        };
        Origin {
            origin: summary.origin.clone(),
            protocol: summary.protocol.to_owned(),
            opened: summary.opened,
            not_opened: summary.not_opened.values().sum(),
            open: summary.open as u64,
            most: summary.most as u64,
            requests: summary.requests,
            reuse: (summary.reuse * 1e6).round() / 1e6,
            streams_in_flight: load.in_flight.iter().map(|(_, streams)| *streams as u64).sum(),
            waiting: load.waiting as u64,
            bytes: summary.bytes,
            segments: load.segments_in,
            out_of_order: summary.out_of_order,
            round_trip_seconds: summary.round_trip.map(seconds),
            ended: summary.ended.clone(),
            decisions: summary.decisions.iter().map(|decided| decided_told(decided, load.age)).collect(),
            connections: snapshots.iter().map(|snapshot| connection(snapshot, streams(snapshot.number))).collect(),
        }
    }
}

fn decided_told(decided: &Decided, age: Duration) -> Told {
    Told { seconds_ago: seconds(age.saturating_sub(decided.at)), text: harmless(&decided.text, MAX_TEXT).into_owned() }
}

fn connection(snapshot: &Snapshot, streams_in_flight: u64) -> Connection {
    let newest = snapshot.events.len().saturating_sub(EVENTS);
    let events = snapshot.events[newest..].iter().map(|timed| Told {
        // Of a connection that is over: before its end.
        seconds_ago: seconds(snapshot.age.saturating_sub(timed.at)),
        text: event(&timed.event),
    });
    Connection {
        number: snapshot.number,
        address: snapshot.address.map(|address| address.to_string()),
        protocol: if snapshot.http2 { "HTTP/2" } else { "HTTP/1.1" }.to_owned(),
        age_seconds: seconds(snapshot.age),
        requests: snapshot.requests,
        streams_in_flight,
        round_trip_seconds: snapshot.round_trip.map(seconds),
        segments: u64::from(snapshot.segments_in),
        out_of_order: u64::from(snapshot.out_of_order),
        bytes: snapshot.bytes_in,
        resets: snapshot.resets,
        retries: snapshot.retries,
        goaway: snapshot.goaway,
        closed: snapshot.closed.as_deref().map(|why| harmless(why, MAX_TEXT).into_owned()),
        events: events.collect(),
    }
}

fn event(event: &Event) -> String {
    let limit = |value: Option<u32>| value.map_or("none".to_owned(), |value| value.to_string());
    let text = match event {
        Event::Phase { phase, took } => format!("{} took {}", phase_name(*phase), millis(took.as_secs_f64())),
        Event::Settings { max_concurrent_streams, initial_window, max_frame_size } => format!(
            "SETTINGS: streams {}, window {}, frame {}",
            limit(*max_concurrent_streams),
            limit(*initial_window),
            limit(*max_frame_size)
        ),
        Event::GoAway { code, last_stream_id } => format!("GOAWAY {code}, last stream {last_stream_id}"),
        Event::Reset { stream_id, code } => format!("RST_STREAM {code} on stream {stream_id}"),
        Event::Ping { round_trip } => format!("PING answered after {}", millis(round_trip.as_secs_f64())),
        Event::OutOfOrder { segments } => format!("{segments} segments out of order"),
        Event::Retry { why } => format!("a request is sent again: {why}"),
        Event::Draining { why } => format!("takes no more requests: {why}"),
        Event::Closed { why } => format!("closed: {why}"),
    };
    harmless(&text, MAX_TEXT).into_owned()
}

fn millis(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1e3)
}

impl Connections {
    /// The document as text for a terminal. What it says was said by others: it is made harmless again.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let clean = |value: &str| harmless(value, MAX_TEXT).into_owned();
        let _ = writeln!(
            text,
            "goferry {}, up {}, {} requests healed, {} files being fetched",
            clean(&self.version),
            long(self.uptime_seconds),
            self.healed,
            self.fetches
        );
        let clients = &self.clients;
        let open: Vec<String> =
            clients.connections.iter().map(|(protocol, count)| format!("{count} {}", clean(protocol))).collect();
        let open = if open.is_empty() { "none".to_owned() } else { open.join(", ") };
        let _ = writeln!(
            text,
            "clients: connections {open}; {} requests in flight; {} of {} segments sent again ({})",
            clients.requests_in_flight,
            clients.retransmits,
            clients.segments,
            share(clients.retransmits, clients.segments)
        );
        if self.origins.is_empty() {
            text.push_str("no upstream was asked yet\n");
        }
        for origin in &self.origins {
            origin.text(&mut text);
        }
        text
    }
}

impl Origin {
    fn text(&self, text: &mut String) {
        let clean = |value: &str| harmless(value, MAX_TEXT).into_owned();
        let protocol = if self.protocol.is_empty() { "no connection yet" } else { &self.protocol };
        let _ = writeln!(text, "\n{}  {}", clean(&self.origin), clean(protocol));
        let _ = writeln!(
            text,
            "  {} requests, {:.2} % on a used connection, {} in flight, {} waiting; {} MB",
            self.requests,
            self.reuse * 100.0,
            self.streams_in_flight,
            self.waiting,
            self.bytes / 1_000_000
        );
        let round_trip = self.round_trip_seconds.map_or("unknown".to_owned(), millis);
        let _ = writeln!(
            text,
            "  {} connections opened, {} open, {} at most at work; round trip {round_trip}; {} of {} segments out of order ({})",
            self.opened,
            self.open,
            self.most,
            self.out_of_order,
            self.segments,
            share(self.out_of_order, self.segments)
        );
        if self.not_opened > 0 {
            let _ = writeln!(text, "  could not be opened {} times", self.not_opened);
        }
        for (why, count) in &self.ended {
            let _ = writeln!(text, "  ended {count} times: {}", clean(why));
        }
        for decided in &self.decisions {
            let _ = writeln!(text, "  {} ago the pool decided: {}", long(decided.seconds_ago), clean(&decided.text));
        }
        let (open, over): (Vec<_>, Vec<_>) = self.connections.iter().partition(|one| one.closed.is_none());
        for connection in open {
            connection.text(text);
        }
        if let Some(last) = over.last() {
            let _ = writeln!(text, "  {} connections that are over; the last one:", over.len());
            last.text(text);
        }
    }
}

impl Connection {
    fn text(&self, text: &mut String) {
        let address = self.address.as_deref().map_or("?".into(), |address| harmless(address, MAX_TEXT));
        let round_trip = self.round_trip_seconds.map_or("?".to_owned(), millis);
        let _ = writeln!(
            text,
            "  #{} {address} {} age {}, {} requests, {} in flight, round trip {round_trip}, {} of {} segments out of order",
            self.number,
            harmless(&self.protocol, MAX_TEXT),
            long(self.age_seconds),
            self.requests,
            self.streams_in_flight,
            self.out_of_order,
            self.segments
        );
        for told in &self.events {
            let _ = writeln!(text, "      {} ago {}", long(told.seconds_ago), harmless(&told.text, MAX_TEXT));
        }
    }
}

fn share(part: u64, all: u64) -> String {
    if all == 0 { "0 %".to_owned() } else { format!("{:.2} %", part as f64 * 100.0 / all as f64) }
}

fn long(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
