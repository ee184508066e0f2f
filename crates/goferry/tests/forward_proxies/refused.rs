//! Where a forward proxy does not let the go command through, `goferry download` fails too, soon, and says whose fault it is.

use std::fs;

use crate::place::{HOST, Kind, Login, Place};
use crate::world::Home;

/// Both fail; goferry says these words, and leaves nothing.
fn both_fail(place: &Place, home: impl Fn() -> Home, says: &[&str]) {
    let (theirs, ours) = (home(), home());
    theirs.go_download(&place.project("go"), &[]).failed(1);
    let mut ran = ours.download(&place.project("goferry"), &[]).failed(1);
    for text in says {
        ran = ran.says(text);
    }
    assert_eq!(place.requests(), 0, "somebody came through");
    assert_eq!(ours.zips(), Vec::<String>::new());
}

#[test]
fn socks5_with_other_credentials() {
    let place = Place::new(Kind::Socks5, Login::Wrong, true);
    both_fail(&place, || place.home(), &["SOCKS5", "refuses user and password"]);
}

#[test]
fn socks5_without_credentials() {
    let place = Place::new(Kind::Socks5, Login::Missing, true);
    both_fail(&place, || place.home(), &["SOCKS5", "demands authentication"]);
}

#[test]
fn socks5_that_cannot_reach_the_host() {
    let place = Place::reaching("another.lab.invalid", Kind::Socks5, Login::None, true);
    both_fail(&place, || place.home(), &["SOCKS5", HOST, "unreachable"]);
}

#[test]
fn connect_inside_tls_with_other_credentials() {
    let place = Place::new(Kind::Https, Login::Wrong, true);
    both_fail(&place, || place.home(), &["407"]);
}

#[test]
fn plain_requests_inside_tls_without_credentials() {
    let place = Place::new(Kind::Https, Login::Missing, false);
    both_fail(&place, || place.home(), &["407"]);
}

#[test]
fn a_forward_proxy_whose_certificate_nobody_trusts() {
    let place = Place::new(Kind::Https, Login::None, true);
    let none = tempfile::NamedTempFile::new().unwrap();
    fs::write(none.path(), "").unwrap();
    both_fail(&place, || place.home_trusting(none.path()), &["forward proxy", "127.0.0.1"]);
}
