//! For each finding one case that has it: the one thing wrong on a path that is healthy otherwise.

use std::time::Duration;

use goferry_diagnose::observation::Http;
use goferry_diagnose::{Fact, Id, Severity};
use goferry_net::exchange::Outcome;
use goferry_net::h2::{GoAwaySeen, ResetSeen};
use goferry_net::resolve::Family;
use goferry_net::tls::CertProblem;
use goferry_net::{ErrorKind, Phase};

use super::seen::{LOCAL_CA, connected, error, goodput, resolved, settings, sumdb, unresolved};
use super::support::{HASH, Scene, Seen, ms};

/// The usual distance of the server.
pub(crate) const RTT: Duration = ms(50);

/// A case with this finding, and with no other that matters.
pub(crate) fn positive(id: Id) -> Scene {
    let healthy = || Seen::healthy(RTT);
    match id {
        Id::Http2DisabledByEnv => Scene::on(healthy()).env("GODEBUG", "http2client=0"),
        Id::Http2NotOffered => Scene::on(Seen::http1(RTT)),
        Id::Http2StrippedByProxy => {
            let stripped = Seen::http1(RTT).proxied().with(|seen| seen.signed_by(LOCAL_CA));
            Scene::on(stripped).and(healthy().twin())
        }
        Id::PlainHttp => Scene::on(Seen::plain(RTT)).env("GOPROXY", "http://goproxy.example.com"),
        Id::Http1ConnectionClose => {
            Scene::on(Seen::http1(RTT).with(|seen| seen.each(|exchange| exchange.closes = true)))
        }
        Id::SettingsMissing => Scene::on(healthy().with(|seen| {
            seen.h2[0].first_frame = None;
            seen.h2[0].settings = None;
            seen.h2[0].pings.clear();
            seen.unanswered(&Outcome::Stalled { ping_answered: Some(false) });
        })),
        Id::SettingsLate => {
            Scene::on(healthy().with(|seen| seen.h2[0].first_frame = Some(("SETTINGS".to_owned(), ms(800)))))
        }
        Id::SettingsInvalid => Scene::on(healthy().with(|seen| {
            seen.h2[0].first_frame = Some(("PING".to_owned(), RTT));
            seen.h2[0].bad_preface = true;
            seen.h2[0].protocol_error = Some("the first frame is PING".to_owned());
            seen.unanswered(&Outcome::Lost(error(Phase::Http2, ErrorKind::Protocol)));
        })),
        Id::MaxConcurrentStreamsLow => Scene::on(healthy().with(|seen| seen.h2[0].settings = Some((settings(5), RTT)))),
        Id::GoawayChurn => Scene::on(healthy().with(|seen| {
            seen.h2[0].goaways.push(goaway("NO_ERROR", 31, 16));
        })),
        Id::StreamReset => Scene::on(healthy().with(|seen| {
            seen.h2[0].resets.push(reset("INTERNAL_ERROR"));
            seen.exchanges[9].exchange.outcome = Outcome::Reset { code: "INTERNAL_ERROR".to_owned() };
        })),
        Id::ConnectionReset => Scene::on(healthy().with(|seen| {
            seen.exchanges[9].exchange.outcome = Outcome::Lost(error(Phase::Http2, ErrorKind::Reset));
        })),
        Id::WindowLimited => Scene::on(healthy().with(|seen| body(seen, &[65_536; 12]))),
        Id::IdleTimeoutShort => Scene::on(healthy().fact(idle(Some(ms(3_000))))),
        Id::TlsIntercepted => {
            let intercepted = healthy().proxied().with(|seen| seen.signed_by(LOCAL_CA));
            Scene::on(intercepted).and(healthy().twin())
        }
        Id::TlsUntrusted => Scene::on(healthy().with(|seen| seen.tls_mut().verified = Err(CertProblem::UnknownIssuer))),
        Id::TlsExpired => Scene::on(healthy().with(|seen| seen.tls_mut().verified = Err(CertProblem::Expired))),
        Id::TlsNameMismatch => Scene::on(healthy().with(|seen| seen.tls_mut().verified = Err(CertProblem::WrongName))),
        Id::TlsClientCertRequired => Scene::on(healthy().with(|seen| {
            seen.client_cert_requested = true;
            seen.status(400);
        })),
        Id::TlsOld => Scene::on(Seen::http1(RTT).with(|seen| {
            // Over HTTP/2 one round trip more is paid once; HTTP/1.1 pays it for each connection.
            seen.tls_mut().version = "TLSv1.2".to_owned();
            seen.each(|exchange| exchange.closes = true);
        })),
        Id::TlsRenegotiation => Scene::on(Seen::http1(RTT).fact(Fact::Renegotiation).with(|seen| {
            seen.tls_mut().version = "TLSv1.2".to_owned();
            seen.tls_mut().alpn = Some("h2".to_owned());
            seen.exchanges.clear();
        })),
        Id::DnsSlow => Scene::on(healthy().with(|seen| {
            seen.resolved = (0..3).map(|_| resolved(Family::V4, ms(900))).collect();
        })),
        Id::DnsFailing => Scene::on(Seen::bare().with(|seen| {
            let families = [Family::V4, Family::V6];
            seen.resolved = families.map(|family| unresolved(family, ErrorKind::NameServerFailed, ms(10))).into();
        })),
        Id::Ipv6Broken => Scene::on(healthy().with(|seen| {
            seen.connected.push(connected("[2001:db8::1]:443", Err(ErrorKind::TimedOut), ms(3_000)));
        })),
        Id::ProxyUnreachable => Scene::on(Seen::bare().with(|seen| {
            seen.connected = vec![connected("192.0.2.9:3128", Err(ErrorKind::Refused), RTT)];
            *seen = seen.clone().proxied();
            seen.tunnelled.clear();
        })),
        Id::ProxyAuthRequired => Scene::on(Seen::no_tunnel(Some(407), ErrorKind::Status(407))),
        Id::ProxyRefused => Scene::on(Seen::no_tunnel(Some(403), ErrorKind::Status(403))),
        Id::UpstreamUnreachable => Scene::on(Seen::bare().with(|seen| {
            seen.resolved = vec![resolved(Family::V4, ms(2))];
            seen.connected = vec![connected("192.0.2.1:443", Err(ErrorKind::Refused), RTT)];
        })),
        Id::UpstreamStatus => Scene::on(healthy().with(|seen| seen.status(503))),
        Id::UpstreamSlow => Scene::on(healthy().with(|seen| seen.each(|exchange| exchange.ttfb = Some(ms(400))))),
        Id::PacketLoss => Scene::on(healthy().fact(goodput(1, 6.0, 20)).fact(goodput(4, 24.0, 80))),
        Id::BandwidthLimited => Scene::on(healthy().fact(goodput(1, 10.0, 0)).fact(goodput(4, 10.0, 0))),
        Id::SerialRequests => Scene::on(healthy()),
        Id::GomaxprocsLow => Scene::on(healthy()).env("GOMAXPROCS", "2"),
        Id::GotoolchainDownload => Scene::on(healthy()).env("GOTOOLCHAIN", "go1.27.3"),
        Id::UnprunedGraph => Scene::on(healthy()).with(|scene| {
            scene.go_line = Some("1.16");
            scene.deeper = 400;
        }),
        Id::GosumIncomplete => {
            let seen = healthy().fact(sumdb(true, Ok(200), None)).fact(sumdb(false, Ok(200), Some("CN=Public")));
            Scene::on(seen).with(|scene| scene.go_sum = false)
        }
        Id::SumdbUnreachable => {
            let seen = healthy().fact(sumdb(true, Ok(404), None)).fact(sumdb(false, Err(ErrorKind::TimedOut), None));
            Scene::on(seen).with(|scene| scene.go_sum = false)
        }
        Id::ChecksumMismatch => Scene::on(healthy().fact(Fact::Hashed {
            what: "example.com/m0001@v1.0.0".to_owned(),
            got: HASH.replace('A', "B"),
            wanted: HASH.to_owned(),
        })),
        Id::GoproxyFallback => Scene::on(healthy().with(|seen| seen.status(404)))
            .and(healthy().at(1))
            .env("GOPROXY", "https://goproxy.example.com,https://goproxy1.example.com"),
        Id::GoproxyDirect => Scene::new().env("GOPROXY", "direct"),
        Id::GoproxyOff => Scene::new().env("GOPROXY", "off"),
    }
}

pub(crate) fn goaway(code: &str, last_stream_id: u32, after_requests: u32) -> GoAwaySeen {
    GoAwaySeen { code: code.to_owned(), last_stream_id, debug: String::new(), after_requests, at: ms(900) }
}

pub(crate) fn reset(code: &str) -> ResetSeen {
    ResetSeen {
        code: code.to_owned(),
        inside_body: true,
        after_headers: true,
        body_bytes: 100,
        path: "/example.com/m0009/@v/v1.0.0.zip".to_owned(),
    }
}

pub(crate) fn idle(ended_after: Option<Duration>) -> Fact {
    Fact::Idle { http: Http::V2, waited: ms(40_000), ended_after }
}

/// The last response is a body that came in bursts of these sizes, a round trip apart.
pub(crate) fn body(seen: &mut Seen, bursts: &[u64]) {
    let rtt = seen.rtt;
    let exchange = &mut seen.exchanges.last_mut().unwrap().exchange;
    exchange.arrivals.clear();
    exchange.body_bytes = 0;
    for (n, burst) in bursts.iter().enumerate() {
        for part in 0..4 {
            exchange.body_bytes += burst / 4;
            exchange.arrivals.push((rtt * n as u32 + Duration::from_micros(100 * part), exchange.body_bytes));
        }
    }
    exchange.headers = vec![("content-length".to_owned(), exchange.body_bytes.to_string())];
}

#[test]
fn every_rule_has_a_case_in_which_it_fires() {
    for &id in Id::ALL {
        let scene = positive(id);
        assert!(scene.says(id), "{id}: {:?}", scene.said());
    }
}

#[test]
fn one_thing_wrong_gives_one_finding() {
    use Severity::{Error, Info, Warning};
    // What else is said where one cause shows twice: each pair is a decision, and no accident.
    let mut wrong = Vec::new();
    for &id in Id::ALL {
        let wanted = match id {
            Id::SerialRequests => vec![],
            // Worth knowing, and nothing to repair.
            Id::TlsIntercepted | Id::BandwidthLimited => vec![(id, Info)],
            // Closing after each response is the cause to remedy first.
            Id::Http1ConnectionClose => vec![(id, Warning), (Id::Http2NotOffered, Info)],
            Id::TlsOld => {
                vec![(Id::Http1ConnectionClose, Warning), (id, Warning), (Id::Http2NotOffered, Info)]
            }
            // The look-ups that the database is needed for.
            Id::SumdbUnreachable => vec![(id, Error), (Id::GosumIncomplete, Info)],
            Id::SettingsMissing
            | Id::SettingsInvalid
            | Id::StreamReset
            | Id::ConnectionReset
            | Id::TlsUntrusted
            | Id::TlsExpired
            | Id::TlsNameMismatch
            | Id::TlsClientCertRequired
            | Id::TlsRenegotiation
            | Id::DnsFailing
            | Id::ProxyUnreachable
            | Id::ProxyAuthRequired
            | Id::ProxyRefused
            | Id::UpstreamUnreachable
            | Id::UpstreamStatus
            | Id::ChecksumMismatch
            | Id::GoproxyOff => vec![(id, Error)],
            _ => vec![(id, Warning)],
        };
        let said = positive(id).said();
        if said != wanted {
            wrong.push(format!("{id}: {said:?} and not {wanted:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
