//! Caddy as the module proxy.

use goferry_lab::servers::{Backend, Config, Program};

use crate::evidence;
use crate::repair::Case;
use crate::world::{World, apply};

const GLOBAL: &str = "Caddy, the global options block of the Caddyfile";

#[test]
fn real_caddy_is_healthy_by_default() {
    let world = World::new();
    let server = world.start(&Config::caddy(&world.front(Backend::Files(&world.goproxy()))));
    let traffic = world.go_traffic(&server, None);
    assert_eq!(traffic.connections, 1, "{traffic:?}");
    world.doctor(None).is_free_of(&[]);
    evidence::healthy(Program::Caddy, "defaults", &traffic);
}

#[test]
fn real_caddy_with_protocols_h1() {
    let world = World::new();
    let mut config = Config::caddy(&world.front(Backend::Files(&world.goproxy())));
    config.write(GLOBAL, "servers {\n    protocols h1\n}").unwrap();
    let server = world.start(&config);
    let before = world.go_traffic(&server, None);
    assert!(before.connections > 8, "{before:?}");
    let diagnosis = world.doctor(None);
    let id = "http2-not-offered";
    assert_ne!(diagnosis.severity(id), "error", "{diagnosis}");
    assert!(diagnosis.is_sure_of(id, "Caddy"), "{diagnosis}");
    let remedy = diagnosis.remedy(id, "Caddy");
    apply(&mut config, &remedy);
    let case = Case::new(&world, "`protocols h1`", evidence::said(&before), (&diagnosis, id), &remedy);
    case.ends_repaired(server, &config);
}
