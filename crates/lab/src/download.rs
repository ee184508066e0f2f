//! A program that downloads modules, driven through a scenario as the go command is: empty caches, a time limit, and a
//! look at what it left.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::faults::{Failing, Survival};
use crate::go_client::{GoClientError, GoVersion};
use crate::link::LinkError;
use crate::scenario::{Running, Scenario, ScenarioError, start_on_link};
use crate::universe::{LabModule, Universe, VERSION};

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
    /// What is wrong with the module cache that it left, if something is: files of a module that are not the right ones.
    pub unverified: Vec<String>,
    /// Files that the module cache lacks.
    pub missing: Vec<String>,
    /// What `go mod verify` says where it does not pass; not asked where files are missing.
    pub verify: Option<String>,
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
        self.environment(&mut command, home)?;
        command.args(["download", "--json", "--timeline"]).arg(&timeline).args(&self.args).arg(running.project());
        for (name, value) in running.env() {
            command.env(name, value);
            if name == "SSL_CERT_FILE" {
                command.env("SSL_CERT_DIR", home);
            }
        }
        let started = Instant::now();
        let output = output(running, &mut command)?;
        let wall = started.elapsed();
        let seen = running.origin().map(|origin| origin.snapshot()).unwrap_or_default();
        let cache = home.join("go/pkg/mod/cache/download");
        let (missing, unverified) = judge(running.universe(), &cache);
        let verify = if missing.is_empty() { self.verify(running, home)? } else { None };
        Ok(Downloaded {
            // timeout(1): 124 where SIGTERM ended it, 137 where only SIGKILL did.
            code: output.status.code().filter(|code| !matches!(code, 124 | 137)),
            wall,
            modules: serde_json::Deserializer::from_slice(&output.stdout).into_iter().map_while(Result::ok).collect(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            timeline: fs::read(&timeline).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default(),
            connections: seen.connections,
            requests: seen.total_requests(),
            unverified,
            missing,
            verify,
        })
    }

    /// `GOPROXY=off go mod verify` in the project: what it says where it does not pass.
    fn verify(&self, running: &Running, home: &Path) -> Result<Option<String>, DownloadError> {
        let mut command = Command::new(self.go.goroot()?.join("bin/go"));
        self.environment(&mut command, home)?;
        command.args(["mod", "verify"]).current_dir(running.project());
        command.env("GOPROXY", "off").env("GOSUMDB", "off").env("GOFLAGS", "-modcacherw -mod=mod");
        let output = command.output().map_err(DownloadError::system("running go mod verify"))?;
        let said = [output.stdout, output.stderr].concat();
        Ok((!output.status.success()).then(|| String::from_utf8_lossy(&said).trim().to_owned()))
    }

    fn environment(&self, command: &mut Command, home: &Path) -> Result<(), DownloadError> {
        let goroot = self.go.goroot()?;
        command
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", goroot.join("bin").display()))
            .env("HOME", home)
            .env("GOPATH", home.join("go"))
            .env("GOMODCACHE", home.join("go/pkg/mod"))
            .env("GOCACHE", home.join("build"))
            .env("GOENV", "off")
            .env("GOFLAGS", "-modcacherw")
            .env("GOTOOLCHAIN", "local")
            .current_dir(home)
            .stdin(Stdio::null());
        Ok(())
    }
}

fn output(running: &Running, command: &mut Command) -> Result<Output, DownloadError> {
    match running.link() {
        Some(link) => Ok(link.client_output(command)?),
        None => command.output().map_err(DownloadError::system("running the program")),
    }
}

/// The files that are missing, and those that are not what the universe says.
fn judge(universe: &Universe, cache: &Path) -> (Vec<String>, Vec<String>) {
    let (mut missing, mut wrong) = (Vec::new(), Vec::new());
    for module in universe.modules() {
        let folder = cache.join(&module.path).join("@v");
        for kind in ["info", "mod", "zip", "ziphash"] {
            let name = format!("{}@{VERSION}.{kind}", module.path);
            match fs::read(folder.join(format!("{VERSION}.{kind}"))) {
                Ok(content) if is_right(module, kind, &content) => {}
                Ok(_) => wrong.push(name),
                Err(_) => missing.push(name),
            }
        }
    }
    (missing, wrong)
}

fn is_right(module: &LabModule, kind: &str, content: &[u8]) -> bool {
    match kind {
        "mod" => content == &*module.go_mod,
        "zip" => content == &*module.zip,
        "ziphash" => content == module.zip_hash.as_bytes(),
        _ => serde_json::from_slice::<Value>(content).is_ok_and(|info| info["Version"] == VERSION),
    }
}

impl Downloaded {
    /// Holds it against what can be asked of it: what is wrong, or nothing.
    #[must_use]
    pub fn disagrees(&self, survival: Survival) -> Option<String> {
        if let Some(file) = self.unverified.first() {
            return Some(format!("{file} is in the cache and not what it should be"));
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
        if let Some(file) = self.missing.first() {
            return Some(format!("{file} is missing, and {} more", self.missing.len() - 1));
        }
        self.verify.as_ref().map(|said| format!("go mod verify: {said}"))
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
