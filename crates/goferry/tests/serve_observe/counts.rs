//! Figures and log after a known set of requests.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use goferry_lab::scenario::{Scenario, Upstream};
use goferry_lab::server::Behaviour;
use goferry_lab::server::behaviour::{Answers, BodyFault, CutHow, Which};
use goferry_lab::universe::FileKind;
use serde_json::Value;

use crate::world::{World, is_valid};

/// Route, status and cache of a line.
fn key(line: &Value) -> (String, u64, String) {
    let text = |name: &str| line[name].as_str().unwrap().to_owned();
    (text("route"), line["status"].as_u64().unwrap(), text("cache"))
}

#[test]
fn figures_log_and_upstream_tell_of_the_same_requests() {
    let zips = Which { kind: Some(FileKind::Zip), every: 2 };
    let world = World::start(
        &Scenario::of(Behaviour {
            answers: Answers { think: Duration::from_millis(150), ..Answers::default() },
            // The first zip breaks; asked for again it comes.
            body: BodyFault::Cut { after: 5000, how: CutHow::Rst, which: zips },
            ..Behaviour::default()
        }),
        &[],
    );
    let info = world.path(0, "info");
    for _ in 0..2 {
        assert_eq!(world.get(&info).0, 200);
    }
    let zip = world.path(1, "zip");
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert_eq!(world.get(&zip).0, 200));
        }
    });
    assert_eq!(world.get("/example.com/no/such/module/@v/v1.0.0.info").0, 404);
    assert_eq!(world.get("/not-a-path").0, 404);

    let lines = world.logged(7);
    let mut counted: BTreeMap<(String, u64, String), u64> = BTreeMap::new();
    for line in &lines {
        is_valid("access-log-1.json", line);
        *counted.entry(key(line)).or_default() += 1;
    }
    let of = |route: &str, status: u64, cache: &str| {
        counted.get(&(route.to_owned(), status, cache.to_owned())).copied().unwrap_or(0)
    };
    assert_eq!((of("info", 200, "miss"), of("info", 200, "hit")), (1, 1), "{counted:?}");
    assert_eq!((of("zip", 200, "miss"), of("zip", 200, "joined")), (1, 2), "{counted:?}");
    assert_eq!((of("info", 404, "none"), of("unknown", 404, "none")), (1, 1), "{counted:?}");

    let metrics = world.metrics();
    for ((route, status, cache), count) in &counted {
        let labels =
            [("route", route.as_str()), ("status", &status.to_string()), ("cache", cache), ("protocol", "http1")];
        assert_eq!(metrics.sum("goferry_requests_total", &labels) as u64, *count, "{labels:?}");
        let seconds = metrics.sum("goferry_request_duration_seconds_count", &[("route", route)]);
        assert!(seconds as u64 >= *count);
    }
    for route in ["info", "zip"] {
        let sum: u64 =
            lines.iter().filter(|line| line["route"] == route).map(|line| line["bytes"].as_u64().unwrap()).sum();
        assert_eq!(metrics.sum("goferry_response_bytes_total", &[("route", route)]) as u64, sum, "{route}");
    }
    let healed: Vec<&Value> = lines.iter().filter(|line| line["healed"] == true).collect();
    assert!(!healed.is_empty() && healed.iter().all(|line| line["route"] == "zip"), "{healed:?}");
    // The reset ends all that is on its connection: the zip, and what of its look-up in the checksum database is on it
    // then.
    let healed = metrics.sum("goferry_upstream_healed_total", &[]) as u64;
    assert!(healed >= 1);
    let missed = lines.iter().find(|line| line["cache"] == "miss" && line["route"] == "info").unwrap();
    assert!(missed["upstream_seconds"].as_f64().unwrap() >= 0.15, "{missed}");
    assert_eq!(metrics.sum("goferry_connections_opened_total", &[("protocol", "http1"), ("tls", "false")]), 8.0);
    assert_eq!(metrics.sum("goferry_connections", &[]), 1.0, "the one that asks");
    assert_eq!(metrics.sum("goferry_requests_in_flight", &[]), 1.0, "this one");
    assert_eq!(metrics.sum("goferry_prefetch_begun_total", &[]), 0.0);
    assert_eq!(metrics.sum("goferry_verification_failures_total", &[]), 0.0);
    assert_eq!(metrics.sum("goferry_log_lines_dropped_total", &[]), 0.0);

    let seen = world.upstream.origin().unwrap().snapshot();
    let upstream = |name: &str| metrics.sum(name, &[]) as u64;
    assert_eq!(upstream("goferry_upstream_connections_opened_total"), seen.handshakes, "{seen:?}");
    // What was sent on the broken connection may have broken off before the upstream read it: it was healed too.
    let (sent, read) = (upstream("goferry_upstream_requests_total"), seen.total_requests());
    assert!((read..read + healed).contains(&sent), "{read} read, {sent} sent, {healed} healed: {seen:?}");
    assert!(upstream("goferry_upstream_requests_reused_total") > 0);
    assert_eq!(metrics.sum("goferry_upstream_handshake_seconds_count", &[("phase", "tls")]) as u64, seen.handshakes);
    let ended = metrics.sum("goferry_upstream_connections_ended_total", &[]);
    assert!(ended >= 1.0, "the broken one:\n{}", metrics.0);
    let answers = metrics.sum("goferry_upstream_first_byte_seconds_count", &[]);
    assert_eq!(answers, metrics.sum("goferry_upstream_responses_total", &[]));
    let quick = metrics.sum("goferry_upstream_first_byte_seconds_bucket", &[("le", "0.1")]);
    assert_eq!(quick, 0.0, "the upstream thinks for 150 ms:\n{}", metrics.0);
}

#[test]
fn how_long_the_upstream_was_waited_for_is_logged_whatever_it_was_asked_for() {
    let think = Duration::from_millis(150);
    let answers = Answers { think, ..Answers::default() };
    let world = World::start(&Scenario::of(Behaviour { answers, ..Behaviour::default() }), &[]);
    let list = world.path(0, "info").replace("v1.0.0.info", "list");
    let latest = list.replace("@v/list", "@latest");
    let absent = world.path(0, "info").replace("v1.0.0", "v1.77.0");
    let record = format!("/sumdb/{}/latest", world.upstream.universe().sumdb_key().split('+').next().unwrap());
    let asked = [(list.as_str(), 200), (&latest, 200), (&absent, 404), (&record, 200)];
    for (path, status) in asked {
        assert_eq!(world.get(path).0, status, "{path}");
    }
    // What is known is known at once, also what is not there.
    for (path, status) in asked {
        assert_eq!(world.get(path).0, status, "{path}");
    }
    let lines = world.logged(8);
    for line in &lines[..4] {
        assert!(line["upstream_seconds"].as_f64().is_some_and(|seconds| seconds >= 0.15), "{line}");
    }
    for line in &lines[4..] {
        assert_eq!(line["upstream_seconds"], Value::Null, "{line}");
    }
}

#[test]
fn what_went_wrong_is_logged_of_head_too() {
    let world = World::start(&Scenario { upstream: Upstream::Closed, ..Scenario::default() }, &[]);
    let mut stream = TcpStream::connect(world.process.authority()).unwrap();
    let head = format!("HEAD {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", world.path(0, "zip"));
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    let line = &world.logged(1)[0];
    assert!(line["error"].as_str().is_some_and(|error| error.contains("connecting")), "{line}");
    assert!(line["upstream_seconds"].as_f64().is_some(), "{line}");
}

#[test]
fn a_zip_with_another_hash_is_counted_and_not_served() {
    let wrong = Which { kind: Some(FileKind::Zip), every: 1 };
    let answers = Answers { wrong_content: Some(wrong), ..Answers::default() };
    let world = World::start(&Scenario::of(Behaviour { answers, ..Behaviour::default() }), &[]);
    let (status, text) = world.get(&world.path(0, "zip"));
    assert_eq!(status, 502, "{text}");
    assert_eq!(world.metrics().sum("goferry_verification_failures_total", &[]), 1.0);
    let line = &world.logged(2)[0];
    assert_eq!((line["status"].as_u64(), line["route"].as_str()), (Some(502), Some("zip")));
    assert!(line["error"].as_str().unwrap().contains("h1:"), "{line}");
}

#[test]
fn what_was_fetched_ahead_in_vain_is_not_counted_as_used() {
    // A zip brings its .mod, which is wrong here.
    let wrong = Which { kind: Some(FileKind::Mod), every: 1 };
    let answers = Answers { wrong_content: Some(wrong), ..Answers::default() };
    let world = World::start_ahead(&Scenario::of(Behaviour { answers, ..Behaviour::default() }));
    assert_eq!(world.get(&world.path(0, "zip")).0, 200);
    let figures = || {
        let metrics = world.metrics();
        ["begun_total", "used_total", "failed_total", "unused"]
            .map(|name| metrics.sum(&format!("goferry_prefetch_{name}"), &[]) as u64)
    };
    let began = std::time::Instant::now();
    while figures()[2] == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", figures());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(figures(), [1, 0, 1, 0]);
}

#[test]
fn a_reload_loses_no_count_and_opens_the_log_again() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::write(dir.join("s.toml"), format!("log-file = \"{}\"\n", dir.join("log").display())).unwrap();
    let world = World::start(&Scenario::default(), &["--config", dir.join("s.toml").to_str().unwrap()]);
    let path = world.path(0, "info");
    assert_eq!(world.get(&path).0, 200);
    world.logged_in(&dir.join("log"), 1);
    let before = world.metrics();
    assert_eq!(before.sum("goferry_requests_total", &[("route", "info")]), 1.0);
    world.logged_in(&dir.join("log"), 2);
    std::fs::rename(dir.join("log"), dir.join("log.1")).unwrap();
    world.process.signal(nix::sys::signal::Signal::SIGHUP).unwrap();
    let began = std::time::Instant::now();
    while !dir.join("log").exists() || !world.process.log().contains("in effect") {
        assert!(began.elapsed() < Duration::from_secs(20), "{}", world.process.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(world.get(&path).0, 200);
    let after = world.metrics();
    assert_eq!(after.sum("goferry_requests_total", &[("route", "info")]), 2.0);
    for name in ["goferry_upstream_requests_total", "goferry_upstream_connections_opened_total"] {
        assert!(before.sum(name, &[]) >= 1.0 && after.sum(name, &[]) >= before.sum(name, &[]), "{name}");
    }
    let lines = world.logged_in(&dir.join("log"), 2);
    assert_eq!(lines[0]["route"], "info");
}

#[test]
fn connections_that_cannot_be_opened_are_counted_and_told() {
    let world = World::start(&Scenario { upstream: Upstream::Closed, ..Scenario::default() }, &[]);
    assert_eq!(world.get(&world.path(0, "mod")).0, 502);
    let metrics = world.metrics();
    assert!(metrics.sum("goferry_upstream_connections_failed_total", &[("phase", "connect")]) >= 1.0);
    assert_eq!(metrics.sum("goferry_upstream_connections_opened_total", &[]), 0.0);
    let told = world.status();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("could not be opened"), "{told}");
}
