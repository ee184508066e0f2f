//! The real go command, run as a client of something: a chosen toolchain, fresh caches, a clean environment, a deadline.
//!
//! Nothing of the caller's Go settings reaches it: the environment is empty but for what is set here (`GOENV=off`,
//! `GOTOOLCHAIN=local`, `GOFLAGS=-modcacherw`), HOME, GOPATH, GOMODCACHE and GOCACHE are new for each run, and without
//! [`GoClient::goproxy`] nothing may be downloaded (`GOPROXY=off`). Telemetry is off, because from Go 1.23 on it leaves a process
//! behind (`cmd/go/main.go`: `telemetry.MaybeParent`).
//!
//! ```no_run
//! use goferry_lab::go_client::{GoClient, Outcome};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let run = GoClient::new("go1.27.3".parse()?)
//!     .dir("project")
//!     .goproxy("https://goproxy.example.com")
//!     .ssl_cert_file("lab-ca.pem")
//!     .gomaxprocs(8)
//!     .godebug("http2debug=1")
//!     .run()?;
//! assert_eq!(run.outcome, Outcome::Succeeded, "{}", run.stderr);
//! # Ok(()) }
//! ```

mod error;
mod http2debug;
mod process;
mod version;

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::path::{self, Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use tempfile::TempDir;

pub use self::error::GoClientError;
pub use self::http2debug::Http2Debug;
pub use self::version::GoVersion;

use self::process::Ended;
use crate::link::Link;

/// The deadline unless another is set.
const DEADLINE: Duration = Duration::from_secs(120);
/// Where programs are looked for when the caller has no PATH: version control for `GOPROXY=direct`.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How to run the go command. Each run has caches of its own, so one client can run many times.
#[derive(Debug, Clone)]
pub struct GoClient {
    version: GoVersion,
    args: Vec<OsString>,
    dir: Option<PathBuf>,
    deadline: Duration,
    ssl_cert_file: Option<PathBuf>,
    gocache: Option<PathBuf>,
    env: BTreeMap<OsString, OsString>,
}

impl GoClient {
    /// `go mod download` with this toolchain, in an empty folder, with `GOPROXY=off`, `GOSUMDB=off` and a deadline of 120 s.
    pub fn new(version: GoVersion) -> Self {
        Self {
            version,
            args: vec!["mod".into(), "download".into()],
            dir: None,
            deadline: DEADLINE,
            ssl_cert_file: None,
            gocache: None,
            env: BTreeMap::new(),
        }
    }

    /// The arguments after `go`.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// The project's folder. The go command may write to its go.mod and go.sum.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// GOPROXY.
    #[must_use]
    pub fn goproxy(self, list: impl AsRef<OsStr>) -> Self {
        self.env("GOPROXY", list)
    }

    /// The only certificates that the go command trusts: SSL_CERT_FILE, with SSL_CERT_DIR naming an empty folder. Without this it
    /// reads the default places of the system.
    #[must_use]
    pub fn ssl_cert_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.ssl_cert_file = Some(file.into());
        self
    }

    /// GOMAXPROCS. Default: the go command's own choice.
    #[must_use]
    pub fn gomaxprocs(self, processors: u32) -> Self {
        self.env("GOMAXPROCS", processors.to_string())
    }

    /// GOSUMDB. Default: `off`.
    #[must_use]
    pub fn gosumdb(self, name: impl AsRef<OsStr>) -> Self {
        self.env("GOSUMDB", name)
    }

    /// GODEBUG. With `http2debug=1` or `2` the run counts connections and requests.
    #[must_use]
    pub fn godebug(self, settings: impl AsRef<OsStr>) -> Self {
        self.env("GODEBUG", settings)
    }

    /// Any other variable. Set last, so it also replaces what is set here.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// A build cache to use for more than one run. Downloads do not depend on it; builds get faster.
    #[must_use]
    pub fn gocache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.gocache = Some(folder.into());
        self
    }

    /// After this time the go command and all of its process group are killed. Default: 120 s.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The toolchain.
    pub fn version(&self) -> &GoVersion {
        &self.version
    }

    /// Runs the go command here.
    ///
    /// # Errors
    /// When the toolchain is not to be had or the command cannot be started. That it ran and failed is an [`Outcome`].
    pub fn run(&self) -> Result<GoRun, GoClientError> {
        self.run_with(|command| command.spawn().map_err(GoClientError::system("starting the go command")))
    }

    /// Runs the go command on the client side of `link`.
    ///
    /// # Errors
    /// As [`GoClient::run`], and when the link's namespace cannot be entered.
    pub fn run_on(&self, link: &Link) -> Result<GoRun, GoClientError> {
        self.run_with(|command| Ok(link.client_spawn(command)?))
    }

    fn run_with(
        &self,
        spawn: impl FnOnce(&mut Command) -> Result<Child, GoClientError>,
    ) -> Result<GoRun, GoClientError> {
        let goroot = self.version.goroot()?;
        let scratch = Scratch::new().map_err(GoClientError::system("making a temporary folder for the go command"))?;
        let mut command = self.command(&goroot, &scratch)?;
        let counts_http2 = counts_http2(self.env.get(OsStr::new("GODEBUG")));
        let run = process::run(&mut command, self.deadline, spawn)?;
        let outcome = match run.ended {
            Ended::Killed => Outcome::Hung { after: run.wall },
            Ended::Exited(status) if status.success() => Outcome::Succeeded,
            Ended::Exited(status) => Outcome::Failed { code: status.code() },
        };
        let mut http2 = run.stderr.http2;
        http2.add(&run.stdout.http2);
        Ok(GoRun {
            outcome,
            wall: run.wall,
            stdout: run.stdout.text,
            stderr: run.stderr.text,
            truncated: run.stdout.truncated || run.stderr.truncated,
            http2: counts_http2.then_some(http2),
            scratch,
        })
    }

    fn command(&self, goroot: &Path, scratch: &Scratch) -> Result<Command, GoClientError> {
        let bin = goroot.join("bin");
        let mut path = bin.clone().into_os_string();
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_else(|| PATH.into()));
        let mut command = Command::new(bin.join("go"));
        command
            .args(&self.args)
            .current_dir(self.dir.as_deref().unwrap_or(&scratch.empty("work")))
            .env_clear()
            .env("PATH", path)
            .env("HOME", scratch.home())
            .env("TMPDIR", scratch.empty("tmp"))
            .env("GOPATH", scratch.gopath())
            .env("GOMODCACHE", scratch.gomodcache())
            .env("GOCACHE", self.gocache.as_deref().unwrap_or(&scratch.empty("gocache")))
            .env("GOENV", "off")
            .env("GOTOOLCHAIN", "local")
            .env("GOFLAGS", "-modcacherw")
            .env("GOPROXY", "off")
            .env("GOSUMDB", "off");
        if let Some(file) = &self.ssl_cert_file {
            // The go command runs in another folder, so a relative name would mean another file.
            let file = path::absolute(file)
                .map_err(GoClientError::system("making the name of the certificate file absolute"))?;
            command.env("SSL_CERT_FILE", file).env("SSL_CERT_DIR", scratch.empty("no-certificates"));
        }
        command.envs(&self.env);
        Ok(command)
    }
}

/// How the go command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With status 0.
    Succeeded,
    /// With another status; `None` when a signal ended it.
    Failed {
        /// The exit status.
        code: Option<i32>,
    },
    /// It did not end and was killed.
    Hung {
        /// After this time.
        after: Duration,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded => f.write_str("succeeded"),
            Self::Failed { code: Some(code) } => write!(f, "failed with status {code}"),
            Self::Failed { code: None } => f.write_str("was ended by a signal"),
            Self::Hung { after } => {
                write!(f, "hung and was killed after {:.1} s", after.as_secs_f64())
            }
        }
    }
}

/// One run of the go command. Its caches live as long as this value.
#[derive(Debug)]
pub struct GoRun {
    /// How it ended.
    pub outcome: Outcome,
    /// From its start to its end.
    pub wall: Duration,
    /// What it wrote to standard output, at most 16 MiB.
    pub stdout: String,
    /// What it wrote to standard error, at most 16 MiB.
    pub stderr: String,
    /// Whether it wrote more than that.
    pub truncated: bool,
    /// What its HTTP/2 transport did; `None` unless `GODEBUG` had `http2debug=1` or `2`. Counted over all output, kept or not.
    pub http2: Option<Http2Debug>,
    scratch: Scratch,
}

impl GoRun {
    /// Whether the go command exited with status 0.
    pub fn succeeded(&self) -> bool {
        self.outcome == Outcome::Succeeded
    }

    /// The module cache that it filled.
    pub fn gomodcache(&self) -> PathBuf {
        self.scratch.gomodcache()
    }
}

/// The folders of one run, removed with it.
#[derive(Debug)]
struct Scratch(TempDir);

impl Scratch {
    fn new() -> std::io::Result<Self> {
        let scratch = Self(TempDir::with_prefix("goferry-go-")?);
        for folder in ["work", "tmp", "gocache", "no-certificates", "gopath/pkg/mod"] {
            fs::create_dir_all(scratch.empty(folder))?;
        }
        // golang.org/x/telemetry/internal/telemetry/dir.go: os.UserConfigDir, then go/telemetry/mode.
        let telemetry = scratch.home().join(".config/go/telemetry");
        fs::create_dir_all(&telemetry)?;
        fs::write(telemetry.join("mode"), "off")?;
        Ok(scratch)
    }

    fn home(&self) -> PathBuf {
        self.0.path().join("home")
    }

    fn gopath(&self) -> PathBuf {
        self.0.path().join("gopath")
    }

    fn gomodcache(&self) -> PathBuf {
        self.gopath().join("pkg/mod")
    }

    fn empty(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Whether a GODEBUG turns on the log of the HTTP/2 transport. net/http looks for the text anywhere in the variable
/// (internal/http2/http2.go, init), so this does too.
fn counts_http2(godebug: Option<&OsString>) -> bool {
    let settings = godebug.map(|value| value.to_string_lossy()).unwrap_or_default();
    settings.contains("http2debug=1") || settings.contains("http2debug=2")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(client: &GoClient, scratch: &Scratch) -> BTreeMap<String, String> {
        let command = client.command(Path::new("/goroot"), scratch).unwrap();
        let text = |value: &OsStr| value.to_string_lossy().into_owned();
        command.get_envs().filter_map(|(name, value)| Some((text(name), text(value?)))).collect()
    }

    #[test]
    fn nothing_is_downloaded_unless_asked() {
        let scratch = Scratch::new().unwrap();
        let env = variables(&GoClient::new(GoVersion::local()), &scratch);
        for (name, value) in [("GOPROXY", "off"), ("GOSUMDB", "off"), ("GOENV", "off"), ("GOTOOLCHAIN", "local")] {
            assert_eq!(env[name], value);
        }
        assert!(env["PATH"].starts_with("/goroot/bin:"));
        assert!(!env.contains_key("SSL_CERT_FILE") && !env.contains_key("GODEBUG"));
        assert_eq!(fs::read_to_string(scratch.home().join(".config/go/telemetry/mode")).unwrap(), "off");
    }

    #[test]
    fn one_certificate_file_is_the_only_one() {
        let scratch = Scratch::new().unwrap();
        let env = variables(&GoClient::new(GoVersion::local()).ssl_cert_file("ca.pem"), &scratch);
        assert!(Path::new(&env["SSL_CERT_FILE"]).is_absolute());
        assert_eq!(fs::read_dir(&env["SSL_CERT_DIR"]).unwrap().count(), 0);
    }

    #[test]
    fn settings_win_over_defaults() {
        let scratch = Scratch::new().unwrap();
        let client =
            GoClient::new(GoVersion::local()).goproxy("https://goproxy.example.com").gomaxprocs(8).env("GOFLAGS", "-x");
        let env = variables(&client, &scratch);
        assert_eq!(
            (env["GOPROXY"].as_str(), env["GOMAXPROCS"].as_str(), env["GOFLAGS"].as_str()),
            ("https://goproxy.example.com", "8", "-x")
        );
    }

    #[test]
    fn http2_is_counted_when_it_is_logged() {
        let counts = |text: &str| counts_http2(Some(&text.into()));
        assert!(counts("http2debug=1") && counts("netdns=go,http2debug=2"));
        assert!(!counts("http2debug=0") && !counts("http2client=0") && !counts_http2(None));
    }
}
