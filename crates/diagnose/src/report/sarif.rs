//! The report as SARIF 2.1.0 (OASIS standard, 27 March 2020), for code scanning.
//!
//! A finding that a file causes is placed at that file and line: relative to the project where the file is inside of
//! it, as a `file:` URI otherwise. A finding of the network has a logical location, the GOPROXY entry.

use std::path::Path;

use serde_json::{Value, json};

use crate::finding::{Finding, Id, Location, Severity};

use super::text::{harmless, harmless_lines, seconds_range};
use super::{Report, json::printable};

/// What relative URIs are relative to: the project's folder, which the consumer knows (SARIF 3.4.4).
const PROJECT: &str = "%SRCROOT%";

/// The report as a SARIF log of one run.
#[must_use]
pub fn sarif(report: &Report) -> String {
    let mut ids: Vec<Id> = report.findings.iter().map(|finding| finding.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let rules: Vec<Value> = ids.iter().map(|id| rule(report, *id)).collect();
    let results: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| result(report, finding, ids.iter().position(|id| *id == finding.id).unwrap_or(0)))
        .collect();
    let log = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "goferry", "version": report.goferry, "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    printable(&format!("{log:#}"))
}

fn rule(report: &Report, id: Id) -> Value {
    let worst = report.findings.iter().filter(|finding| finding.id == id).map(|finding| finding.severity).max();
    json!({
        "id": id.as_str(),
        "shortDescription": {"text": id.title()},
        "help": {"text": format!("goferry explain {id}\n{}", id.page())},
        "defaultConfiguration": {"level": level(worst.unwrap_or(Severity::Warning))},
    })
}

fn result(report: &Report, finding: &Finding, rule: usize) -> Value {
    let location = match &finding.location {
        Some(location) => physical(report, location),
        None => logical(report),
    };
    json!({
        "ruleId": finding.id.as_str(),
        "ruleIndex": rule,
        "level": level(finding.severity),
        "message": {"text": message(finding)},
        "locations": [location],
    })
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn message(finding: &Finding) -> String {
    let mut text = format!("{}.", harmless(finding.title.trim_end_matches('.')));
    if let Some(cost) = &finding.cost {
        text.push_str(&format!(" Costs {}.", seconds_range(cost.seconds_min, cost.seconds_max)));
    }
    let proof: Vec<String> = finding.evidence.iter().map(|evidence| harmless(&evidence.to_string())).collect();
    text.push_str(&format!("\nSeen ({}): {}.", finding.confidence.as_str(), proof.join("; ")));
    if let Some(remedy) = finding.remedies.first() {
        text.push_str(&format!("\nRemedy: {}", harmless(&remedy.place)));
        for line in remedy.config.iter().chain(&remedy.commands) {
            text.push_str(&format!("\n{}", harmless_lines(line)));
        }
    }
    // A message's text may hold placeholders and links (SARIF 3.11.5, 3.11.6): brackets would begin them.
    text.replace('[', "\\[").replace(']', "\\]").replace('{', "{{").replace('}', "}}")
}

fn physical(report: &Report, location: &Location) -> Value {
    let project = report.project.as_ref().and_then(|project| Path::new(&project.file).parent());
    let file = Path::new(&location.file);
    let inside = project
        .filter(|folder| !folder.as_os_str().is_empty())
        .and_then(|folder| file.strip_prefix(folder).ok())
        .or_else(|| Some(file).filter(|file| file.is_relative()));
    let artifact = match inside {
        Some(inside) => json!({"uri": encode(&inside.to_string_lossy()), "uriBaseId": PROJECT}),
        None => json!({"uri": file_uri(&location.file)}),
    };
    json!({"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": location.line.max(1)}}})
}

fn logical(report: &Report) -> Value {
    let (name, full) = match report.main_path() {
        Some(path) => (harmless(&path.entry), format!("GOPROXY/{}/{}", path.position, harmless(&path.entry))),
        None => ("environment".to_owned(), "environment".to_owned()),
    };
    json!({"logicalLocations": [{"name": name, "fullyQualifiedName": full, "kind": "resource"}]})
}

fn file_uri(path: &str) -> String {
    let path = encode(path);
    if path.starts_with('/') { format!("file://{path}") } else { format!("file:///{path}") }
}

/// A path as the path of a URI (RFC 3986 section 3.3). A colon is escaped as well: in the first segment it would end a
/// scheme.
fn encode(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let path = if cfg!(windows) { path.replace('\\', "/") } else { path.to_owned() };
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' | b'+' | b'@' | b',' | b'=' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        assert_eq!(encode("deploy/Docker file%1"), "deploy/Docker%20file%251");
        assert_eq!(file_uri("/home/gopher/.bashrc"), "file:///home/gopher/.bashrc");
        assert_eq!(file_uri("relative"), "file:///relative");
    }
}
