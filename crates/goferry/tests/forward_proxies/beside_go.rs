//! `goferry download` leaves what `go mod download` leaves, and both reach the module proxy through the forward proxy.

use crate::place::{HOST, Kind, Login, Place};
use crate::world::{Home, assert_same};

fn same(kind: Kind, login: Login, https: bool) {
    for toolchain in ["go1.27.3", "go1.21.13"] {
        let place = Place::new(kind, login, https);
        let (theirs, ours) = (place.home().toolchain(toolchain), place.home().toolchain(toolchain));
        let (their_project, our_project) = (place.project("go"), place.project("goferry"));

        theirs.go_download(&their_project, &[]).ok();
        let through = Through::check(&place, kind, https);
        let asked = place.requests();
        ours.download(&our_project, &[]).ok();
        let again = Through::check(&place, kind, https);

        let what = format!("{kind:?} {login:?} https={https} {toolchain}");
        assert!(again.asked > through.asked, "{what}: goferry went another way");
        assert!(place.requests() > asked, "{what}: goferry asked for nothing");
        assert_same(&gopath(&theirs), &gopath(&ours), &what);
        assert_same(&their_project, &our_project, &what);
        ours.go(&our_project, &["mod", "verify"]).ok();
    }
}

fn gopath(home: &Home) -> std::path::PathBuf {
    home.path().join("go")
}

/// What went through the forward proxy so far.
struct Through {
    /// Tunnels, or requests for `http://` URLs.
    asked: u64,
}

impl Through {
    fn check(place: &Place, kind: Kind, https: bool) -> Through {
        let counts = place.forwarded();
        let target = format!("{HOST}:{}", if https { 443 } else { 80 });
        assert_eq!(counts.targets.keys().collect::<Vec<_>>(), [&target]);
        // An HTTP proxy forwards the requests for http:// URLs, all others open tunnels.
        let plain = kind == Kind::Https && !https;
        assert_eq!((counts.connects > 0, counts.plain_requests > 0), (!plain, plain), "{counts:?}");
        let refused: Vec<_> = counts.statuses.keys().filter(|status| !matches!(status, 0 | 200)).collect();
        assert!(refused.is_empty(), "{counts:?}");
        Through { asked: counts.connects + counts.plain_requests }
    }
}

#[test]
fn socks5() {
    same(Kind::Socks5, Login::None, true);
}

#[test]
fn socks5_with_user_and_password() {
    same(Kind::Socks5, Login::Right, true);
}

#[test]
fn socks5_to_plain_http() {
    same(Kind::Socks5, Login::Right, false);
}

#[test]
fn connect_inside_tls() {
    same(Kind::Https, Login::None, true);
}

#[test]
fn connect_inside_tls_with_credentials() {
    same(Kind::Https, Login::Right, true);
}

#[test]
fn plain_requests_inside_tls() {
    same(Kind::Https, Login::None, false);
}

#[test]
fn plain_requests_inside_tls_with_credentials() {
    same(Kind::Https, Login::Right, false);
}
