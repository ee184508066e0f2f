//! What a test saw, as a line of JSON in the file that `GOFERRY_SERVERS_EVIDENCE` names, for `cargo xtask evidence servers`.
//! Written after everything that the line tells was asserted.

use std::fs::File;
use std::io::Write;

use goferry_lab::go_client::GoRun;
use goferry_lab::servers::{Program, Traffic};
use serde_json::{Value, json};

use crate::diagnosis::{Diagnosis, Remedy};

const FILE: &str = "GOFERRY_SERVERS_EVIDENCE";

/// A server with nothing wrong: go's connections, and doctor without a warning.
pub(crate) fn healthy(program: Program, situation: &str, go: &Traffic) {
    write(program, situation, json!({ "before": said(go) }));
}

/// A misconfiguration that the printed remedy has repaired.
pub(crate) fn repaired(
    program: Program,
    situation: &str,
    before: String,
    (diagnosis, id): (&Diagnosis, &str),
    remedy: &Remedy,
    after: String,
) {
    let row = json!({
        "before": before,
        "finding": id,
        "severity": diagnosis.severity(id),
        "where": remedy.place,
        "config": remedy.config,
        "after": after,
    });
    write(program, situation, row);
}

/// Requests and connections, by the server's own log.
pub(crate) fn said(go: &Traffic) -> String {
    let protocols: Vec<&str> = go.protocols.iter().map(String::as_str).collect();
    let (requests, connections) = (go.requests, go.connections);
    let plural = if connections == 1 { "" } else { "s" };
    let protocols = protocols.join(" and ");
    format!("{requests} requests on {connections} connection{plural}, {protocols}")
}

/// How go ended, where no log tells of it.
pub(crate) fn ended(run: &GoRun) -> String {
    let end = if run.succeeded() { "succeeds" } else { "fails" };
    let h2 = run.http2.as_ref().map_or(0, |seen| seen.requests);
    format!("{end}, {h2} requests over HTTP/2")
}

fn write(program: Program, situation: &str, mut row: Value) {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    row["program"] = program.name().into();
    row["version"] = program.version().unwrap_or_else(|error| panic!("{error}")).into();
    row["situation"] = situation.into();
    let mut file = File::options().create(true).append(true).open(file).unwrap();
    // One write, so that lines of tests that run at once do not mix.
    file.write_all(format!("{row}\n").as_bytes()).unwrap();
}
