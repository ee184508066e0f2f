//! Connections to one origin, kept and shared: the pool of `download` and `serve`.
//!
//! One connection is opened first and carries everything. More come only when a measurement says that one flow, or the
//! server's stream limit, is what holds the transfer up, and stay only if the sum grew ([`growth`]). HTTP/1.1 gets as
//! many connections as requests wait, up to the cap, and keeps them all. docs/pool.md has the rule in full.
//!
//! A request waits in the pool until a connection has room for it: small files and large ones in two queues, the
//! highest rank first. A connection is given as many large files as keep it busy for the next round trips and no more,
//! so that what is not yet sent can go to a connection that is opened later.
//!
//! Nothing is retried here. A [`Failure`] says what happened; who knows whether the request may be sent again decides.

mod answers;
pub mod growth;

mod connection;
mod monitor;
mod response;
mod slots;
mod windows;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use serde::Serialize;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

use crate::connect::{Connector, Origin};
use crate::error::{NetError, Phase};
use crate::timeline::{Snapshot, Timeline};

pub use answers::{AnswerCounts, BOUNDS};
pub use response::{Body, Response};
use slots::{Slots, Ticket};

/// Settings of a pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolConfig {
    /// Most connections at once.
    pub max_connections: usize,
    /// Offer no HTTP/2.
    pub http1_only: bool,
    /// Most streams on one connection, whatever the server allows.
    pub max_streams: usize,
    /// How long the server's SETTINGS may take.
    pub settings_bound: Duration,
    /// With requests in flight and nothing arriving for so long, a PING is sent.
    pub quiet: Duration,
    /// How long its answer may take before the connection is given up.
    pub ping_bound: Duration,
    /// A connection without requests is closed after this. Go's own is 90 s.
    pub idle: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        PoolConfig {
            max_connections: 16,
            http1_only: false,
            max_streams: 256,
            settings_bound: Duration::from_secs(5),
            quiet: Duration::from_secs(3),
            ping_bound: Duration::from_secs(4),
            idle: Duration::from_secs(90),
        }
    }
}

/// Which queue a request waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// An answer of a few kilobytes: `.info`, `.mod`, `list`, a tile.
    Small,
    /// A zip, or a part of one.
    Large,
}

/// A GET request.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Path and query, beginning with `/`.
    pub target: String,
    /// Header fields beside the ones that every request has.
    pub headers: HeaderMap,
    /// Which queue it waits in.
    pub class: Class,
    /// Who goes first within the queue: the higher.
    pub rank: u64,
    /// Bytes that the answer is expected to have, where that is known.
    pub expect: Option<u64>,
    /// How often it was moved from a connection that stood still ([`Cause::Slow`]).
    pub moves: u32,
    /// How long the answer's head may take, counted from sending.
    pub head_bound: Duration,
    /// How long the body may pause.
    pub pause_bound: Duration,
}

impl Ask {
    /// A GET of `target` with the usual bounds.
    pub fn new(target: impl Into<String>, class: Class) -> Ask {
        Ask {
            target: target.into(),
            headers: HeaderMap::new(),
            class,
            rank: 0,
            expect: None,
            moves: 0,
            head_bound: Duration::from_secs(60),
            pause_bound: Duration::from_secs(15),
        }
    }
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "cause", content = "code", rename_all = "kebab-case")]
pub enum Cause {
    /// No connection could be opened.
    Dial,
    /// GOAWAY with this code: the request was not processed, or the connection ended before its answer.
    GoAway(String),
    /// RST_STREAM REFUSED_STREAM: not processed.
    Refused,
    /// The connection ended before the request was sent.
    Unsent,
    /// RST_STREAM with this code.
    Reset(String),
    /// The connection ended.
    Lost,
    /// The connection went dead: a PING was not answered.
    Dead,
    /// The connection lives and the answer does not come.
    Silent,
    /// Nothing came for some round trips on a path that loses, and another connection has room: the request is better
    /// sent there. Nobody is at fault.
    Slow,
    /// The peer broke the protocol.
    Protocol,
}

impl Cause {
    /// Whether the server is known not to have processed the request.
    #[must_use]
    pub fn unprocessed(&self) -> bool {
        matches!(self, Cause::Dial | Cause::Refused | Cause::Unsent)
    }
}

/// A failed request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Failure {
    /// Why.
    pub cause: Cause,
    /// The same in phases, kinds and words.
    pub error: NetError,
    /// The connection's number; 0 where there was none.
    pub connection: u32,
}

/// The pool's doings in figures.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// The origin.
    pub origin: String,
    /// `HTTP/2`, `HTTP/1.1`, or empty before the first connection.
    pub protocol: &'static str,
    /// Connections opened.
    pub opened: u64,
    /// Connections that could not be opened, by the phase that failed.
    pub not_opened: BTreeMap<Phase, u64>,
    /// Of those that were opened, open now.
    pub open: usize,
    /// The most that carried requests at once.
    pub most: usize,
    /// Requests sent.
    pub requests: u64,
    /// Requests sent on a connection that had carried one before, of all: 0 to 1.
    pub reuse: f64,
    /// Bytes of plain text received.
    pub bytes: u64,
    /// Why connections ended, and how often.
    pub ended: BTreeMap<String, u64>,
    /// Segments that arrived out of order.
    pub out_of_order: u64,
    /// The least round trip seen.
    pub round_trip: Option<Duration>,
    /// What was decided, when, and why; the newest 64.
    pub decisions: Vec<Decided>,
}

/// The pool's present load, and what its summary leaves out.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Streams in flight by the connection's number.
    pub in_flight: Vec<(u32, usize)>,
    /// Requests that wait for a connection.
    pub waiting: usize,
    /// Segments with data that arrived on all connections so far.
    pub segments_in: u64,
    /// Requests that were sent on a connection that had carried one before.
    pub reused: u64,
    /// The answers so far.
    pub answers: AnswerCounts,
    /// Since the pool began: what [`Decided::at`] counts from.
    pub age: Duration,
}

/// A decision of the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decided {
    /// Since the pool began.
    pub at: Duration,
    /// What and why.
    pub text: String,
}

/// Connections to one origin. Cheap to clone.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    connector: Connector,
    config: PoolConfig,
    born: Instant,
    slots: Mutex<Slots>,
    answers: answers::Answers,
    /// Signalled whenever a connection has room and nothing waits.
    idle: Notify,
    next: AtomicU64,
    /// Dropped with the pool: who opens a connection for it stops then.
    alive: watch::Sender<()>,
}

impl Pool {
    /// A pool without connections. Must be used within a tokio runtime.
    #[must_use]
    pub fn new(connector: Connector, config: PoolConfig) -> Pool {
        let slots = Mutex::new(Slots::new(&config, connector.origin().https));
        Pool(Arc::new(Inner {
            connector,
            config,
            born: Instant::now(),
            slots,
            answers: answers::Answers::default(),
            idle: Notify::new(),
            next: AtomicU64::new(1),
            alive: watch::Sender::new(()),
        }))
    }

    /// Where it connects to.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        self.0.connector.origin()
    }

    /// Opens the first connection ahead of the first request.
    pub fn warm(&self) {
        Inner::pump(&self.0, true);
    }

    /// Sends a GET when a connection has room for it and awaits the head of its answer.
    ///
    /// # Errors
    /// See [`Cause`]. Every status is an answer and no error.
    pub async fn get(&self, ask: &Ask) -> Result<Response, Failure> {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().wait(Ticket::new(ask, sender));
        Inner::pump(&self.0, false);
        let lease = match receiver.await {
            Ok(outcome) => outcome?,
            Err(_) => return Err(connection::lost(0, "the pool is gone")),
        };
        connection::send(lease, ask, &self.0.connector).await
    }

    /// Resolves when a connection has room for a large file and no request waits.
    pub async fn idle(&self) {
        loop {
            let notified = self.0.idle.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.0.lock().has_spare_room() {
                return;
            }
            notified.await;
        }
    }

    /// Connections that carry requests now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.lock().usable()
    }

    /// Whether losses or limits made it open more than one connection, or HTTP/1.1 did.
    #[must_use]
    pub fn is_spread(&self) -> bool {
        self.connections() > 1
    }

    /// Whether the path is full right now, so that sharing the work among connections differently brings nothing.
    #[must_use]
    pub fn is_queueing(&self) -> bool {
        self.0.lock().growth.is_queueing()
    }

    /// From now on HTTP/1.1 only; the text says what proved that HTTP/2 does not work here. Connections of HTTP/2
    /// finish what they have. False where that is impossible or was so already.
    pub fn give_up_http2(&self, proof: &str) -> bool {
        let done = self.0.lock().give_up_http2(self.0.born.elapsed(), proof);
        Inner::pump(&self.0, false);
        done
    }

    /// The pool's doings in figures.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = self.0.lock().summary();
        summary.origin = self.origin().to_string();
        summary
    }

    /// Its present load.
    #[must_use]
    pub fn load(&self) -> Load {
        let mut load = self.0.lock().load();
        load.answers = self.0.answers.read();
        load.age = self.0.born.elapsed();
        load
    }

    /// Each connection as it is now, and the newest of those that are over.
    #[must_use]
    pub fn snapshots(&self) -> Vec<Snapshot> {
        let timelines: Vec<Arc<Timeline>> = self.0.lock().timelines();
        timelines.iter().map(|timeline| timeline.snapshot()).collect()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("origin", self.origin()).finish_non_exhaustive()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands waiting requests to connections with room, and opens connections where that is due.
    fn pump(this: &Arc<Inner>, warm: bool) {
        let (granted, dial, spare) = {
            let mut slots = this.lock();
            let granted = slots.grant(this);
            let dial = slots.due(warm, this.born.elapsed());
            (granted, dial, slots.has_spare_room())
        };
        for (ticket, lease) in granted {
            // A caller that went away drops its lease, which pumps again.
            let _ = ticket.send(Ok(lease));
        }
        for _ in 0..dial {
            let number = u32::try_from(this.next.fetch_add(1, Ordering::Relaxed)).unwrap_or(u32::MAX);
            tokio::spawn(connection::open(
                Arc::downgrade(this),
                this.connector.clone(),
                this.alive.subscribe(),
                number,
            ));
        }
        if spare {
            this.idle.notify_waiters();
        }
    }
}
