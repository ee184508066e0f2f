//! A diagnosing program driven through a scenario, as the go command is: from outside, by its JSON.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::go_client::{GoClientError, GoVersion};
use crate::link::LinkError;
use crate::scenario::{Running, Scenario, ScenarioError, start_on_link};

/// No diagnosis takes longer; `--deep` may take two minutes.
const DEADLINE: &str = "150";

/// The program, and the Go toolchain that it finds on its PATH.
#[derive(Debug, Clone)]
pub struct Doctor {
    program: PathBuf,
    go: GoVersion,
}

/// What it said.
#[derive(Debug)]
pub struct Diagnosis {
    /// Exit status; `None` when it was killed.
    pub code: Option<i32>,
    /// From start to end.
    pub wall: Duration,
    /// Findings: id and severity, in the report's order.
    pub findings: Vec<(String, String)>,
    /// The whole report.
    pub report: serde_json::Value,
    /// Its standard error.
    pub stderr: String,
    /// Connections that the origin saw of it.
    pub connections: u64,
    /// Requests that the origin saw of it.
    pub requests: u64,
}

/// Why there is no diagnosis.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// The scenario could not be made real.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The toolchain is not there.
    #[error(transparent)]
    Go(#[from] GoClientError),
    /// The program could not be run in the namespace.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The system refused something.
    #[error("{what}: {error}")]
    System {
        /// What was being done.
        what: &'static str,
        /// What the system says.
        error: std::io::Error,
    },
    /// What it printed is no report.
    #[error("the report is no JSON: {error}\nexit status {code:?}\nstderr: {stderr}")]
    NoReport {
        /// Why.
        error: serde_json::Error,
        /// Exit status.
        code: Option<i32>,
        /// Its standard error.
        stderr: String,
    },
}

impl Doctor {
    /// Drives `program`, which takes `doctor --json [--deep] DIR`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, go: GoVersion) -> Self {
        Self { program: program.into(), go }
    }

    /// Diagnoses `scenario` on a link of its own.
    ///
    /// # Errors
    /// When the scenario or the program cannot be started, or prints no report.
    pub fn diagnose(&self, scenario: &Scenario) -> Result<Diagnosis, DoctorError> {
        let running = start_on_link(scenario)?;
        self.run(&running, scenario.deep)
    }

    /// Diagnoses what is running.
    ///
    /// # Errors
    /// When the program cannot be started, or prints no report.
    pub fn run(&self, running: &Running, deep: bool) -> Result<Diagnosis, DoctorError> {
        let home = TempDir::with_prefix("goferry-doctor-")
            .map_err(|error| DoctorError::System { what: "making a home folder", error })?;
        let mut command = self.command(home.path())?;
        command.args(["doctor", "--json"]);
        if deep {
            command.arg("--deep");
        }
        command.arg(running.project());
        for (name, value) in running.env() {
            command.env(name, value);
            if name == "SSL_CERT_FILE" {
                command.env("SSL_CERT_DIR", home.path());
            }
        }
        let started = Instant::now();
        let output = match running.link() {
            Some(link) => link.client_output(&mut command)?,
            None => command.output().map_err(|error| DoctorError::System { what: "running the program", error })?,
        };
        let wall = started.elapsed();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| DoctorError::NoReport { error, code, stderr: stderr.clone() })?;
        let seen = running.origin().map(|origin| origin.snapshot()).unwrap_or_default();
        Ok(Diagnosis {
            code,
            wall,
            findings: findings(&report),
            report,
            stderr,
            connections: seen.connections,
            requests: seen.total_requests(),
        })
    }

    fn command(&self, home: &Path) -> Result<Command, DoctorError> {
        let goroot = self.go.goroot()?;
        // Under `timeout`, so that a diagnosis without end ends with its whole group.
        let mut command = Command::new("timeout");
        command
            .args(["--signal=KILL", DEADLINE])
            .arg(&self.program)
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", goroot.join("bin").display()))
            .env("HOME", home)
            .env("GOPATH", home.join("go"))
            .env("GOENV", "off")
            .env("GOTOOLCHAIN", "local")
            .current_dir(home)
            .stdin(Stdio::null());
        Ok(command)
    }
}

fn findings(report: &serde_json::Value) -> Vec<(String, String)> {
    let text = |finding: &serde_json::Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let all = report["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().map(|finding| (text(finding, "id"), text(finding, "severity"))).collect()
}

impl Diagnosis {
    /// Holds the findings against what a fault says: each of `expected` at its severity, and nothing
    /// else at warning or above. What is wrong, or nothing.
    #[must_use]
    pub fn disagrees(&self, expected: &[crate::faults::Expected]) -> Option<String> {
        for wanted in expected {
            let found = self.findings.iter().find(|(id, _)| id == wanted.id);
            match found {
                None => return Some(format!("{} is missing", wanted.id)),
                Some((_, severity)) if severity != wanted.severity => {
                    return Some(format!("{} is {severity}, not {}", wanted.id, wanted.severity));
                }
                Some(_) => {}
            }
        }
        let extra = self
            .findings
            .iter()
            .find(|(id, severity)| severity != "info" && expected.iter().all(|wanted| wanted.id != id));
        extra.map(|(id, severity)| format!("{id} ({severity}) is one too many"))
    }
}
