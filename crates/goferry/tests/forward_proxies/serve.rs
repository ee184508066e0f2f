//! `goferry serve` reaches its upstream through the forward proxy; the go command behind it needs none.

use std::path::Path;

use goferry_lab::serve::ServeProcess;

use crate::place::{Kind, Login, Place};
use crate::world::{Home, assert_same};

fn behind(kind: Kind, login: Login, https: bool) {
    let place = Place::new(kind, login, https);
    let alone = place.home();
    alone.go_download(&place.project("alone"), &[]).ok();

    let (before, asked) = (place.forwarded(), place.requests());
    let home = place.home();
    let store = home.path().join("store");
    let upstream = place.goproxy();
    let args =
        ["serve", "--listen", "127.0.0.1:0", "--store", store.to_str().unwrap(), "--upstream", upstream.as_str()];
    let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_goferry")), home.path(), &args);
    let serve = ServeProcess::start(&mut command, &home.path().join("log")).unwrap();

    let client = Home::new(serve.url()).with("GOSUMDB", &place.gosumdb());
    let project = place.project("behind");
    client.go_download(&project, &[]).ok();
    client.go(&project, &["mod", "verify"]).ok();
    assert_same(&alone.path().join("go"), &client.path().join("go"), &format!("{kind:?} {login:?} https={https}"));

    let after = place.forwarded();
    assert!(place.requests() > asked);
    let through = |counts: &goferry_lab::forward::ForwardCounts| counts.connects + counts.plain_requests;
    assert!(through(&after) > through(&before), "{after:?}");
    assert_eq!(after.targets.len(), 1, "{after:?}");
}

#[test]
fn socks5() {
    behind(Kind::Socks5, Login::Right, true);
}

#[test]
fn connect_inside_tls() {
    behind(Kind::Https, Login::Right, true);
}

#[test]
fn plain_requests_inside_tls() {
    behind(Kind::Https, Login::None, false);
}
