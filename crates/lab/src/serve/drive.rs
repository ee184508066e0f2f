//! The real go command behind a module proxy, through a scenario: the proxy runs where the scenario's client is, with its
//! environment and an empty store, and the go command knows of nothing but the proxy.

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::ServeProcess;
use crate::faults::{Failing, Survival};
use crate::go_client::{GoClientError, GoRun, GoVersion, Outcome};
use crate::left::{Left, environment, scenario_environment};
use crate::link::LinkError;
use crate::scenario::{Running, Scenario, ScenarioError, start_on_link};
use crate::server::Snapshot;

/// What is shown of the log of a proxy, in bytes.
const SHOWN: usize = 4000;

/// A proxy program, and the toolchains that ask it.
#[derive(Debug, Clone)]
pub struct ServeDrive {
    program: PathBuf,
    versions: Vec<GoVersion>,
    limit: Duration,
}

/// What became of it.
#[derive(Debug)]
pub struct Behind {
    /// One a toolchain, in the order that they ran.
    pub runs: Vec<GoBehind>,
    /// What is in the proxy's store in the end.
    pub store: Left,
    /// What the proxy wrote to standard error, at most its last 4,000 bytes.
    pub log: String,
}

/// One go command behind the proxy.
#[derive(Debug)]
pub struct GoBehind {
    /// Its toolchain.
    pub version: GoVersion,
    /// How it ended.
    pub outcome: Outcome,
    /// From its start to its end.
    pub wall: Duration,
    /// Its standard error.
    pub stderr: String,
    /// The module cache that it left.
    pub left: Left,
    /// Connections that the origin saw while it ran.
    pub connections: u64,
    /// Requests that the origin saw while it ran.
    pub requests: u64,
}

/// Why there is nothing to tell.
#[derive(Debug, thiserror::Error)]
pub enum ServeDriveError {
    /// The scenario could not be made real.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A toolchain is not there.
    #[error(transparent)]
    Go(#[from] GoClientError),
    /// The namespace could not be entered.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The proxy does not run, or the system refused a folder.
    #[error("the proxy: {0}")]
    Proxy(#[from] io::Error),
}

impl ServeDrive {
    /// Drives `program`, which takes `serve --listen ADDRESS --store DIR`; each of `versions` in turn asks it for the modules
    /// of the scenario's project, with empty caches, and is ended at `limit`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, versions: &[GoVersion], limit: Duration) -> Self {
        Self { program: program.into(), versions: versions.to_vec(), limit }
    }

    /// Does it through `scenario` on a link of its own.
    ///
    /// # Errors
    /// When the scenario, the proxy or a go command cannot be started. That go fails or hangs is a result.
    pub fn drive(&self, scenario: &Scenario) -> Result<Behind, ServeDriveError> {
        let running = start_on_link(scenario)?;
        let home = TempDir::with_prefix("goferry-serve-")?;
        let store = home.path().join("store");
        let process = self.start(&running, &home)?;
        let mut ran = Vec::new();
        let mut before = seen(&running);
        for version in &self.versions {
            let client = running.go_client(version.clone()).goproxy(process.url()).deadline(self.limit);
            let run = running.run_go(&client)?;
            let after = seen(&running);
            let connections = after.connections - before.connections;
            let requests = after.total_requests() - before.total_requests();
            ran.push((version, run, connections, requests));
            before = after;
        }
        let log = process.log();
        drop(process);
        // Judged when all have run: `go mod verify` may write to the project.
        let judged = ran.into_iter().map(|(version, run, connections, requests)| {
            let left = Left::verified(&running, version, &run.gomodcache(), home.path())?;
            let GoRun { outcome, wall, stderr, .. } = run;
            Ok(GoBehind { version: version.clone(), outcome, wall, stderr, left, connections, requests })
        });
        let runs = judged.collect::<Result<_, ServeDriveError>>()?;
        let from = log.floor_char_boundary(log.len().saturating_sub(SHOWN));
        Ok(Behind { runs, store: Left::of(running.universe(), &store), log: log[from..].to_owned() })
    }

    /// Starts the proxy where the scenario's client is. Where the scenario says nothing of a checksum database, the proxy
    /// verifies with the one that the universe has, through the origin as everything else.
    fn start(&self, running: &Running, home: &TempDir) -> Result<ServeProcess, ServeDriveError> {
        let mut command = Command::new(&self.program);
        let newest = self.versions.first().cloned().unwrap_or_else(GoVersion::local);
        environment(&mut command, &newest, home.path())?;
        scenario_environment(&mut command, running, home.path());
        if running.env().get("GOSUMDB").is_some_and(|name| name == "off") {
            command.env("GOSUMDB", running.universe().sumdb_key());
        }
        command.args(["serve", "--listen", "127.0.0.1:0", "--store"]).arg(home.path().join("store"));
        let log = home.path().join("serve.log");
        let start = || ServeProcess::start(&mut command, &log);
        let process = match running.link() {
            Some(link) => link.in_client(start)?,
            None => ServeProcess::start(&mut command, &log),
        };
        Ok(process?)
    }
}

fn seen(running: &Running) -> Snapshot {
    running.origin().map(|origin| origin.snapshot()).unwrap_or_default()
}

impl Behind {
    /// Holds it against what can be asked of it: what is wrong, or nothing.
    #[must_use]
    pub fn disagrees(&self, survival: Survival) -> Option<String> {
        if let Some(wrong) = self.store.is_wrong() {
            return Some(format!("the store: {wrong}"));
        }
        let wrong = |run: &GoBehind| {
            let wrong = match survival {
                Survival::Possible => run.is_incomplete(),
                Survival::Impossible(failing) => run.left.is_wrong().or_else(|| run.fails_otherwise(failing)),
            };
            wrong.map(|wrong| format!("{}: {wrong}", run.version.as_str()))
        };
        if let Some(wrong) = self.runs.iter().find_map(wrong) {
            return Some(wrong);
        }
        (survival == Survival::Possible)
            .then(|| self.store.is_incomplete())
            .flatten()
            .map(|wrong| format!("the store: {wrong}"))
    }

    /// The longest of the runs.
    #[must_use]
    pub fn slowest(&self) -> Duration {
        self.runs.iter().map(|run| run.wall).max().unwrap_or_default()
    }
}

impl GoBehind {
    fn is_incomplete(&self) -> Option<String> {
        if self.outcome != Outcome::Succeeded {
            return Some(format!("go {}", self.outcome));
        }
        self.left.is_incomplete()
    }

    fn fails_otherwise(&self, failing: Failing) -> Option<String> {
        if !matches!(self.outcome, Outcome::Failed { code: Some(1) }) {
            return Some(format!("go {}", self.outcome));
        }
        if let Some(word) = failing.behind_a_proxy().iter().find(|word| !self.stderr.contains(**word)) {
            return Some(format!("go does not say {word:?}"));
        }
        // With another entry after the proxy in GOPROXY, go would ask that one.
        let gone = ["404 Not Found", "410 Gone"].into_iter().find(|status| self.stderr.contains(status));
        gone.filter(|_| !failing.absent).map(|status| format!("the proxy says {status} of what it could not get"))
    }
}
