//! Who listens, and which version of HTTP is spoken.
//!
//! ```text
//!  Listener ─── a lane ───► TlsServer ── ALPN ──────────► Counted ──► h2 ──┐
//!   (TCP, Unix)    │   Patient: what is written is taken                   ├─► answer ──► Reader
//!                  └─ plain ── first bytes ── Rewind ──► Heads ────► h1 ──┘
//! ```
//!
//! | what a client may do | who sees to it |
//! |---|---|
//! | open connections | `connected`: one too many is told so (`refuse`) |
//! | take its time with the TLS handshake, a head, between requests | `before`, `Heads` (HTTP/1.1), `Counted` and a timer (HTTP/2) |
//! | take nothing of an answer | `Patient`; of one stream: `h2` |
//! | send large heads, floods of frames | hyper and h2, as set here; `Counted` |
//! | read large files, and many | `Load`: what is read ahead for each |

mod answers;
mod connected;
mod current;
mod date;
mod doors;
mod frames;
mod h1;
mod h2;
mod heads;
mod held;
mod lanes;
mod listen;
mod load;
mod patient;
mod reader;
mod refuse;
mod rewind;
mod tls;
mod trailers;
mod turns;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use self::answers::{Fault, answer, takes_body};
use self::current::Current;
use self::doors::{Bound, Doors};
use self::lanes::Lanes;
use self::load::Load;
use self::tls::TlsServer;
pub use self::tls::check as check_tls;
use self::turns::Turns;
use crate::answer::Peer;
use crate::config::ProxyConfig;
use crate::proxy::Proxy;

/// What a client of HTTP/2 begins with (RFC 9113 section 3.4); the first bytes of it are no method.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bodies of `POST /-/warm` that are read at once.
const BODIES: usize = 8;

/// Told when the server is to stop.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Told by the sender that is given back too.
    #[must_use]
    pub fn new() -> (watch::Sender<bool>, Stop) {
        let (sender, receiver) = watch::channel(false);
        (sender, Stop(receiver))
    }

    /// Whether the server is to stop.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves when the server is to stop; never where nobody can say so any more.
    pub async fn asked(&mut self) {
        if self.0.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// A proxy that listens.
pub struct Server {
    shared: Arc<Shared>,
    doors: Doors,
    /// Until it runs.
    lanes: Mutex<Option<Lanes>>,
}

/// What a server may change to, all that could fail done: see [`Server::prepare`]. Dropped it changes nothing.
pub struct Prepared {
    bound: Bound,
    tls: Option<Arc<TlsServer>>,
}

/// What [`Server::apply`] has changed, as addresses and paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Where it listens now and did not before.
    pub opened: Vec<String>,
    /// Where it no longer listens; who is connected there may end within the settings' time.
    pub closed: Vec<String>,
}

/// What all connections share.
struct Shared {
    /// What answers wait for belongs to this runtime; connections are on lanes.
    common: Handle,
    current: Arc<Current>,
    tls: Mutex<Option<Arc<TlsServer>>>,
    load: Arc<Load>,
    served: Turns,
    refused: Turns,
    bodies: Semaphore,
    /// How many connections there have been.
    connections: AtomicU64,
}

/// What the requests of one connection share.
struct Link {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
}

impl Server {
    /// Binds what the settings name, and reads the certificate. Within a tokio runtime.
    ///
    /// # Errors
    /// Where an address cannot be listened on, or a certificate cannot be used; with its name.
    pub fn bind(proxy: Arc<Proxy>) -> io::Result<Server> {
        raise_descriptors();
        let shared = Shared {
            common: Handle::current(),
            current: Current::new(Arc::clone(&proxy)),
            tls: Mutex::default(),
            load: Arc::default(),
            served: Turns::default(),
            refused: Turns::default(),
            bodies: Semaphore::new(BODIES),
            connections: AtomicU64::new(0),
        };
        let server = Server { shared: Arc::new(shared), doors: Doors::new(), lanes: Mutex::new(Some(Lanes::start()?)) };
        let prepared = server.prepare(proxy.config())?;
        server.apply(prepared, proxy);
        Ok(server)
    }

    /// Binds what other settings name and this server does not listen on yet, and reads the certificate again. Nothing
    /// changes before [`Server::apply`]. Within a tokio runtime; reads files.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub fn prepare(&self, config: &ProxyConfig) -> io::Result<Prepared> {
        let bound = self.doors.bind(&config.listen)?;
        let names: Vec<_> = bound.addresses().iter().map(SocketAddr::ip).collect();
        let old = self.shared.tls();
        let tls = config.tls.as_ref().map(|tls| TlsServer::open(config, tls, &names, old.as_deref())).transpose()?;
        Ok(Prepared { bound, tls: tls.map(Arc::new) })
    }

    /// Lets another proxy, of the settings that were prepared for, answer from the next request on, on connections that
    /// are open too. New connections are accepted, counted and spoken TLS with as its settings say. Addresses that stay
    /// keep their sockets.
    pub fn apply(&self, prepared: Prepared, proxy: Arc<Proxy>) -> Changed {
        self.shared.current.swap(proxy);
        *self.shared.tls.lock().unwrap_or_else(PoisonError::into_inner) = prepared.tls;
        let (opened, closed) = self.doors.open(prepared.bound);
        Changed { opened, closed }
    }

    /// The TCP addresses that it listens on.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.doors.addresses()
    }

    /// What GOPROXY may be for its TCP addresses. One that stands for all of the machine's is given as `localhost`.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        let scheme = if self.shared.tls().is_some() { "https" } else { "http" };
        let proxy = self.shared.current.get();
        let prefix = &proxy.config().path_prefix;
        let url = |address: &SocketAddr| match address.ip().is_unspecified() {
            true => format!("{scheme}://localhost:{}{prefix}", address.port()),
            false => format!("{scheme}://{address}{prefix}"),
        };
        self.addresses().iter().map(url).collect()
    }

    /// The Unix sockets that it listens on.
    #[must_use]
    pub fn sockets(&self) -> Vec<PathBuf> {
        self.doors.sockets()
    }

    /// The file, in PEM, of the authority that clients must trust (`SSL_CERT_FILE`), where the server made one.
    #[must_use]
    pub fn authority(&self) -> Option<PathBuf> {
        self.shared.tls()?.authority().map(Path::to_owned)
    }

    /// Serves until told to stop: then nothing more is accepted, clients are told so, and what is under way may end within
    /// the settings' time.
    pub async fn run(self: Arc<Self>, mut stop: Stop) {
        let Some(mut opened) = self.doors.to_accept() else { return };
        let Some(lanes) = self.lanes.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let lanes = Arc::new(lanes);
        let mut running = JoinSet::new();
        {
            let mut asked = std::pin::pin!(stop.asked());
            loop {
                tokio::select! {
                    Some(door) = opened.recv() => {
                        running.spawn(Arc::clone(&self.shared).accept(door, Arc::clone(&lanes)));
                    }
                    Some(_) = running.join_next() => {}
                    () = asked.as_mut() => break,
                }
            }
        }
        self.doors.stop();
        drop(opened);
        while running.join_next().await.is_some() {}
        if let Some(lanes) = Arc::into_inner(lanes) {
            lanes.end().await;
        }
    }
}

impl Shared {
    fn tls(&self) -> Option<Arc<TlsServer>> {
        self.tls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// As many file descriptors as the system allows this process: a client takes two, and one for what it reads.
fn raise_descriptors() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}
