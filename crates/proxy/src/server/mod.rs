//! Who listens, and which version of HTTP is spoken.
//!
//! ```text
//!  Listener ── accepted ──► TlsServer ── ALPN ──────────► Counted ──► h2 ──┐
//!   (TCP, Unix)    │   Patient: what is written is taken                   ├─► answer ──► Reader
//!                  └─ plain ── first bytes ── Rewind ──► Heads ────► h1 ──┘
//! ```
//!
//! | what a client may do | who sees to it |
//! |---|---|
//! | open connections | `Shared::accept`: one too many is told so (`refuse`) |
//! | take its time with the TLS handshake, a head, between requests | `before`, `Heads` (HTTP/1.1), `Counted` and a timer (HTTP/2) |
//! | take nothing of an answer | `Patient`; of one stream: `h2` |
//! | send large heads, floods of frames | hyper and h2, as set here; `Counted` |
//! | read large files, and many | `Load`: what is read ahead for each |

mod answers;
mod current;
mod date;
mod doors;
mod frames;
mod h1;
mod h2;
mod heads;
mod held;
mod listen;
mod load;
mod patient;
mod reader;
mod refuse;
mod rewind;
mod tls;
mod trailers;
mod turns;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use goferry_net::tcp_info::TcpWatch;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::answers::{Fault, answer, takes_body};
use self::current::{Current, Follower};
use self::doors::{Bound, Doors, Opened};
use self::listen::Accepted;
use self::load::Load;
use self::patient::Patient;
use self::rewind::Rewind;
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
/// Clients that are told at once that there are too many; more are not even told.
const REFUSALS: usize = 64;
/// What a client that has connected and asked for nothing yet has when the server stops.
const GRACE: Duration = Duration::from_millis(500);

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
            current: Current::new(Arc::clone(&proxy)),
            tls: Mutex::default(),
            load: Arc::default(),
            served: Turns::default(),
            refused: Turns::default(),
            bodies: Semaphore::new(BODIES),
            connections: AtomicU64::new(0),
        };
        let server = Server { shared: Arc::new(shared), doors: Doors::new() };
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
        let mut running = JoinSet::new();
        {
            let mut asked = std::pin::pin!(stop.asked());
            loop {
                tokio::select! {
                    Some(door) = opened.recv() => {
                        running.spawn(Arc::clone(&self.shared).accept(door));
                    }
                    Some(_) = running.join_next() => {}
                    () = asked.as_mut() => break,
                }
            }
        }
        self.doors.stop();
        drop(opened);
        while running.join_next().await.is_some() {}
    }
}

impl Shared {
    fn tls(&self) -> Option<Arc<TlsServer>> {
        self.tls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves who connects, until told to stop; then those who are connected may end within the settings' time.
    async fn accept(self: Arc<Self>, (listener, mut stop): Opened) {
        let mut running = JoinSet::new();
        let mut current = Follower::new(Arc::clone(&self.current));
        let stopped = stop.clone();
        let mut begin = |accepted: Accepted, running: &mut JoinSet<()>| {
            let limit = current.proxy().config().limits.connections;
            let (turn, refused) = match self.served.take(limit) {
                Some(turn) => (turn, false),
                None => match self.refused.take(REFUSALS) {
                    Some(turn) => (turn, true),
                    None => return,
                },
            };
            let (this, stop) = (Arc::clone(&self), stopped.clone());
            running.spawn(async move {
                let _turn = turn;
                this.connected(accepted, refused, stop).await;
            });
        };
        {
            let mut asked = std::pin::pin!(stop.asked());
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok(accepted) => begin(accepted, &mut running),
                        Err(error) => {
                            // Out of file descriptors: the next one may go better.
                            tracing::warn!(%error, "a connection could not be accepted");
                            sleep(Duration::from_millis(50)).await;
                        }
                    },
                    Some(_) = running.join_next() => {}
                    () = asked.as_mut() => break,
                }
            }
        }
        listener.waiting().into_iter().for_each(|accepted| begin(accepted, &mut running));
        let place = listener.place();
        drop(listener);
        let drain = self.current.get().config().drain;
        if timeout(drain, async { while running.join_next().await.is_some() {} }).await.is_err() {
            let (connections, seconds) = (running.len(), drain.as_secs());
            tracing::warn!(connections, seconds, "connections to {place} not ended in time; they are cut off");
            running.shutdown().await;
        }
    }

    /// Serves a connection, or refuses it, until it ends.
    async fn connected(self: Arc<Self>, accepted: Accepted, refused: bool, stop: Stop) {
        self.load.connections.fetch_add(1, Ordering::Relaxed);
        let _open = Open(Arc::clone(&self.load));
        let proxy = self.current.get();
        let limits = &proxy.config().limits;
        let (header_time, stall) = (limits.header_time, limits.stall);
        drop(proxy);
        match accepted {
            Accepted::Tcp(socket, address) => {
                let tls = self.tls();
                let who = Who { address: address.ip().to_string(), tls: tls.is_some(), tcp: TcpWatch::new(&socket) };
                let Some(tls) = tls else {
                    let socket = Patient::new(socket, stall, end_tcp);
                    return self.plain(socket, who, header_time, refused, stop).await;
                };
                let handshake = async {
                    let plain = tls::is_plain(&socket).await;
                    let socket = Patient::new(socket, stall, end_tcp);
                    if plain? {
                        refuse::say(socket, tls::NOT_TLS.as_bytes()).await;
                        return Err(io::Error::new(io::ErrorKind::InvalidData, "HTTP without TLS"));
                    }
                    tls.accept(socket, self.load.tls_buffer()).await
                };
                match before(&stop, header_time, handshake).await {
                    Some(Ok(stream)) => {
                        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                        match refused {
                            true => refuse::refuse(stream, http2).await,
                            false => self.speak(stream, who, http2, stop).await,
                        }
                    }
                    Some(Err(error)) => tracing::debug!(%error, peer = who.address, "the TLS handshake failed"),
                    None => tracing::debug!(peer = who.address, "the TLS handshake took too long"),
                }
            }
            Accepted::Unix(socket) => {
                let who = Who { address: "unix".to_owned(), tls: false, tcp: None };
                let socket = Patient::new(socket, stall, end_unix);
                self.plain(socket, who, header_time, refused, stop).await;
            }
        }
    }

    /// Serves a connection without TLS: HTTP/1.1, or HTTP/2 with prior knowledge.
    async fn plain<I>(self: Arc<Self>, mut io: I, who: Who, header_time: Duration, refused: bool, stop: Stop)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // One read brings the whole head, as a rule.
        let mut first = BytesMut::with_capacity(1024);
        let sniffed = before(&stop, header_time, async {
            while first.len() < PREFACE.len() && PREFACE.starts_with(&first) {
                if io.read_buf(&mut first).await? == 0 {
                    break;
                }
            }
            Ok::<_, io::Error>(())
        });
        if !matches!(sniffed.await, Some(Ok(()))) || first.is_empty() {
            return;
        }
        let http2 = first.starts_with(PREFACE);
        match refused {
            true => refuse::refuse(io, http2).await,
            false => self.speak(Rewind::new(first.freeze(), io), who, http2, stop).await,
        }
    }

    async fn speak<I>(self: Arc<Self>, io: I, who: Who, http2: bool, stop: Stop)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connection = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let protocol = if http2 { "HTTP/2" } else { "HTTP/1.1" };
        let Who { address, tls, tcp } = who;
        let peer = Arc::new(Peer { connection, address, protocol, tls, tcp });
        let proxy = self.current.get();
        let limits = proxy.config().limits;
        let observer = Arc::clone(proxy.observer());
        drop(proxy);
        observer.opened(&peer);
        let link = Arc::new(Link { shared: self, peer: Arc::clone(&peer) });
        if http2 {
            if let Err(error) = h2::serve(link, limits, io, stop).await {
                tracing::debug!(%error, peer = peer.address, "a connection of HTTP/2 ended");
            }
        } else if let Err(error) = h1::serve(link, limits, io, stop).await {
            tracing::debug!(%error, peer = peer.address, "a connection of HTTP/1.1 ended");
        }
        observer.closed(&peer);
    }
}

/// Who has connected.
struct Who {
    address: String,
    tls: bool,
    tcp: Option<TcpWatch>,
}

/// A connection that is counted.
struct Open(Arc<Load>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Others may hold the socket for its counters: it is over for the client all the same.
fn end_tcp(socket: &TcpStream) {
    let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
}

fn end_unix(_socket: &UnixStream) {}

/// What comes before the first request: `None` where it takes longer than `limit`, or the server stops meanwhile.
async fn before<T>(stop: &Stop, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut stop = stop.clone();
    tokio::select! {
        biased;
        done = work => Some(done),
        () = sleep(limit) => None,
        () = async { stop.asked().await; sleep(GRACE).await } => None,
    }
}

/// As many file descriptors as the system allows this process: a client takes two, and one for what it reads.
fn raise_descriptors() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}
