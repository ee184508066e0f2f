//! A small DNS server (RFC 1035) over UDP and TCP that answers, delays, fails or stays silent, per name and type.
//!
//! It knows what its [`Zone`] says and nothing else: it never asks another server. For a client in a network namespace
//! whose `resolv.conf` names it, start it on port 53 of an address there; sockets may come from any namespace.
//! The thread is made by the caller's and ends, with all pending answers, when the server is dropped.
//!
//! A name that has records of another type gets an empty answer (NODATA); a name that the zone does not know gets
//! NXDOMAIN. Only A and AAAA records exist.

mod message;
mod serve;
mod zone;

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::forward::thread::ServerThread;

pub use message::QueryType;
pub use zone::{Behaviour, Zone};

/// How many different names are counted.
const MAX_NAMES: usize = 256;

/// A running server. It ends when it is dropped.
pub struct DnsServer {
    address: SocketAddr,
    counters: Arc<Counters>,
    _thread: ServerThread,
}

/// What a server has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsCounts {
    /// Queries that could be read, by type.
    pub queries: BTreeMap<QueryType, u64>,
    /// Queries that could be read, by name (lower case, no final dot) and type; the first 256 different pairs.
    pub names: BTreeMap<(String, QueryType), u64>,
    /// Queries that came by UDP.
    pub udp: u64,
    /// Queries that came by TCP.
    pub tcp: u64,
    /// Answers sent, of any kind.
    pub answered: u64,
    /// Queries left without an answer, as configured.
    pub dropped: u64,
    /// Messages that were no query, or not one that this server understands.
    pub malformed: u64,
    /// Queries left without an answer because too many were pending.
    pub overloaded: u64,
}

impl DnsServer {
    /// Answers on `udp` and, where given, on `tcp`, by what `zone` says.
    ///
    /// # Errors
    /// When a socket cannot be used or no thread can be made.
    pub fn start(udp: UdpSocket, tcp: Option<TcpListener>, zone: Zone) -> io::Result<Self> {
        let address = udp.local_addr()?;
        udp.set_nonblocking(true)?;
        if let Some(tcp) = &tcp {
            tcp.set_nonblocking(true)?;
        }
        let counters = Arc::new(Counters::default());
        let answerer = Arc::new(serve::Answerer::new(zone, Arc::clone(&counters)));
        let thread = ServerThread::spawn("lab-dns", || {
            let udp = tokio::net::UdpSocket::from_std(udp)?;
            let tcp = tcp.map(tokio::net::TcpListener::from_std).transpose()?;
            Ok(serve::serve(udp, tcp, answerer))
        })?;
        Ok(Self { address, counters, _thread: thread })
    }

    /// Binds UDP and TCP to the same port of `address` (port 0: one that is free for both) and starts there.
    ///
    /// # Errors
    /// When the address cannot be bound, or as [`DnsServer::start`].
    pub fn bind(address: SocketAddr, zone: Zone) -> io::Result<Self> {
        let mut attempts = if address.port() == 0 { 16 } else { 1 };
        loop {
            attempts -= 1;
            let udp = UdpSocket::bind(address)?;
            match TcpListener::bind(udp.local_addr()?) {
                Ok(tcp) => return Self::start(udp, Some(tcp), zone),
                Err(error) if attempts == 0 => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// Where it listens by UDP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has happened so far.
    #[must_use]
    pub fn counts(&self) -> DnsCounts {
        self.counters.lock().clone()
    }
}

/// The counters of a running server.
#[derive(Default)]
struct Counters(Mutex<DnsCounts>);

impl Counters {
    fn query(&self, name: &str, kind: QueryType) {
        let mut counts = self.lock();
        *counts.queries.entry(kind).or_default() += 1;
        let pair = (name.to_owned(), kind);
        if counts.names.len() < MAX_NAMES || counts.names.contains_key(&pair) {
            *counts.names.entry(pair).or_default() += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, DnsCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
