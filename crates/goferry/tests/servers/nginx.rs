//! nginx as the module proxy.

use goferry_lab::servers::Program;

use crate::evidence;
use crate::repair::Case;
use crate::world::{World, apply};

const SERVER: &str = "nginx, the server block of the module proxy";

#[test]
fn real_nginx_with_h2_is_healthy() {
    let world = World::new();
    let server = world.start(&world.nginx());
    let traffic = world.go_traffic(&server, None);
    assert_eq!(traffic.connections, 1, "{traffic:?}");
    world.doctor(None).is_free_of(&[]);
    evidence::healthy(Program::Nginx, "HTTP/2, defaults", &traffic);
}

#[test]
fn real_nginx_without_h2() {
    let world = World::new();
    let mut config = world.nginx();
    config.write(SERVER, &format!("listen {} ssl;", config.listen)).unwrap();
    let server = world.start(&config);
    let before = world.go_traffic(&server, None);
    assert!(before.connections > 8 && before.protocols.contains("HTTP/1.1"), "{before:?}");
    let diagnosis = world.doctor(None);
    let id = "http2-not-offered";
    assert_ne!(diagnosis.severity(id), "error", "{diagnosis}");
    assert!(diagnosis.is_sure_of(id, "nginx"), "{diagnosis}");
    let remedy = diagnosis.remedy(id, "nginx");
    apply(&mut config, &remedy);
    let case =
        Case::new(&world, "`listen 443 ssl;`, HTTP/1.1 only", evidence::said(&before), (&diagnosis, id), &remedy);
    case.ends_repaired(server, &config);
}

#[test]
fn real_nginx_that_says_goaway_after_ten_requests() {
    let world = World::new();
    let mut config = world.nginx();
    config.write(SERVER, "keepalive_requests 10;").unwrap();
    let server = world.start(&config);
    let mark = server.mark();
    let run = world.go(None);
    // nginx closes soon after its GOAWAY: what go had sent by then it sends again, or it fails.
    let before = server.traffic_since(mark);
    assert!(before.connections >= 5 && before.most_on_one <= 10, "{before:?}\n{}", run.outcome);
    assert!(run.http2.as_ref().is_some_and(|seen| !seen.goaway.is_empty()), "{}", run.stderr);
    let diagnosis = world.doctor(None);
    let id = "goaway-churn";
    assert_ne!(diagnosis.severity(id), "info", "{diagnosis}");
    let remedy = diagnosis.remedy(id, "nginx");
    apply(&mut config, &remedy);
    let case = Case::new(&world, "`keepalive_requests 10;`", evidence::said(&before), (&diagnosis, id), &remedy);
    case.ends_repaired(server, &config);
}

/// HTTP/1.1 without keep-alive, in the two ways that nginx has for it.
fn closing(directive: &str) {
    let world = World::new();
    let mut config = world.nginx();
    config.write(SERVER, &format!("listen {} ssl;\n{directive}", config.listen)).unwrap();
    let server = world.start(&config);
    let before = world.go_traffic(&server, None);
    assert_eq!(before.connections, before.requests);
    let diagnosis = world.doctor(None);
    let id = "http1-connection-close";
    let remedy = diagnosis.remedy(id, "nginx");
    assert_ne!(diagnosis.severity(id), "info", "{diagnosis}");
    apply(&mut config, &remedy);
    let situation = format!("`{directive}`, HTTP/1.1");
    let case = Case::new(&world, &situation, evidence::said(&before), (&diagnosis, id), &remedy);
    case.keeps_connections(server, &config, &before);
}

#[test]
fn real_nginx_with_a_keepalive_timeout_of_nothing() {
    closing("keepalive_timeout 0;");
}

#[test]
fn real_nginx_with_one_request_a_connection() {
    closing("keepalive_requests 1;");
}

#[test]
fn real_nginx_with_tls_1_2_only() {
    let world = World::new();
    let mut config = world.nginx();
    config.write(SERVER, "ssl_protocols TLSv1.2;").unwrap();
    let server = world.start(&config);
    let before = world.go_traffic(&server, None);
    let diagnosis = world.doctor(None);
    let id = "tls-old";
    let remedy = diagnosis.remedy(id, "nginx");
    apply(&mut config, &remedy);
    let case = Case::new(&world, "`ssl_protocols TLSv1.2;`", evidence::said(&before), (&diagnosis, id), &remedy);
    case.ends_repaired(server, &config);
}

#[test]
fn real_nginx_that_demands_a_client_certificate() {
    let world = World::new();
    let mut config = world.nginx();
    let ask = format!("ssl_client_certificate {};\nssl_verify_client on;", world.pem.ca.display());
    config.write(SERVER, &ask).unwrap();
    let server = world.start(&config);
    let before = world.go(None);
    assert!(!before.succeeded(), "{}", before.stderr);
    let diagnosis = world.doctor(None);
    let id = "tls-client-cert-required";
    assert_eq!(diagnosis.severity(id), "error", "{diagnosis}");
    let remedy = diagnosis.remedy(id, "nginx");
    apply(&mut config, &remedy);
    let case = Case::new(&world, "`ssl_verify_client on;`", evidence::ended(&before), (&diagnosis, id), &remedy);
    case.ends_repaired(server, &config);
}

#[test]
fn real_nginx_with_one_stream() {
    let world = World::new();
    let mut config = world.nginx();
    config.write(SERVER, "http2_max_concurrent_streams 1;").unwrap();
    let server = world.start(&config);
    let mark = server.mark();
    world.go(None);
    let before = server.traffic_since(mark);
    assert!(before.connections > 1, "{before:?}");
    let diagnosis = world.doctor(None);
    let id = "max-concurrent-streams-low";
    let remedy = diagnosis.remedy(id, "nginx");
    apply(&mut config, &remedy);
    let case =
        Case::new(&world, "`http2_max_concurrent_streams 1;`", evidence::said(&before), (&diagnosis, id), &remedy);
    case.ends_repaired(server, &config);
}
