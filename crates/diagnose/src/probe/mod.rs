//! Active probes: what the go command would do, phase by phase, with everything seen written down.
//!
//! A probe asks only for files that the go command would ask for, with GET, within a [`Budget`].
//! Every wait has a bound, whatever the other side does.

mod budget;
mod goodput;
mod http1;
mod http2;
mod idle;
mod open;
mod plan;
mod sumdb;

use std::time::Duration;

use goferry_env::http_proxy::{ProxyChoice, ProxyDecision};
use goferry_env::url::Url;
use goferry_module::{GoSum, ProxyUrl, Scheme};
use goferry_net::connect::basic;
use goferry_net::exchange::{Exchange, Outcome};
use goferry_net::tls::{GO_ALPN, Roots, TlsClient};

use crate::observation::{Fact, Http, Load, Observation, PathInfo, Route};
use crate::surroundings::Surroundings;

pub use budget::Budget;
pub use plan::Plan;

/// Told what is being done, for whoever shows progress.
pub trait Reporter: Send + Sync {
    /// A new phase has begun.
    fn phase(&self, text: &str);
}

/// A reporter that says nothing.
pub struct Quiet;

impl Reporter for Quiet {
    fn phase(&self, _text: &str) {}
}

/// A path to probe.
pub struct Target {
    /// What it is.
    pub info: PathInfo,
    url: ProxyUrl,
    proxy: Option<ProxyChoice>,
    authorization: Option<String>,
}

impl Target {
    fn new(
        url: &ProxyUrl,
        position: usize,
        proxy: Option<ProxyChoice>,
        used_by_go: bool,
        authorization: Option<String>,
    ) -> Target {
        Target {
            info: PathInfo {
                entry: url.to_string(),
                position,
                scheme: url.scheme().as_str().to_owned(),
                host: url.host().trim_start_matches('[').trim_end_matches(']').to_owned(),
                port: url.port_or_default(),
                route: proxy.as_ref().map_or(Route::Direct, |proxy| Route::Via(proxy.url.to_string())),
                used_by_go,
            },
            url: url.clone(),
            proxy,
            authorization,
        }
    }
}

/// The paths of a GOPROXY: for each entry the way that Go would take and, where that is through a
/// forward proxy, the direct way as well.
#[must_use]
pub fn targets(around: &Surroundings) -> Vec<Target> {
    let mut targets = Vec::new();
    for (position, entry) in around.goproxy.entries().iter().enumerate().take(8) {
        let Some(url) = entry.target.url() else { continue };
        // The same entry again would only say the same again.
        let seen = targets.iter().any(|target: &Target| target.url == *url);
        if url.scheme() == Scheme::File || seen {
            continue;
        }
        let target = |proxy: Option<ProxyChoice>, used_by_go| {
            Target::new(url, position, proxy, used_by_go, authorization(around, url))
        };
        let decision = Url::parse(url.expose()).map(|url| around.proxies.decide(&url));
        match decision {
            // A scheme that net/http does not know is spoken to as http (net/http/transport.go, dialConn).
            Ok(ProxyDecision::Via(choice)) => {
                targets.push(target(Some(choice), true));
                targets.push(target(None, false));
            }
            _ => targets.push(target(None, true)),
        }
    }
    targets
}

/// What Go would send: user and password of the URL, else of netrc, over https only
/// (cmd/go/internal/web/http.go, cmd/go/internal/auth).
fn authorization(around: &Surroundings, url: &ProxyUrl) -> Option<String> {
    let (user, password) = match url.credentials() {
        Some((user, password)) => (user.to_owned(), password.unwrap_or_default().to_owned()),
        None if url.scheme() == Scheme::Https => {
            let line = around.netrc.lookup(url.expose())?;
            let (user, password) = line.credentials();
            (user.to_owned(), password.to_owned())
        }
        None => return None,
    };
    Some(basic(&user, &password))
}

/// Probes one path after another. The observations of `targets[i]` have the path `i`.
pub async fn probe(around: &Surroundings, targets: &[Target], deep: bool, reporter: &dyn Reporter) -> Vec<Observation> {
    let roots = Roots::new(around.roots.der.clone());
    let plan = Plan::new(around, deep);
    let total = if deep { Duration::from_secs(120) } else { Duration::from_secs(10) };
    let ends = tokio::time::Instant::now() + total;
    let mut all = Vec::new();
    for (id, target) in targets.iter().enumerate() {
        // What is left is shared evenly, but for the first path, which has the right of way.
        let left = ends.saturating_duration_since(tokio::time::Instant::now());
        let others = u32::try_from(targets.len() - id - 1).unwrap_or(0);
        let share = if others == 0 { left } else { left.mul_f64(0.7) };
        let mut prober = Prober {
            around,
            target,
            plan: &plan,
            roots: &roots,
            tls: TlsClient::new(&roots, GO_ALPN),
            budget: Budget::new(deep, share),
            addresses: Vec::new(),
            opened: 0,
            facts: Vec::new(),
            reporter,
        };
        prober.run(deep).await;
        all.extend(prober.facts.into_iter().map(|fact| Observation { path: id, fact }));
    }
    all
}

/// The probe of one path.
struct Prober<'a> {
    around: &'a Surroundings,
    target: &'a Target,
    plan: &'a Plan,
    roots: &'a Roots,
    tls: TlsClient,
    budget: Budget,
    addresses: Vec<std::net::SocketAddr>,
    opened: u32,
    facts: Vec<Fact>,
    reporter: &'a dyn Reporter,
}

impl Prober<'_> {
    async fn run(&mut self, deep: bool) {
        let way = match &self.target.info.route {
            Route::Direct => String::new(),
            Route::Via(proxy) => format!(" through {proxy}"),
        };
        self.say(&format!("connecting to {}{way}", self.target.info.host));
        if !self.find_addresses().await {
            return;
        }
        let Some(connection) = self.open_first().await else { return };
        match connection.http() {
            Http::V2 => self.probe_http2(connection, deep).await,
            Http::V1 => self.probe_http1(connection, deep).await,
        }
        if self.target.info.used_by_go {
            self.probe_sumdb_directly().await;
        }
    }

    fn say(&self, text: &str) {
        self.reporter.phase(text);
    }

    /// A light probe is enough where the go command does not go: the direct twin of a proxied path.
    fn light(&self) -> bool {
        !self.target.info.used_by_go
    }

    /// Whether credentials may be sent: over plain http only those of the URL itself, over TLS only
    /// when the certificate is trusted.
    fn authorization(&self, trusted: bool) -> Option<String> {
        self.target.authorization.clone().filter(|_| trusted)
    }

    /// Whether the last request stalled: no more is to be learnt by waiting for others.
    fn last_stalled(&self) -> bool {
        let last = self.facts.iter().rev().find_map(|fact| match fact {
            Fact::Exchanged { exchange, .. } => Some(&exchange.outcome),
            _ => None,
        });
        matches!(last, Some(Outcome::Stalled { .. }))
    }

    fn record(&mut self, connection: u32, http: Http, load: Load, mut exchange: Exchange) {
        if exchange.outcome == Outcome::Unsent {
            return;
        }
        if let Some(fact) = hashed(&self.around.go_sum, self.plan, &exchange) {
            self.facts.push(fact);
        }
        exchange.body = Vec::new();
        self.facts.push(Fact::Exchanged { connection, http, load, exchange: Box::new(exchange) });
    }
}

/// Compares a file that came whole with go.sum.
fn hashed(go_sum: &GoSum, plan: &Plan, exchange: &Exchange) -> Option<Fact> {
    if !exchange.ok() || exchange.outcome != Outcome::Complete || exchange.body.len() as u64 != exchange.body_bytes {
        return None;
    }
    let (module, kind) = plan.find(&exchange.path)?;
    let (path, version) = (module.path().as_str(), module.version().as_str());
    match kind {
        goferry_module::FileKind::Mod => {
            let wanted = go_sum.go_mod_hashes(path, version);
            let got = goferry_module::DirHash::of_go_mod(&exchange.body).to_string();
            (!wanted.is_empty()).then(|| Fact::Hashed {
                what: format!("{module}/go.mod"),
                got,
                wanted: wanted.join(" "),
            })
        }
        goferry_module::FileKind::Zip => {
            let wanted = go_sum.zip_hashes(path, version);
            if wanted.is_empty() {
                return None;
            }
            let got = match goferry_module::DirHash::of_zip(std::io::Cursor::new(&exchange.body)) {
                Ok(hash) => hash.to_string(),
                Err(error) => format!("none: {error}"),
            };
            Some(Fact::Hashed { what: module.to_string(), got, wanted: wanted.join(" ") })
        }
        goferry_module::FileKind::Info => None,
    }
}
