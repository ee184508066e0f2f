//! HAProxy in front of a module proxy that names no program. It never names itself either, so doctor prints the remedies of
//! the common servers, and the one for HAProxy is taken.

use goferry_lab::servers::{Backend, Config, Program};

use crate::evidence;
use crate::repair::Case;
use crate::world::{World, apply};

const PLACE: &str = "HAProxy, haproxy.cfg";

#[test]
fn real_haproxy_with_h2_is_healthy() {
    let world = World::new();
    let origin = world.plain_origin();
    let server = world.start(&Config::haproxy(&world.front(Backend::Http(origin.address()))));
    let traffic = world.go_traffic(&server, None);
    assert_eq!(traffic.connections, 1, "{traffic:?}");
    world.doctor(None).is_free_of(&[]);
    evidence::healthy(Program::Haproxy, "`alpn h2,http/1.1`", &traffic);
}

#[test]
fn real_haproxy_without_alpn() {
    let world = World::new();
    let origin = world.plain_origin();
    let mut config = Config::haproxy(&world.front(Backend::Http(origin.address())));
    let bind = format!("frontend goproxy\n    bind {} ssl crt /etc/haproxy/goproxy.pem", config.listen);
    config.write(PLACE, &bind).unwrap();
    let server = world.start(&config);
    let before = world.go_traffic(&server, None);
    assert!(before.connections > 8, "{before:?}");
    let diagnosis = world.doctor(None);
    let id = "http2-not-offered";
    assert_ne!(diagnosis.severity(id), "error", "{diagnosis}");
    let remedy = diagnosis.remedy(id, "HAProxy");
    apply(&mut config, &remedy);
    let case = Case::new(&world, "a bind line without alpn", evidence::said(&before), (&diagnosis, id), &remedy);
    case.ends_repaired(server, &config);
}

#[test]
fn real_haproxy_with_one_stream() {
    let world = World::new();
    let origin = world.plain_origin();
    let mut config = Config::haproxy(&world.front(Backend::Http(origin.address())));
    config.write(PLACE, "global\n    tune.h2.max-concurrent-streams 1").unwrap();
    let server = world.start(&config);
    let mark = server.mark();
    world.go(None);
    let before = server.traffic_since(mark);
    assert!(before.connections > 1, "{before:?}");
    let diagnosis = world.doctor(None);
    let id = "max-concurrent-streams-low";
    let printed = diagnosis.names(id)["remedies"].to_string();
    // Its name from 2.8.0 on and its name before: which one holds is said beside it, since HAProxy does not tell its version.
    let version = goferry_lab::servers::Program::Haproxy.version().unwrap();
    let older = version.starts_with("2.6.");
    assert!(printed.contains("tune.h2.fe.max-concurrent-streams"), "{printed}");
    let mut remedy = diagnosis.remedy(id, "HAProxy");
    if older {
        remedy = diagnosis.remedy_valid_for(id, "HAProxy", "before 2.8.0");
    }
    apply(&mut config, &remedy);
    let case =
        Case::new(&world, "`tune.h2.max-concurrent-streams 1`", evidence::said(&before), (&diagnosis, id), &remedy);
    case.ends_repaired(server, &config);
}

#[test]
fn real_haproxy_with_httpclose() {
    let world = World::new();
    let origin = world.plain_origin();
    let mut config = Config::haproxy(&world.front(Backend::Http(origin.address())));
    let bind = format!("frontend goproxy\n    bind {} ssl crt /etc/haproxy/goproxy.pem", config.listen);
    config.write(PLACE, &bind).unwrap();
    config.write(PLACE, "defaults\n    option httpclose").unwrap();
    let server = world.start(&config);
    let before = world.go_traffic(&server, None);
    assert_eq!(before.connections, before.requests);
    let diagnosis = world.doctor(None);
    let id = "http1-connection-close";
    assert_ne!(diagnosis.severity(id), "info", "{diagnosis}");
    let remedy = diagnosis.remedy(id, "HAProxy");
    apply(&mut config, &remedy);
    // What is to go is named in words.
    assert!(remedy.valid_for.contains("take \"option httpclose\" away"), "{remedy:?}");
    config.take_away("option httpclose").unwrap();
    let case = Case::new(&world, "`option httpclose`, no alpn", evidence::said(&before), (&diagnosis, id), &remedy);
    case.keeps_connections(server, &config, &before);
}
