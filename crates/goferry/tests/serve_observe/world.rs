//! A proxy, its upstream, and a client that asks as it is told.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use goferry_lab::plain;
use goferry_lab::scenario::{self, Running, Scenario};
use goferry_lab::serve::ServeProcess;
use goferry_lab::wait::until;
use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_goferry");

/// A proxy before an upstream.
pub(crate) struct World {
    pub(crate) upstream: Running,
    pub(crate) process: ServeProcess,
    dir: TempDir,
}

impl World {
    /// Starts both. The proxy logs JSON and fetches nothing ahead.
    pub(crate) fn start(scenario: &Scenario, args: &[&str]) -> World {
        let dir = TempDir::new().unwrap();
        let store = dir.path().join("store");
        World::start_in(dir, scenario, &store, &[&["--no-ahead"], args].concat())
    }

    /// The same where it fetches ahead.
    pub(crate) fn start_ahead(scenario: &Scenario) -> World {
        let dir = TempDir::new().unwrap();
        let store = dir.path().join("store");
        World::start_in(dir, scenario, &store, &[])
    }

    /// The same with a store that is there.
    pub(crate) fn start_on(scenario: &Scenario, store: &Path, args: &[&str]) -> World {
        World::start_in(TempDir::new().unwrap(), scenario, store, &[&["--no-ahead"], args].concat())
    }

    fn start_in(dir: TempDir, scenario: &Scenario, store: &Path, args: &[&str]) -> World {
        let upstream = scenario::start_local(scenario, SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let mut command = goferry(dir.path());
        command.args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"]).args(args);
        command.arg("--store").arg(store);
        command.args(["--upstream", &upstream.env()["GOPROXY"]]);
        command.env("SSL_CERT_FILE", &upstream.env()["SSL_CERT_FILE"]);
        command.env("GOSUMDB", upstream.universe().sumdb_key());
        let process = ServeProcess::start(&mut command, &dir.path().join("stderr")).unwrap();
        World { upstream, process, dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        get(self.process.authority(), path)
    }

    /// The module of this number and the path of one of its files.
    pub(crate) fn path(&self, module: usize, extension: &str) -> String {
        let module = &self.upstream.universe().modules()[module];
        format!("/{}/@v/{}.{extension}", module.path, goferry_lab::universe::VERSION)
    }

    /// `goferry serve --status`.
    pub(crate) fn status(&self) -> Output {
        goferry(self.dir.path()).args(["serve", "--status", self.process.url()]).output().unwrap()
    }

    pub(crate) fn metrics(&self) -> Metrics {
        let (status, text) = self.get("/metrics");
        assert_eq!(status, 200, "{text}");
        Metrics(text)
    }

    /// The requests of the log, once there are so many.
    pub(crate) fn logged(&self, count: usize) -> Vec<Value> {
        self.logged_in(&self.dir.path().join("stderr"), count)
    }

    pub(crate) fn logged_in(&self, file: &Path, count: usize) -> Vec<Value> {
        let requests = || -> Vec<Value> {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.filter(|line| line["kind"] == "request").collect()
        };
        until("too few requests are logged", || requests().len() >= count);
        let requests = requests();
        assert_eq!(requests.len(), count, "{requests:#?}");
        requests
    }
}

/// The program without the user's own settings.
pub(crate) fn goferry(home: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", home).env("GOENV", "off").current_dir(home);
    command.env("GOPROXY", "off").stdin(Stdio::null());
    command
}

/// A GET by HTTP/1.1 on a connection of its own: status and content.
pub(crate) fn get(authority: &str, path: &str) -> (u16, String) {
    let answer = plain::ask(authority, "GET", path, "").unwrap();
    (answer.status, answer.body)
}

/// The text of `/metrics`.
pub(crate) struct Metrics(pub(crate) String);

impl Metrics {
    /// The sum of the samples of `name` that have all of these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let samples = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (set, value) = rest.rsplit_once(' ')?;
            if !set.is_empty() && !set.starts_with('{') {
                return None;
            }
            let has = labels.iter().all(|(label, wanted)| set.contains(&format!("{label}=\"{wanted}\"")));
            has.then(|| value.parse::<f64>().unwrap())
        });
        samples.sum()
    }
}

/// Checks a document against one of docs/schema.
#[track_caller]
pub(crate) fn is_valid(schema: &str, document: &Value) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema").join(schema);
    let schema: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let wrong: Vec<String> = validator.iter_errors(document).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?} in {document:#}");
}
