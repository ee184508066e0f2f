//! `goferry doctor` through a SOCKS5 proxy: it says of the module proxy behind it what the go command meets there.

use std::path::Path;

use goferry_lab::server::behaviour::{TlsOptions, Transport};
use goferry_lab::server::{Behaviour, Snapshot};
use goferry_lab::universe::{ProjectSpec, SUMDB};
use serde_json::Value;

use crate::place::{HOST, Kind, Login, Place};
use crate::world::Ran;

const TOOLCHAINS: [&str; 2] = ["go1.27.3", "go1.21.13"];

/// What doctor prints of a project whose commands go through the place's forward proxy.
fn diagnosed(place: &Place, toolchain: &str) -> (Value, Ran) {
    let project = place.project_of(&format!("doctor-{toolchain}"), &ProjectSpec::default());
    let home = place.home().toolchain(toolchain);
    let args = ["doctor", "--json", project.to_str().unwrap()];
    let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_goferry")), home.path(), &args);
    let ran = Ran::of(&command.output().unwrap());
    (serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err)), ran)
}

/// Findings at these severities: their ids.
fn found<'a>(report: &'a Value, severities: &[&str]) -> Vec<&'a str> {
    let findings = report["findings"].as_array().unwrap();
    let grave = findings.iter().filter(|one| severities.iter().any(|severity| one["severity"] == *severity));
    grave.map(|one| one["id"].as_str().unwrap()).collect()
}

/// The module proxy was reached, which only the forward proxy can; it was asked for nothing by another name.
fn through(place: &Place) {
    let counts = place.forwarded();
    assert!(counts.targets.contains_key(&format!("{HOST}:443")) && place.requests() > 0, "{counts:?}");
    // Doctor asks whether the checksum database could be reached without the module proxy.
    assert!(
        counts.targets.keys().all(|target| [HOST, SUMDB].iter().any(|host| target.starts_with(host))),
        "{counts:?}"
    );
}

/// What the module proxy sees of `go mod download`.
fn go_downloads(place: &Place, toolchain: &str) -> Snapshot {
    let before = place.seen().log.len();
    let home = place.home().toolchain(toolchain);
    home.go_download(&place.project(&format!("go-{toolchain}")), &[]).ok();
    let mut seen = place.seen();
    seen.log.drain(..before);
    assert!(!seen.log.is_empty());
    seen
}

#[test]
fn what_is_well_behind_it_is_well() {
    for login in [Login::None, Login::Right] {
        for toolchain in TOOLCHAINS {
            let place = Place::new(Kind::Socks5, login, true);
            let (report, ran) = diagnosed(&place, toolchain);
            assert_eq!(ran.code, Some(0), "{report:#}{}", ran.err);
            assert_eq!(found(&report, &["warning", "error"]), [""; 0], "{report:#}");
            assert!(!found(&report, &["info"]).contains(&"http2-not-offered"), "{report:#}");
            through(&place);
            // So does the go command find it.
            let seen = go_downloads(&place, toolchain);
            assert!(seen.log.iter().all(|request| request.stream != 0), "{seen:?}");
            through(&place);
        }
    }
}

#[test]
fn a_module_proxy_without_http2_is_named() {
    for toolchain in TOOLCHAINS {
        let transport = Transport::Tls(TlsOptions { alpn: vec!["http/1.1"], ..TlsOptions::default() });
        let behaviour = Behaviour { transport, ..Behaviour::default() };
        let place = Place::behaving(behaviour, HOST, Kind::Socks5, Login::Right);
        let (report, ran) = diagnosed(&place, toolchain);
        let all = found(&report, &["info", "warning", "error"]);
        assert!(all.contains(&"http2-not-offered"), "{report:#}{}", ran.err);
        // It is the module proxy that has no HTTP/2: nobody on the way is accused.
        assert!(all.iter().all(|id| !id.contains("intercept") && !id.starts_with("proxy-")), "{all:?}");
        through(&place);
        let seen = go_downloads(&place, toolchain);
        assert!(seen.log.iter().all(|request| request.stream == 0), "{seen:?}");
        through(&place);
    }
}

#[test]
fn a_forward_proxy_that_refuses_is_named() {
    for (login, id) in [(Login::Wrong, "proxy-auth-required"), (Login::Missing, "proxy-auth-required")] {
        let place = Place::new(Kind::Socks5, login, true);
        let (report, _) = diagnosed(&place, TOOLCHAINS[0]);
        assert_eq!(found(&report, &["error"]), [id], "{report:#}");
        place.home().go_download(&place.project("go"), &[]).failed(1);
        assert_eq!(place.requests(), 0, "somebody came through");
    }
}
