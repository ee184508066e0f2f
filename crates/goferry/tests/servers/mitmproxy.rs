//! mitmproxy as the forward proxy, nginx as the module proxy behind it.

use goferry_lab::servers::{Config, Program};

use crate::evidence;
use crate::world::{World, apply};

#[test]
fn real_mitmproxy_without_http2_and_then_with_it() {
    let world = World::new();
    let _origin = world.start(&world.nginx());
    let mut config = Config::mitmproxy(&world.forward());
    config.write("mitmproxy, ~/.mitmproxy/config.yaml", "http2: false").unwrap();
    let proxy = world.start(&config);
    world.trust(&proxy.authority_pem().unwrap());
    let via = Some(proxy.address());
    let run = world.go(via);
    assert!(run.succeeded(), "{}\n{}", run.stderr, proxy.log());
    assert_eq!(run.http2.as_ref().map(|seen| seen.requests), Some(0), "{}", run.stderr);
    let diagnosis = world.doctor(via);
    let id = "http2-stripped-by-proxy";
    assert_ne!(diagnosis.severity(id), "error", "{diagnosis}");
    assert_eq!(diagnosis.severity("http2-not-offered"), "", "one cause is one finding\n{diagnosis}");
    let (before, found) = (evidence::ended(&run), diagnosis);
    let remedy = found.remedy(id, "mitmproxy");
    apply(&mut config, &remedy);
    let proxy = world.restart(proxy, &config);
    // It still ends TLS, with HTTP/2 on both sides: worth knowing, nothing to repair.
    let diagnosis = world.doctor(via);
    diagnosis.is_free_of(&[id]);
    assert_eq!(diagnosis.severity("tls-intercepted"), "info", "{diagnosis}");
    let run = world.go(via);
    assert!(run.succeeded(), "{}\n{}", run.stderr, proxy.log());
    let seen = run.http2.clone().unwrap_or_default();
    assert_eq!(seen.requests as usize, crate::world::REQUESTS, "{}", run.stderr);
    let after = evidence::ended(&run);
    evidence::repaired(Program::Mitmproxy, "`http2: false`", before, (&found, id), &remedy, after);
}
