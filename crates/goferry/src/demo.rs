//! `goferry demo`: a fault, the real go command and doctor, side by side, and the same without the fault.

use std::time::Duration;

use goferry_diagnose::Report;
use goferry_diagnose::report::text::{fold, harmless, plural, seconds};
use goferry_diagnose::report::{Style, human};
use goferry_lab::doctor::Doctor;
use goferry_lab::go_client::{GoClientError, GoRun, GoVersion};
use goferry_lab::scenario::{Running, Scenario, start};
use goferry_lab::server::behaviour::Behaviour;

use crate::args::Demo;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;
use crate::{exit_code, lab};

/// A go command that hangs is ended after this.
const PATIENCE: Duration = Duration::from_secs(20);
/// The round trip time of the demonstration where there can be a link: as far as many a proxy is.
const RTT: Duration = Duration::from_millis(50);

/// What was seen of one run of the go command.
struct Seen {
    run: GoRun,
    connections: u64,
    requests: u64,
}

/// Shows a fault.
pub(crate) fn run(args: &Demo, printer: &Printer) -> Outcome {
    use goferry_diagnose::probe::Reporter as _;
    let fault = lab::fault(&args.fault)?;
    let mut scenario = (fault.build)();
    scenario.link.rtt = scenario.link.rtt.max(RTT);
    let healthy = healthy(&scenario);

    printer.phase("the go command with the fault");
    let running = begin(&scenario)?;
    let with = go(&running)?;
    let place = match running.link() {
        Some(link) => link.to_string(),
        None => "on loopback, without any delay (as root there is an emulated link)".to_owned(),
    };
    drop(running);
    printer.phase("goferry doctor with the fault");
    let running = begin(&scenario)?;
    let program =
        std::env::current_exe().map_err(|error| Failure::failed(format!("goferry does not find itself: {error}")))?;
    let diagnosis = Doctor::new(program, GoVersion::local())
        .run(&running, scenario.deep)
        .map_err(|error| Failure::failed(error.to_string()))?;
    drop(running);
    let report: Report =
        serde_json::from_value(diagnosis.report.clone()).map_err(|error| Failure::failed(error.to_string()))?;
    printer.phase("the go command without the fault");
    let without = begin(&healthy).and_then(|running| go(&running))?;

    let style = printer.style();
    let mut text = format!("The fault: {} ({})\n", fault.summary, fault.id);
    for line in fold(&format!("{}, {place}", plural(scenario.universe.modules, "module", "modules")), style.width) {
        text.push_str(&format!("{line}\n"));
    }
    text.push('\n');
    text.push_str(&table(style, &with, &without, &diagnosis, &report));
    if let Some(last) = with.run.stderr.lines().rfind(|line| !line.starts_with("http2: ") && !line.trim().is_empty())
        && !with.run.succeeded()
    {
        text.push_str(&format!("\ngo says: {}\n", harmless(last)));
    }
    text.push_str("\nWhat doctor says:\n\n");
    text.push_str(&human(&report, style));
    printer.result(&text)?;
    Ok(exit_code::OK)
}

/// The same modules and link, and nothing wrong.
fn healthy(scenario: &Scenario) -> Scenario {
    Scenario {
        universe: scenario.universe.clone(),
        link: goferry_lab::scenario::LinkSpec { rtt: scenario.link.rtt, ..Default::default() },
        ..Scenario::of(Behaviour::default())
    }
}

fn begin(scenario: &Scenario) -> Result<Running, Failure> {
    start(scenario).or_else(|error| {
        // Root in a container may not make a link; many faults can be had without one.
        let local = goferry_lab::scenario::start_local(scenario, std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
        local.map_err(|_| Failure::failed(error.to_string()))
    })
}

fn go(running: &Running) -> Result<Seen, Failure> {
    let client = running.go_client(GoVersion::local()).deadline(PATIENCE);
    let run = running.run_go(&client).map_err(|error| match error {
        GoClientError::NoGo { .. } => {
            Failure::failed(error.to_string()).hint("the demonstration needs the go command on PATH")
        }
        other => Failure::failed(other.to_string()),
    })?;
    let seen = running.origin().map(|origin| origin.snapshot()).unwrap_or_default();
    Ok(Seen { run, connections: seen.connections, requests: seen.total_requests() })
}

fn table(
    style: Style,
    with: &Seen,
    without: &Seen,
    diagnosis: &goferry_lab::doctor::Diagnosis,
    report: &Report,
) -> String {
    let verdict = report.verdict();
    let says = match (verdict.severity, report.findings.first()) {
        (Some(severity), Some(finding)) => format!("{severity} {}", finding.id),
        _ => "nothing is wrong".to_owned(),
    };
    let outcome = |seen: &Seen| seen.run.outcome.to_string();
    let count = |seen: &Seen| (seen.connections.to_string(), seen.requests.to_string());
    let (with_count, without_count) = (count(with), count(without));
    let rows = [
        ["", "go, with the fault", "goferry doctor", "go, without the fault"].map(str::to_owned),
        ["result".to_owned(), outcome(with), says, outcome(without)],
        [
            "time".to_owned(),
            seconds(with.run.wall.as_secs_f64()),
            seconds(diagnosis.wall.as_secs_f64()),
            seconds(without.run.wall.as_secs_f64()),
        ],
        ["connections".to_owned(), with_count.0, diagnosis.connections.to_string(), without_count.0],
        ["requests".to_owned(), with_count.1, diagnosis.requests.to_string(), without_count.1],
    ];
    let column = style.width.saturating_sub(13).clamp(60, 84) / 3;
    let mut text = String::new();
    for [name, cells @ ..] in rows {
        let folded: Vec<Vec<String>> = cells.iter().map(|cell| fold(cell, column - 2)).collect();
        for n in 0..folded.iter().map(Vec::len).max().unwrap_or(0) {
            let cell = |lines: &Vec<String>| format!("{:<column$}", lines.get(n).map_or("", String::as_str));
            let line = format!(
                "{:<13}{}",
                if n == 0 { name.as_str() } else { "" },
                folded.iter().map(cell).collect::<String>()
            );
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}
