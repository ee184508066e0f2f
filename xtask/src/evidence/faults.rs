//! `docs/evidence/faults.md`: what real go does with each fault, by version, and what doctor says of it.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use goferry_lab::doctor::{Diagnosis, Doctor};
use goferry_lab::faults::{self, Fault, HANG};
use goferry_lab::go_client::{GoVersion, Outcome};
use goferry_lab::scenario::{Driven, drive};

pub(super) const VERSIONS: [&str; 2] = ["go1.21.13", "go1.27.3"];
/// Runs at once: most of them wait.
const WORKERS: usize = 3;

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FaultsError {
    /// The command that is to be driven could not be built.
    #[error("building goferry: {0}")]
    Build(String),
    /// A toolchain's name is no such name.
    #[error("{0}")]
    Version(String),
    /// The table could not be written.
    #[error("writing the table: {0}")]
    Write(#[from] std::io::Error),
}

struct Row {
    fault: Fault,
    go: Vec<String>,
    doctor: Result<Diagnosis, String>,
    /// `None` where doctor says what the fault is.
    wrong: Option<String>,
}

/// Drives everything and writes the table into `out`.
///
/// # Errors
/// [`FaultsError`]. What a fault does is a row, not an error.
pub(crate) fn run(out: &Path) -> Result<(), FaultsError> {
    let program = build()?;
    let newest: GoVersion = VERSIONS[1].parse().map_err(|error| FaultsError::Version(format!("{error}")))?;
    let doctor = Doctor::new(program, newest);
    let rows = each(WORKERS, |fault| row(&doctor, fault));
    std::fs::write(out.join("faults.md"), table(&rows))?;
    Ok(())
}

/// Does `work` for every fault, so many at once; in the order of the faults.
pub(super) fn each<T: Send>(workers: usize, work: impl Fn(Fault) -> T + Sync) -> Vec<T> {
    let queue: Mutex<VecDeque<Fault>> = Mutex::new(faults::all().into());
    let done = Mutex::new(Vec::new());
    let next = || queue.lock().ok().and_then(|mut queue| queue.pop_front());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(fault) = next() {
                    let result = work(fault);
                    if let Ok(mut done) = done.lock() {
                        done.push((fault.id, result));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(id, _)| *id);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Builds the goferry command and says where it is.
pub(super) fn build() -> Result<std::path::PathBuf, FaultsError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let fail = |what: String| FaultsError::Build(what);
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--package", "goferry", "--message-format=json-render-diagnostics"])
        .output()
        .map_err(|error| fail(error.to_string()))?;
    if !built.status.success() {
        return Err(fail(String::from_utf8_lossy(&built.stderr).into_owned()));
    }
    let text = String::from_utf8_lossy(&built.stdout).into_owned();
    let messages = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut programs = messages.filter_map(|message| message["executable"].as_str().map(str::to_owned));
    let program = programs.next_back();
    program.map(Into::into).ok_or_else(|| fail("cargo names no program".to_owned()))
}

fn row(doctor: &Doctor, fault: Fault) -> Row {
    let scenario = (fault.build)();
    let go = VERSIONS.iter().map(|version| go(&fault, version)).collect();
    let doctor = doctor.diagnose(&scenario).map_err(|error| error.to_string());
    let wrong = match &doctor {
        Ok(diagnosis) => diagnosis.disagrees(fault.findings),
        Err(error) => Some(error.lines().next().unwrap_or_default().to_owned()),
    };
    Row { fault, go, doctor, wrong }
}

/// What the go command of this version does with a fault.
pub(super) fn go(fault: &Fault, version: &str) -> String {
    let Ok(version) = version.parse::<GoVersion>() else { return "unknown version".to_owned() };
    let does = fault.go.does(&version);
    match drive(&(fault.build)(), version, does.deadline()) {
        Err(error) => format!("not run: {error}"),
        Ok(Driven { run, seen }) => {
            let end = match run.outcome {
                Outcome::Succeeded => format!("succeeds, {:.1} s", run.wall.as_secs_f64()),
                Outcome::Failed { .. } => format!("fails, {:.1} s: {}", run.wall.as_secs_f64(), reason(&run.stderr)),
                Outcome::Hung { .. } => format!("**hangs** (ended after {} s)", HANG.as_secs()),
            };
            let surprise = if does.agrees(&run) { "" } else { " (not as expected)" };
            format!("{end}{surprise}; {} conn., {} req.", seen.connections, seen.total_requests())
        }
    }
}

/// The last line of what go wrote, cut to what tells.
fn reason(stderr: &str) -> String {
    let line = stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let tail = line.rsplit("\": ").next().unwrap_or(line);
    let tail: String = tail.chars().filter(|c| !c.is_control()).take(90).collect();
    format!("`{}`", tail.replace('`', "'").replace('|', "/"))
}

fn table(rows: &[Row]) -> String {
    let right = rows.iter().filter(|row| row.wrong.is_none()).count();
    let slowest = rows.iter().filter(|row| !(row.fault.build)().deep).filter_map(|row| row.doctor.as_ref().ok());
    let slowest = slowest.map(|diagnosis| diagnosis.wall).max().unwrap_or(Duration::ZERO);
    let mut text = format!(
        "# Faults: real go beside doctor\n\n\
         Generated by `cargo xtask evidence faults` (root, Linux); do not edit.\n\n\
         Each row is a fault of the lab (`goferry lab run <fault>`), across an emulated link of its own \
         (20 ms round trip unless the fault says otherwise). The go commands are the real {} and {}: \
         `go mod download` with empty caches; {} s without an end count as a hang. Doctor is \
         `goferry doctor --json` at its defaults (`--deep` where marked). A diagnosis is right when it reports \
         exactly the expected findings at their severity, and nothing else at warning or above.\n\n\
         **{right} of {} right, {} wrong.** The slowest diagnosis without `--deep` took {:.1} s.\n\n\
         | fault | what is the case | {} | {} | doctor | |\n|---|---|---|---|---|---|\n",
        VERSIONS[0],
        VERSIONS[1],
        HANG.as_secs(),
        rows.len(),
        rows.len() - right,
        slowest.as_secs_f64(),
        VERSIONS[0],
        VERSIONS[1],
    );
    for row in rows {
        let said = match &row.doctor {
            Ok(diagnosis) => {
                let shown: Vec<String> = diagnosis
                    .findings
                    .iter()
                    .filter(|(id, severity)| {
                        severity != "info" || row.fault.findings.iter().any(|wanted| wanted.id == *id)
                    })
                    .map(|(id, severity)| format!("{severity} `{id}`"))
                    .collect();
                let shown = if shown.is_empty() { "nothing wrong".to_owned() } else { shown.join(", ") };
                format!("{shown}; {:.1} s", diagnosis.wall.as_secs_f64())
            }
            Err(_) => "no report".to_owned(),
        };
        let deep = if (row.fault.build)().deep { " (`--deep`)" } else { "" };
        let verdict = row.wrong.as_ref().map_or_else(|| "right".to_owned(), |why| format!("**wrong**: {why}"));
        let _ = writeln!(
            text,
            "| `{}` | {}{deep} | {} | {} | {said} | {verdict} |",
            row.fault.id,
            row.fault.summary,
            row.go.first().map_or("", String::as_str),
            row.go.get(1).map_or("", String::as_str),
        );
    }
    text
}
