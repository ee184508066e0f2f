//! TLS: who signed, who asks for what, and in which version.

use goferry_diagnose::{Confidence, Id, Severity};
use goferry_net::tls::CertProblem;
use goferry_net::{ErrorKind, Phase};

use super::catalogue::{RTT, positive};
use super::seen::{LOCAL_CA, PUBLIC_CA, error, sumdb};
use super::support::{Scene, Seen, ms};

#[test]
fn an_internal_ca_alone_is_no_interception() {
    let internal = |seen: &mut Seen| seen.signed_by(LOCAL_CA);
    assert_eq!(Scene::on(Seen::healthy(RTT).with(internal)).said(), []);
    assert_eq!(Scene::on(Seen::healthy(RTT).proxied().with(internal)).said(), []);
    assert_eq!(Scene::on(Seen::http1(RTT).with(internal)).said(), [(Id::Http2NotOffered, Severity::Warning)]);
    // The direct path shows the same certificate: it is the origin's own.
    let same = Scene::on(Seen::healthy(RTT).proxied().with(internal)).and(Seen::healthy(RTT).twin().with(internal));
    assert_eq!(same.said(), []);
    // The checksum database shows its public issuer: nobody signs for everything here.
    let seen = Seen::healthy(RTT).with(internal).fact(sumdb(false, Ok(200), Some(PUBLIC_CA)));
    assert_eq!(Scene::on(seen).said(), []);
}

#[test]
fn a_second_sight_makes_it_an_interception() {
    let by_sumdb = Seen::healthy(RTT).with(|seen| seen.signed_by(LOCAL_CA)).fact(sumdb(false, Ok(200), Some(LOCAL_CA)));
    let by_name = Seen::healthy(RTT).with(|seen| seen.signed_by("CN=mitmproxy, O=mitmproxy"));
    for (seen, confidence) in [(by_sumdb, Confidence::Measured), (by_name, Confidence::Derived)] {
        let finding = Scene::on(seen).finding(Id::TlsIntercepted);
        assert_eq!((finding.severity, finding.confidence), (Severity::Info, confidence));
    }
    assert_eq!(positive(Id::TlsIntercepted).finding(Id::TlsIntercepted).confidence, Confidence::Measured);
}

#[test]
fn a_caddy_authority_is_a_server_of_ones_own() {
    let seen = Seen::healthy(RTT).with(|seen| seen.signed_by("CN=Caddy Local Authority - ECC Intermediate"));
    assert_eq!(Scene::on(seen).said(), []);
}

#[test]
fn tls_1_2_is_information_where_it_costs_little_and_a_warning_where_much() {
    let old = |rtt, closes: bool| {
        let seen = if closes { Seen::http1(rtt) } else { Seen::healthy(rtt) };
        let scene = Scene::on(seen).but(|seen| {
            seen.tls_mut().version = "TLSv1.2".to_owned();
            seen.each(|exchange| exchange.closes = closes);
        });
        scene.finding(Id::TlsOld)
    };
    let cheap = old(ms(1), false);
    assert_eq!(cheap.severity, Severity::Info);
    assert!(cheap.title.ends_with("(costs this project next to nothing)"), "{}", cheap.title);
    let dear = old(ms(100), true);
    assert_eq!(dear.severity, Severity::Warning);
    assert!(dear.cost.unwrap().seconds_min > 1.0 && !dear.title.contains("next to nothing"));
}

#[test]
fn a_server_below_tls_1_2_is_an_error_by_its_alert_only() {
    let failed = |kind| {
        Scene::on(Seen::bare().with(|seen| {
            seen.connected = Seen::healthy(RTT).connected;
            seen.tls = Some(Err(error(Phase::Tls, kind)));
        }))
    };
    assert_eq!(failed(ErrorKind::Alert("protocol_version".to_owned())).said(), [(Id::TlsOld, Severity::Error)]);
    assert!(!failed(ErrorKind::Alert("handshake_failure".to_owned())).says(Id::TlsOld));
    assert_eq!(failed(ErrorKind::Reset).said(), [(Id::UpstreamUnreachable, Severity::Error)]);
}

#[test]
fn a_handshake_that_fails_always_has_a_finding() {
    for alert in
        ["handshake_failure", "internal_error", "unrecognized_name", "no_application_protocol", "access_denied"]
    {
        let scene = Scene::on(Seen::bare().with(|seen| {
            seen.connected = Seen::healthy(RTT).connected;
            seen.tls = Some(Err(error(Phase::Tls, ErrorKind::Alert(alert.to_owned()))));
        }));
        assert!(scene.said().iter().any(|(_, severity)| *severity == Severity::Error), "{alert}: {:?}", scene.said());
    }
}

#[test]
fn an_optional_client_certificate_is_nothing() {
    let scene = Scene::on(Seen::healthy(RTT)).but(|seen| {
        seen.client_cert_requested = true;
        seen.tls_mut().client_cert_requested = true;
    });
    assert_eq!(scene.said(), []);
}

#[test]
fn a_client_certificate_that_is_demanded_explains_what_fails() {
    let refused = Seen::bare().with(|seen| {
        seen.connected = Seen::healthy(RTT).connected;
        seen.client_cert_requested = true;
        seen.tls = Some(Err(error(Phase::Tls, ErrorKind::Alert("certificate_required".to_owned()))));
    });
    assert_eq!(Scene::on(refused).said(), [(Id::TlsClientCertRequired, Severity::Error)]);
}

#[test]
fn each_problem_of_a_certificate_has_one_finding() {
    for (problem, id) in [
        (CertProblem::UnknownIssuer, Id::TlsUntrusted),
        (CertProblem::Invalid, Id::TlsUntrusted),
        (CertProblem::Expired, Id::TlsExpired),
        (CertProblem::NotYetValid, Id::TlsExpired),
        (CertProblem::WrongName, Id::TlsNameMismatch),
    ] {
        let scene = Scene::on(Seen::healthy(RTT)).but(|seen| seen.tls_mut().verified = Err(problem));
        assert_eq!(scene.said(), [(id, Severity::Error)], "{problem:?}");
    }
}
