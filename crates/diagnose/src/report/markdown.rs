//! The report as Markdown: the summary of a CI step.

use crate::finding::{Finding, Remedy, Severity};

use super::text::{harmless, harmless_lines, number, plural, seconds, seconds_range};
use super::{PathSummary, PredictionSummary, Report};

/// The report as GitHub-flavoured Markdown.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let verdict = report.verdict();
    let mut out = String::new();
    let label = verdict.severity.map_or("ok", Severity::as_str);
    let cost = if verdict.cost.is_empty() { String::new() } else { format!("; {}", prose(&verdict.cost)) };
    out.push_str(&format!(
        "## goferry doctor: {label}\n\n**{}**{cost}.\n\n{}\n",
        prose(&verdict.what),
        prose(&verdict.todo)
    ));
    if !report.findings.is_empty() {
        out.push_str("\n| severity | finding | what | costs |\n|---|---|---|---|\n");
        for finding in &report.findings {
            out.push_str(&format!(
                "| {} | `{}` | {} | {} |\n",
                finding.severity,
                finding.id,
                prose(&finding.title),
                price(finding)
            ));
        }
    }
    for path in &report.paths {
        self::path(&mut out, path);
    }
    if let Some(prediction) = &report.prediction {
        self::prediction(&mut out, report, prediction);
    }
    for finding in &report.findings {
        self::finding(&mut out, finding);
    }
    out
}

fn price(finding: &Finding) -> String {
    match (&finding.cost, finding.severity) {
        (_, Severity::Error) => "the go command fails".to_owned(),
        (Some(cost), _) => seconds_range(cost.seconds_min, cost.seconds_max),
        (None, _) => "-".to_owned(),
    }
}

fn path(out: &mut String, path: &PathSummary) {
    let whose = if path.used_by_go { "as the go command goes" } else { "for comparison only" };
    out.push_str(&format!("\n### Path to {} ({whose})\n\n", code(&path.entry)));
    let mut chain = String::new();
    for (n, hop) in path.hops.iter().enumerate() {
        if n > 0 {
            let rtt = hop.rtt_ms.map(|rtt| format!(" {} ms", number(rtt))).unwrap_or_default();
            let arrow = if hop.broken { "✗" } else { "→" };
            chain.push_str(&format!(" {arrow} *{}{rtt}* {arrow} ", prose(&hop.protocol)));
        }
        chain.push_str(&prose(if hop.name.is_empty() { &hop.role } else { &hop.name }));
    }
    out.push_str(&format!("{chain}\n"));
    if !path.phases.is_empty() {
        out.push_str("\n| phase | n | failed | min, ms | p50 | p95 | max |\n|---|--:|--:|--:|--:|--:|--:|\n");
    }
    for phase in &path.phases {
        let nothing = phase.failed >= phase.count && phase.max_ms == 0.0;
        let time = |value| if nothing { "-".to_owned() } else { number(value) };
        let times = [phase.min_ms, phase.p50_ms, phase.p95_ms, phase.max_ms].map(time).join(" | ");
        out.push_str(&format!("| {} | {} | {} | {times} |\n", prose(&phase.phase), phase.count, phase.failed));
    }
    for goodput in &path.goodput {
        let flows = plural(goodput.flows as usize, "connection", "connections");
        out.push_str(&format!("\n{} Mbit/s over {flows}.\n", number(goodput.mbit_per_s)));
    }
}

fn prediction(out: &mut String, report: &Report, prediction: &PredictionSummary) {
    let of = match &report.project {
        Some(project) => format!("{} of {}", plural(project.modules, "module", "modules"), code(&project.name)),
        None => "50 modules (a nominal project)".to_owned(),
    };
    out.push_str(&format!("\n### Predicted: `go mod download` of {of}\n\n| | |\n|---|--:|\n"));
    let mut row = |name: &str, value: f64| out.push_str(&format!("| {name} | {} |\n", seconds(value)));
    row("now", prediction.now_s);
    for with in &prediction.with {
        row(&format!("without `{}`", with.id), with.seconds);
    }
    if prediction.with.len() > 1 {
        row("without any of them", prediction.all_s);
    }
    row("one connection, all at once", prediction.multiplexed_s);
}

fn finding(out: &mut String, finding: &Finding) {
    let title = prose(&finding.title);
    out.push_str(&format!("\n<details><summary><code>{}</code>: {title}</summary>\n\n", finding.id));
    if let Some(location) = &finding.location {
        out.push_str(&format!("At {}.\n\n", code(&format!("{}:{}", location.file, location.line))));
    }
    out.push_str(&format!("Seen ({}):\n\n", finding.confidence.as_str()));
    for evidence in &finding.evidence {
        out.push_str(&format!("- {}\n", prose(&evidence.to_string())));
    }
    out.push_str(&format!("\nWhy: {}\n", prose(&finding.why)));
    if let Some(cost) = &finding.cost {
        out.push_str(&format!(
            "\nCosts {}: {}.\n",
            seconds_range(cost.seconds_min, cost.seconds_max),
            prose(&cost.basis)
        ));
    }
    for remedy in &finding.remedies {
        self::remedy(out, remedy);
    }
    if !finding.verify.is_empty() {
        out.push_str("\nTo see that it is gone:\n\n");
        fence(out, &finding.verify);
    }
    out.push_str(&format!("\nMore: `goferry explain {}`\n\n</details>\n", finding.id));
}

fn remedy(out: &mut String, remedy: &Remedy) {
    let valid = if remedy.valid_for.is_empty() { String::new() } else { format!(" ({})", prose(&remedy.valid_for)) };
    out.push_str(&format!("\nRemedy: {}{valid}\n\n", prose(&remedy.place)));
    if let Some(config) = &remedy.config {
        fence(out, config);
    }
    if !remedy.commands.is_empty() {
        fence(out, &remedy.commands.join("\n"));
    }
}

/// Text as it is: what Markdown or HTML would read as a sign is escaped. Text between backticks becomes code.
fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return escape(text);
    }
    let piece = |(n, part): (usize, &&str)| if n % 2 == 0 { escape(part) } else { code(part) };
    parts.iter().enumerate().map(piece).collect()
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in harmless(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// A code span that holds the text whatever backticks are in it, and does not end a table's cell.
fn code(text: &str) -> String {
    let text = harmless(text).replace('|', "\\|");
    let ticks = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') || text.is_empty() { " " } else { "" };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

/// A fenced block that the text cannot end.
fn fence(out: &mut String, text: &str) {
    let text = harmless_lines(text);
    let ticks = "`".repeat(longest_run(&text).max(2) + 1);
    out.push_str(&format!("{ticks}\n{}\n{ticks}\n", text.trim_end_matches('\n')));
}

/// The most backticks in a row.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_not_markup() {
        assert_eq!(prose("<img src=x> [a](b) *c* a|b"), "&lt;img src=x&gt; \\[a\\](b) \\*c\\* a\\|b");
        assert_eq!(prose("run `go mod` now"), "run `go mod` now");
        assert_eq!(prose("one ` alone\n# x"), "one \\` alone\\\\u{a}\\# x");
        assert_eq!(code("a`b"), "``a`b``");
        let mut out = String::new();
        fence(&mut out, "x\n```\ny");
        assert_eq!(out, "````\nx\n```\ny\n````\n");
    }
}
