//! A request and its answer, from the first byte of the one to the last byte of the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;

use crate::answer::{Answer, Note, Peer, Request};

/// Told of what happens. Called on the threads that serve: nothing in it may wait.
pub trait Observer: Send + Sync {
    /// A connection was opened.
    fn opened(&self, peer: &Arc<Peer>);
    /// A connection is over.
    fn closed(&self, peer: &Peer);
    /// A connection ended before anything could be asked on it.
    fn refused(&self, why: Refused);
    /// A request was read; it is over with [`Observer::ended`].
    fn began(&self, peer: &Peer);
    /// A request is over.
    fn ended(&self, record: &Record);
}

/// Why nothing could be asked on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There were as many as the settings allow; it was told so, unless many others were being told already.
    TooMany,
    /// HTTP without TLS where TLS is spoken; it was told so.
    NotTls,
    /// The TLS handshake failed.
    Tls,
    /// The TLS handshake, or anything at all, did not come in time.
    Timeout,
}

impl Refused {
    /// All of them.
    pub const ALL: [Refused; 4] = [Refused::TooMany, Refused::NotTls, Refused::Tls, Refused::Timeout];

    /// A word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Refused::TooMany => "too_many",
            Refused::NotTls => "not_tls",
            Refused::Tls => "tls",
            Refused::Timeout => "timeout",
        }
    }
}

/// What became of a request.
#[derive(Clone, Debug)]
pub struct Record {
    /// Who asked.
    pub peer: Arc<Peer>,
    /// The stream of HTTP/2, the number of the request on a connection of HTTP/1.1.
    pub stream: u64,
    /// The method.
    pub method: http::Method,
    /// The path as it came.
    pub path: String,
    /// The status; `None` where the client went away before there was one.
    pub status: Option<StatusCode>,
    /// Where the answer came from.
    pub note: Note,
    /// Bytes of content that were given to the connection.
    pub bytes: u64,
    /// From the request to the head of the answer.
    pub first: Duration,
    /// From the request to the end of the answer.
    pub total: Duration,
    /// Whether the answer was given to its end.
    pub complete: bool,
}

/// A request that is under way. When it is dropped it is over, and told of.
pub(crate) struct Exchange {
    observer: Arc<dyn Observer>,
    began: Instant,
    /// There until it is over.
    record: Option<Box<Record>>,
}

impl Exchange {
    pub(crate) fn new(observer: Arc<dyn Observer>, request: &Request) -> Exchange {
        observer.began(&request.peer);
        let record = Record {
            peer: Arc::clone(&request.peer),
            stream: request.stream,
            method: request.method.clone(),
            path: request.path.clone(),
            status: None,
            note: Note::default(),
            bytes: 0,
            first: Duration::ZERO,
            total: Duration::ZERO,
            complete: false,
        };
        Exchange { observer, began: Instant::now(), record: Some(Box::new(record)) }
    }

    /// The head of the answer is ready.
    pub(crate) fn answered(&mut self, answer: &Answer) {
        if let Some(record) = &mut self.record {
            record.status = Some(answer.status);
            record.note = answer.note.clone();
            record.first = self.began.elapsed();
        }
    }

    /// So many bytes more were given to the connection.
    pub(crate) fn sent(&mut self, bytes: usize) {
        if let Some(record) = &mut self.record {
            record.bytes += bytes as u64;
        }
    }

    /// All was given to the connection.
    pub(crate) fn complete(&mut self) {
        if let Some(record) = &mut self.record {
            record.complete = true;
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.total = self.began.elapsed();
            self.observer.ended(&record);
        }
    }
}

/// Tells nobody.
#[derive(Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn opened(&self, _peer: &Arc<Peer>) {}
    fn closed(&self, _peer: &Peer) {}
    fn refused(&self, _why: Refused) {}
    fn began(&self, _peer: &Peer) {}
    fn ended(&self, _record: &Record) {}
}
