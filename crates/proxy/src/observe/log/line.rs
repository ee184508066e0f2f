//! A line of the log: for programs (`goferry.access-log/1`) and for people.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;

use crate::config::LogFormat;
use crate::exchange::Record;

/// The longest path that is logged, in characters.
const MAX_PATH: usize = 2048;
/// The longest other text.
const MAX_TEXT: usize = 1024;

/// A line.
#[derive(Debug)]
pub(super) enum Line<'a> {
    Request(Request<'a>),
    Note(Note),
}

/// A request. The names are those of the schema.
#[derive(Debug, Serialize)]
pub(super) struct Request<'a> {
    #[serde(serialize_with = "time")]
    time: Timestamp,
    kind: &'static str,
    connection: u64,
    stream: u64,
    protocol: &'static str,
    tls: bool,
    client: Cow<'a, str>,
    user: Option<Cow<'a, str>>,
    method: Cow<'a, str>,
    path: Cow<'a, str>,
    route: &'static str,
    status: Option<u16>,
    bytes: u64,
    cache: &'static str,
    upstream_seconds: Option<f64>,
    first_seconds: f64,
    seconds: f64,
    healed: bool,
    complete: bool,
    error: Option<Cow<'a, str>>,
}

/// How much a note matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know.
    Info,
    /// Somebody should look.
    Warning,
}

/// Something other than a request.
#[derive(Clone, Debug, Serialize)]
pub struct Note {
    #[serde(serialize_with = "time")]
    time: Timestamp,
    kind: &'static str,
    level: Level,
    about: &'static str,
    whom: Option<String>,
    share: Option<f64>,
    text: String,
}

impl Note {
    /// Good to know, about `about`: one word.
    #[must_use]
    pub fn info(about: &'static str, text: impl Into<String>) -> Note {
        Note {
            time: Timestamp::UNIX_EPOCH,
            kind: "note",
            level: Level::Info,
            about,
            whom: None,
            share: None,
            text: harmless(&text.into(), MAX_TEXT).into_owned(),
        }
    }

    /// Somebody should look.
    #[must_use]
    pub fn warning(about: &'static str, text: impl Into<String>) -> Note {
        Note { level: Level::Warning, ..Note::info(about, text) }
    }

    /// Which origin or client.
    #[must_use]
    pub fn of(mut self, whom: &str) -> Note {
        self.whom = Some(harmless(whom, MAX_TEXT).into_owned());
        self
    }

    /// What was measured, 0 to 1.
    #[must_use]
    pub fn share(mut self, share: f64) -> Note {
        self.share = Some((share * 1e6).round() / 1e6);
        self
    }

    pub(super) fn at(mut self, time: Timestamp) -> Note {
        self.time = time;
        self
    }
}

impl<'a> Request<'a> {
    pub(super) fn of(time: Timestamp, record: &'a Record) -> Request<'a> {
        let (peer, note) = (&record.peer, &record.note);
        Request {
            time,
            kind: "request",
            connection: peer.connection,
            stream: record.stream,
            protocol: peer.protocol,
            tls: peer.tls,
            client: harmless(&peer.address, MAX_TEXT),
            user: note.user.as_deref().map(|user| harmless(user, MAX_TEXT)),
            method: harmless(record.method.as_str(), 32),
            path: harmless(&record.path, MAX_PATH),
            route: if note.route.is_empty() { "unknown" } else { note.route },
            status: record.status.as_ref().map(StatusCode::as_u16),
            bytes: record.bytes,
            cache: note.cache.name(),
            upstream_seconds: note.upstream.map(seconds),
            first_seconds: seconds(record.first),
            seconds: seconds(record.total),
            healed: note.healed,
            complete: record.complete,
            error: note.error.as_deref().map(|error| harmless(error.trim_end(), MAX_TEXT)),
        }
    }
}

impl Line<'_> {
    /// Adds the line and its line feed to `text`.
    pub(super) fn write(&self, format: LogFormat, text: &mut String) {
        match (format, self) {
            (LogFormat::Json, Line::Request(request)) => text.push_str(&json(request)),
            (LogFormat::Json, Line::Note(note)) => text.push_str(&json(note)),
            (LogFormat::Text, Line::Request(request)) => for_people(request, text),
            (LogFormat::Text, Line::Note(note)) => {
                let level = if note.level == Level::Warning { "warning: " } else { "" };
                let whom = note.whom.as_deref().map(|whom| format!("{whom}: ")).unwrap_or_default();
                let _ = write!(text, "{} {level}{}: {whom}{}", clock(note.time), note.about, note.text);
            }
        }
        text.push('\n');
    }
}

fn json(line: &impl Serialize) -> String {
    serde_json::to_string(line).unwrap_or_default()
}

/// `09:14:03Z 10.0.0.7 200 miss   12.3 kB 0.043 s GET /example.com/a/@v/v1.0.0.zip`, and what was special about it.
fn for_people(request: &Request, text: &mut String) {
    let status = request.status.map_or(Cow::Borrowed("---"), |status| Cow::Owned(status.to_string()));
    let _ = write!(
        text,
        "{} {} {status} {:<6} {:>8} {:>7.3} s {} {}",
        clock(request.time),
        request.client,
        request.cache,
        size(request.bytes),
        request.seconds,
        request.method,
        request.path
    );
    if let Some(user) = &request.user {
        let _ = write!(text, " user={user}");
    }
    if request.healed {
        text.push_str(" healed");
    }
    if !request.complete {
        text.push_str(" incomplete");
    }
    if let Some(error) = &request.error {
        let _ = write!(text, " ({error})");
    }
}

/// Bytes with three digits and a unit.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 99.5 { 0 } else { 1 };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// The time of day, in UTC.
fn clock(time: Timestamp) -> impl std::fmt::Display {
    let second = time.as_second().rem_euclid(24 * 3600);
    std::fmt::from_fn(move |f| write!(f, "{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60))
}

fn time<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))
}

/// Microseconds are enough.
pub(in crate::observe) fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e6
}

/// A text that a client or an upstream chose: on one line, without what a terminal acts upon or shows in another order.
pub(in crate::observe) fn harmless(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let bad = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let mut all = String::with_capacity(text.len().min(most));
    let mut count = 0;
    let mut chars = text.chars();
    for c in chars.by_ref().take(most) {
        count += 1;
        match c {
            '\n' | '\t' | '\r' => all.push(' '),
            c if bad(c) => all.push('\u{fffd}'),
            c => all.push(c),
        }
    }
    if count == most && chars.next().is_some() {
        all.push('…');
    }
    Cow::Owned(all)
}
