//! Squid as the forward proxy, nginx as the module proxy behind it.

use goferry_lab::certs::Authority;
use goferry_lab::servers::{Config, Program};

use crate::evidence;
use crate::world::{HOST, World, apply};

#[test]
fn real_squid_that_tunnels_is_innocent() {
    let world = World::new();
    let origin = world.start(&world.nginx());
    let proxy = world.start(&Config::squid(&world.forward()));
    let via = Some(proxy.address());
    let traffic = world.go_traffic(&origin, via);
    assert_eq!(traffic.connections, 1, "{traffic:?}");
    world.doctor(via).is_free_of(&["tls-intercepted", "http2-stripped-by-proxy"]);
    evidence::healthy(Program::Squid, "CONNECT", &traffic);
}

#[test]
fn real_squid_that_bumps_and_then_splices() {
    let world = World::new();
    let origin = world.start(&world.nginx());
    // A company's own name, which says nothing of Squid.
    let inspection = Authority::new("Example Corp Inspection").unwrap();
    world.trust(inspection.pem());
    let mut config = Config::squid_bumping(&world.forward(), &inspection);
    let proxy = world.start(&config);
    let via = Some(proxy.address());
    let run = world.go(via);
    assert!(run.succeeded(), "{}\n{}", run.stderr, proxy.log());
    assert_eq!(run.http2.as_ref().map(|seen| seen.requests), Some(0), "{}", run.stderr);
    let before = proxy.traffic();
    assert!(before.connections > 8, "{before:?}");
    let diagnosis = world.doctor(via);
    let id = "http2-stripped-by-proxy";
    assert_ne!(diagnosis.severity(id), "error", "{diagnosis}");
    assert_eq!(diagnosis.severity("http2-not-offered"), "", "one cause is one finding\n{diagnosis}");
    let remedy = diagnosis.remedy(id, "Squid");
    assert!(remedy.config.contains(HOST) && remedy.config.contains("splice"), "{remedy:?}");
    apply(&mut config, &remedy);
    let proxy = world.restart(proxy, &config);
    // Spliced: the origin's own certificate and protocol, so nothing is left to say.
    world.doctor(via).is_free_of(&[id, "tls-intercepted"]);
    let after = world.go_traffic(&origin, via);
    assert_eq!(after.connections, 1, "{}", proxy.log());
    let found = (&diagnosis, id);
    let (before, after) = (evidence::said(&before), evidence::said(&after));
    evidence::repaired(Program::Squid, "`ssl_bump bump all`", before, found, &remedy, after);
}
