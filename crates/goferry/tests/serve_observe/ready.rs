//! Readiness, the upstream's connections, and `goferry serve --status`.

use goferry_lab::scenario::{Scenario, Upstream};
use serde_json::Value;

use crate::world::{World, is_valid};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_healthy_proxy_is_ready_and_shows_its_connections() {
    let world = World::start(&Scenario::default(), &[]);
    assert_eq!(world.get("/healthz"), (200, "ok\n".to_owned()));
    let (status, said) = world.get("/readyz");
    assert_eq!((status, said.as_str()), (200, "ready\n"), "the upstream was asked for this");
    assert_eq!(world.metrics().sum("goferry_ready", &[]), 1.0);
    for module in 0..3 {
        assert_eq!(world.get(&world.path(module, "mod")).0, 200);
    }
    let (status, document) = world.get("/-/connections");
    assert_eq!(status, 200);
    let document: Value = serde_json::from_str(&document).unwrap();
    is_valid("connections-1.json", &document);
    let origin = &document["origins"][0];
    let seen = world.upstream.origin().unwrap().snapshot();
    assert_eq!(origin["protocol"], "HTTP/2");
    assert_eq!(origin["requests"].as_u64().unwrap(), seen.total_requests());
    assert_eq!(origin["open"], 1);
    let connection = &origin["connections"][0];
    assert_eq!(connection["streams_in_flight"], 0);
    assert!(connection["round_trip_seconds"].as_f64().unwrap() < 1.0, "{connection}");
    let events: Vec<&str> =
        connection["events"].as_array().unwrap().iter().map(|event| event["text"].as_str().unwrap()).collect();
    assert!(events.iter().any(|event| event.starts_with("SETTINGS: streams 250")), "{events:?}");
    assert_eq!(document["clients"]["requests_in_flight"], 1);

    let output = world.status();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert!(out.starts_with(&format!("{} is ready\n", world.process.url())), "{out}");
    for part in ["HTTP/2", "on a used connection", "1 open", "#1 127.0.0.1:"] {
        assert!(out.contains(part), "{part:?} is not in\n{out}");
    }
}

#[test]
fn without_an_upstream_it_is_not_ready_and_says_why() {
    let scenario = Scenario { upstream: Upstream::Closed, ..Scenario::default() };
    let world = World::start(&scenario, &[]);
    assert_eq!(world.get("/healthz").0, 200);
    let (status, said) = world.get("/readyz");
    assert_eq!(status, 503, "{said}");
    assert!(said.starts_with("not ready\nupstream: "), "{said}");
    assert_eq!(world.metrics().sum("goferry_ready", &[]), 0.0);
    let output = world.status();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    assert!(out.contains("is NOT READY"), "{out}");
    assert!(err.contains("upstream: "), "{err}");
}

#[test]
fn the_figures_know_without_a_question_for_readiness() {
    let world = World::start(&Scenario::default(), &[]);
    assert_eq!(world.metrics().sum("goferry_ready", &[]), 1.0);
    let world = World::start(&Scenario { upstream: Upstream::Closed, ..Scenario::default() }, &[]);
    assert_eq!(world.metrics().sum("goferry_ready", &[]), 0.0);
}

#[test]
fn the_authority_is_named_so_that_it_is_found_from_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = crate::world::goferry(dir.path());
    command.args(["serve", "--listen", "127.0.0.1:0", "--tls-self-signed", "--store", "store"]);
    command.args(["--upstream", "https://127.0.0.1:1"]);
    let process = goferry_lab::serve::ServeProcess::start(&mut command, &dir.path().join("stderr")).unwrap();
    let said = process.log();
    let file = said.lines().find_map(|line| line.strip_prefix("export SSL_CERT_FILE=")).unwrap();
    assert!(file.starts_with('/') && std::path::Path::new(file).is_file(), "{said}");
}

#[test]
fn offline_asks_no_upstream() {
    let scenario = Scenario { upstream: Upstream::Closed, ..Scenario::default() };
    let store = tempfile::tempdir().unwrap();
    let world = World::start_on(&scenario, store.path(), &["--offline"]);
    assert_eq!(world.get("/readyz"), (200, "ready\n".to_owned()));
    assert_eq!(world.get("/-/connections").0, 200);
}

#[test]
fn a_status_of_nothing_is_no_status() {
    let world = World::start(&Scenario::default(), &[]);
    let url = format!("http://{}/elsewhere", world.process.authority());
    let output = crate::world::goferry(world.dir()).args(["serve", "--status", &url]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let output = crate::world::goferry(world.dir()).args(["serve", "--status", "::"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}
