//! What is said in the end.

use goferry_fetch::download::Report;
use goferry_net::Party;
use goferry_net::pool::Summary;

use crate::exit_code;
use crate::failure::Failure;

/// Modules that are named in a list before "and so on".
const NAMED: usize = 8;

/// The summary of a download. `predicted` says what the go command would have needed.
pub(super) fn text(report: &Report, predicted: Option<String>) -> String {
    let mut lines = Vec::new();
    let fetched = report.modules.iter().filter(|module| module.error.is_none() && !module.cached).count();
    let cached = report.modules.iter().filter(|module| module.cached).count();
    let failed = report.modules.iter().filter(|module| module.error.is_some()).count() + report.failed.len();
    let seconds = report.took.as_secs_f64();
    let mut first = match (fetched, cached) {
        (0, 0) => "Nothing to download".to_owned(),
        (0, cached) => format!("{} in the module cache already; {:.2} s", modules(cached), seconds),
        (fetched, _) => format!("{} fetched, {} in {seconds:.1} s", modules(fetched), bytes(report.bytes)),
    };
    if fetched > 0 && cached > 0 {
        first.push_str(&format!("; {cached} in the module cache already"));
    }
    if failed > 0 {
        first.push_str(&format!("; {failed} failed"));
    }
    lines.push(first);
    for pool in report.pools.iter().filter(|pool| pool.requests > 0) {
        lines.push(connections(pool));
        lines.extend(
            pool.decisions.iter().map(|decided| format!("  {:.1} s: {}", decided.at.as_secs_f64(), decided.text)),
        );
    }
    lines.extend(predicted);
    if report.healed > 0 {
        let s = if report.healed == 1 { "" } else { "s" };
        lines.push(format!("{} request{s} broke on the way and came through in the end", report.healed));
    }
    if let Some(written) = &report.written {
        let s = if written.added.len() == 1 { "" } else { "s" };
        lines.push(format!("{}: {} line{s} added", written.file.display(), written.added.len()));
    }
    if let Some(file) = &report.go_mod_written {
        lines.push(format!("{}: requirements brought up to date", file.display()));
    }
    if !report.not_in_sum.is_empty() {
        let names: Vec<String> = report.not_in_sum.iter().take(NAMED).map(ToString::to_string).collect();
        let more = report.not_in_sum.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        lines.push(format!(
            "go.sum lacks the zip hashes of {}{more}\n  go mod download adds none either, and go build will want them: go mod tidy",
            names.join(", ")
        ));
    }
    lines.join("\n")
}

fn connections(pool: &Summary) -> String {
    let connections = if pool.opened == 1 { "1 connection".to_owned() } else { format!("{} connections", pool.opened) };
    let round_trip =
        pool.round_trip.map(|rtt| format!(", round trip {:.1} ms", rtt.as_secs_f64() * 1e3)).unwrap_or_default();
    format!(
        "{}: {connections}, {}, {} requests, {:.1} % of them on a connection that was open{round_trip}",
        pool.origin,
        pool.protocol,
        pool.requests,
        pool.reuse * 100.0
    )
}

/// What a dry run found.
pub(super) fn dry_run(report: &Report) -> String {
    if report.would.is_empty() {
        return if report.ok() { "Nothing to download: all is in the module cache".to_owned() } else { String::new() };
    }
    report.would.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Every failure, by name and with whose fault it is.
pub(super) fn failures(report: &Report) -> Vec<Failure> {
    let of_modules = report
        .modules
        .iter()
        .filter_map(|module| module.error.as_ref().map(|error| (module.module.to_string(), error)));
    let others = report.failed.iter().map(|failed| (failed.what.clone(), &failed.error));
    of_modules
        .chain(others)
        .map(|(what, error)| {
            let what =
                if what.is_empty() || error.detail.starts_with(&what) { String::new() } else { format!("{what}: ") };
            Failure {
                message: format!("{what}{} [{}]", error.detail, fault(error.party)),
                hint: error.advice.clone(),
                code: exit_code::FOUND,
            }
        })
        .collect()
}

fn fault(party: Party) -> &'static str {
    match party {
        Party::Client => "this machine or its settings",
        Party::Network => "the network",
        Party::Proxy => "the forward proxy",
        Party::Upstream => "the module proxy",
        Party::Goferry => "goferry itself",
    }
}

fn modules(count: usize) -> String {
    if count == 1 { "1 module".to_owned() } else { format!("{count} modules") }
}

/// Decimal units, as links are measured in.
pub(super) fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.0} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.2} GB", count as f64 / 1e9),
    }
}
