//! A program that downloads modules, driven through a scenario as the go command is: empty caches, a time limit, and a
//! look at what it left.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::faults::{Failing, Survival};
use crate::go_client::{GoClientError, GoVersion};
use crate::left::{Left, environment, scenario_environment};
use crate::link::LinkError;
use crate::scenario::{Running, Scenario, ScenarioError, start_on_link};

/// A downloading program, and the Go toolchain that judges what it left.
#[derive(Debug, Clone)]
pub struct Download {
    program: PathBuf,
    go: GoVersion,
    limit: Duration,
    args: Vec<String>,
}

/// What it did.
#[derive(Debug)]
pub struct Downloaded {
    /// Exit status; `None` when it was ended at the limit.
    pub code: Option<i32>,
    /// From start to end.
    pub wall: Duration,
    /// One object a module, as `go mod download -json` prints them.
    pub modules: Vec<Value>,
    /// Its standard error.
    pub stderr: String,
    /// What it wrote of its connections; null where it wrote nothing.
    pub timeline: Value,
    /// Connections that the origin saw of it.
    pub connections: u64,
    /// Requests that the origin saw of it.
    pub requests: u64,
    /// The module cache that it left.
    pub left: Left,
}

/// Why nothing was downloaded.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
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
}

impl DownloadError {
    fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::System { what, error }
    }
}

impl Download {
    /// Drives `program`, which takes `download --json --timeline FILE DIR`, and ends it at `limit`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, go: GoVersion, limit: Duration) -> Self {
        Self { program: program.into(), go, limit, args: Vec::new() }
    }

    /// More arguments.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// Downloads through `scenario` on a link of its own.
    ///
    /// # Errors
    /// When the scenario or the program cannot be started. That it failed or was killed is a result.
    pub fn drive(&self, scenario: &Scenario) -> Result<Downloaded, DownloadError> {
        let running = start_on_link(scenario)?;
        self.run(&running)
    }

    /// Downloads what is running.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn run(&self, running: &Running) -> Result<Downloaded, DownloadError> {
        let home = TempDir::with_prefix("goferry-download-").map_err(DownloadError::system("making a home folder"))?;
        let home = home.path();
        let timeline = home.join("timeline.json");
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", &format!("{:.3}", self.limit.as_secs_f64())]).arg(&self.program);
        environment(&mut command, &self.go, home)?;
        command.args(["download", "--json", "--timeline"]).arg(&timeline).args(&self.args).arg(running.project());
        scenario_environment(&mut command, running, home);
        let started = Instant::now();
        let output = output(running, &mut command)?;
        let wall = started.elapsed();
        let seen = running.origin().map(|origin| origin.snapshot()).unwrap_or_default();
        let left = Left::verified(running, &self.go, &home.join("go/pkg/mod"), home)?;
        Ok(Downloaded {
            // timeout(1): 124 where SIGTERM ended it, 137 where only SIGKILL did.
            code: output.status.code().filter(|code| !matches!(code, 124 | 137)),
            wall,
            modules: serde_json::Deserializer::from_slice(&output.stdout).into_iter().map_while(Result::ok).collect(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            timeline: fs::read(&timeline).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default(),
            connections: seen.connections,
            requests: seen.total_requests(),
            left,
        })
    }
}

fn output(running: &Running, command: &mut Command) -> Result<Output, DownloadError> {
    match running.link() {
        Some(link) => Ok(link.client_output(command)?),
        None => command.output().map_err(DownloadError::system("running the program")),
    }
}

impl Downloaded {
    /// Holds it against what can be asked of it: what is wrong, or nothing.
    #[must_use]
    pub fn disagrees(&self, survival: Survival) -> Option<String> {
        if let Some(wrong) = self.left.is_wrong() {
            return Some(wrong);
        }
        match survival {
            Survival::Possible => self.is_incomplete(),
            Survival::Impossible(failing) => self.fails_otherwise(failing),
        }
    }

    fn is_incomplete(&self) -> Option<String> {
        match self.code {
            None => return Some(format!("it did not end within {:.0} s", self.wall.as_secs_f64())),
            Some(0) => {}
            Some(code) => return Some(format!("exit status {code}")),
        }
        self.left.is_incomplete()
    }

    fn fails_otherwise(&self, failing: Failing) -> Option<String> {
        match self.code {
            None => return Some(format!("it did not end within {:.0} s", self.wall.as_secs_f64())),
            Some(1) => {}
            Some(code) => return Some(format!("exit status {code}, not 1")),
        }
        if let Some(word) = failing.words.iter().find(|word| !self.stderr.contains(**word)) {
            return Some(format!("the error does not say {word:?}"));
        }
        let party = format!("[{}]", failing.party);
        (!self.stderr.contains(&party)).then(|| format!("the error does not say {party}"))
    }

    /// Decisions of the connection pools, in order, each once.
    #[must_use]
    pub fn decisions(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let pools = self.timeline["pools"].as_array().map(Vec::as_slice).unwrap_or_default();
        pools
            .iter()
            .flat_map(|pool| pool["decisions"].as_array().map(Vec::as_slice).unwrap_or_default())
            .filter_map(|decided| decided["text"].as_str().map(str::to_owned))
            .filter(|text| seen.insert(text.clone()))
            .collect()
    }

    /// Requests that broke on the way and came through in the end.
    #[must_use]
    pub fn healed(&self) -> u64 {
        self.timeline["healed"].as_u64().unwrap_or(0)
    }

    /// The protocol that the busiest pool ended with.
    #[must_use]
    pub fn protocol(&self) -> &str {
        self.timeline["pools"][0]["protocol"].as_str().unwrap_or_default()
    }
}
