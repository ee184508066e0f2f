use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};

use super::*;
use crate::answer::{Cache, Note};

/// A process in which everything has happened once.
fn busy() -> Metrics {
    let metrics = Metrics::default();
    let peer = Peer { connection: 1, address: "unix".to_owned(), protocol: "HTTP/2", tls: true, tcp: None };
    metrics.opened(&peer);
    metrics.in_flight.inc();
    metrics.ended(&Record {
        peer: Arc::new(peer),
        stream: 1,
        method: Method::GET,
        path: "/secret.example.com/@v/list".to_owned(),
        status: Some(StatusCode::OK),
        note: Note { route: "list", cache: Cache::Miss, ..Note::default() },
        bytes: 100,
        first: Duration::from_millis(3),
        total: Duration::from_millis(700),
        complete: false,
    });
    metrics.sent_to_clients(Sent { segments: 10, again: 1 });
    metrics.store(Size { files: 3, bytes: 4000, quarantined: 1 });
    let origin = metrics.origin("https://goproxy.example.com:443");
    let up = &metrics.upstream;
    for counters in [&up.opened, &up.requests, &up.reused, &up.bytes, &up.segments, &up.out_of_order] {
        counters.with_label_values(&[&origin]).inc_by(7);
    }
    for gauges in [&up.connections, &up.streams, &up.waiting] {
        gauges.with_label_values(&[&origin]).set(2);
    }
    up.round_trip.with_label_values(&[&origin]).set(0.05);
    up.not_opened.with_label_values(&[&origin, "connect"]).inc();
    up.ended.with_label_values(&[&origin, "goaway"]).inc();
    up.decisions.with_label_values(&[&origin, "grow"]).inc();
    up.handshake.with_label_values(&["tls"]).observe(0.1);
    let answers = AnswerCounts {
        classes: [0, 2, 0, 1, 0],
        waits: [0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1],
        waited: Duration::from_millis(20_252),
    };
    metrics.answers(&origin, &AnswerCounts::default(), &answers);
    metrics
}

#[test]
fn what_happened_is_what_is_counted() {
    let text = busy().text();
    for line in [
        "goferry_requests_total{cache=\"miss\",protocol=\"http2\",route=\"list\",status=\"200\"} 1",
        "goferry_request_duration_seconds_bucket{route=\"list\",le=\"0.5\"} 0",
        "goferry_request_duration_seconds_bucket{route=\"list\",le=\"1\"} 1",
        "goferry_first_byte_seconds_count{cache=\"miss\"} 1",
        "goferry_response_bytes_total{route=\"list\"} 100",
        "goferry_responses_incomplete_total{protocol=\"http2\"} 1",
        "goferry_requests_in_flight 0",
        "goferry_connections{protocol=\"http2\",tls=\"true\"} 1",
        "goferry_client_tcp_retransmits_total 1",
        "goferry_upstream_responses_total{class=\"2xx\",origin=\"https://goproxy.example.com:443\"} 2",
        "goferry_upstream_first_byte_seconds_bucket{origin=\"https://goproxy.example.com:443\",le=\"0.25\"} 2",
        "goferry_upstream_first_byte_seconds_bucket{origin=\"https://goproxy.example.com:443\",le=\"+Inf\"} 3",
        "goferry_upstream_first_byte_seconds_sum{origin=\"https://goproxy.example.com:443\"} 20.252",
        "goferry_store_bytes 4000",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("secret"), "no module path is a label");
}

#[test]
fn promtool_finds_nothing_to_say() {
    let text = busy().text();
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool =
        promtool.unwrap_or_else(|error| panic!("promtool: {error}; install it with: apt-get install -y prometheus"));
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}\n{text}", String::from_utf8_lossy(&said));
}

#[test]
fn every_figure_is_in_the_operators_table() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations.md");
    let page = std::fs::read_to_string(file).unwrap();
    let text = busy().text();
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(names.len() > 30, "{names:?}");
    for name in &names {
        assert!(page.contains(&format!("`{name}")), "{name} is not in docs/operations.md");
    }
    let told = page.split('`').filter(|word| word.starts_with("goferry_"));
    for word in told {
        let name = word.split(['{', ' ', '[', ')']).next().unwrap_or_default();
        assert!(names.contains(&name), "docs/operations.md tells of {name}, which is not there");
    }
}

#[test]
fn origins_without_end_share_a_label() {
    let metrics = Metrics::default();
    let labels: BTreeSet<String> = (0..1000).map(|n| metrics.origin(&format!("https://{n}.example.com:443"))).collect();
    assert_eq!(labels.len(), ORIGINS + 1);
    assert_eq!(metrics.origin("https://3.example.com:443"), "https://3.example.com:443");
    assert_eq!(metrics.origin("https://999.example.com:443"), "other");
}

#[test]
fn alerts_and_dashboard_ask_for_what_is_there() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/dashboards");
    let alerts = folder.join("alerts.yml");
    let promtool = Command::new("promtool").args(["check", "rules"]).arg(&alerts).output();
    let promtool =
        promtool.unwrap_or_else(|error| panic!("promtool: {error}; install it with: apt-get install -y prometheus"));
    assert!(promtool.status.success(), "{}", String::from_utf8_lossy(&promtool.stderr));
    let text = busy().text();
    let names: BTreeSet<&str> =
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(['{', ' ']).next()).collect();
    let dashboard = folder.join("goferry.json");
    let parsed: serde_json::Value = serde_json::from_slice(&std::fs::read(&dashboard).unwrap()).unwrap();
    assert!(parsed["panels"].as_array().unwrap().len() > 5);
    for file in [alerts, dashboard] {
        let text = std::fs::read_to_string(file).unwrap();
        let asked =
            text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("goferry_"));
        for name in asked {
            assert!(names.contains(name), "{name} is not there");
        }
    }
}

#[test]
fn what_goes_down_is_not_taken_for_a_counter() {
    // Of a gauge that falls, rate() and increase() see a counter that began anew.
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/dashboards");
    let text = busy().text();
    let gauges: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" gauge")).collect();
    assert!(gauges.contains(&"goferry_store_bytes"), "{gauges:?}");
    for file in ["alerts.yml", "goferry.json"] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        for call in ["rate(", "increase("] {
            for asked in text.split(call).skip(1) {
                let name = asked.split(['{', '[']).next().unwrap_or_default();
                assert!(!gauges.contains(&name), "{file}: {call}{name}");
            }
        }
    }
}
