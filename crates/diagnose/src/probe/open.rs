//! Opening connections: addresses, TCP, CONNECT, TLS.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use goferry_env::http_proxy::ProxyScheme;
use goferry_net::connect::basic;
use goferry_net::dial::dial;
use goferry_net::io::{BoxStream, Tap, Tapped};
use goferry_net::resolve::{Family, resolve};
use goferry_net::tcp_info::TcpWatch;
use goferry_net::tls::TlsClient;
use goferry_net::{socks, tunnel};
use goferry_wire::tls::RecordTap;

use crate::observation::{Fact, Http, Peer};

use super::Prober;

const RESOLVE_BOUND: Duration = Duration::from_millis(4_500);
const CONNECT_BOUND: Duration = Duration::from_millis(2_500);
const TUNNEL_BOUND: Duration = Duration::from_millis(3_000);
const TLS_BOUND: Duration = Duration::from_millis(3_000);

/// An open connection, ready for HTTP.
pub(super) struct Opened {
    pub(super) stream: BoxStream,
    pub(super) alpn: Option<String>,
    pub(super) trusted: bool,
    pub(super) number: u32,
    pub(super) watch: Option<TcpWatch>,
    pub(super) records: Arc<Mutex<Records>>,
}

impl Opened {
    /// What ALPN chose, or HTTP/1.1.
    pub(super) fn http(&self) -> Http {
        if self.alpn.as_deref() == Some("h2") { Http::V2 } else { Http::V1 }
    }
}

/// The TLS records of a connection, of which only their kind is seen.
#[derive(Default)]
pub(super) struct Records(RecordTap);

impl Records {
    pub(super) fn renegotiated(&self) -> bool {
        self.0.renegotiations() > 0
    }
}

impl Tap for Records {
    fn read(&mut self, bytes: &[u8]) {
        self.0.push(bytes, |_| {});
    }
}

impl Prober<'_> {
    /// Whose host this machine resolves and connects to: the forward proxy's or the origin's.
    fn peer(&self) -> (Peer, String, u16) {
        match &self.target.proxy {
            Some(proxy) => (Peer::ForwardProxy, proxy.host().to_owned(), proxy.port().unwrap_or(80)),
            None => (Peer::Origin, self.target.info.host.clone(), self.target.info.port),
        }
    }

    /// Resolves both families at once, three times where that is quick.
    pub(super) async fn find_addresses(&mut self) -> bool {
        let (peer, host, port) = self.peer();
        let literal = host.parse::<IpAddr>();
        if let Ok(address) = literal {
            self.addresses = vec![SocketAddr::new(address, port)];
            return true;
        }
        for _ in 0..3 {
            let bound = self.budget.bound(RESOLVE_BOUND);
            let (v4, v6) = tokio::join!(resolve(&host, Family::V4, bound), resolve(&host, Family::V6, bound));
            let slow = v4.1.max(v6.1) > Duration::from_secs(2);
            for (family, (answer, took)) in [(Family::V6, v6), (Family::V4, v4)] {
                if let Ok(addresses) = &answer {
                    for address in addresses.iter().map(|address| SocketAddr::new(*address, port)) {
                        if !self.addresses.contains(&address) {
                            self.addresses.push(address);
                        }
                    }
                }
                self.facts.push(Fact::Resolved { peer, host: host.clone(), family, answer, took });
            }
            if slow {
                break;
            }
        }
        !self.addresses.is_empty()
    }

    /// The first connection: one address of each family is tried at once, IPv6 is preferred as Go does.
    pub(super) async fn open_first(&mut self) -> Option<Opened> {
        let (peer, ..) = self.peer();
        let first = |family| self.addresses.iter().copied().find(move |address| Family::of(address.ip()) == family);
        let (v6, v4) = (first(Family::V6), first(Family::V4));
        let bound = self.budget.bound(CONNECT_BOUND);
        let try_one = async |address: Option<SocketAddr>| match address {
            Some(address) => Some((address, dial(address, bound).await)),
            None => None,
        };
        let wanted = u32::from(v6.is_some()) + u32::from(v4.is_some());
        for _ in 0..wanted {
            self.budget.take_connection();
        }
        let (v6, v4) = tokio::join!(try_one(v6), try_one(v4));
        let mut working = Vec::new();
        for (address, (outcome, took)) in [v6, v4].into_iter().flatten() {
            let (stream, outcome) = match outcome {
                Ok(stream) => (Some(stream), Ok(())),
                Err(error) => (None, Err(error)),
            };
            self.facts.push(Fact::Connected { peer, address, outcome, took });
            working.extend(stream.map(|stream| (address, stream)));
        }
        self.addresses = working.iter().map(|(address, _)| *address).collect();
        let several = working.len() > 1;
        for (address, stream) in working {
            let is_v6 = address.is_ipv6();
            let bound = self.budget.bound(if several && is_v6 { Duration::from_millis(2_000) } else { TLS_BOUND });
            let before = self.facts.len();
            let opened = self.establish(stream, bound).await;
            if opened.is_some() {
                return opened;
            }
            if several && is_v6 {
                // The failed try says something only if IPv4 does better.
                let failed = self.facts.split_off(before);
                self.addresses.retain(|other| *other != address);
                self.facts.push(Fact::V6Stalls { address, waited: bound });
                drop(failed);
                continue;
            }
            return None;
        }
        None
    }

    /// Another connection to the address that works.
    pub(super) async fn open(&mut self) -> Option<Opened> {
        let (peer, ..) = self.peer();
        let address = *self.addresses.first()?;
        if !self.budget.take_connection() {
            return None;
        }
        let (outcome, took) = dial(address, self.budget.bound(CONNECT_BOUND)).await;
        match outcome {
            Ok(stream) => {
                self.facts.push(Fact::Connected { peer, address, outcome: Ok(()), took });
                let bound = self.budget.bound(TLS_BOUND);
                self.establish(stream, bound).await
            }
            Err(error) => {
                self.facts.push(Fact::Connected { peer, address, outcome: Err(error), took });
                None
            }
        }
    }

    /// From TCP to where HTTP begins.
    async fn establish(&mut self, stream: tokio::net::TcpStream, tls_bound: Duration) -> Option<Opened> {
        let watch = TcpWatch::new(&stream);
        self.opened += 1;
        let number = self.opened;
        let https = self.target.info.scheme == "https";
        let records = Arc::new(Mutex::new(Records::default()));
        let mut stream: BoxStream = Box::new(stream);
        if let Some(proxy) = self.target.proxy.clone() {
            if proxy.scheme == ProxyScheme::Https {
                let client = TlsClient::new(self.roots, &[b"http/1.1"]);
                let (outcome, took) = client.handshake(stream, proxy.host(), tls_bound).await;
                match outcome {
                    Ok((tls, info)) if info.verified.is_ok() => stream = Box::new(tls),
                    Ok((_, info)) => {
                        let text = format!("TLS with the forward proxy: {}", info.verdict);
                        let error = goferry_net::NetError::new(
                            goferry_net::Phase::Tunnel,
                            goferry_net::ErrorKind::Other,
                            goferry_net::Party::Proxy,
                            text,
                        );
                        self.facts.push(Fact::Tunnelled {
                            status: None,
                            headers: Vec::new(),
                            outcome: Err(error),
                            took,
                        });
                        return None;
                    }
                    Err(error) => {
                        self.facts.push(Fact::Tunnelled {
                            status: None,
                            headers: Vec::new(),
                            outcome: Err(error),
                            took,
                        });
                        return None;
                    }
                }
            }
            if proxy.scheme == ProxyScheme::Socks5 {
                let credentials = proxy.url.credentials().map(|(user, password)| (user, password.unwrap_or_default()));
                let bound = self.budget.bound(TUNNEL_BOUND);
                let target = (self.target.info.host.as_str(), self.target.info.port);
                let (outcome, took) = socks::connect(&mut stream, target.0, target.1, credentials, bound).await;
                let failed = outcome.is_err();
                self.facts.push(Fact::Tunnelled { status: None, headers: Vec::new(), outcome, took });
                if failed {
                    return None;
                }
            } else if https {
                let authority = format!("{}:{}", bracketed(&self.target.info.host), self.target.info.port);
                let authorization = proxy_authorization(&proxy);
                let bound = self.budget.bound(TUNNEL_BOUND);
                let (outcome, seen, took) =
                    tunnel::connect(&mut stream, &authority, authorization.as_deref(), bound).await;
                let failed = outcome.is_err();
                self.facts.push(Fact::Tunnelled { status: seen.status, headers: seen.headers, outcome, took });
                if failed {
                    return None;
                }
            }
        }
        if !https {
            return Some(Opened { stream, alpn: None, trusted: true, number, watch, records });
        }
        let tapped: BoxStream = Box::new(Tapped::new(stream, Arc::clone(&records)));
        let (outcome, took) = self.tls.handshake(tapped, &self.target.info.host, tls_bound).await;
        let client_cert_requested = self.tls.client_cert_requested();
        match outcome {
            Ok((tls, info)) => {
                let opened = Opened {
                    stream: Box::new(tls),
                    alpn: info.alpn.clone(),
                    trusted: info.verified.is_ok(),
                    number,
                    watch,
                    records,
                };
                self.facts.push(Fact::Handshake { outcome: Ok(info), took, client_cert_requested });
                Some(opened)
            }
            Err(error) => {
                self.facts.push(Fact::Handshake { outcome: Err(error), took, client_cert_requested });
                None
            }
        }
    }

    /// What is left to say of a connection at its end.
    pub(super) fn finish(&mut self, watch: Option<&TcpWatch>, records: &Arc<Mutex<Records>>) {
        if let Some(info) = watch.and_then(TcpWatch::read) {
            self.facts.push(Fact::Tcp(info));
        }
        let renegotiated = records.lock().is_ok_and(|records| records.renegotiated());
        if renegotiated && !self.facts.iter().any(|fact| matches!(fact, Fact::Renegotiation)) {
            self.facts.push(Fact::Renegotiation);
        }
    }
}

/// `Proxy-Authorization` from the proxy's URL, as net/http sends it: Basic.
pub(super) fn proxy_authorization(proxy: &goferry_env::http_proxy::ProxyChoice) -> Option<String> {
    let (user, password) = proxy.url.credentials()?;
    Some(basic(user, password.unwrap_or_default()))
}

/// A host as it stands before a port.
pub(super) fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}
