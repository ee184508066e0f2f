//! What an origin counts: connections, requests, frames, bytes, and a log of each request.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use goferry_wire::h2::FrameKind;
use serde::Serialize;

use crate::universe::FileKind;

/// Requests kept in the log; later ones are counted but not logged.
const LOG_LIMIT: usize = 100_000;

/// Live counters of an origin, shared with its threads.
#[derive(Debug)]
pub struct Counters {
    started: Instant,
    pub(super) connections: AtomicU64,
    pub(super) handshakes: AtomicU64,
    pub(super) used_connections: AtomicU64,
    pub(super) bytes_sent: AtomicU64,
    pub(super) bytes_received: AtomicU64,
    active: AtomicU64,
    max_active: AtomicU64,
    detail: Mutex<Detail>,
}

#[derive(Debug, Default)]
struct Detail {
    requests: BTreeMap<&'static str, u64>,
    frames_sent: BTreeMap<FrameKind, u64>,
    frames_received: BTreeMap<FrameKind, u64>,
    log: Vec<RequestRecord>,
}

/// One request as the origin saw it.
#[derive(Debug, Clone, Serialize)]
pub struct RequestRecord {
    /// Time since the origin started, in seconds.
    pub at: f64,
    /// Connection number, from 1 in the order of acceptance.
    pub connection: u64,
    /// HTTP/2 stream identifier; 0 on HTTP/1.1.
    pub stream: u32,
    /// Kind of file, as [`FileKind::name`].
    pub kind: &'static str,
    /// Path asked for.
    pub path: String,
    /// Status answered; 0 where the fault gave none.
    pub status: u16,
}

/// A copy of all counters at one moment.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Snapshot {
    /// TCP connections accepted.
    pub connections: u64,
    /// TLS handshakes completed.
    pub handshakes: u64,
    /// Connections that carried at least one request.
    pub used_connections: u64,
    /// Requests by kind of file.
    pub requests: BTreeMap<&'static str, u64>,
    /// HTTP/2 frames sent, by type name.
    pub frames_sent: BTreeMap<String, u64>,
    /// HTTP/2 frames received, by type name.
    pub frames_received: BTreeMap<String, u64>,
    /// Bytes written to TCP connections.
    pub bytes_sent: u64,
    /// Bytes read from TCP connections.
    pub bytes_received: u64,
    /// Most requests in progress at one moment, over all connections.
    pub max_concurrency: u64,
    /// The requests in the order of arrival.
    pub log: Vec<RequestRecord>,
}

impl Snapshot {
    /// All requests.
    #[must_use]
    pub fn total_requests(&self) -> u64 {
        self.requests.values().sum()
    }
}

impl Counters {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            connections: AtomicU64::new(0),
            handshakes: AtomicU64::new(0),
            used_connections: AtomicU64::new(0),
            bytes_sent: AtomicU64::new(0),
            bytes_received: AtomicU64::new(0),
            active: AtomicU64::new(0),
            max_active: AtomicU64::new(0),
            detail: Mutex::new(Detail::default()),
        }
    }

    /// Time since the origin started.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// A copy of everything counted so far.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let detail = self.detail();
        Snapshot {
            connections: self.connections.load(Ordering::Relaxed),
            handshakes: self.handshakes.load(Ordering::Relaxed),
            used_connections: self.used_connections.load(Ordering::Relaxed),
            requests: detail.requests.clone(),
            frames_sent: named(&detail.frames_sent),
            frames_received: named(&detail.frames_received),
            bytes_sent: self.bytes_sent.load(Ordering::Relaxed),
            bytes_received: self.bytes_received.load(Ordering::Relaxed),
            max_concurrency: self.max_active.load(Ordering::Relaxed),
            log: detail.log.clone(),
        }
    }

    /// Counts a request; returns how many of its kind came before it.
    pub(super) fn request(&self, connection: u64, stream: u32, kind: FileKind, path: &str) -> RequestCount {
        let mut detail = self.detail();
        let all: u64 = detail.requests.values().sum();
        let slot = detail.requests.entry(kind.name()).or_insert(0);
        let of_kind = *slot;
        *slot += 1;
        let mut log_index = None;
        if detail.log.len() < LOG_LIMIT {
            log_index = Some(detail.log.len());
            detail.log.push(RequestRecord {
                at: self.started.elapsed().as_secs_f64(),
                connection,
                stream,
                kind: kind.name(),
                path: path.to_owned(),
                status: 0,
            });
        }
        RequestCount { all, of_kind, log_index }
    }

    pub(super) fn answered(&self, count: RequestCount, status: u16) {
        if let Some(index) = count.log_index {
            self.detail().log[index].status = status;
        }
    }

    pub(super) fn frame_sent(&self, kind: FrameKind) {
        *self.detail().frames_sent.entry(kind).or_insert(0) += 1;
    }

    pub(super) fn frame_received(&self, kind: FrameKind) {
        *self.detail().frames_received.entry(kind).or_insert(0) += 1;
    }

    /// Marks a request as in progress until the guard is dropped.
    pub(super) fn begin(self: &std::sync::Arc<Self>) -> ActiveGuard {
        let now = self.active.fetch_add(1, Ordering::Relaxed) + 1;
        self.max_active.fetch_max(now, Ordering::Relaxed);
        ActiveGuard(std::sync::Arc::clone(self))
    }

    fn detail(&self) -> std::sync::MutexGuard<'_, Detail> {
        self.detail.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn named(frames: &BTreeMap<FrameKind, u64>) -> BTreeMap<String, u64> {
    frames.iter().map(|(kind, count)| (kind.to_string(), *count)).collect()
}

/// How many requests came before one.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestCount {
    /// Of any kind.
    pub(super) all: u64,
    /// Of the same kind.
    pub(super) of_kind: u64,
    log_index: Option<usize>,
}

impl RequestCount {
    /// The count that a [`Which`](super::behaviour::Which) with this kind filter goes by.
    pub(super) fn for_filter(self, kind: Option<FileKind>) -> u64 {
        if kind.is_some() { self.of_kind } else { self.all }
    }
}

/// A request in progress.
#[derive(Debug)]
pub(super) struct ActiveGuard(std::sync::Arc<Counters>);

impl Drop for ActiveGuard {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}
