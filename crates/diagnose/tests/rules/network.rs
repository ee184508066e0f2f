//! Names, addresses, forward proxies, the module proxy's answers, loss.

use goferry_diagnose::observation::Peer;
use goferry_diagnose::{Confidence, Fact, Id, Severity};
use goferry_net::exchange::Outcome;
use goferry_net::resolve::Family;
use goferry_net::{ErrorKind, Phase};

use super::catalogue::{RTT, positive};
use super::seen::{connected, error, goodput, resolved, tunnelled, unresolved};
use super::support::{Scene, Seen, ms};

#[test]
fn one_slow_resolution_of_three_is_no_slow_resolver() {
    let taking = |millis: [u64; 3]| {
        Scene::on(
            Seen::healthy(RTT).with(|seen| seen.resolved = millis.map(|took| resolved(Family::V4, ms(took))).into()),
        )
    };
    assert_eq!(taking([5_000, 2, 2]).said(), []);
    assert_eq!(taking([99, 99, 99]).said(), []);
    assert_eq!(taking([900, 900, 2]).said(), [(Id::DnsSlow, Severity::Warning)]);
}

#[test]
fn the_slower_family_counts_even_without_an_address() {
    let scene = Scene::on(Seen::healthy(RTT)).but(|seen| {
        seen.resolved.extend((0..3).map(|_| unresolved(Family::V6, ErrorKind::NameNotFound, ms(1_500))));
    });
    assert_eq!(scene.said(), [(Id::DnsSlow, Severity::Warning)]);
}

#[test]
fn one_slow_answer_of_one_family_does_not_hide_a_slow_other() {
    let scene = Scene::on(Seen::healthy(RTT)).but(|seen| {
        seen.resolved = [5_000, 2, 2].map(|took| resolved(Family::V4, ms(took))).into();
        seen.resolved.extend((0..3).map(|_| unresolved(Family::V6, ErrorKind::NameNotFound, ms(900))));
    });
    let finding = scene.finding(Id::DnsSlow);
    assert!(finding.title.ends_with("takes 900 ms"), "{}", finding.title);
}

#[test]
fn a_name_without_ipv6_is_no_failing_name() {
    let scene = Scene::on(Seen::healthy(RTT)).but(|seen| {
        seen.resolved.extend((0..3).map(|_| unresolved(Family::V6, ErrorKind::NameNotFound, ms(2))));
    });
    assert_eq!(scene.said(), []);
}

#[test]
fn behind_a_forward_proxy_the_origins_name_is_not_resolved_here() {
    let scene = Scene::on(Seen::healthy(RTT).proxied()).but(|seen| {
        seen.resolved.extend((0..3).map(|_| unresolved(Family::V4, ErrorKind::NameNotFound, ms(900))));
        for fact in &mut seen.resolved[..3] {
            assert!(matches!(fact, Fact::Resolved { peer: Peer::ForwardProxy, .. }));
        }
    });
    assert_eq!(scene.said(), []);
}

#[test]
fn ipv6_says_something_only_where_it_costs() {
    let with_v6 = |outcome, took| {
        Scene::on(Seen::healthy(RTT).with(|seen| seen.connected.push(connected("[2001:db8::1]:443", outcome, took))))
    };
    assert_eq!(with_v6(Err(ErrorKind::Unreachable), ms(0)).said(), []);
    assert_eq!(with_v6(Ok(()), RTT).said(), []);
    assert_eq!(with_v6(Err(ErrorKind::Refused), RTT).said(), [(Id::Ipv6Broken, Severity::Info)]);
    assert_eq!(with_v6(Err(ErrorKind::TimedOut), ms(3_000)).said(), [(Id::Ipv6Broken, Severity::Warning)]);
    let stalls = with_v6(Ok(()), RTT).but(|seen| {
        seen.more.push(Fact::V6Stalls { address: "[2001:db8::1]:443".parse().unwrap(), waited: ms(5_000) });
    });
    assert_eq!(stalls.said(), [(Id::Ipv6Broken, Severity::Error)]);
}

#[test]
fn where_nothing_connects_ipv6_is_not_to_blame() {
    let scene = positive(Id::UpstreamUnreachable).but(|seen| {
        seen.connected.push(connected("[2001:db8::1]:443", Err(ErrorKind::TimedOut), ms(3_000)));
    });
    assert_eq!(scene.said(), [(Id::UpstreamUnreachable, Severity::Error)]);
}

#[test]
fn what_a_forward_proxy_answers_to_connect_decides_whose_fault_it_is() {
    for (status, id) in [
        (407, Id::ProxyAuthRequired),
        (403, Id::ProxyRefused),
        (405, Id::ProxyRefused),
        (500, Id::ProxyRefused),
        (502, Id::UpstreamUnreachable),
        (503, Id::UpstreamUnreachable),
        (504, Id::UpstreamUnreachable),
    ] {
        let scene = Scene::on(Seen::no_tunnel(Some(status), ErrorKind::Status(status)));
        assert_eq!(scene.said(), [(id, Severity::Error)], "{status}");
    }
    for (kind, id) in [
        (ErrorKind::Closed, Id::ProxyUnreachable),
        (ErrorKind::TimedOut, Id::ProxyUnreachable),
        (ErrorKind::Protocol, Id::ProxyUnreachable),
        (ErrorKind::Refused, Id::ProxyRefused),
        (ErrorKind::Unreachable, Id::UpstreamUnreachable),
    ] {
        let scene = Scene::on(Seen::no_tunnel(None, kind.clone()));
        assert_eq!(scene.said(), [(id, Severity::Error)], "{kind:?}");
    }
}

#[test]
fn a_forward_proxy_that_answers_slowly_once_but_serves_is_nothing() {
    let scene = Scene::on(Seen::healthy(RTT).proxied())
        .but(|seen| seen.tunnelled.push(tunnelled(Some(200), Ok(()), ms(2_000))));
    assert_eq!(scene.said(), []);
}

#[test]
fn a_redirect_that_go_follows_is_no_status() {
    let redirect = |status: u16, location: Option<&str>| {
        Scene::on(Seen::healthy(RTT)).but(|seen| {
            seen.status(status);
            seen.each(|exchange| {
                exchange.headers.extend(location.map(|location| ("location".to_owned(), location.to_owned())));
            });
        })
    };
    assert_eq!(redirect(302, Some("https://files.example.com/x.zip")).said(), []);
    assert_eq!(redirect(307, Some("/other/x.zip")).said(), []);
    // Never from https to http, and nowhere without a location.
    assert_eq!(redirect(302, Some("http://files.example.com/x.zip")).said(), [(Id::UpstreamStatus, Severity::Error)]);
    assert_eq!(redirect(302, None).said(), [(Id::UpstreamStatus, Severity::Error)]);
    assert_eq!(redirect(304, Some("https://files.example.com/")).said(), [(Id::UpstreamStatus, Severity::Error)]);
}

#[test]
fn a_redirect_to_itself_is_a_status() {
    let looping = |to: fn(&str) -> String| {
        Scene::on(Seen::healthy(RTT)).but(|seen| {
            seen.status(302);
            seen.each(|exchange| exchange.headers.push(("location".to_owned(), to(&exchange.path))));
        })
    };
    let wrong = [(Id::UpstreamStatus, Severity::Error)];
    assert_eq!(looping(str::to_owned).said(), wrong);
    assert_eq!(looping(|path| format!("https://GOPROXY.example.com:443{path}")).said(), wrong);
    // The same file elsewhere is what a mirror has.
    assert_eq!(looping(|path| format!("https://mirror.example.com{path}")).said(), []);
}

#[test]
fn a_404_that_a_later_entry_makes_good_is_a_detour_only() {
    assert_eq!(positive(Id::GoproxyFallback).said(), [(Id::GoproxyFallback, Severity::Warning)]);
    // `direct` behind it makes it good too, at a price that is not known.
    let direct = Scene::on(Seen::healthy(RTT).with(|seen| seen.status(404)))
        .env("GOPROXY", "https://goproxy.example.com,direct");
    assert_eq!(direct.said(), [(Id::GoproxyFallback, Severity::Warning)]);
    // With nothing behind it, it is the end.
    let alone = Scene::on(Seen::healthy(RTT).with(|seen| seen.status(404)));
    assert_eq!(alone.said(), [(Id::UpstreamStatus, Severity::Error)]);
}

#[test]
fn a_few_404_on_an_entry_that_serves_the_rest_are_no_detour() {
    let scene = positive(Id::GoproxyFallback).but(|seen| {
        seen.status(200);
        for exchanged in &mut seen.exchanges[..3] {
            exchanged.exchange.status = Some(404);
        }
    });
    assert_eq!(scene.said(), []);
}

#[test]
fn behind_a_bar_a_failing_entry_is_a_detour_and_behind_a_comma_the_end() {
    let two = |separator: &str, first: Seen| {
        let goproxy = format!("https://goproxy.example.com{separator}https://goproxy1.example.com");
        Scene::on(first).and(Seen::healthy(RTT).at(1)).env("GOPROXY", &goproxy)
    };
    let failing = || Seen::healthy(RTT).with(|seen| seen.status(503));
    assert_eq!(two(",", failing()).said(), [(Id::UpstreamStatus, Severity::Error)]);
    assert_eq!(two("|", failing()).said(), [(Id::UpstreamStatus, Severity::Warning)]);
    let expired =
        || Seen::healthy(RTT).with(|seen| seen.tls_mut().verified = Err(goferry_net::tls::CertProblem::Expired));
    assert_eq!(two(",", expired()).said(), [(Id::TlsExpired, Severity::Error)]);
    // Nothing behind the bar serves: it is an error all the same.
    let both = two("|", failing()).but_on(1, |seen| seen.status(503));
    assert!(both.said().iter().all(|(id, severity)| (*id, *severity) == (Id::UpstreamStatus, Severity::Error)));
}

#[test]
fn the_origins_share_must_be_large_and_larger_than_the_networks() {
    let think = |rtt: u64, millis: u64| {
        let seen = Seen::healthy(ms(rtt)).with(|seen| seen.each(|exchange| exchange.ttfb = Some(ms(rtt + millis))));
        Scene::on(seen).says(Id::UpstreamSlow)
    };
    assert!(!think(1, 49) && think(1, 50));
    assert!(!think(200, 199) && think(200, 200));
    // One slow answer of eight is no slow server.
    let scene = Scene::on(Seen::healthy(RTT)).but(|seen| seen.exchanges[2].exchange.ttfb = Some(ms(20_000)));
    assert_eq!(scene.said(), []);
}

#[test]
fn a_request_that_is_never_answered_hangs_the_command() {
    let scene = Scene::on(Seen::healthy(RTT)).but(|seen| {
        let exchange = &mut seen.exchanges[7].exchange;
        (exchange.status, exchange.ttfb) = (None, None);
        exchange.outcome = Outcome::Stalled { ping_answered: Some(true) };
    });
    assert_eq!(scene.said(), [(Id::UpstreamSlow, Severity::Error)]);
}

#[test]
fn drops_at_a_full_bottleneck_are_no_loss() {
    // As many episodes as in the positive case, but several flows share what one gets.
    let full = Seen::healthy(RTT).fact(goodput(1, 90.0, 20)).fact(goodput(4, 95.0, 80));
    assert!(!Scene::on(full.clone()).says(Id::PacketLoss));
    assert!(positive(Id::PacketLoss).says(Id::PacketLoss));
    let finding = positive(Id::PacketLoss).finding(Id::PacketLoss);
    assert_eq!(finding.confidence, Confidence::Measured);
    assert!(finding.title.contains("6.0 Mbit/s") && finding.title.contains("24.0 Mbit/s"), "{}", finding.title);
}

#[test]
fn one_episode_and_gain_without_loss_are_no_loss() {
    let seen =
        |episodes| Scene::on(Seen::healthy(RTT).fact(goodput(1, 6.0, episodes)).fact(goodput(4, 24.0, episodes)));
    assert!(!seen(0).says(Id::PacketLoss));
    assert!(!seen(1).says(Id::PacketLoss));
    assert!(seen(2).says(Id::PacketLoss));
}

#[test]
fn a_small_transfer_is_not_limited_by_bandwidth() {
    let wide = |mbits| Scene::on(Seen::healthy(RTT).fact(goodput(1, mbits, 0)).fact(goodput(4, mbits, 0)));
    assert!(!wide(1_000.0).says(Id::BandwidthLimited));
    assert!(wide(10.0).says(Id::BandwidthLimited));
    // A rate that was still growing says nothing of the link.
    let growing = Seen::healthy(RTT).with(|seen| {
        let mut fact = goodput(1, 10.0, 0);
        let Fact::Goodput { settled, .. } = &mut fact else { unreachable!() };
        *settled = false;
        seen.more.push(fact);
    });
    assert!(!Scene::on(growing).says(Id::BandwidthLimited));
}

#[test]
fn a_broken_connection_names_how_it_broke() {
    let lost = |kind| {
        let scene = Scene::on(Seen::healthy(RTT)).but(|seen| {
            seen.exchanges[9].exchange.outcome = Outcome::Lost(error(Phase::Http2, kind));
        });
        scene.finding(Id::ConnectionReset).evidence[0].to_string()
    };
    assert!(lost(ErrorKind::Reset).starts_with("how: TCP reset"));
    assert!(lost(ErrorKind::Closed).starts_with("how: closed by the peer"));
}
