//! Scenarios on loopback, for who is not root: real go against the origin without a link.

use std::net::SocketAddr;

use goferry_lab::faults;
use goferry_lab::go_client::GoVersion;
use goferry_lab::scenario::{Scenario, ScenarioError, Upstream, start_local};
use goferry_lab::server::Behaviour;
use goferry_lab::server::behaviour::{Http1, Http2, TlsOptions, Transport};
use goferry_lab::universe::{ProjectSpec, Shape, Universe};

const LOOPBACK: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

fn go(scenario: &Scenario) -> (goferry_lab::go_client::GoRun, goferry_lab::server::Snapshot) {
    let running = start_local(scenario, SocketAddr::from(LOOPBACK)).unwrap();
    let run = running.run_go(&running.go_client(GoVersion::local())).unwrap();
    let snapshot = running.origin().map(|origin| origin.snapshot()).unwrap_or_default();
    (run, snapshot)
}

#[test]
fn go_is_content_with_a_healthy_origin() {
    let (run, seen) = go(&Scenario::default());
    assert!(run.succeeded(), "{}", run.stderr);
    assert_eq!((seen.used_connections, seen.total_requests()), (1, 24));
    assert!(seen.frames_received["HEADERS"] == 24);
}

#[test]
fn go_is_content_with_healthy_http1_and_plain_http() {
    let http1 = TlsOptions { alpn: vec!["http/1.1"], ..TlsOptions::default() };
    for transport in [Transport::Tls(http1), Transport::Plain] {
        let (run, seen) = go(&Scenario::of(Behaviour { transport, ..Behaviour::default() }));
        assert!(run.succeeded(), "{}", run.stderr);
        assert!(seen.frames_received.is_empty() && seen.total_requests() == 24, "{seen:?}");
    }
}

#[test]
fn a_body_that_comes_after_its_headers_costs_time_on_each_request() {
    let delay = std::time::Duration::from_millis(40);
    let transport = Transport::Tls(TlsOptions { alpn: vec!["http/1.1"], ..TlsOptions::default() });
    let http1 = Http1 { body_delay: delay, ..Http1::default() };
    let (run, _) = go(&Scenario::of(Behaviour { transport, http1, ..Behaviour::default() }));
    assert!(run.succeeded(), "{}", run.stderr);
    assert!(run.wall > 8 * delay, "eight .info one after another: {:?}", run.wall);
}

#[test]
fn http1_connections_that_idle_are_closed() {
    use std::io::Read;
    let idle_close = Some(std::time::Duration::from_millis(200));
    let http1 = Http1 { idle_close, ..Http1::default() };
    let behaviour = Behaviour { transport: Transport::Plain, http1, ..Behaviour::default() };
    let running = start_local(&Scenario::of(behaviour), SocketAddr::from(LOOPBACK)).unwrap();
    let mut tcp = std::net::TcpStream::connect(running.origin().unwrap().address()).unwrap();
    let path = format!("/{}/@v/v1.0.0.info", running.universe().modules()[0].path);
    std::io::Write::write_all(&mut tcp, format!("GET {path} HTTP/1.1\r\nhost: lab\r\n\r\n").as_bytes()).unwrap();
    tcp.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).expect("the origin closes");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with('}'), "{answer}");
}

#[test]
fn idle_http2_connections_are_closed_and_go_does_not_mind() {
    let idle_close = Some(std::time::Duration::from_millis(1));
    let behaviour = Behaviour { http2: Http2 { idle_close, ..Http2::default() }, ..Behaviour::default() };
    let (run, seen) = go(&Scenario::of(behaviour));
    assert!(run.succeeded(), "{}", run.stderr);
    assert!(seen.frames_sent["GOAWAY"] >= 1, "{seen:?}");
}

#[test]
fn go_accepts_every_shape_and_can_build_it() {
    for (shape, go_line) in [(Shape::Flat, "1.21"), (Shape::BinaryTree, "1.21"), (Shape::Chain, "1.16")] {
        let mut scenario = Scenario::default();
        scenario.universe.shape = shape;
        scenario.universe.go_line = go_line;
        scenario.project = ProjectSpec { main_go: true, ..ProjectSpec::default() };
        let running = start_local(&scenario, SocketAddr::from(LOOPBACK)).unwrap();
        let client = running.go_client(GoVersion::local()).args(["list", "-deps", "./..."]);
        let run = running.run_go(&client).unwrap();
        assert!(run.succeeded(), "{shape:?}: {}", run.stderr);
        assert_eq!(run.stdout.matches("lab.example.com/m").count(), 8, "{shape:?}");
    }
}

#[test]
fn nothing_listens_where_the_upstream_is_closed() {
    let (run, _) = go(&Scenario { upstream: Upstream::Closed, ..Scenario::default() });
    assert!(run.stderr.contains("connection refused"), "{}", run.stderr);
}

#[test]
fn what_loopback_cannot_have_is_said() {
    for (id, what) in [("connect-proxy", "forward proxy"), ("dns-slow", "DNS"), ("thin-link", "thin link")] {
        let scenario = (faults::find(id).unwrap().build)();
        let error = start_local(&scenario, SocketAddr::from(LOOPBACK)).err().expect("refused");
        assert!(matches!(error, ScenarioError::NeedsLink(_)) && error.to_string().contains(what), "{error}");
    }
}

#[test]
fn a_universe_is_the_same_for_the_same_seed() {
    let hashes = |seed| -> Vec<String> {
        Universe::builder().seed(seed).build().modules().iter().map(|module| module.zip_hash.clone()).collect()
    };
    assert_eq!(hashes(3), hashes(3));
    assert_ne!(hashes(3), hashes(4));
}
