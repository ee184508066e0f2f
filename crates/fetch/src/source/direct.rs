//! Modules that no proxy serves: the go command clones them.
//!
//! goferry speaks no version control system. What GOPRIVATE names, and what `direct` in GOPROXY is asked for, the go
//! command fetches into the same module cache, a few at once; goferry then verifies it like everything else.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use goferry_module::{ModInfo, ModulePath, ModuleVersion};
use goferry_net::Party;
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::error::{FailKind, FetchError};
use crate::list::VersionList;

/// The most that is read of the go command's output.
const MAX_OUTPUT: u64 = 64 << 20;

/// The go command, for modules that must be cloned.
#[derive(Debug)]
pub struct GoDirect {
    /// The go command; `None` where there is none.
    go: Option<PathBuf>,
    /// Its environment beside the process's own.
    env: Vec<(String, String)>,
    at_once: Semaphore,
    limit: Duration,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Listed {
    version: String,
    time: Option<String>,
    go_mod: String,
    info: String,
    zip: String,
    versions: Vec<String>,
    #[serde(deserialize_with = "text_or_object")]
    error: Option<String>,
}

/// `go mod download -json` says `"Error": "text"`, `go list -m -json` says `"Error": {"Err": "text"}`.
fn text_or_object<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        Object {
            #[serde(rename = "Err")]
            err: String,
        },
    }
    Ok(Option::<Either>::deserialize(deserializer)?.map(|either| match either {
        Either::Text(text) | Either::Object { err: text } => text,
    }))
}

impl GoDirect {
    /// `go` with `env` added to the environment, at most `at_once` at a time, each for at most `limit`.
    #[must_use]
    pub fn new(go: Option<PathBuf>, env: Vec<(String, String)>, at_once: usize, limit: Duration) -> GoDirect {
        GoDirect { go, env, at_once: Semaphore::new(at_once.max(1)), limit }
    }

    /// Has the go command put all of a module into its cache, and gives the zip's place there.
    ///
    /// # Errors
    /// [`FailKind::GoCommand`] with its own words.
    pub async fn download(&self, module: &ModuleVersion) -> Result<PathBuf, FetchError> {
        let text = format!("{}@{}", module.path(), module.version());
        let listed = self.ask(&["mod", "download", "-json", &text], &text).await?;
        if listed.zip.is_empty() { Err(failed(&text, "it gave no zip")) } else { Ok(listed.zip.into()) }
    }

    pub(super) async fn info(&self, module: &ModuleVersion) -> Result<Bytes, FetchError> {
        let text = format!("{}@{}", module.path(), module.version());
        let listed = self.ask(&["mod", "download", "-json", &text], &text).await?;
        read(&listed.info, &text)
    }

    pub(super) async fn go_mod(&self, module: &ModuleVersion) -> Result<Bytes, FetchError> {
        let text = format!("{}@{}", module.path(), module.version());
        let listed = self.ask(&["list", "-m", "-json", &text], &text).await?;
        read(&listed.go_mod, &text)
    }

    pub(super) async fn list(&self, path: &ModulePath) -> Result<VersionList, FetchError> {
        let listed = self.ask(&["list", "-m", "-versions", "-json", path.as_str()], path.as_str()).await?;
        VersionList::parse(listed.versions.join("\n").as_bytes())
    }

    pub(super) async fn resolve(&self, path: &ModulePath, query: &str) -> Result<ModInfo, FetchError> {
        let text = format!("{path}@{query}");
        let listed = self.ask(&["list", "-m", "-json", &text], &text).await?;
        let json = serde_json::json!({ "Version": listed.version, "Time": listed.time });
        ModInfo::parse(json.to_string().as_bytes()).map_err(|error| failed(&text, &error.to_string()))
    }

    async fn ask(&self, arguments: &[&str], what: &str) -> Result<Listed, FetchError> {
        let Some(go) = &self.go else {
            let text = format!("{what}: only the go command can fetch this (direct), and there is none in PATH");
            return Err(FetchError::new(FailKind::GoCommand, Party::Client, text).with_advice(
                "install Go, or name a module proxy that serves this module in GOPROXY and GONOPROXY=none",
            ));
        };
        let _turn = self.at_once.acquire().await;
        // Outside any module: a go.mod could forbid what is asked for.
        let folder = tempfile::tempdir().map_err(|error| FetchError::local("making a temporary folder", &error))?;
        let mut child = Command::new(go)
            .args(arguments)
            .current_dir(folder.path())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .env("GOWORK", "off")
            .env("GOFLAGS", "")
            .env("GOTOOLCHAIN", "local")
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| FetchError::local(format_args!("running {}", go.display()), &error))?;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let reading = async {
            let one = async {
                if let Some(stdout) = stdout {
                    let _ = stdout.take(MAX_OUTPUT).read_to_end(&mut out).await;
                }
            };
            let other = async {
                if let Some(stderr) = stderr {
                    let _ = stderr.take(MAX_OUTPUT).read_to_end(&mut err).await;
                }
            };
            tokio::join!(one, other);
            child.wait().await
        };
        let status = match tokio::time::timeout(self.limit, reading).await {
            Ok(status) => {
                status.map_err(|error| FetchError::local(format_args!("running {}", go.display()), &error))?
            }
            Err(_) => {
                let text = format!("go {} took more than {} s", arguments.join(" "), self.limit.as_secs());
                return Err(failed(what, &text));
            }
        };
        let listed: Listed = serde_json::from_slice(&out).unwrap_or_default();
        match (&listed.error, status.success()) {
            (Some(error), _) => Err(failed(what, error)),
            (None, false) => Err(failed(what, String::from_utf8_lossy(&err).trim())),
            (None, true) => Ok(listed),
        }
    }
}

/// "Not found" must stay that: a query goes on to other meanings of its words.
fn failed(what: &str, why: &str) -> FetchError {
    let why: String = why.chars().take(4096).collect();
    let gone = why.contains("not found") || why.contains("unknown revision") || why.contains("no matching versions");
    let kind = if gone { FailKind::NotFound(404) } else { FailKind::GoCommand };
    FetchError::new(kind, Party::Upstream, format!("go (direct): {what}: {why}"))
}

fn read(file: &str, what: &str) -> Result<Bytes, FetchError> {
    if file.is_empty() {
        return Err(failed(what, "it named no file"));
    }
    std::fs::read(file).map(Bytes::from).map_err(|error| FetchError::local(format_args!("reading {file}"), &error))
}
