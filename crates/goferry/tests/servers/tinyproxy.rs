//! tinyproxy as the forward proxy, nginx as the module proxy behind it.

use goferry_lab::servers::{Config, Program};

use crate::evidence;
use crate::repair::Case;
use crate::world::{World, apply};

const CONF: &str = "tinyproxy, tinyproxy.conf";

#[test]
fn real_tinyproxy_that_tunnels_is_innocent() {
    let world = World::new();
    let origin = world.start(&world.nginx());
    let proxy = world.start(&Config::tinyproxy(&world.forward()));
    let via = Some(proxy.address());
    let traffic = world.go_traffic(&origin, via);
    assert_eq!(traffic.connections, 1, "{traffic:?}");
    world.doctor(via).is_free_of(&["tls-intercepted", "http2-stripped-by-proxy"]);
    evidence::healthy(Program::Tinyproxy, "CONNECT", &traffic);
}

#[test]
fn real_tinyproxy_that_allows_another_port_only() {
    let world = World::new();
    let origin = world.start(&world.nginx());
    let mut config = Config::tinyproxy(&world.forward());
    config.write(CONF, "ConnectPort 563").unwrap();
    let proxy = world.start(&config);
    let via = Some(proxy.address());
    let run = world.go(via);
    assert!(!run.succeeded(), "{}", run.stderr);
    let diagnosis = world.doctor(via);
    let id = "proxy-refused";
    assert_eq!(diagnosis.severity(id), "error", "{diagnosis}");
    assert!(diagnosis.is_sure_of(id, "tinyproxy"), "{diagnosis}");
    let remedy = diagnosis.remedy(id, "tinyproxy");
    apply(&mut config, &remedy);
    let case = Case::new(&world, "`ConnectPort 563`", evidence::ended(&run), (&diagnosis, id), &remedy);
    case.ends_repaired_on_the_way(proxy, &config, &origin);
}

#[test]
fn real_tinyproxy_that_filters() {
    let world = World::new();
    let origin = world.start(&world.nginx());
    let mut config = Config::tinyproxy(&world.forward());
    config.put_file("filter", "^allowed\\.example\\.com$\n");
    config.write(CONF, "Filter \"@FOLDER@/filter\"\nFilterDefaultDeny Yes\nFilterExtended Yes").unwrap();
    let proxy = world.start(&config);
    let via = Some(proxy.address());
    let run = world.go(via);
    assert!(!run.succeeded(), "{}", run.stderr);
    let diagnosis = world.doctor(via);
    let id = "proxy-refused";
    assert_eq!(diagnosis.severity(id), "error", "{diagnosis}");
    // One remedy goes into the file that Filter names.
    let remedy = diagnosis.remedy(id, "the file that Filter in tinyproxy.conf names");
    config.put_file("filter", &format!("^allowed\\.example\\.com$\n{}\n", remedy.config));
    let case =
        Case::new(&world, "`Filter` with `FilterDefaultDeny Yes`", evidence::ended(&run), (&diagnosis, id), &remedy);
    case.ends_repaired_on_the_way(proxy, &config, &origin);
}
