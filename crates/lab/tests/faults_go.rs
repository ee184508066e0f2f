//! The real go command, an old one and the newest, through every fault across the emulated link (root only).
//!
//! Each run has a link, an origin and caches of its own, so several go on at once.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use goferry_lab::faults::{self, Fault};
use goferry_lab::go_client::{GoRun, GoVersion};
use goferry_lab::scenario::{Driven, drive};
use goferry_lab::server::Snapshot;

/// Runs at once: most of them wait.
const WORKERS: usize = 6;
const VERSIONS: [&str; 2] = ["go1.21.13", "go1.27.3"];

#[test]
fn real_go_does_what_each_fault_says() {
    let only = std::env::var("GOFERRY_FAULT").ok();
    let wanted = |fault: &Fault| only.as_deref().is_none_or(|only| fault.id.starts_with(only));
    let runs: VecDeque<(Fault, &str)> =
        faults::all().into_iter().filter(wanted).flat_map(|fault| VERSIONS.map(|version| (fault, version))).collect();
    assert!(!runs.is_empty(), "no fault begins with GOFERRY_FAULT");
    let queue = Mutex::new(runs);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some((fault, version)) = next(&queue) {
                    if let Err(why) = check(&fault, version) {
                        wrong.lock().unwrap().push(format!("{} with {version}: {why}", fault.id));
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    assert!(wrong.is_empty(), "{} runs are not as said:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

fn next<T>(queue: &Mutex<VecDeque<T>>) -> Option<T> {
    queue.lock().unwrap().pop_front()
}

fn check(fault: &Fault, version: &str) -> Result<(), String> {
    let version: GoVersion = version.parse().map_err(|error| format!("{error}"))?;
    let expected = fault.go.does(&version);
    let driven = drive(&(fault.build)(), version.clone(), expected.deadline());
    let Driven { run, seen } = driven.map_err(|error| format!("the lab: {error}"))?;
    let told = format!(
        "it {} in {:.1} s; {} connections, {} used, {:?}\nstderr: {}",
        run.outcome,
        run.wall.as_secs_f64(),
        seen.connections,
        seen.used_connections,
        seen.requests,
        tail(&run.stderr)
    );
    show(fault.id, &version, &told);
    if !expected.agrees(&run) {
        return Err(format!("expected {expected:?}, but {told}"));
    }
    on_the_wire(fault.id, &seen, &run).map_err(|what| format!("{what}: {told}"))
}

/// With GOFERRY_SHOW set, says what each run did; GOFERRY_FAULT picks the faults whose id begins so.
#[expect(clippy::print_stderr, reason = "asked for by the person who runs the test")]
fn show(id: &str, version: &GoVersion, seen: &str) {
    if std::env::var_os("GOFERRY_SHOW").is_some() {
        eprintln!("{id} {version}: {seen}");
    }
}

/// What is left on the wire by some of the faults, beyond how go ends.
fn on_the_wire(id: &str, seen: &Snapshot, run: &GoRun) -> Result<(), String> {
    let all = seen.total_requests();
    let (as_said, what) = match id {
        "healthy-h2" | "healthy-private-ca" | "connect-proxy" => {
            (seen.used_connections == 1 && all == 24, "one connection carries 8 .mod, 8 .info, 8 .zip")
        }
        "connection-close" => (seen.connections >= all && all == 72, "a connection for each of 72 requests"),
        "alpn-none" | "http1-only" | "http2client-off" | "plain-http" => {
            let frames = seen.frames_received.len();
            (frames == 0 && all == 72 && seen.connections > 2, "HTTP/1.1, and more than the two connections that stay")
        }
        "intercept-h2" => (seen.frames_received.contains_key("HEADERS"), "HTTP/2 end to end"),
        "intercept-no-alpn" => (seen.frames_received.is_empty(), "no HTTP/2"),
        "goaway-every-10" => (seen.used_connections >= all / 10, "a connection for every ten requests"),
        "goaway-zero" => (seen.connections > 20, "connections without end"),
        "settings-late" => (run.wall > Duration::from_millis(1500), "1.5 s are waited"),
        "ipv6-swallow" => (run.wall > Duration::from_secs(9), "Go's limit of 10 s for a TLS handshake"),
        "rst-before-body-refused-stream" => (all < 300, "REFUSED_STREAM is retried with pauses"),
        "window-small" => (run.wall > Duration::from_millis(2000), "16 KiB a round trip of 50 ms"),
        "ipv6-dead" => (run.wall > Duration::from_millis(600), "300 ms are waited for IPv6"),
        "thin-link" => (run.wall > Duration::from_millis(2000), "1.2 MB at 4 Mbit/s"),
        "gomaxprocs-1" => (seen.max_concurrency == 1, "one request at a time"),
        "slow-origin" => (run.wall > Duration::from_millis(6 * 400), "serial .info, 400 ms each"),
        "upstream-dead" | "proxy-dead" | "proxy-403" | "proxy-407" => (all == 0, "no request reaches the origin"),
        _ => return Ok(()),
    };
    if as_said { Ok(()) } else { Err(format!("the wire should show: {what}")) }
}

fn tail(text: &str) -> &str {
    let mut start = text.len().saturating_sub(700);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}
