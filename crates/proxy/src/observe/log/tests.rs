use std::time::Instant;

use http::{Method, StatusCode};
use serde_json::Value;

use super::*;
use crate::answer::{self, Cache, Peer};

fn record() -> Record {
    let peer = Peer { connection: 3, address: "10.0.0.7".to_owned(), protocol: "HTTP/2", tls: true, tcp: None };
    Record {
        peer: Arc::new(peer),
        stream: 5,
        method: Method::GET,
        path: "/example.com/a/@v/v1.0.0.zip".to_owned(),
        status: Some(StatusCode::OK),
        note: answer::Note {
            route: "zip",
            cache: Cache::Miss,
            upstream: Some(Duration::from_millis(40)),
            healed: true,
            ..answer::Note::default()
        },
        bytes: 12_345,
        first: Duration::from_millis(42),
        total: Duration::from_millis(43),
        complete: true,
    }
}

/// Keeps what is written; holds writers up while `stopped`.
#[derive(Clone, Default)]
struct Kept(Arc<(Mutex<Vec<u8>>, Condvar, AtomicBool)>);

impl Kept {
    fn stop(&self, stop: bool) {
        let _held = self.0.0.lock().unwrap();
        self.0.2.store(stop, Ordering::SeqCst);
        self.0.1.notify_all();
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let kept = self.0.0.lock().unwrap();
        let mut kept = self.0.1.wait_while(kept, |_| self.0.2.load(Ordering::SeqCst)).unwrap();
        kept.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn dropped() -> IntCounter {
    IntCounter::new("dropped_total", "Lines.").unwrap()
}

#[test]
fn a_line_for_programs() {
    let output = Kept::default();
    let log = Log::to(Box::new(output.clone()), LogFormat::Json, dropped(), WAITING);
    log.request(&record());
    log.note(Note::warning("network", "5 % out of order").of("https://goproxy.example.com").share(0.05));
    drop(log);
    let text = output.text();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    let mut first = lines[0].clone();
    let time = first.as_object_mut().unwrap().remove("time").unwrap();
    assert!(time.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{time}");
    let expected = serde_json::json!({
        "kind": "request", "connection": 3, "stream": 5, "protocol": "HTTP/2", "tls": true, "client": "10.0.0.7",
        "user": null, "method": "GET", "path": "/example.com/a/@v/v1.0.0.zip", "route": "zip", "status": 200,
        "bytes": 12345, "cache": "miss", "upstream_seconds": 0.04, "first_seconds": 0.042, "seconds": 0.043,
        "healed": true, "complete": true, "error": null,
    });
    assert_eq!(first, expected);
    assert_eq!(lines[1]["kind"], "note");
    assert_eq!((&lines[1]["share"], &lines[1]["level"]), (&Value::from(0.05), &Value::from("warning")));
}

#[test]
fn every_line_is_what_the_schema_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema/access-log-1.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let output = Kept::default();
    let log = Log::to(Box::new(output.clone()), LogFormat::Json, dropped(), WAITING);
    log.request(&record());
    log.request(&Record { status: None, complete: false, note: answer::Note::default(), ..record() });
    let note = answer::Note { error: Some("no\n".to_owned()), user: Some("ci".to_owned()), ..answer::Note::default() };
    log.request(&Record { status: Some(StatusCode::BAD_GATEWAY), note, ..record() });
    log.note(Note::info("pool", "2 more connections"));
    drop(log);
    let text = output.text();
    assert_eq!(text.lines().count(), 4);
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let wrong: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{line}: {wrong:?}");
    }
    assert!(!validator.is_valid(&serde_json::json!({"kind": "request"})));
}

#[test]
fn a_line_for_people() {
    let output = Kept::default();
    let log = Log::to(Box::new(output.clone()), LogFormat::Text, dropped(), WAITING);
    log.request(&record());
    let note = answer::Note { error: Some("nothing\nhere".to_owned()), ..answer::Note::default() };
    log.request(&Record { status: Some(StatusCode::NOT_FOUND), bytes: 0, note, ..record() });
    log.note(Note::info("pool", "3 more connections").of("https://goproxy.example.com"));
    drop(log);
    let text = output.text();
    let lines: Vec<&str> = text.lines().map(|line| &line["00:00:00Z ".len()..]).collect();
    assert_eq!(
        lines,
        [
            "10.0.0.7 200 miss    12.3 kB   0.043 s GET /example.com/a/@v/v1.0.0.zip healed",
            "10.0.0.7 404 none        0 B   0.043 s GET /example.com/a/@v/v1.0.0.zip (nothing here)",
            "pool: https://goproxy.example.com: 3 more connections",
        ]
    );
}

#[test]
fn what_a_client_sends_cannot_write_lines_or_move_the_cursor() {
    for format in [LogFormat::Text, LogFormat::Json] {
        let output = Kept::default();
        let log = Log::to(Box::new(output.clone()), format, dropped(), WAITING);
        let evil = "/a\u{1b}[2J\r\n10.0.0.8 200\u{9b}31m\u{202e}x\u{7f}".to_owned() + &"y".repeat(10_000);
        let note = answer::Note { user: Some(evil.clone()), error: Some(evil.clone()), ..answer::Note::default() };
        log.request(&Record { path: evil, note, ..record() });
        drop(log);
        let text = output.text();
        assert_eq!(text.lines().count(), 1, "{text:?}");
        assert!(!text.trim_end().chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
        assert!(text.len() < 6000, "{} bytes", text.len());
    }
}

#[test]
fn a_log_that_nobody_reads_holds_nothing_up_and_says_what_it_lost() {
    let (output, dropped) = (Kept::default(), dropped());
    output.stop(true);
    let log = Log::to(Box::new(output.clone()), LogFormat::Text, dropped.clone(), 400);
    let began = Instant::now();
    for _ in 0..1000 {
        log.request(&record());
    }
    assert!(began.elapsed() < Duration::from_secs(1));
    // What waits, and what the writer took along before it was held up.
    assert!(dropped.get() > 800, "{}", dropped.get());
    output.stop(false);
    drop(log);
    let text = output.text();
    let written = text.lines().filter(|line| line.contains("GET")).count() as u64;
    assert_eq!(written + dropped.get(), 1000);
    let said = text.lines().filter_map(|line| line.split("log: ").nth(1)?.split(' ').next()?.parse::<u64>().ok());
    assert_eq!(said.sum::<u64>(), dropped.get(), "{text}");
}

#[test]
fn a_file_is_opened_again_when_the_settings_are_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let (file, old) = (dir.path().join("log"), dir.path().join("log.1"));
    let log = Log::open(LogFormat::Text, Some(&file), dropped()).unwrap();
    log.request(&record());
    let began = Instant::now();
    while std::fs::read(&file).unwrap().is_empty() && began.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(2));
    }
    std::fs::rename(&file, &old).unwrap();
    log.turn_to(LogFormat::Json, Some(&file)).unwrap();
    log.request(&record());
    assert!(log.turn_to(LogFormat::Json, Some(&dir.path().join("no/such/folder"))).is_err());
    log.request(&record());
    drop(log);
    assert_eq!(std::fs::read_to_string(&old).unwrap().lines().count(), 1);
    let new = std::fs::read_to_string(&file).unwrap();
    assert_eq!(new.lines().filter(|line| line.starts_with('{')).count(), 2, "{new}");
}
