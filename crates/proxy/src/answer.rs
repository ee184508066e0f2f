//! Requests and answers, whichever version of HTTP carries them.

use std::fs::File;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use goferry_fetch::{FailKind, FetchError};
use goferry_net::tcp_info::TcpWatch;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::sync::mpsc;

use crate::words;

/// Which versions never change: their files are kept for a year.
pub const FOR_EVER: &str = "public, max-age=31536000, immutable";
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Who is at the other end of a connection.
#[derive(Debug)]
pub struct Peer {
    /// The connection's number, from 1 on.
    pub connection: u64,
    /// The address without the port, or `unix`.
    pub address: String,
    /// `HTTP/1.1` or `HTTP/2`.
    pub protocol: &'static str,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// The socket's own counters, of TCP: `TcpWatch::new(&socket)` as it is accepted. It keeps the socket open.
    pub tcp: Option<TcpWatch>,
}

/// A request.
#[derive(Debug)]
pub struct Request {
    /// Who asks.
    pub peer: Arc<Peer>,
    /// The stream of HTTP/2, the number of the request on a connection of HTTP/1.1.
    pub stream: u64,
    /// The method.
    pub method: Method,
    /// The path as it came, without query.
    pub path: String,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body; empty but for POST.
    pub body: Bytes,
}

/// What follows the head of an answer.
#[derive(Debug)]
pub enum Content {
    /// Nothing.
    Empty,
    /// This.
    Bytes(Bytes),
    /// A part of a file.
    File {
        /// The file, which nobody writes to.
        file: Arc<File>,
        /// The first byte.
        from: u64,
        /// How many bytes.
        length: u64,
    },
    /// What comes, for as long as it comes.
    Stream(mpsc::Receiver<Bytes>),
}

impl Content {
    /// Its length in bytes, where that is known.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match self {
            Content::Empty => Some(0),
            Content::Bytes(bytes) => Some(bytes.len() as u64),
            Content::File { length, .. } => Some(*length),
            Content::Stream(_) => None,
        }
    }
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cache {
    /// It is about nothing that is kept.
    #[default]
    None,
    /// The store had it.
    Hit,
    /// The store had it because it was fetched ahead.
    Ahead,
    /// It was fetched for this request.
    Miss,
    /// It was being fetched for another one already.
    Joined,
    /// The store had it, older than it should be: the upstream failed, or is being asked.
    Stale,
}

impl Cache {
    /// A word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Cache::None => "none",
            Cache::Hit => "hit",
            Cache::Ahead => "ahead",
            Cache::Miss => "miss",
            Cache::Joined => "joined",
            Cache::Stale => "stale",
        }
    }
}

/// What the operator is told about an answer.
#[derive(Clone, Debug, Default)]
pub struct Note {
    /// The name of the route.
    pub route: &'static str,
    /// Where it came from.
    pub cache: Cache,
    /// How long the upstream was waited for.
    pub upstream: Option<Duration>,
    /// Whether the upstream's answer had to be mended.
    pub healed: bool,
    /// Who asked, where it had to say.
    pub user: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// Its header fields, but for those of the connection, `Content-Length` and `Date`.
    pub headers: HeaderMap,
    /// What follows.
    pub content: Content,
    /// For logs and metrics.
    pub note: Note,
}

/// A file to be answered with.
#[derive(Clone, Debug)]
pub struct Entity {
    /// Its content, in memory or on disk.
    pub content: EntityContent,
    /// Its strong validator, with quotes.
    pub etag: HeaderValue,
    /// Its type.
    pub kind: HeaderValue,
    /// For how long it may be kept.
    pub cache_control: HeaderValue,
}

/// Where the content of an [`Entity`] is.
#[derive(Clone, Debug)]
pub enum EntityContent {
    /// In memory.
    Memory(Bytes),
    /// On disk; the length in bytes.
    Disk(Arc<File>, u64),
}

impl Answer {
    /// An answer in words, for people and for the go command, which shows up to 8 lines of it
    /// (`cmd/go/internal/web/api.go`, `HTTPError`). With a status that says that something went wrong (4xx, 5xx) the
    /// operator is told the same words.
    #[must_use]
    pub fn text(status: StatusCode, text: impl Into<String>) -> Answer {
        let mut text = text.into();
        let wrong = status.is_client_error() || status.is_server_error();
        let note = Note { error: wrong.then(|| text.clone()), ..Note::default() };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, TEXT);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Answer { status, headers, content: Content::Bytes(text.into()), note }
    }

    /// The same as something went wrong, whatever the status.
    #[must_use]
    pub fn error(status: StatusCode, text: impl Into<String>) -> Answer {
        let text = text.into();
        let note = Note { error: Some(text.clone()), ..Note::default() };
        Answer { note, ..Answer::text(status, text) }
    }

    /// A failed fetch. Only what is not there is 404: with `goferry,direct` the go command goes around a proxy that says so.
    #[must_use]
    pub fn failed(error: &FetchError) -> Answer {
        let status = match error.kind {
            _ if error.absence() == Some(410) => StatusCode::GONE,
            _ if error.absence().is_some() => StatusCode::NOT_FOUND,
            FailKind::Forbidden => StatusCode::FORBIDDEN,
            FailKind::Local(Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded)) => {
                StatusCode::INSUFFICIENT_STORAGE
            }
            FailKind::Local(_) => StatusCode::INTERNAL_SERVER_ERROR,
            FailKind::Status(508) => StatusCode::LOOP_DETECTED,
            _ => StatusCode::BAD_GATEWAY,
        };
        let text = words::all(error);
        let note = Note { error: Some(text.clone()), ..Note::default() };
        Answer { note, ..Answer::text(status, words::shown(&text)) }
    }

    /// A file, or the part of it that was asked for, or that it has not changed (RFC 9110 sections 13 and 14). Parts are of
    /// GET alone.
    #[must_use]
    pub fn entity(entity: &Entity, method: &Method, request: &HeaderMap) -> Answer {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(ETAG, entity.etag.clone());
        headers.insert(CACHE_CONTROL, entity.cache_control.clone());
        if request.get_all(IF_NONE_MATCH).iter().any(|value| matches(value, &entity.etag)) {
            return Answer {
                status: StatusCode::NOT_MODIFIED,
                headers,
                content: Content::Empty,
                note: Note::default(),
            };
        }
        headers.insert(CONTENT_TYPE, entity.kind.clone());
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        let total = match &entity.content {
            EntityContent::Memory(bytes) => bytes.len() as u64,
            EntityContent::Disk(_, length) => *length,
        };
        let fresh = request.get(IF_RANGE).is_none_or(|value| *value == entity.etag);
        let range =
            request.get(RANGE).filter(|_| fresh && *method == Method::GET).and_then(|value| range(value, total));
        let (status, from, length) = match range {
            None => (StatusCode::OK, 0, total),
            Some(Some((from, length))) => {
                headers.insert(CONTENT_RANGE, value(&format!("bytes {from}-{}/{total}", from + length - 1)));
                (StatusCode::PARTIAL_CONTENT, from, length)
            }
            Some(None) => {
                let mut answer = Answer::text(StatusCode::RANGE_NOT_SATISFIABLE, format!("the file has {total} bytes"));
                answer.headers.insert(CONTENT_RANGE, value(&format!("bytes */{total}")));
                return answer;
            }
        };
        let content = match &entity.content {
            EntityContent::Memory(bytes) => {
                let at = usize::try_from(from).unwrap_or(usize::MAX);
                Content::Bytes(bytes.slice(at..at + usize::try_from(length).unwrap_or(0)))
            }
            EntityContent::Disk(file, _) => Content::File { file: Arc::clone(file), from, length },
        };
        Answer { status, headers, content, note: Note::default() }
    }

    /// Adds a header field.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Answer {
        self.headers.insert(name, value);
        self
    }
}

/// A header value that this program made of what it knows.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// Whether `If-None-Match` names the validator, compared weakly.
fn matches(value: &HeaderValue, etag: &HeaderValue) -> bool {
    let (Ok(value), Ok(etag)) = (value.to_str(), etag.to_str()) else { return false };
    value.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag)
}

/// The first byte and the number of bytes of a range. `None` where the field is to be ignored: another unit, more than
/// one range, or no syntax at all; `Some(None)` where there is no such byte.
fn range(value: &HeaderValue, total: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = value.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| -> Option<u64> {
        (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let length = number(last)?.min(total);
        return Some((length > 0).then(|| (total - length, length)));
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some((first < total).then(|| (first, (last - first).saturating_add(1).min(total - first))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity() -> Entity {
        Entity {
            content: EntityContent::Memory(Bytes::from_static(b"0123456789")),
            etag: HeaderValue::from_static("\"x\""),
            kind: TEXT,
            cache_control: HeaderValue::from_static(FOR_EVER),
        }
    }

    fn ask(fields: &[(HeaderName, &'static str)]) -> (u16, String, Option<String>) {
        ask_by(&Method::GET, fields)
    }

    fn ask_by(method: &Method, fields: &[(HeaderName, &'static str)]) -> (u16, String, Option<String>) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_static(value));
        }
        let answer = Answer::entity(&entity(), method, &headers);
        let body = match answer.content {
            Content::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            _ => String::new(),
        };
        let range = answer.headers.get(CONTENT_RANGE).map(|value| value.to_str().unwrap_or_default().to_owned());
        (answer.status.as_u16(), body, range)
    }

    #[test]
    fn ranges() {
        let part = |text: &str, range: &str| (206, text.to_owned(), Some(format!("bytes {range}/10")));
        assert_eq!(ask(&[(RANGE, "bytes=2-4")]), part("234", "2-4"));
        assert_eq!(ask(&[(RANGE, "bytes=7-")]), part("789", "7-9"));
        assert_eq!(ask(&[(RANGE, "bytes=-3")]), part("789", "7-9"));
        assert_eq!(ask(&[(RANGE, "bytes=-30")]), part("0123456789", "0-9"));
        assert_eq!(ask(&[(RANGE, "bytes=5-99999999999999999999999")]), part("56789", "5-9"));
        assert_eq!(ask(&[(RANGE, "bytes=10-")]).0, 416);
        assert_eq!(ask(&[(RANGE, "bytes=-0")]).0, 416);
        for ignored in ["bytes=0-1,3-4", "lines=1-2", "bytes=4-2", "bytes=a-b", "bytes=-", "bytes=+1-2"] {
            assert_eq!(ask(&[(RANGE, ignored)]), (200, "0123456789".to_owned(), None), "{ignored}");
        }
        assert_eq!(ask(&[(RANGE, "bytes=2-4"), (IF_RANGE, "\"x\"")]), part("234", "2-4"));
        assert_eq!(ask(&[(RANGE, "bytes=2-4"), (IF_RANGE, "\"y\"")]).0, 200);
        // Another method has none (RFC 9110 section 14.2).
        assert_eq!(ask_by(&Method::HEAD, &[(RANGE, "bytes=2-4")]).0, 200);
    }

    #[test]
    fn validators() {
        for same in ["\"x\"", "*", "\"a\", \"x\"", "W/\"x\""] {
            assert_eq!(ask(&[(IF_NONE_MATCH, same)]).0, 304, "{same}");
        }
        assert_eq!(ask(&[(IF_NONE_MATCH, "\"a\"")]).0, 200);
        assert_eq!(ask(&[(IF_NONE_MATCH, "\"a\""), (IF_NONE_MATCH, "\"x\"")]).0, 304);
        // A range is not looked at where nothing changed (RFC 9110 section 13.2.2).
        assert_eq!(ask(&[(IF_NONE_MATCH, "\"x\""), (RANGE, "bytes=2-4")]).0, 304);
    }
}
