//! From a name to where HTTP begins: addresses, TCP, a forward proxy's tunnel, TLS. One call, each phase bounded and
//! timed.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::dial::dial;
use crate::error::{ErrorKind, NetError, Party, Phase};
use crate::io::BoxStream;
use crate::resolve::{Family, resolve};
use crate::tcp_info::TcpWatch;
use crate::tls::{GO_ALPN, Roots, TlsClient};
use crate::{socks, tunnel};

/// What Go waits before it tries the other address family (net/dial.go, `fallbackDelay`; RFC 8305).
const FALLBACK_DELAY: Duration = Duration::from_millis(300);
/// How long a TLS handshake may be silent before the other address family is tried beside it. RFC 8305 is about TCP; an address
/// family that connects and then swallows everything is as dead as one that does not connect.
const SILENT_TLS: Duration = Duration::from_secs(1);
/// How long it is remembered which address family came through (RFC 6555 section 4.2: on the order of 10 minutes).
const REMEMBERED: Duration = Duration::from_secs(600);
/// How long a connection may have unacknowledged data, and an idle one no answer to keep-alives, before the kernel
/// gives it up.
const USER_TIMEOUT: Duration = Duration::from_secs(15);

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// `https`, or plain `http`.
    pub https: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Origin {
    /// `host`, with the port where it is not the scheme's own: the `:authority`.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == if self.https { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }

    /// The scheme's name.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.authority())
    }
}

/// How a forward proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViaScheme {
    /// HTTP: CONNECT for https origins, absolute request targets for http ones.
    Http,
    /// The same inside TLS.
    Https,
    /// SOCKS5.
    Socks5,
}

/// A forward proxy.
#[derive(Clone)]
pub struct Via {
    /// How it is spoken to.
    pub scheme: ViaScheme,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User and password.
    pub credentials: Option<(String, String)>,
}

impl Via {
    /// The value of `Proxy-Authorization`: Basic (RFC 7617).
    #[must_use]
    pub fn authorization(&self) -> Option<String> {
        let (user, password) = self.credentials.as_ref()?;
        Some(basic(user, password))
    }
}

/// User and password as HTTP's Basic scheme writes them (RFC 7617).
#[must_use]
pub fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

/// Bounds of the phases.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Name resolution.
    pub resolve: Duration,
    /// One TCP handshake.
    pub connect: Duration,
    /// The forward proxy's answer.
    pub tunnel: Duration,
    /// One TLS handshake; Go's TLSHandshakeTimeout is 10 s.
    pub tls: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            resolve: Duration::from_secs(12),
            connect: Duration::from_secs(10),
            tunnel: Duration::from_secs(15),
            tls: Duration::from_secs(10),
        }
    }
}

/// Opens connections to one origin.
#[derive(Clone)]
pub struct Connector {
    origin: Origin,
    via: Option<Via>,
    roots: Roots,
    bounds: Bounds,
    /// The address family that came through where the other did not, and when.
    better: Arc<Mutex<Option<(Family, Instant)>>>,
}

/// An open connection, ready for HTTP.
pub struct Connected {
    /// Plain text flows here.
    pub stream: BoxStream,
    /// Whether ALPN chose HTTP/2.
    pub http2: bool,
    /// The socket's own counters.
    pub watch: Option<TcpWatch>,
    /// The address that answered: the forward proxy's where there is one.
    pub address: SocketAddr,
    /// How long each phase took, in order.
    pub phases: Vec<(Phase, Duration)>,
}

impl Connector {
    /// Connections to `origin`, through `via` where it is given, trusting `roots`.
    #[must_use]
    pub fn new(origin: Origin, via: Option<Via>, roots: Roots, bounds: Bounds) -> Connector {
        Connector { origin, via, roots, bounds, better: Arc::default() }
    }

    /// Where it connects to.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The forward proxy that is to be sent absolute request targets: plain http through an HTTP proxy.
    #[must_use]
    pub fn absolute_via(&self) -> Option<&Via> {
        self.via.as_ref().filter(|via| !self.origin.https && via.scheme != ViaScheme::Socks5)
    }

    /// Opens one connection. With `http1_only` ALPN offers no HTTP/2.
    ///
    /// # Errors
    /// The phase that failed; a certificate that the roots do not vouch for is an error of [`Phase::Tls`].
    pub async fn connect(&self, http1_only: bool) -> Result<Connected, NetError> {
        let (host, port) = match &self.via {
            Some(via) => (via.host.as_str(), via.port),
            None => (self.origin.host.as_str(), self.origin.port),
        };
        let started = Instant::now();
        let addresses = self.addresses(host, port).await?;
        self.connect_to(addresses, http1_only, started.elapsed()).await
    }

    /// The same to these addresses, found within `resolved`: one address family, and the other a moment later, or where the
    /// first one connects and then says nothing.
    async fn connect_to(
        &self,
        addresses: Vec<SocketAddr>,
        http1_only: bool,
        resolved: Duration,
    ) -> Result<Connected, NetError> {
        let first = self.better().filter(|better| addresses.iter().any(|address| Family::of(address.ip()) == *better));
        let first = first.unwrap_or_else(|| Family::of(addresses[0].ip()));
        let (one, other): (Vec<SocketAddr>, Vec<SocketAddr>) =
            addresses.into_iter().partition(|address| Family::of(address.ip()) == first);
        let connected = [AtomicBool::new(false), AtomicBool::new(false)];
        let leader = self.connect_family(&one, http1_only, resolved, &connected[0]);
        if other.is_empty() {
            return leader.await;
        }
        let follower = self.connect_family(&other, http1_only, resolved, &connected[1]);
        tokio::pin!(leader, follower);
        let mut early = tokio::time::timeout(FALLBACK_DELAY, &mut leader).await;
        if early.is_err() && connected[0].load(Ordering::Relaxed) {
            early = tokio::time::timeout(self.silence(), &mut leader).await;
        }
        let (failed, rest) = match early {
            Ok(Err(error)) if goes_on(&error) => (error, Rest::Follower),
            Ok(outcome) => return outcome,
            Err(_) => tokio::select! {
                outcome = &mut leader => match outcome {
                    Err(error) if goes_on(&error) => (error, Rest::Follower),
                    outcome => return outcome,
                },
                outcome = &mut follower => match outcome {
                    Err(error) => (error, Rest::Leader),
                    Ok(done) => {
                        self.prefer(Family::of(done.address.ip()));
                        return Ok(done);
                    }
                },
            },
        };
        match rest {
            Rest::Leader => leader.await.map_err(|error| more_telling(error, failed)),
            Rest::Follower => {
                let done = follower.await.map_err(|error| more_telling(failed, error))?;
                self.prefer(Family::of(done.address.ip()));
                Ok(done)
            }
        }
    }

    /// From the first of these addresses that connects to where HTTP begins.
    async fn connect_family(
        &self,
        addresses: &[SocketAddr],
        http1_only: bool,
        resolved: Duration,
        connected: &AtomicBool,
    ) -> Result<Connected, NetError> {
        let started = Instant::now();
        let dialled = one_by_one(addresses, self.bounds.connect).await;
        let (socket, address) = dialled.map_err(|error| self.blame(error))?;
        connected.store(true, Ordering::Relaxed);
        let mut phases = vec![(Phase::Resolve, resolved), (Phase::Connect, started.elapsed())];
        harden(&socket);
        let watch = TcpWatch::new(&socket);
        let (stream, http2) = self.establish(Box::new(socket), http1_only, &mut phases).await?;
        Ok(Connected { stream, http2, watch, address, phases })
    }

    /// How long what follows TCP may be silent before the other address family is tried beside it. A forward proxy connects
    /// to the origin first.
    fn silence(&self) -> Duration {
        if self.via.is_some() { self.bounds.tunnel } else { SILENT_TLS }
    }

    /// The address family that came through where the other did not, lately.
    fn better(&self) -> Option<Family> {
        let better = self.better.lock().unwrap_or_else(PoisonError::into_inner);
        better.filter(|(_, since)| since.elapsed() < REMEMBERED).map(|(family, _)| family)
    }

    fn prefer(&self, family: Family) {
        *self.better.lock().unwrap_or_else(PoisonError::into_inner) = Some((family, Instant::now()));
    }

    /// The addresses of both families, IPv6 first.
    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, NetError> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let bound = self.bounds.resolve;
        let v4 = resolve(host, Family::V4, bound);
        let v6 = resolve(host, Family::V6, bound);
        tokio::pin!(v4, v6);
        // Whichever family is known first may wait a moment for the other, not for its time-out.
        let (a, b) = tokio::select! {
            (four, _) = &mut v4 => match four {
                Ok(four) => (tokio::time::timeout(FALLBACK_DELAY, v6).await.map_or_else(|_| Ok(Vec::new()), |(six, _)| six), Ok(four)),
                Err(error) => (v6.await.0, Err(error)),
            },
            (six, _) = &mut v6 => match six {
                Ok(six) => (Ok(six), tokio::time::timeout(FALLBACK_DELAY, v4).await.map_or_else(|_| Ok(Vec::new()), |(four, _)| four)),
                Err(error) => (Err(error), v4.await.0),
            },
        };
        let found: Vec<SocketAddr> =
            a.iter().chain(b.iter()).flatten().map(|address| SocketAddr::new(*address, port)).collect();
        if found.is_empty() {
            return Err(b.err().or(a.err()).unwrap_or_else(|| {
                let text = format!("{host} has no address");
                NetError::new(Phase::Resolve, ErrorKind::NameNotFound, Party::Network, text)
            }));
        }
        Ok(found)
    }

    /// Where a forward proxy was dialled, it is the one that cannot be reached.
    fn blame(&self, error: NetError) -> NetError {
        let party = if self.via.is_some() { Party::Proxy } else { error.party };
        NetError { party, ..error }
    }

    /// From TCP to where HTTP begins.
    async fn establish(
        &self,
        mut stream: BoxStream,
        http1_only: bool,
        phases: &mut Vec<(Phase, Duration)>,
    ) -> Result<(BoxStream, bool), NetError> {
        if let Some(via) = &self.via {
            let started = Instant::now();
            stream = self.through(via, stream).await?;
            phases.push((Phase::Tunnel, started.elapsed()));
        }
        if !self.origin.https {
            return Ok((stream, false));
        }
        let alpn: &[&[u8]] = if http1_only { &[b"http/1.1"] } else { GO_ALPN };
        let (outcome, took) =
            TlsClient::new(&self.roots, alpn).handshake(stream, &self.origin.host, self.bounds.tls).await;
        let (tls, info) = outcome?;
        if info.verified.is_err() {
            let text = format!("TLS with {}: the certificate is not trusted: {}", self.origin, info.verdict);
            return Err(NetError::new(Phase::Tls, ErrorKind::Other, Party::Upstream, text));
        }
        phases.push((Phase::Tls, took));
        Ok((Box::new(tls), info.alpn.as_deref() == Some("h2")))
    }

    async fn through(&self, via: &Via, mut stream: BoxStream) -> Result<BoxStream, NetError> {
        if via.scheme == ViaScheme::Https {
            let (outcome, _) =
                TlsClient::new(&self.roots, &[b"http/1.1"]).handshake(stream, &via.host, self.bounds.tls).await;
            let (tls, info) =
                outcome.map_err(|error| NetError { phase: Phase::Tunnel, party: Party::Proxy, ..error })?;
            if info.verified.is_err() {
                let text = format!("TLS with the forward proxy {}: {}", via.host, info.verdict);
                return Err(NetError::new(Phase::Tunnel, ErrorKind::Other, Party::Proxy, text));
            }
            stream = Box::new(tls);
        }
        let bound = self.bounds.tunnel;
        if via.scheme == ViaScheme::Socks5 {
            let credentials = via.credentials.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
            let (host, port) = (self.origin.host.as_str(), self.origin.port);
            socks::connect(&mut stream, host, port, credentials, bound).await.0?;
        } else if self.origin.https {
            let host = &self.origin.host;
            let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
            let target = format!("{host}:{}", self.origin.port);
            tunnel::connect(&mut stream, &target, via.authorization().as_deref(), bound).await.0?;
        }
        Ok(stream)
    }
}

/// Which of two is still to be waited for.
enum Rest {
    Leader,
    Follower,
}

/// Whether the other address family may do better: not where someone answered and it was the wrong thing.
fn goes_on(error: &NetError) -> bool {
    error.phase <= Phase::Connect || error.kind == ErrorKind::TimedOut
}

/// Of the errors of both families that of the one which came further; of two that came as far, not the time-out.
fn more_telling(first: NetError, second: NetError) -> NetError {
    let as_far = second.phase == first.phase && first.kind == ErrorKind::TimedOut;
    if second.phase > first.phase || as_far { second } else { first }
}

async fn one_by_one(addresses: &[SocketAddr], bound: Duration) -> Result<(TcpStream, SocketAddr), NetError> {
    let mut failed = None;
    for address in addresses {
        match dial(*address, bound).await.0 {
            Ok(stream) => return Ok((stream, *address)),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    Err(failed.unwrap_or_else(|| {
        NetError::new(Phase::Connect, ErrorKind::Other, Party::Goferry, "there is no address to connect to")
    }))
}

/// Has the kernel give up a connection whose path went dead: tcp(7), `TCP_USER_TIMEOUT` and keep-alives.
fn harden(socket: &TcpStream) {
    let socket = socket2::SockRef::from(socket);
    let keepalive = socket2::TcpKeepalive::new().with_time(USER_TIMEOUT);
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "windows"))]
    let keepalive = keepalive.with_interval(USER_TIMEOUT / 3);
    // Each is a help, none is needed: a system without one of them still has the pool's own PINGs and bounds.
    let _ = socket.set_tcp_keepalive(&keepalive);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(USER_TIMEOUT));
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn connector(https: bool) -> Connector {
        let origin = Origin { https, host: "goproxy.example.com".to_owned(), port: 443 };
        let bounds = Bounds { tls: Duration::from_millis(300), ..Bounds::default() };
        Connector::new(origin, None, Roots::new(Vec::new()), bounds)
    }

    /// A port that is free for both families; `None` where there is no IPv6 here.
    async fn both() -> Option<(TcpListener, TcpListener)> {
        let six = TcpListener::bind("[::1]:0").await.ok()?;
        let four = TcpListener::bind(("127.0.0.1", six.local_addr().unwrap().port())).await.ok()?;
        Some((six, four))
    }

    #[tokio::test]
    async fn where_nothing_listens_on_one_family_the_other_is_taken() {
        let Some((six, four)) = both().await else { return };
        let addresses = vec![six.local_addr().unwrap(), four.local_addr().unwrap()];
        let connected = connector(false).connect_to(addresses.clone(), false, Duration::ZERO).await.unwrap();
        assert_eq!(connected.address, addresses[0], "IPv6 first");
        drop((six, connected));
        let connected = connector(false).connect_to(addresses.clone(), false, Duration::ZERO).await.unwrap();
        assert_eq!((connected.address, connected.http2), (addresses[1], false));
        let phases: Vec<Phase> = connected.phases.iter().map(|(phase, _)| *phase).collect();
        assert_eq!(phases, [Phase::Resolve, Phase::Connect]);
        drop(four);
        let error = connector(false).connect_to(addresses, false, Duration::ZERO).await.err().unwrap();
        assert_eq!((error.phase, error.kind), (Phase::Connect, ErrorKind::Refused));
    }

    #[tokio::test]
    async fn a_family_that_connects_and_then_says_nothing_is_left_for_the_other() {
        let Some((six, four)) = both().await else { return };
        let addresses = vec![six.local_addr().unwrap(), four.local_addr().unwrap()];
        let answer = tokio::spawn(async move {
            use tokio::io::AsyncWriteExt as _;
            four.accept().await.unwrap().0.write_all(b"no TLS at all").await
        });
        let began = Instant::now();
        let error = connector(true).connect_to(addresses, false, Duration::ZERO).await.err().unwrap();
        // It is the other one's error, after the first one's bound.
        assert_eq!((error.phase, error.kind), (Phase::Tls, ErrorKind::Protocol), "{}", error.detail);
        assert!(began.elapsed() >= Duration::from_millis(300) && answer.is_finished());
        drop(six);
    }

    #[tokio::test]
    async fn a_silent_handshake_is_raced_by_the_other_family() {
        let Some((six, four)) = both().await else { return };
        let addresses = vec![six.local_addr().unwrap(), four.local_addr().unwrap()];
        let mut connector = connector(true);
        connector.bounds.tls = Duration::from_secs(60);
        let began = Instant::now();
        let connecting =
            tokio::spawn(async move { connector.connect_to(addresses, false, Duration::ZERO).await.err() });
        let accepted = tokio::time::timeout(Duration::from_secs(10), four.accept()).await;
        assert!(accepted.is_ok_and(|accepted| accepted.is_ok()), "long before the bound of the handshake");
        assert!(began.elapsed() >= SILENT_TLS, "not at once");
        connecting.abort();
        drop(six);
    }

    #[tokio::test]
    async fn the_family_that_came_through_goes_first_then() {
        let Some((six, four)) = both().await else { return };
        let addresses = vec![six.local_addr().unwrap(), four.local_addr().unwrap()];
        drop(six);
        let connector = connector(false);
        assert_eq!(connector.better(), None);
        connector.connect_to(addresses.clone(), false, Duration::ZERO).await.unwrap();
        assert_eq!(connector.clone().better(), Some(Family::V4));
        let Ok(six) = TcpListener::bind(addresses[0]).await else { return };
        let connected = connector.connect_to(addresses.clone(), false, Duration::ZERO).await.unwrap();
        assert_eq!(connected.address, addresses[1]);
        drop(six);
    }
}
