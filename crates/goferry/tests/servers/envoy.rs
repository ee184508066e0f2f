//! Envoy in front of nginx.

use goferry_lab::servers::{Backend, Config, Program, RealServer};

use crate::evidence;
use crate::repair::Case;
use crate::world::{World, apply, backend_address};

const TLS: &str = "Envoy, the listener's DownstreamTlsContext";
const HCM: &str = "Envoy, the listener's HttpConnectionManager";

fn nginx_behind(world: &World) -> RealServer {
    world.start(&Config::nginx_plain(backend_address(), &world.goproxy()))
}

#[test]
fn real_envoy_with_h2_is_healthy() {
    let world = World::new();
    let backend = nginx_behind(&world);
    let server = world.start(&Config::envoy(&world.front(Backend::Http(backend.address()))));
    let traffic = world.go_traffic(&server, None);
    assert_eq!(traffic.connections, 1, "{traffic:?}");
    world.doctor(None).is_free_of(&[]);
    evidence::healthy(Program::Envoy, "`alpn_protocols: [h2, http/1.1]`", &traffic);
}

#[test]
fn real_envoy_with_codec_http1() {
    let world = World::new();
    let backend = nginx_behind(&world);
    let mut config = Config::envoy(&world.front(Backend::Http(backend.address())));
    config.write(TLS, "common_tls_context:\n  alpn_protocols: [http/1.1]").unwrap();
    config.write(HCM, "codec_type: HTTP1").unwrap();
    let server = world.start(&config);
    let before = world.go_traffic(&server, None);
    assert!(before.connections > 8, "{before:?}");
    let diagnosis = world.doctor(None);
    let id = "http2-not-offered";
    assert_ne!(diagnosis.severity(id), "error", "{diagnosis}");
    assert!(diagnosis.is_sure_of(id, "Envoy"), "{diagnosis}");
    let remedy = diagnosis.remedy(id, "Envoy");
    apply(&mut config, &remedy);
    // What else is to be so is named in words.
    assert!(remedy.valid_for.contains("codec_type AUTO, the default"), "{remedy:?}");
    config.take_away("codec_type: HTTP1").unwrap();
    let case = Case::new(
        &world,
        "`codec_type: HTTP1`, `alpn_protocols: [http/1.1]`",
        evidence::said(&before),
        (&diagnosis, id),
        &remedy,
    );
    case.ends_repaired(server, &config);
}

#[test]
fn real_envoy_that_closes_after_one_request() {
    let world = World::new();
    let backend = nginx_behind(&world);
    let mut config = Config::envoy(&world.front(Backend::Http(backend.address())));
    config.write(TLS, "common_tls_context:\n  alpn_protocols: [http/1.1]").unwrap();
    config.write(HCM, "common_http_protocol_options:\n  max_requests_per_connection: 1").unwrap();
    let server = world.start(&config);
    let before = world.go_traffic(&server, None);
    assert_eq!(before.connections, before.requests);
    let diagnosis = world.doctor(None);
    let id = "http1-connection-close";
    let remedy = diagnosis.remedy(id, "Envoy");
    apply(&mut config, &remedy);
    let case = Case::new(
        &world,
        "`max_requests_per_connection: 1`, HTTP/1.1",
        evidence::said(&before),
        (&diagnosis, id),
        &remedy,
    );
    case.keeps_connections(server, &config, &before);
}
