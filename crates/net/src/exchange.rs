//! One request and what became of it, over HTTP/2 or HTTP/1.1 alike.

use std::time::Duration;

use serde::Serialize;

use crate::error::NetError;

/// The most that is kept of one response's headers: fields, and octets of a value.
const MAX_HEADERS: usize = 64;
const MAX_VALUE: usize = 512;

/// A GET request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Path and query, beginning with `/`.
    pub path: String,
    /// `Authorization`, where one is to be sent.
    pub authorization: Option<String>,
    /// Octets of the body to keep.
    pub keep: usize,
    /// Stop the transfer after this many octets of body: 0 means after the headers.
    pub stop_after: Option<u64>,
}

impl Request {
    /// A GET of `path` that reads the whole body and keeps none of it.
    pub fn get(path: impl Into<String>) -> Request {
        Request { path: path.into(), authorization: None, keep: 0, stop_after: None }
    }
}

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// The response arrived whole.
    Complete,
    /// This side had what it wanted and stopped.
    Stopped,
    /// The body ended before its announced length.
    Truncated,
    /// RST_STREAM.
    Reset {
        /// The error code's name.
        code: String,
    },
    /// GOAWAY said that this stream was not and will not be processed, or the connection that
    /// carried the GOAWAY ended before the response.
    GoneAway {
        /// The error code's name.
        code: String,
        /// The last stream id.
        last_stream_id: u32,
    },
    /// Nothing came any more.
    Stalled {
        /// Whether a PING was answered meanwhile; `None` where there is no PING (HTTP/1.1).
        ping_answered: Option<bool>,
    },
    /// The connection failed.
    Lost(NetError),
    /// The request was never sent: the connection took no more.
    Unsent,
}

/// One request and its response, with times counted from the connection's first byte of HTTP.
#[derive(Clone, Debug, Serialize)]
pub struct Exchange {
    /// The path asked for.
    pub path: String,
    /// HTTP/2 stream id; 0 with HTTP/1.1.
    pub stream_id: u32,
    /// When it was sent.
    pub sent: Duration,
    /// From sending to the end of the response's headers.
    pub ttfb: Option<Duration>,
    /// From sending to the end.
    pub took: Duration,
    /// Status, once headers came.
    pub status: Option<u16>,
    /// Response headers, names in lower case; bounded.
    pub headers: Vec<(String, String)>,
    /// Octets of body that arrived.
    pub body_bytes: u64,
    /// What was kept of the body.
    #[serde(skip)]
    pub body: Vec<u8>,
    /// Octets of body by time since sending: at most 512 points.
    #[serde(skip)]
    pub arrivals: Vec<(Duration, u64)>,
    /// The server said that it closes the connection after this response.
    pub closes: bool,
    /// How it ended.
    pub outcome: Outcome,
}

impl Exchange {
    pub(crate) fn new(request: &Request, stream_id: u32, sent: Duration) -> Exchange {
        Exchange {
            path: request.path.clone(),
            stream_id,
            sent,
            ttfb: None,
            took: Duration::ZERO,
            status: None,
            headers: Vec::new(),
            body_bytes: 0,
            body: Vec::new(),
            arrivals: Vec::new(),
            closes: false,
            outcome: Outcome::Unsent,
        }
    }

    /// The first value of a header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// `Content-Length`, where it is there and a number.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// Whether a whole response came, whatever its status.
    #[must_use]
    pub fn answered(&self) -> bool {
        matches!(self.outcome, Outcome::Complete | Outcome::Stopped)
    }

    /// Whether a whole response with status 200 came.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.answered() && self.status == Some(200)
    }

    pub(crate) fn push_header(&mut self, name: &[u8], value: &[u8]) {
        if self.headers.len() < MAX_HEADERS {
            self.headers.push((printable(name).to_ascii_lowercase(), printable(value)));
        }
    }

    pub(crate) fn push_body(&mut self, data: &[u8], keep: usize, at: Duration) {
        self.body_bytes += data.len() as u64;
        let room = keep.saturating_sub(self.body.len()).min(data.len());
        self.body.extend_from_slice(&data[..room]);
        if self.arrivals.len() >= 512 {
            // Halve the resolution: every second point goes, the last one always stays.
            let mut odd = false;
            self.arrivals.retain(|_| {
                odd = !odd;
                !odd
            });
        }
        self.arrivals.push((at, self.body_bytes));
    }
}

/// A header is the peer's text: short and without control characters.
fn printable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(MAX_VALUE)]);
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
