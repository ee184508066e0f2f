//! The checksum database: through the GOPROXY entry, and by itself where that is what Go would do.

use std::time::{Duration, Instant};

use goferry_env::http_proxy::ProxyDecision;
use goferry_env::url::Url;
use goferry_module::{ProxyUrl, SumDb};
use goferry_net::Request;
use goferry_net::exchange::Exchange;
use goferry_net::h1::{Bounds, H1};
use goferry_net::tls::{Root, TlsClient};
use goferry_net::{ErrorKind, NetError, Outcome, Party, Phase};

use crate::observation::{Fact, Peer};
use crate::pricing;

use super::{Budget, Prober, Target};

const BOUND: Duration = Duration::from_millis(2_500);

impl Prober<'_> {
    /// `/sumdb/<name>/supported`, where Go would ask the entry for it.
    pub(super) fn sumdb_path(&self) -> Option<String> {
        match &self.around.sumdb {
            Ok(SumDb::On(database)) if database.url.is_none() => Some(database.supported_path()),
            _ => None,
        }
    }

    pub(super) fn record_sumdb(&mut self, exchange: Option<Exchange>) {
        let (Some(exchange), Ok(SumDb::On(database))) = (exchange, &self.around.sumdb) else { return };
        if exchange.outcome == Outcome::Unsent {
            return;
        }
        let answer = answer_of(&exchange);
        let name = database.name.clone();
        self.facts.push(Fact::SumDb { name, through_entry: true, answer, issuer: None, took: exchange.took });
    }

    /// Asks the database itself, where Go would: the entry does not carry it and hashes are missing.
    /// Also where the certificate on the path is signed locally: the database is a public host, and
    /// whoever signs for it here intercepts TLS.
    pub(super) async fn probe_sumdb_directly(&mut self) {
        let Ok(SumDb::On(database)) = &self.around.sumdb else { return };
        let carried = self.facts.iter().any(|fact| matches!(fact, Fact::SumDb { answer: Ok(200), .. }));
        let needed = pricing::missing_hashes(self.around) > 0 || self.around.toolchain.would_download;
        let local_root = self
            .facts
            .iter()
            .any(|fact| matches!(fact, Fact::Handshake { outcome: Ok(info), .. } if info.verified == Ok(Root::Local)));
        if (carried || !needed) && !local_root {
            return;
        }
        let name = database.name.clone();
        let url = database.direct_url();
        self.say(&format!("asking the checksum database {name}"));
        let started = Instant::now();
        let (answer, issuer) = self.ask_database(&url).await;
        self.facts.push(Fact::SumDb { name, through_entry: false, answer, issuer, took: started.elapsed() });
    }

    async fn ask_database(&mut self, url: &ProxyUrl) -> (Result<u16, NetError>, Option<String>) {
        let proxy = match Url::parse(url.expose()).map(|url| self.around.proxies.decide(&url)) {
            Ok(ProxyDecision::Via(choice)) => Some(choice),
            _ => None,
        };
        let target = Target::new(url, 0, proxy, true, None);
        let mut prober = Prober {
            target: &target,
            tls: TlsClient::new(self.roots, &[b"http/1.1"]),
            budget: Budget::new(false, self.budget.bound(BOUND * 2)),
            addresses: Vec::new(),
            opened: 0,
            facts: Vec::new(),
            ..*self
        };
        let opened = if prober.find_addresses().await { prober.open_first().await } else { None };
        let issuer = prober.facts.iter().find_map(|fact| match fact {
            Fact::Handshake { outcome: Ok(info), .. } => info.chain.last().map(|cert| cert.issuer.clone()),
            _ => None,
        });
        let Some(opened) = opened else {
            let error = prober.facts.into_iter().rev().find_map(|fact| match fact {
                Fact::Resolved { answer: Err(error), .. }
                | Fact::Connected { outcome: Err(error), peer: Peer::Origin | Peer::ForwardProxy, .. }
                | Fact::Tunnelled { outcome: Err(error), .. }
                | Fact::Handshake { outcome: Err(error), .. } => Some(error),
                _ => None,
            });
            let unknown = || NetError::new(Phase::Connect, ErrorKind::Other, Party::Network, "no connection");
            return (Err(error.unwrap_or_else(unknown)), issuer);
        };
        let mut h1 = H1::new(opened.stream, &url.authority());
        let request = Request::get(url.request_target("/latest"));
        let exchange = h1.fetch(&request, Bounds { total: BOUND, stall: BOUND, enough: None }).await;
        (answer_of(&exchange), issuer)
    }
}

fn answer_of(exchange: &Exchange) -> Result<u16, NetError> {
    match (&exchange.status, &exchange.outcome) {
        (Some(status), _) => Ok(*status),
        (None, Outcome::Lost(error)) => Err(error.clone()),
        (None, outcome) => {
            Err(NetError::new(Phase::Http1, ErrorKind::TimedOut, Party::Upstream, format!("no answer ({outcome:?})")))
        }
    }
}
