//! What an operator sees: figures, a line for each request, the upstream's connections, and whether it can do its work.
//!
//! | question | answer |
//! |---|---|
//! | who is told of requests and connections | [`Watch`]; it outlives a reload of the settings |
//! | what is counted | [`metrics`], docs/operations.md |
//! | what is written of a request | [`log`], docs/schema/access-log-1.json |
//! | what the upstream's connections do | [`connections`], docs/schema/connections-1.json |
//! | can it do its work | [`ready`] |
//! | is the network losing, and is the pool the limit | [`loss`] |

pub mod clients;
pub mod connections;
pub mod log;
pub mod loss;
pub mod metrics;
mod operator;
mod pools;
pub mod ready;
mod size;
mod waits;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use goferry_fetch::FetchError;

use self::clients::Clients;
use self::log::{Log, Note};
use self::metrics::Metrics;
pub use self::operator::Operator;
use crate::answer::Peer;
use crate::config::ProxyConfig;
use crate::exchange::{Observer, Record, Refused};

/// How often the log says that there are too many connections.
const SAY_TOO_MANY: Duration = Duration::from_secs(60);

/// Counts and logs what happens.
pub struct Watch {
    metrics: Metrics,
    log: Log,
    clients: Clients,
    since: Instant,
    /// How many proxies it was given to; the last one shows what is so now.
    generations: AtomicU64,
    /// When the log last said that there are too many connections.
    too_many: Mutex<Option<Instant>>,
}

impl Watch {
    /// Begins to count; opens the log.
    ///
    /// # Errors
    /// Where the log's file cannot be opened.
    pub fn open(config: &ProxyConfig) -> Result<Arc<Watch>, FetchError> {
        let metrics = Metrics::default();
        let log = Log::open(config.log_format, config.log_file.as_deref(), metrics.log_dropped.clone())?;
        Ok(Arc::new(Watch {
            metrics,
            log,
            clients: Clients::default(),
            since: Instant::now(),
            generations: AtomicU64::new(0),
            too_many: Mutex::default(),
        }))
    }

    /// Takes other settings on; the log's file is opened again, as after its rotation.
    ///
    /// # Errors
    /// Where the log's file cannot be opened: the old one stays.
    pub fn set_up(&self, config: &ProxyConfig) -> Result<(), FetchError> {
        self.log.turn_to(config.log_format, config.log_file.as_deref())
    }

    /// The figures.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The connections of clients.
    #[must_use]
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// Since when it counts.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Another proxy takes the place of the one before.
    fn begin_generation(&self) -> u64 {
        self.metrics.forget_upstreams();
        self.generations.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn generation(&self) -> u64 {
        self.generations.load(Ordering::Relaxed)
    }

    /// Writes something other than a request into the log.
    pub fn note(&self, note: Note) {
        self.log.note(note);
    }
}

impl Observer for Watch {
    fn opened(&self, peer: &Arc<Peer>) {
        self.metrics.opened(peer);
        self.clients.opened(peer);
    }

    fn closed(&self, peer: &Peer) {
        self.metrics.closed(peer);
        let last = self.clients.closed(peer);
        self.metrics.sent_to_clients(last);
    }

    fn refused(&self, why: Refused) {
        self.metrics.refused(why);
        if why != Refused::TooMany {
            return;
        }
        let mut said = self.too_many.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| said.elapsed() >= SAY_TOO_MANY) {
            *said = Some(Instant::now());
            let text = "there are as many as limits.connections allows; further ones are told so, and counted \
                        (goferry_connections_refused_total)";
            self.log.note(Note::warning("connections", text));
        }
    }

    fn began(&self, _peer: &Peer) {
        self.metrics.in_flight.inc();
    }

    fn ended(&self, record: &Record) {
        self.metrics.ended(record);
        self.log.request(record);
    }
}
