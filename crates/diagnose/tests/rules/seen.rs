//! A path with everything that was seen on it.

use std::net::SocketAddr;
use std::time::Duration;

use goferry_diagnose::observation::{Http, Load, Peer};
use goferry_diagnose::{Fact, PathInfo, Route};
use goferry_net::exchange::{Exchange, Outcome};
use goferry_net::h2::H2Seen;
use goferry_net::resolve::Family;
use goferry_net::tls::{CertSummary, Root, TlsInfo};
use goferry_net::{ErrorKind, NetError, Party, Phase};
use goferry_wire::h2::{SettingId, Settings};

/// The issuer of a public certificate.
pub(crate) const PUBLIC_CA: &str = "C=US, O=Example Trust Services, CN=Example TLS CA 1";
/// The issuer of an organisation's own certificates.
pub(crate) const LOCAL_CA: &str = "O=Example Corp, CN=Example Corp Internal CA";
const PROXY: &str = "http://forward.example.com:3128";

/// One request with what belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct Exchanged {
    pub(crate) http: Http,
    pub(crate) load: Load,
    pub(crate) exchange: Exchange,
}

/// A path by its parts, each free to be changed.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) info: PathInfo,
    pub(crate) rtt: Duration,
    pub(crate) resolved: Vec<Fact>,
    pub(crate) connected: Vec<Fact>,
    pub(crate) tunnelled: Vec<Fact>,
    pub(crate) tls: Option<Result<TlsInfo, NetError>>,
    pub(crate) client_cert_requested: bool,
    pub(crate) h2: Vec<H2Seen>,
    pub(crate) exchanges: Vec<Exchanged>,
    pub(crate) more: Vec<Fact>,
}

impl Seen {
    /// A path on which nothing was seen yet.
    pub(crate) fn bare() -> Seen {
        Seen {
            info: PathInfo {
                entry: "https://goproxy.example.com".to_owned(),
                position: 0,
                scheme: "https".to_owned(),
                host: "goproxy.example.com".to_owned(),
                port: 443,
                route: Route::Direct,
                used_by_go: true,
            },
            rtt: Duration::from_millis(50),
            resolved: Vec::new(),
            connected: Vec::new(),
            tunnelled: Vec::new(),
            tls: None,
            client_cert_requested: false,
            h2: Vec::new(),
            exchanges: Vec::new(),
            more: Vec::new(),
        }
    }

    /// HTTP/2 over TLS 1.3, a public certificate, 8 requests alone and 8 at once, all served.
    pub(crate) fn healthy(rtt: Duration) -> Seen {
        let mut seen = Seen { rtt, ..Seen::bare() };
        for _ in 0..3 {
            seen.resolved.push(resolved(Family::V4, Duration::from_millis(2)));
            seen.connected.push(connected("192.0.2.1:443", Ok(()), rtt));
        }
        seen.tls = Some(Ok(tls_info()));
        seen.h2 = vec![H2Seen {
            first_frame: Some(("SETTINGS".to_owned(), rtt)),
            settings: Some((settings(128), rtt)),
            settings_acked: true,
            pings: vec![rtt; 3],
            requests: 16,
            most_open: 8,
            ..H2Seen::default()
        }];
        for n in 0..16 {
            let load = if n < 8 { Load::Alone } else { Load::Burst };
            seen.exchanges.push(Exchanged { http: Http::V2, load, exchange: served(n, rtt) });
        }
        seen
    }

    /// As [`Seen::healthy`], but the server chose HTTP/1.1.
    pub(crate) fn http1(rtt: Duration) -> Seen {
        let mut seen = Seen::healthy(rtt);
        seen.tls_mut().alpn = Some("http/1.1".to_owned());
        seen.h2.clear();
        for exchanged in &mut seen.exchanges {
            exchanged.http = Http::V1;
            exchanged.exchange.stream_id = 0;
        }
        seen
    }

    /// As [`Seen::http1`], with the scheme `http`.
    pub(crate) fn plain(rtt: Duration) -> Seen {
        let mut seen = Seen::http1(rtt);
        seen.tls = None;
        "http".clone_into(&mut seen.info.scheme);
        "http://goproxy.example.com".clone_into(&mut seen.info.entry);
        seen.info.port = 80;
        seen
    }

    /// As the entry of GOPROXY at this place.
    pub(crate) fn at(mut self, position: usize) -> Seen {
        self.info.position = position;
        if position > 0 {
            self.info.host = format!("goproxy{position}.example.com");
            self.info.entry = format!("https://{}", self.info.host);
        }
        self
    }

    /// Through a forward proxy that gave a tunnel.
    pub(crate) fn proxied(mut self) -> Seen {
        self.info.route = Route::Via(PROXY.to_owned());
        for fact in &mut self.connected {
            if let Fact::Connected { peer, .. } = fact {
                *peer = Peer::ForwardProxy;
            }
        }
        for fact in &mut self.resolved {
            if let Fact::Resolved { peer, .. } = fact {
                *peer = Peer::ForwardProxy;
            }
        }
        self.tunnelled = vec![tunnelled(Some(200), Ok(()), self.rtt)];
        self
    }

    /// Through a forward proxy that gave no tunnel.
    pub(crate) fn no_tunnel(status: Option<u16>, kind: ErrorKind) -> Seen {
        let mut seen = Seen::bare().proxied();
        seen.connected = vec![connected("192.0.2.9:3128", Ok(()), seen.rtt)];
        let Fact::Connected { peer, .. } = &mut seen.connected[0] else { unreachable!() };
        *peer = Peer::ForwardProxy;
        seen.tunnelled = vec![tunnelled(status, Err(error(Phase::Tunnel, kind)), seen.rtt)];
        seen
    }

    /// The direct path beside a proxied one.
    pub(crate) fn twin(mut self) -> Seen {
        self.info.used_by_go = false;
        self
    }

    /// With one more fact.
    pub(crate) fn fact(mut self, fact: Fact) -> Seen {
        self.more.push(fact);
        self
    }

    /// With something changed.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Seen)) -> Seen {
        change(&mut self);
        self
    }

    /// What the completed TLS handshake showed.
    pub(crate) fn tls_mut(&mut self) -> &mut TlsInfo {
        self.tls.as_mut().unwrap().as_mut().unwrap()
    }

    /// Signed by an issuer that only this machine trusts.
    pub(crate) fn signed_by(&mut self, issuer: &str) {
        let tls = self.tls_mut();
        tls.verified = Ok(Root::Local);
        tls.chain[0].issuer = issuer.to_owned();
        tls.chain[0].not_before += 1;
    }

    /// Every exchange.
    pub(crate) fn each(&mut self, change: impl Fn(&mut Exchange)) {
        self.exchanges.iter_mut().for_each(|exchanged| change(&mut exchanged.exchange));
    }

    /// Every request ended like this, without a response.
    pub(crate) fn unanswered(&mut self, outcome: &Outcome) {
        self.each(|exchange| {
            exchange.status = None;
            exchange.ttfb = None;
            exchange.headers.clear();
            exchange.body_bytes = 0;
            exchange.outcome = outcome.clone();
        });
    }

    /// Every request was answered with this status.
    pub(crate) fn status(&mut self, status: u16) {
        self.each(|exchange| exchange.status = Some(status));
    }

    /// Everything as facts.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        let mut facts = self.resolved.clone();
        facts.extend(self.connected.clone());
        facts.extend(self.tunnelled.clone());
        facts.extend(self.tls.clone().map(|outcome| Fact::Handshake {
            outcome,
            took: self.rtt + Duration::from_millis(1),
            client_cert_requested: self.client_cert_requested,
        }));
        facts.extend(self.exchanges.iter().map(|exchanged| Fact::Exchanged {
            connection: 0,
            http: exchanged.http,
            load: exchanged.load,
            exchange: Box::new(exchanged.exchange.clone()),
        }));
        facts.extend(self.h2.iter().zip(0..).map(|(seen, connection)| Fact::Http2 {
            connection,
            seen: Box::new(seen.clone()),
            waited_for_settings: seen.first_frame.as_ref().map_or(Duration::from_secs(5), |(_, at)| *at),
        }));
        facts.extend(self.more.clone());
        facts
    }
}

/// A response that came whole, `rtt` after its request.
pub(crate) fn served(n: u32, rtt: Duration) -> Exchange {
    Exchange {
        path: format!("/example.com/m{n:04}/@v/v1.0.0.info"),
        stream_id: 2 * n + 1,
        sent: rtt * n,
        ttfb: Some(rtt),
        took: rtt,
        status: Some(200),
        headers: vec![("content-length".to_owned(), "250".to_owned())],
        body_bytes: 250,
        body: Vec::new(),
        arrivals: vec![(rtt, 250)],
        closes: false,
        outcome: Outcome::Complete,
    }
}

pub(crate) fn settings(streams: u32) -> Settings {
    Settings::new().with(SettingId::MaxConcurrentStreams, streams)
}

pub(crate) fn error(phase: Phase, kind: ErrorKind) -> NetError {
    NetError::new(phase, kind.clone(), Party::Network, format!("{phase:?}: {kind:?}"))
}

pub(crate) fn resolved(family: Family, took: Duration) -> Fact {
    let answer = match family {
        Family::V4 => Ok(vec!["192.0.2.1".parse().unwrap()]),
        Family::V6 => Ok(vec!["2001:db8::1".parse().unwrap()]),
    };
    Fact::Resolved { peer: Peer::Origin, host: "goproxy.example.com".to_owned(), family, answer, took }
}

pub(crate) fn unresolved(family: Family, kind: ErrorKind, took: Duration) -> Fact {
    let mut fact = resolved(family, took);
    let Fact::Resolved { answer, .. } = &mut fact else { unreachable!() };
    *answer = Err(error(Phase::Resolve, kind));
    fact
}

pub(crate) fn connected(address: &str, outcome: Result<(), ErrorKind>, took: Duration) -> Fact {
    let address: SocketAddr = address.parse().unwrap();
    let outcome = outcome.map_err(|kind| error(Phase::Connect, kind));
    Fact::Connected { peer: Peer::Origin, address, outcome, took }
}

pub(crate) fn tunnelled(status: Option<u16>, outcome: Result<(), NetError>, took: Duration) -> Fact {
    Fact::Tunnelled { status, headers: Vec::new(), outcome, took }
}

/// Bytes that came over `flows` connections at `mbits` Mbit/s, with this many episodes of loss in 10,000 segments.
pub(crate) fn goodput(flows: u32, mbits: f64, loss_episodes: u32) -> Fact {
    Fact::Goodput {
        flows,
        bytes: (mbits * 1e6 / 8.0 * 2.0) as u64,
        took: Duration::from_secs(2),
        out_of_order: Some(f64::from(loss_episodes) / 10_000.0),
        loss_episodes,
        segments: 10_000,
        settled: true,
    }
}

/// The checksum database's answer, through the entry or by itself.
pub(crate) fn sumdb(through_entry: bool, answer: Result<u16, ErrorKind>, issuer: Option<&str>) -> Fact {
    Fact::SumDb {
        name: "sum.golang.org".to_owned(),
        through_entry,
        answer: answer.map_err(|kind| error(Phase::Connect, kind)),
        issuer: issuer.map(str::to_owned),
        took: Duration::from_millis(50),
    }
}

fn tls_info() -> TlsInfo {
    TlsInfo {
        version: "TLSv1.3".to_owned(),
        cipher: "TLS13_AES_128_GCM_SHA256".to_owned(),
        alpn_offered: vec!["h2".to_owned(), "http/1.1".to_owned()],
        alpn: Some("h2".to_owned()),
        chain: vec![CertSummary {
            subject: "CN=goproxy.example.com".to_owned(),
            issuer: PUBLIC_CA.to_owned(),
            not_before: 1_700_000_000,
            not_after: 2_000_000_000,
            names: vec!["goproxy.example.com".to_owned()],
        }],
        verified: Ok(Root::Public),
        verdict: String::new(),
        resumed: false,
        early_data: false,
        client_cert_requested: false,
        round_trips: 1,
    }
}
