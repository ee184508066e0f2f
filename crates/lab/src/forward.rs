//! A forward proxy, as `HTTPS_PROXY` and `HTTP_PROXY` name it: innocent, intercepting, refusing or hanging.
//!
//! [`ForwardProxy::start`] takes a listening socket and serves it from a thread and a runtime of its own. The thread is
//! made by the caller's, so it lives in the same network and mount namespace. Dropping the proxy ends it, with
//! all its connections.
//!
//! ```text
//! accept ─► TLS? ─► Silent? hold ─► read a request head ─► wait `delay` ─► EndlessHeaders? ─► credentials? 407 ─► Refuse?
//!                                            ▲                                                                      │
//!                                            │                                  ┌───────── CONNECT ◄────────────────┤
//!                                            │                                  ▼                                   ▼
//!                                            │                     tunnel, or intercept (TLS both sides)     GET http://…
//!                                            └──────────────────────────── connection kept ─────────────────────────┘
//! ```
//!
//! The proxy itself speaks HTTP/1.1 only, which is innocent: what runs inside a CONNECT tunnel is none of its affair. With
//! [`ForwardConfig::tls`] it speaks it inside TLS, as a proxy whose URL begins with `https:`. [`ForwardMode::Socks5`] has a
//! greeting and a request of its own in place of the heads, and then the same tunnel.

mod answer;
mod counts;
mod head;
mod intercept;
mod origin;
mod plain;
mod pump;
mod serve;
mod socks;
pub(crate) mod thread;

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

pub use counts::ForwardCounts;
pub use intercept::Intercept;

use counts::Counters;
use rustls::ServerConfig;
use thread::ServerThread;

use crate::certs::{CertError, ClientAuth, Leaf, TlsVersions};

/// What the proxy does with a request.
#[derive(Clone)]
pub enum ForwardMode {
    /// Opens the tunnel and forwards bytes as they are.
    Connect,
    /// Opens the tunnel, ends the client's TLS in it with a certificate of its own, and speaks TLS to the origin.
    /// Requests for `http://` URLs are forwarded as in [`ForwardMode::Connect`].
    Intercept(Intercept),
    /// Answers every request with this status, for example 403.
    Refuse(u16),
    /// Accepts connections and never answers.
    Silent,
    /// Speaks SOCKS5 (RFC 1928), and asks for user and password (RFC 1929) where it was given credentials. Of the commands it
    /// knows CONNECT.
    Socks5,
    /// Answers 200 with headers that never end.
    EndlessHeaders {
        /// The time between two header lines; zero sends as fast as the client reads.
        every: Duration,
    },
}

/// How a [`ForwardProxy`] behaves.
#[derive(Clone)]
pub struct ForwardConfig {
    mode: ForwardMode,
    credentials: Option<(String, String)>,
    delay: Duration,
    cut: Option<Cut>,
    names: HashMap<String, SocketAddr>,
    tls: Option<Arc<ServerConfig>>,
}

/// A running proxy. It ends when it is dropped.
pub struct ForwardProxy {
    address: SocketAddr,
    scheme: &'static str,
    counters: Arc<Counters>,
    _thread: ServerThread,
}

impl ForwardConfig {
    /// A proxy that behaves as `mode` says, asks for no credentials, does not wait, and resolves names by the system.
    #[must_use]
    pub fn new(mode: ForwardMode) -> Self {
        Self { mode, credentials: None, delay: Duration::ZERO, cut: None, names: HashMap::new(), tls: None }
    }

    /// Answers 407 with `Proxy-Authenticate: Basic` to every request that does not carry these credentials; with SOCKS5
    /// refuses who does not give them.
    #[must_use]
    pub fn credentials(mut self, user: &str, password: &str) -> Self {
        self.credentials = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Waits this long before it treats each request (a CONNECT, or a request for an `http://` URL).
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Speaks TLS with its clients, showing `leaf`, and leaves their ALPN unanswered. `leaf` has to be for the host of
    /// [`ForwardProxy::url`], an IP address.
    ///
    /// # Errors
    /// When rustls refuses the certificate.
    pub fn tls(mut self, leaf: &Leaf) -> Result<Self, CertError> {
        self.tls = Some(Arc::new(leaf.server_config(&[], TlsVersions::All, ClientAuth::None)?));
        Ok(self)
    }

    fn scheme(&self) -> &'static str {
        match (&self.mode, &self.tls) {
            (ForwardMode::Socks5, _) => "socks5",
            (_, Some(_)) => "https",
            (_, None) => "http",
        }
    }

    /// Closes a connection after `bytes` bytes from the origin have gone to the client (FIN, no TLS closure alert).
    ///
    /// Counted is what passes through a tunnel, for an intercepted one the decrypted bytes, and whole answers to
    /// requests for `http://` URLs. The proxy's own answers are not counted.
    #[must_use]
    pub fn cut_after(mut self, bytes: u64) -> Self {
        self.cut = Some(Cut { after: bytes, reset: false });
        self
    }

    /// As [`ForwardConfig::cut_after`], with a TCP RST.
    #[must_use]
    pub fn reset_after(mut self, bytes: u64) -> Self {
        self.cut = Some(Cut { after: bytes, reset: true });
        self
    }

    /// Goes to `address` for `host`. `host` is a name or an IP address, for every port, or `name:port` for one, which
    /// goes first. Names are compared without regard to case. What is in no such entry is resolved by the system.
    #[must_use]
    pub fn host(mut self, host: &str, address: SocketAddr) -> Self {
        self.names.insert(host.to_ascii_lowercase(), address);
        self
    }
}

impl ForwardProxy {
    /// Serves `listener` until the proxy is dropped.
    ///
    /// # Errors
    /// When the socket cannot be used or no thread can be made.
    pub fn start(listener: TcpListener, config: ForwardConfig) -> io::Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let (counters, scheme) = (Arc::new(Counters::default()), config.scheme());
        let shared = Arc::new(Shared::new(config, Arc::clone(&counters)));
        let thread = ServerThread::spawn("lab-forward", || {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            Ok(serve::serve(listener, shared))
        })?;
        Ok(Self { address, scheme, counters, _thread: thread })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as `HTTPS_PROXY` wants it: `http://127.0.0.1:3128`, with `https` or `socks5` where it speaks that.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// What has happened so far.
    #[must_use]
    pub fn counts(&self) -> ForwardCounts {
        self.counters.snapshot()
    }
}

/// Where a connection is cut.
#[derive(Clone, Copy, Debug)]
struct Cut {
    after: u64,
    reset: bool,
}

/// What all connections of a proxy share.
struct Shared {
    config: ForwardConfig,
    counters: Arc<Counters>,
    minted: intercept::Minted,
}

impl Shared {
    fn new(config: ForwardConfig, counters: Arc<Counters>) -> Self {
        Self { config, counters, minted: intercept::Minted::default() }
    }
}
