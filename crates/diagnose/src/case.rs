//! What a rule is given: the environment, the project, everything that was seen, and the price.

use std::time::Duration;

use goferry_env::Project;
use goferry_env::setters::Setter;
use goferry_net::NetError;
use goferry_net::exchange::{Exchange, Outcome};
use goferry_net::h2::H2Seen;
use goferry_net::resolve::Family;
use goferry_net::tls::{Root, TlsInfo};

use crate::observation::{Fact, Http, Load, Observation, PathId, PathInfo, Peer, Route};
use crate::price::PriceInputs;
use crate::remedy::{Context, Server};
use crate::stats::{self, Summary};
use crate::surroundings::Surroundings;

/// Everything that rules judge by.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// What lies around the go command.
    pub environment: &'a Surroundings,
    /// The project, if there is one.
    pub project: Option<&'a Project>,
    /// Who sets variables that matter, by file and line.
    pub setters: &'a [Setter],
    /// The paths that were probed.
    pub paths: &'a [PathInfo],
    /// What was seen.
    pub observations: &'a [Observation],
    /// What the price is made from.
    pub price: &'a PriceInputs,
    /// Whether the long probes ran.
    pub deep: bool,
}

impl<'a> Case<'a> {
    /// The paths that the go command itself would take, in GOPROXY's order.
    pub fn go_paths(&self) -> impl Iterator<Item = PathView<'a>> {
        self.all_paths().filter(|path| path.info.used_by_go)
    }

    /// Every path.
    pub fn all_paths(&self) -> impl Iterator<Item = PathView<'a>> {
        let observations = self.observations;
        self.paths.iter().enumerate().map(move |(id, info)| PathView { id, info, observations })
    }

    /// The path on which the project's modules come: the first one whose files were served, or the first.
    #[must_use]
    pub fn main_path(&self) -> Option<PathView<'a>> {
        self.go_paths().find(PathView::serves).or_else(|| self.go_paths().next())
    }

    /// What remedies for a finding on `path` are written by.
    #[must_use]
    pub fn context(&self, path: Option<PathView<'a>>) -> Context {
        let mut context = Context::new(path.map_or("goproxy.example.com", |path| path.info.host.as_str()));
        let roots = &self.environment.roots;
        context.no_roots = roots.der.is_empty() && roots.problems.iter().any(|problem| problem.named_by_user);
        context.streams = self.price.client.gomaxprocs;
        context.requests = u64::from(self.price.project.graph_mod_files)
            + u64::from(self.price.project.infos)
            + self.price.project.zips.len() as u64;
        if let Some(path) = path {
            context.port = path.info.port;
            context.server = path.server();
            context.goproxy.clone_from(&path.info.entry);
            context.forward_proxy = path.forward_proxy();
        }
        context
    }
}

/// What a forward proxy answered in place of a tunnel.
#[derive(Clone, Copy, Debug)]
pub struct TunnelFailure<'a> {
    /// The HTTP status; `None` where no answer came, and with SOCKS5.
    pub status: Option<u16>,
    /// Response headers.
    pub headers: &'a [(String, String)],
    /// The error in words.
    pub error: &'a NetError,
}

/// One path and what was seen on it.
#[derive(Clone, Copy)]
pub struct PathView<'a> {
    /// Its number.
    pub id: PathId,
    /// What it is.
    pub info: &'a PathInfo,
    observations: &'a [Observation],
}

impl<'a> PathView<'a> {
    /// Everything seen on it, in order.
    pub fn facts(&self) -> impl Iterator<Item = &'a Fact> + use<'a> {
        let id = self.id;
        self.observations.iter().filter(move |observation| observation.path == id).map(|observation| &observation.fact)
    }

    /// Name resolutions: whose, family, answer, time.
    pub fn resolutions(&self) -> impl Iterator<Item = (Peer, Family, Result<usize, &'a NetError>, Duration)> + use<'a> {
        self.facts().filter_map(|fact| match fact {
            Fact::Resolved { peer, family, answer, took, .. } => {
                Some((*peer, *family, answer.as_ref().map(Vec::len), *took))
            }
            _ => None,
        })
    }

    /// TCP handshakes: with whom, family, outcome, time.
    pub fn connects(&self) -> impl Iterator<Item = (Peer, Family, Result<(), &'a NetError>, Duration)> + use<'a> {
        self.facts().filter_map(|fact| match fact {
            Fact::Connected { peer, address, outcome, took } => {
                Some((*peer, Family::of(address.ip()), outcome.as_ref().copied(), *took))
            }
            _ => None,
        })
    }

    /// TLS handshakes: outcome and time.
    pub fn handshakes(&self) -> impl Iterator<Item = (Result<&'a TlsInfo, &'a NetError>, Duration)> + use<'a> {
        self.facts().filter_map(|fact| match fact {
            Fact::Handshake { outcome, took, .. } => Some((outcome.as_ref(), *took)),
            _ => None,
        })
    }

    /// The first completed TLS handshake.
    #[must_use]
    pub fn tls(&self) -> Option<&'a TlsInfo> {
        self.handshakes().find_map(|(outcome, _)| outcome.ok())
    }

    /// The first failed TLS handshake, where none succeeded.
    #[must_use]
    pub fn tls_failure(&self) -> Option<&'a NetError> {
        if self.tls().is_some() {
            return None;
        }
        self.handshakes().find_map(|(outcome, _)| outcome.err())
    }

    /// Whether a server asked for a client certificate.
    #[must_use]
    pub fn client_cert_requested(&self) -> bool {
        self.facts().any(|fact| matches!(fact, Fact::Handshake { client_cert_requested: true, .. }))
    }

    /// Whether h2 was chosen with ALPN.
    #[must_use]
    pub fn offers_h2(&self) -> bool {
        self.tls().is_some_and(|tls| tls.alpn.as_deref() == Some("h2"))
    }

    /// HTTP/2 connections, each with what it showed and how long its SETTINGS were waited for.
    pub fn h2(&self) -> impl Iterator<Item = (&'a H2Seen, Duration)> + use<'a> {
        self.facts().filter_map(|fact| match fact {
            Fact::Http2 { seen, waited_for_settings, .. } => Some((seen.as_ref(), *waited_for_settings)),
            _ => None,
        })
    }

    /// Requests and responses.
    pub fn exchanges(&self) -> impl Iterator<Item = (&'a Exchange, Load, Http)> + use<'a> {
        self.facts().filter_map(|fact| match fact {
            Fact::Exchanged { exchange, load, http, .. } => Some((exchange.as_ref(), *load, *http)),
            _ => None,
        })
    }

    /// Exchanges that were sent.
    pub fn sent(&self) -> impl Iterator<Item = &'a Exchange> + use<'a> {
        self.exchanges().map(|(exchange, ..)| exchange).filter(|exchange| exchange.outcome != Outcome::Unsent)
    }

    /// Whether any file came, or a redirect to where it is.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.sent().any(|exchange| exchange.ok() || is_redirect(exchange, self.info))
    }

    /// Whether any response came at all.
    #[must_use]
    pub fn answers(&self) -> bool {
        self.sent().any(|exchange| exchange.status.is_some())
    }

    /// The HTTP version that was spoken.
    #[must_use]
    pub fn http(&self) -> Option<Http> {
        self.exchanges().map(|(_, _, http)| http).next()
    }

    /// HTTP/1.1 responses after which the connection was closed, and all of them.
    #[must_use]
    pub fn closes(&self) -> (usize, usize) {
        let answered = self.exchanges().filter(|(exchange, _, http)| *http == Http::V1 && exchange.answered());
        answered.fold((0, 0), |(closed, all), (exchange, ..)| (closed + usize::from(exchange.closes), all + 1))
    }

    /// Whether HTTP/1.1 connections end after each response. A server that ends one now and then is no
    /// server that always does.
    #[must_use]
    pub fn closes_each_time(&self) -> bool {
        let (closed, all) = self.closes();
        all >= 2 && closed * 4 >= all * 3
    }

    /// Why the forward proxy gave no tunnel, where it gave none.
    #[must_use]
    pub fn tunnel_failure(&self) -> Option<TunnelFailure<'a>> {
        self.facts().find_map(|fact| match fact {
            Fact::Tunnelled { status, headers, outcome: Err(error), .. } => {
                Some(TunnelFailure { status: *status, headers, error })
            }
            _ => None,
        })
    }

    /// Whether it goes through a forward proxy.
    #[must_use]
    pub fn is_proxied(&self) -> bool {
        matches!(self.info.route, Route::Via(_))
    }

    /// The direct path to the same entry, where this one goes through a proxy and it was probed.
    #[must_use]
    pub fn direct_twin(&self, case: &Case<'a>) -> Option<PathView<'a>> {
        let position = self.info.position;
        case.all_paths().find(|path| !path.info.used_by_go && path.info.position == position)
    }

    /// Times from request to response headers, of requests made one after another, that were answered.
    #[must_use]
    pub fn request_times(&self) -> Option<Summary> {
        let alone = self.exchanges().filter(|(exchange, load, _)| *load == Load::Alone && exchange.answered());
        stats::summary(alone.filter_map(|(exchange, ..)| exchange.ttfb))
    }

    /// PING round trips.
    #[must_use]
    pub fn ping_times(&self) -> Option<Summary> {
        stats::summary(self.h2().flat_map(|(seen, _)| seen.pings.iter().copied()))
    }

    /// TCP handshakes that worked.
    #[must_use]
    pub fn connect_times(&self) -> Option<Summary> {
        stats::summary(self.connects().filter(|(_, _, outcome, _)| outcome.is_ok()).map(|(.., took)| took))
    }

    /// TLS handshakes that worked.
    #[must_use]
    pub fn tls_times(&self) -> Option<Summary> {
        stats::summary(self.handshakes().filter(|(outcome, _)| outcome.is_ok()).map(|(_, took)| took))
    }

    /// The round trip between this machine and the end of the connection: the least of a PING, or of
    /// a TCP handshake where the path is direct, or of a request.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        let ping = self.ping_times().map(|times| times.min);
        let connect = if self.is_proxied() { None } else { self.connect_times().map(|times| times.min) };
        match (ping, connect) {
            (Some(ping), Some(connect)) => Some(ping.min(connect)),
            (ping, connect) => ping.or(connect).or_else(|| self.request_times().map(|times| times.min)),
        }
    }

    /// What the origin takes for a request beyond the round trip: medians compared.
    #[must_use]
    pub fn think_time(&self) -> Option<Duration> {
        Some(self.request_times()?.p50.saturating_sub(self.round_trip()?))
    }

    /// Goodput in bits a second over this many flows.
    #[must_use]
    pub fn goodput(&self, wanted: impl Fn(u32) -> bool) -> Option<f64> {
        let rates = self.facts().filter_map(|fact| match fact {
            Fact::Goodput { flows, bytes, took, .. } if wanted(*flows) && !took.is_zero() => {
                Some(*bytes as f64 * 8.0 / took.as_secs_f64())
            }
            _ => None,
        });
        rates.fold(None, |best: Option<f64>, rate| Some(best.map_or(rate, |best| best.max(rate))))
    }

    /// What the path carried once the rate had stopped growing, in bits a second.
    #[must_use]
    pub fn settled_goodput(&self) -> Option<f64> {
        let settled = self.facts().filter_map(|fact| match fact {
            Fact::Goodput { bytes, took, settled: true, .. } if !took.is_zero() => {
                Some(*bytes as f64 * 8.0 / took.as_secs_f64())
            }
            _ => None,
        });
        settled.fold(None, |best: Option<f64>, rate| Some(best.map_or(rate, |best| best.max(rate))))
    }

    /// The server that answers, as its headers name it.
    #[must_use]
    pub fn server(&self) -> Server {
        let exchange = self.sent().find(|exchange| exchange.status.is_some());
        exchange.map_or_else(Server::unknown, |exchange| server_of(&exchange.headers))
    }

    /// The forward proxy, or what intercepts TLS, as far as it names itself.
    #[must_use]
    pub fn forward_proxy(&self) -> Option<Server> {
        let by_header = self.facts().find_map(|fact| match fact {
            Fact::Tunnelled { headers, status: Some(_), .. } => Some(server_of(headers)),
            _ => None,
        });
        let by_issuer = self.tls().and_then(|tls| tls.chain.last()).map(|cert| Server::from_issuer(&cert.issuer));
        match (by_header.filter(Server::is_known), by_issuer.filter(Server::is_known)) {
            (Some(server), Some(issuer)) if server.kind != issuer.kind => Some(server),
            (Some(server), _) | (None, Some(server)) => Some(server),
            (None, None) => self.is_proxied().then(|| self.interceptor_by_via()),
        }
    }

    /// What ends TLS in the origin's place, as its Via in the responses says: Squid writes one, whatever its authority is called.
    fn interceptor_by_via(&self) -> Server {
        if self.tls().is_none_or(|tls| tls.verified == Ok(Root::Public)) {
            return Server::unknown();
        }
        let via = self.sent().find_map(|exchange| exchange.header("via"));
        via.map_or_else(Server::unknown, |via| Server::from_headers(None, Some(via), &[]))
    }
}

/// Whether a response sends the go command elsewhere, in a way that it follows: never from https to http
/// (cmd/go/internal/web/http.go, checkRedirect), and not to where it is already, which ends after 10.
#[must_use]
pub fn is_redirect(exchange: &Exchange, from: &PathInfo) -> bool {
    let Some(location) = exchange.header("location") else { return false };
    if !matches!(exchange.status, Some(301 | 302 | 303 | 307 | 308)) {
        return false;
    }
    let (scheme, rest) = match location.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => (from.scheme.clone(), location),
    };
    let itself = match rest.find('/') {
        Some(0) => rest == exchange.path,
        Some(at) => {
            let authority = rest[..at].to_ascii_lowercase();
            let host = authority.rsplit_once(':').map_or(authority.as_str(), |(host, _)| host);
            scheme == from.scheme && host == from.host.to_ascii_lowercase() && rest[at..] == exchange.path
        }
        None => false,
    };
    !itself && (scheme == "https" || scheme == from.scheme)
}

fn server_of(headers: &[(String, String)]) -> Server {
    let pairs: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let value = |wanted: &str| pairs.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    Server::from_headers(value("server"), value("via"), &pairs)
}
