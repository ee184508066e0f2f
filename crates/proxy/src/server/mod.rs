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
//! | open connections | [`Server::run`]: one too many is told so (`refuse`) |
//! | take its time with the TLS handshake, a head, between requests | `before`, `Heads` (HTTP/1.1), `Counted` and a timer (HTTP/2) |
//! | take nothing of an answer | `Patient`; of one stream: `h2` |
//! | send large heads, floods of frames | hyper and h2, as set here; `Counted` |
//! | read large files, and many | `Load`: what is read ahead for each |

mod current;
mod date;
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

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use goferry_net::tcp_info::TcpWatch;
use http::header::{ALLOW, CONNECTION};
use http::{HeaderValue, Method, StatusCode};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::current::Current;
use self::listen::{Accepted, Listener};
use self::load::Load;
use self::patient::Patient;
use self::rewind::Rewind;
use self::tls::TlsServer;
use crate::answer::{Answer, Peer, Request};
use crate::exchange::Exchange;
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
    listeners: Mutex<Vec<Listener>>,
    addresses: Vec<SocketAddr>,
    sockets: Vec<PathBuf>,
}

/// What all connections share.
struct Shared {
    current: Arc<Current>,
    tls: Option<TlsServer>,
    load: Arc<Load>,
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
    /// Binds what the settings name, and reads the certificate.
    ///
    /// # Errors
    /// Where an address cannot be listened on, or a certificate cannot be used; with its name.
    pub async fn bind(proxy: Arc<Proxy>) -> io::Result<Server> {
        let config = proxy.config();
        let mut listeners = Vec::new();
        for listen in &config.listen {
            listeners.push(Listener::bind(listen).await?);
        }
        let addresses: Vec<_> = listeners.iter().filter_map(Listener::address).collect();
        let sockets = listeners.iter().filter_map(|listener| listener.path().map(Path::to_owned)).collect();
        let names: Vec<_> = addresses.iter().map(SocketAddr::ip).collect();
        let tls = config.tls.as_ref().map(|tls| TlsServer::open(config, tls, &names)).transpose()?;
        raise_descriptors();
        let shared = Shared {
            current: Current::new(proxy),
            tls,
            load: Arc::default(),
            bodies: Semaphore::new(BODIES),
            connections: AtomicU64::new(0),
        };
        Ok(Server { shared: Arc::new(shared), listeners: Mutex::new(listeners), addresses, sockets })
    }

    /// The TCP addresses that it listens on.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    /// What GOPROXY may be for its TCP addresses. One that stands for all of the machine's is given as `localhost`.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        let proxy = self.shared.current.get();
        let prefix = &proxy.config().path_prefix;
        let url = |address: &SocketAddr| match address.ip().is_unspecified() {
            true => format!("{scheme}://localhost:{}{prefix}", address.port()),
            false => format!("{scheme}://{address}{prefix}"),
        };
        self.addresses.iter().map(url).collect()
    }

    /// The Unix sockets that it listens on.
    #[must_use]
    pub fn sockets(&self) -> &[PathBuf] {
        &self.sockets
    }

    /// The file, in PEM, of the authority that clients must trust (`SSL_CERT_FILE`), where the server made one.
    #[must_use]
    pub fn authority(&self) -> Option<&Path> {
        self.shared.tls.as_ref()?.authority()
    }

    /// Lets another proxy answer from the next request on, on connections that are open too. Addresses, certificate files
    /// and the limits of open connections stay as they are.
    pub fn swap(&self, proxy: Arc<Proxy>) {
        self.shared.current.swap(proxy);
    }

    /// Serves until told to stop: then nothing more is accepted, clients are told so, and what is under way may end within
    /// the settings' time.
    pub async fn run(self: Arc<Self>, mut stop: Stop) {
        let listeners = std::mem::take(&mut *self.listeners.lock().unwrap_or_else(PoisonError::into_inner));
        let limit = self.shared.current.get().config().limits.connections;
        let (limit, refusals) = (Arc::new(Semaphore::new(limit)), Arc::new(Semaphore::new(REFUSALS)));
        let mut running = JoinSet::new();
        for listener in listeners {
            let shared = Arc::clone(&self.shared);
            running.spawn(shared.accept(listener, stop.clone(), Arc::clone(&limit), Arc::clone(&refusals)));
        }
        stop.asked().await;
        let drain = self.shared.current.get().config().drain;
        if timeout(drain, async { while running.join_next().await.is_some() {} }).await.is_err() {
            let connections = self.shared.load.connections.load(Ordering::Relaxed);
            tracing::warn!(connections, seconds = drain.as_secs(), "not ended in time; they are cut off");
            running.shutdown().await;
        }
    }
}

impl Shared {
    async fn accept(
        self: Arc<Self>,
        listener: Listener,
        mut stop: Stop,
        limit: Arc<Semaphore>,
        refusals: Arc<Semaphore>,
    ) {
        let mut running = JoinSet::new();
        let stopped = stop.clone();
        {
            let mut asked = std::pin::pin!(stop.asked());
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok(accepted) => {
                            let (turn, refused) = match Arc::clone(&limit).try_acquire_owned() {
                                Ok(turn) => (turn, false),
                                Err(_) => match Arc::clone(&refusals).try_acquire_owned() {
                                    Ok(turn) => (turn, true),
                                    Err(_) => continue,
                                },
                            };
                            let (this, stop) = (Arc::clone(&self), stopped.clone());
                            running.spawn(async move {
                                let _turn = turn;
                                this.connected(accepted, refused, stop).await;
                            });
                        }
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
        drop(listener);
        while running.join_next().await.is_some() {}
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
                let who =
                    Who { address: address.ip().to_string(), tls: self.tls.is_some(), tcp: TcpWatch::new(&socket) };
                let socket = Patient::new(socket, stall, end_tcp);
                let Some(tls) = &self.tls else { return self.plain(socket, who, header_time, refused, stop).await };
                let handshake = tls.accept(socket, self.load.tls_buffer());
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

/// What is wrong with a request before it is looked at.
#[derive(Clone, Copy)]
enum Fault {
    /// Its body is too large.
    TooLarge,
    /// Its body did not come.
    Incomplete,
    /// It names no host, or several.
    Host(&'static str),
}

/// Whether the body of such a request is needed.
fn takes_body(method: &Method, path: &str) -> bool {
    *method == Method::POST && path.ends_with("/-/warm")
}

/// The answer to a request, and what is told of the two.
async fn answer(proxy: &Proxy, request: &Request, fault: Option<Fault>) -> (Answer, Exchange) {
    let mut exchange = Exchange::new(Arc::clone(proxy.observer()), request);
    let answer = match refusal(proxy, request, fault) {
        Some(refusal) => refusal,
        None => proxy.answer(request).await,
    };
    exchange.answered(&answer);
    (answer, exchange)
}

/// The answer to what no proxy needs to see.
fn refusal(proxy: &Proxy, request: &Request, fault: Option<Fault>) -> Option<Answer> {
    let close = |answer: Answer| match request.peer.protocol {
        "HTTP/1.1" => answer.with(CONNECTION, HeaderValue::from_static("close")),
        _ => answer,
    };
    match fault {
        Some(Fault::TooLarge) => {
            let text = format!("the body has more than {} bytes", proxy.config().limits.body_bytes);
            return Some(close(Answer::error(StatusCode::PAYLOAD_TOO_LARGE, text)));
        }
        Some(Fault::Incomplete) => {
            return Some(close(Answer::error(StatusCode::REQUEST_TIMEOUT, "the body did not come to its end")));
        }
        Some(Fault::Host(text)) => return Some(close(Answer::text(StatusCode::BAD_REQUEST, text))),
        None => {}
    }
    // For the server itself, or to be a tunnel.
    if request.path == "*" || matches!(request.method, Method::CONNECT | Method::TRACE) {
        let text = format!("{} is not allowed here, but GET, HEAD", request.method);
        let answer = Answer::text(StatusCode::METHOD_NOT_ALLOWED, text);
        return Some(close(answer.with(ALLOW, HeaderValue::from_static("GET, HEAD"))));
    }
    None
}
