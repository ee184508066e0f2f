//! `cargo xtask measure`: size, start, memory and time of the release binary, each against its limit.
//!
//! Time is wall time from start to end of the process. Memory is the peak of the resident set, `VmHWM` of
//! `/proc/<pid>/status`, read every few milliseconds until the end. The diagnoses run across the emulated link, which
//! shares this machine's processors; each runs three times, and the worst counts.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use goferry_lab::go_client::{GoClientError, GoVersion};
use goferry_lab::link::LinkError;
use goferry_lab::scenario::{LinkSpec, Scenario, ScenarioError, UniverseSpec, start_on_link};
use goferry_lab::universe::ZipSize;
use goferry_lab::{faults, scenario::Running};
use tempfile::TempDir;

use crate::say::say;
use crate::workspace::{Workspace, WorkspaceError, cargo, output};

const STARTS: usize = 20;
const RUNS: usize = 3;
/// A diagnosis that takes longer is ended.
const DEADLINE: Duration = Duration::from_secs(300);
const MIB: f64 = 1024.0 * 1024.0;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MeasureError {
    /// A figure is over its limit.
    #[error("{0} over the limit")]
    Over(String),
    /// Building.
    #[error(transparent)]
    Build(#[from] WorkspaceError),
    /// The situation.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The go command.
    #[error(transparent)]
    Go(#[from] GoClientError),
    /// The program ended in a way that makes its figures worthless.
    #[error("goferry {what}: {status}")]
    Ended {
        /// What it was told.
        what: &'static str,
        /// How it ended.
        status: String,
    },
    /// The lab has no such fault.
    #[error("the lab has no fault {0:?}")]
    NoFault(&'static str),
    /// A file or process.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

fn doing(what: &'static str) -> impl FnOnce(io::Error) -> MeasureError {
    move |source| MeasureError::System { what, source }
}

/// One line of the table.
struct Figure {
    what: &'static str,
    value: f64,
    limit: f64,
    unit: &'static str,
}

impl Figure {
    fn holds(&self) -> bool {
        self.value < self.limit
    }
}

/// Measures `binary`, or the release binary, which is built then, and prints the table.
///
/// # Errors
/// When something cannot be measured, and when a figure is over its limit.
pub(crate) fn run(workspace: &Workspace, binary: Option<&Path>) -> Result<(), MeasureError> {
    let program = match binary {
        Some(binary) => fs::canonicalize(binary).map_err(doing("looking for the binary"))?,
        None => {
            let mut build = cargo();
            build.args(["build", "--release", "--package", "goferry", "--locked"]);
            say!("    cargo build --release --package goferry --locked");
            output(build.current_dir(&workspace.root))?;
            workspace.target.join("release/goferry")
        }
    };
    let size = fs::metadata(&program).map_err(doing("looking at the binary"))?;

    let healthy = Scenario {
        universe: UniverseSpec { modules: 200, zip_size: ZipSize::Fixed(50_000), ..UniverseSpec::default() },
        link: LinkSpec { rtt: Duration::from_millis(100), ..LinkSpec::default() },
        ..Scenario::default()
    };
    let silent = faults::find("settings-missing").ok_or(MeasureError::NoFault("settings-missing"))?;
    let many = Scenario {
        universe: UniverseSpec { modules: 600, zip_size: ZipSize::Fixed(917_000), ..UniverseSpec::default() },
        link: LinkSpec { rtt: Duration::from_millis(5), ..LinkSpec::default() },
        ..Scenario::default()
    };
    let healthy = worst(&program, &healthy)?;
    let silent = worst(&program, &(silent.build)())?;
    let many = watch(&program, &["download", "--quiet"], "download", &start_on_link(&many)?)?;

    let figures = [
        Figure { what: "size of the release binary", value: size.len() as f64 / 1e6, limit: 20.0, unit: "MB" },
        Figure {
            what: "goferry --help, median of 20",
            value: help(&program)?.as_secs_f64() * 1e3,
            limit: 20.0,
            unit: "ms",
        },
        Figure {
            what: "doctor, healthy path, RTT 100 ms, 200 modules",
            value: healthy.wall.as_secs_f64(),
            limit: 5.0,
            unit: "s",
        },
        Figure { what: "doctor, silent server", value: silent.wall.as_secs_f64(), limit: 10.0, unit: "s" },
        Figure {
            what: "download, 600 modules of 550 MB, peak memory",
            value: many.peak / MIB,
            limit: 256.0,
            unit: "MiB",
        },
        Figure {
            what: "peak memory of the diagnoses",
            value: healthy.peak.max(silent.peak) / MIB,
            limit: 64.0,
            unit: "MiB",
        },
    ];
    say!("\n| what | measured | limit | |\n|---|---|---|---|");
    for figure in &figures {
        let Figure { what, value, limit, unit } = figure;
        say!("| {what} | {value:.1} {unit} | {limit:.0} {unit} | {} |", if figure.holds() { "ok" } else { "**over**" });
    }
    let over = figures.iter().filter(|figure| !figure.holds()).map(|figure| figure.what);
    let over = over.collect::<Vec<_>>().join(", ");
    if over.is_empty() { Ok(()) } else { Err(MeasureError::Over(over)) }
}

/// The median time of `--help`.
fn help(program: &Path) -> Result<Duration, MeasureError> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let start = Instant::now();
        let status = Command::new(program).arg("--help").stdin(Stdio::null()).stdout(Stdio::null()).status();
        times.push(start.elapsed());
        let status = status.map_err(doing("running goferry --help"))?;
        ended_well("--help", status, &[0])?;
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// One diagnosis.
struct Run {
    wall: Duration,
    /// Octets.
    peak: f64,
}

fn worst(program: &Path, scenario: &Scenario) -> Result<Run, MeasureError> {
    let mut worst = Run { wall: Duration::ZERO, peak: 0.0 };
    for _ in 0..RUNS {
        let run = watch(program, &["doctor", "--json"], "doctor", &start_on_link(scenario)?)?;
        worst = Run { wall: worst.wall.max(run.wall), peak: worst.peak.max(run.peak) };
    }
    Ok(worst)
}

/// Runs the program on a project, to its end or to the deadline.
fn watch(program: &Path, args: &[&str], what: &'static str, running: &Running) -> Result<Run, MeasureError> {
    let Some(link) = running.link() else {
        return Err(ScenarioError::NeedsLink("a figure").into());
    };
    let home = TempDir::with_prefix("goferry-measure-").map_err(doing("making a home folder"))?;
    let report = File::create(home.path().join("report.json")).map_err(doing("making the report's file"))?;
    let go: GoVersion = "go1.27.3".parse()?;
    let path = format!("{}:/usr/bin:/bin", go.goroot()?.join("bin").display());
    let mut command = Command::new(program);
    command.args(args).arg(running.project());
    command.env_clear().env("PATH", path).env("HOME", home.path()).env("GOPATH", home.path().join("go"));
    command.env("GOENV", "off").env("GOTOOLCHAIN", "local").envs(running.env());
    command.stdin(Stdio::null()).stdout(report).stderr(Stdio::null());
    let start = Instant::now();
    let mut child = link.client_spawn(&mut command)?;
    let status_file = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0.0f64;
    loop {
        peak = peak.max(high_water(&status_file));
        if let Some(status) = child.try_wait().map_err(doing("waiting for goferry"))? {
            let wall = start.elapsed();
            let fine: &[i32] = if what == "doctor" { &[0, 1] } else { &[0] };
            ended_well(what, status, fine)?;
            return Ok(Run { wall, peak });
        }
        if start.elapsed() > DEADLINE {
            child.kill().map_err(doing("ending goferry"))?;
            child.wait().map_err(doing("waiting for goferry"))?;
            return Err(MeasureError::Ended { what, status: format!("no end within {} s", DEADLINE.as_secs()) });
        }
        thread::sleep(Duration::from_millis(3));
    }
}

fn ended_well(what: &'static str, status: ExitStatus, codes: &[i32]) -> Result<(), MeasureError> {
    if status.code().is_some_and(|code| codes.contains(&code)) {
        return Ok(());
    }
    Err(MeasureError::Ended { what, status: status.to_string() })
}

/// `VmHWM` in octets; 0 where the process has gone.
fn high_water(status: &Path) -> f64 {
    fs::read_to_string(status).ok().and_then(|text| peak_of(&text)).unwrap_or(0.0)
}

fn peak_of(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_as_the_kernel_writes_it() {
        assert_eq!(peak_of("VmPeak:\t  100 kB\nVmHWM:\t    5120 kB\nVmRSS:\t 3 kB\n"), Some(5.0 * MIB));
        assert_eq!(peak_of("Name:\tgoferry\n"), None);
    }

    #[test]
    fn a_process_of_this_machine_has_a_peak() {
        assert!(high_water(Path::new("/proc/self/status")) > MIB / 8.0);
    }
}
