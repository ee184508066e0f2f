//! `--timeline`: what happened on each connection, as JSON (`goferry.timeline/1`, `docs/schema/timeline-1.json`).

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use goferry_fetch::client::Client;
use goferry_net::pool::Summary;
use goferry_net::timeline::Snapshot;
use serde_json::{Value, json};

use crate::exit_code;
use crate::failure::Failure;

/// The name and version of the form.
const FORMAT: &str = "goferry.timeline/1";

/// The file, open before anything is downloaded: that it cannot be written is said at once.
pub(super) struct Out<'a> {
    path: &'a Path,
    file: File,
}

impl<'a> Out<'a> {
    /// Makes the file.
    pub(super) fn create(path: &'a Path) -> Result<Out<'a>, Failure> {
        let file = File::create(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        Ok(Out { path, file })
    }

    /// Writes what the client's connections did.
    pub(super) fn write(mut self, client: &Client) -> Result<(), Failure> {
        let value = document(&client.summaries(), client.snapshots(), client.healed());
        self.file.write_all(format!("{value:#}\n").as_bytes()).map_err(|error| Failure {
            message: format!("writing {}: {error}", self.path.display()),
            hint: None,
            code: exit_code::FOUND,
        })
    }
}

fn document(pools: &[Summary], origins: Vec<(String, Vec<Snapshot>)>, healed: u64) -> Value {
    let origins: Vec<Value> = origins
        .into_iter()
        .map(|(origin, connections)| json!({ "origin": origin, "connections": connections }))
        .collect();
    let mut value = json!({ "format": FORMAT, "healed": healed, "pools": pools, "origins": origins });
    seconds(&mut value);
    value
}

/// Durations, which serde writes as an object of seconds and nanoseconds, become numbers of seconds.
fn seconds(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let (2, Some(secs), Some(nanos)) = (fields.len(), number(fields, "secs"), number(fields, "nanos")) {
                *value = json!((secs as f64 * 1e6 + nanos as f64 / 1e3).round() / 1e6);
            } else {
                fields.values_mut().for_each(seconds);
            }
        }
        Value::Array(all) => all.iter_mut().for_each(seconds),
        _ => {}
    }
}

fn number(fields: &serde_json::Map<String, Value>, name: &str) -> Option<u64> {
    fields.get(name)?.as_u64()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use goferry_net::Phase;
    use goferry_net::pool::Decided;
    use goferry_net::timeline::{Event, Timed};

    use super::*;

    const SCHEMA: &str = include_str!("../../../../docs/schema/timeline-1.json");

    #[test]
    fn every_event_is_in_the_schema() {
        let why = || "the server closed it".to_owned();
        let events = [
            Event::Phase { phase: Phase::Tls, took: Duration::from_micros(1500) },
            Event::Settings { max_concurrent_streams: Some(128), initial_window: None, max_frame_size: Some(16384) },
            Event::GoAway { code: "NO_ERROR".to_owned(), last_stream_id: 1999 },
            Event::Reset { stream_id: 7, code: "INTERNAL_ERROR".to_owned() },
            Event::Ping { round_trip: Duration::from_millis(50) },
            Event::OutOfOrder { segments: 3 },
            Event::Retry { why: why() },
            Event::Draining { why: why() },
            Event::Closed { why: why() },
        ];
        let events = events.into_iter().map(|event| Timed { at: Duration::from_millis(2), event }).collect();
        let mut snapshot = goferry_net::Timeline::new(1).snapshot();
        snapshot.events = events;
        snapshot.address = Some(([192, 0, 2, 1], 443).into());
        snapshot.closed = Some(why());
        let summary = Summary {
            origin: "https://goproxy.example.com".to_owned(),
            protocol: "HTTP/2",
            round_trip: Some(Duration::from_millis(50)),
            ended: [(why(), 1)].into(),
            decisions: vec![Decided { at: Duration::from_secs(1), text: "2 connections in all".to_owned() }],
            ..Summary::default()
        };
        let origins = vec![("https://goproxy.example.com".to_owned(), vec![snapshot])];
        let value = document(&[summary], origins, 2);
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:#?}\n{value:#}");
        assert_eq!(value["origins"][0]["connections"][0]["events"][0]["took"], json!(0.0015));
        // It is strict: what it does not describe is refused.
        let mut unknown = value.clone();
        unknown["origins"][0]["connections"][0]["events"][0]["event"] = json!("party");
        assert!(!validator.is_valid(&unknown));
        let mut more = value;
        more["pools"][0]["more"] = json!(1);
        assert!(!validator.is_valid(&more));
    }
}
