//! What the lab counted, in words.

use std::collections::BTreeMap;
use std::fmt::Display;

use goferry_diagnose::report::text::harmless;
use goferry_lab::scenario::Running;

/// Everything that the servers of a scenario counted.
pub(super) fn of(running: &Running) -> String {
    let mut lines = Vec::new();
    if let Some(origin) = running.origin() {
        let seen = origin.snapshot();
        lines.push(format!(
            "connections      {} ({} TLS handshakes, {} used)",
            seen.connections, seen.handshakes, seen.used_connections
        ));
        lines.push(format!("requests         {}{}", seen.total_requests(), by(&seen.requests)));
        lines.push(format!("at once, at most {}", seen.max_concurrency));
        lines.push(format!("frames received  {}{}", total(&seen.frames_received), by(&seen.frames_received)));
        lines.push(format!("frames sent      {}{}", total(&seen.frames_sent), by(&seen.frames_sent)));
        lines.push(format!("bytes            {} received, {} sent", seen.bytes_received, seen.bytes_sent));
    }
    if let Some(forward) = running.forward() {
        let seen = forward.counts();
        lines.push(format!(
            "forward proxy    {} connections, {} CONNECT, {} plain requests",
            seen.connections, seen.connects, seen.plain_requests
        ));
        for failure in seen.failures.iter().take(5) {
            lines.push(format!("                 {}", harmless(failure)));
        }
    }
    if let Some(dns) = running.dns() {
        let seen = dns.counts();
        lines.push(format!("DNS              {} queries, {} answered", seen.udp + seen.tcp, seen.answered));
    }
    if lines.is_empty() {
        lines.push("nothing listened, so nothing was counted".to_owned());
    }
    lines.join("\n")
}

fn total<K>(counts: &BTreeMap<K, u64>) -> u64 {
    counts.values().sum()
}

fn by<K: Display>(counts: &BTreeMap<K, u64>) -> String {
    if counts.is_empty() {
        return String::new();
    }
    let parts: Vec<String> = counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    format!(": {}", parts.join(", "))
}
