//! Modules that no proxy serves: the go command clones them.
//!
//! goferry speaks no version control system. What GOPRIVATE names, and what `direct` in GOPROXY is asked for, the go
//! command fetches, a few at once: into the module cache that is being filled, or into one of its own, from where the
//! files are copied. goferry then verifies it like everything else.

mod words;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use goferry_module::{FileKind, ModInfo, ModulePath, ModuleVersion};
use goferry_net::Party;
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::sync::{OnceCell, Semaphore};

use crate::cache::ModCache;
use crate::error::{FailKind, FetchError};
use crate::list::VersionList;
use crate::unpack::remove_tree;

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
    /// Whether all that it started ends with it.
    apart: bool,
    /// What is being asked, by the arguments.
    running: Mutex<HashMap<String, Answer>>,
}

/// The answer to come.
type Answer = Arc<OnceCell<Result<Listed, FetchError>>>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Listed {
    version: String,
    time: Option<String>,
    go_mod: String,
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
        let (at_once, running) = (Semaphore::new(at_once.max(1)), Mutex::default());
        GoDirect { go, env, at_once, limit, apart: false, running }
    }

    /// Each go command leads a process group of its own, so that the version control system that it started ends with it
    /// at the limit. Not for where someone may be asked for a passphrase: only a terminal's own group can ask.
    #[must_use]
    pub fn apart(mut self) -> GoDirect {
        self.apart = true;
        self
    }

    /// Has the go command put all of a module into its cache, and gives the zip's place there.
    ///
    /// # Errors
    /// [`FailKind::NotFound`] where there is no such version, [`FailKind::GoCommand`] with its own words otherwise.
    pub async fn download(&self, module: &ModuleVersion) -> Result<PathBuf, FetchError> {
        let text = named(module);
        let listed = self.ask(&["mod", "download", "-json", &text], &text).await?;
        if listed.zip.is_empty() { Err(self.failed(&text, "it gave no zip")) } else { Ok(listed.zip.into()) }
    }

    /// Removes the zip of [`GoDirect::download`] from the go command's cache, and what it unpacked. What it cloned stays.
    pub async fn discard(&self, module: &ModuleVersion) {
        let Some(root) = self.cache() else { return };
        let (cache, module) = (ModCache::open(Path::new(root), false), module.clone());
        let removed = tokio::task::spawn_blocking(move || {
            let zips = [cache.file(&module, FileKind::Zip), cache.ziphash(&module)];
            zips.iter().try_for_each(std::fs::remove_file).and(remove_tree(&cache.dir(&module)))
        });
        if let Ok(Err(error)) = removed.await {
            tracing::debug!(%error, "what the go command unpacked could not be removed");
        }
    }

    /// The `.info`, which stands beside the `.mod`: no zip is made for it.
    pub(super) async fn info(&self, module: &ModuleVersion) -> Result<Bytes, FetchError> {
        let go_mod = self.go_mod_file(module).await?;
        read(&go_mod.with_extension("info"))
    }

    pub(super) async fn go_mod(&self, module: &ModuleVersion) -> Result<Bytes, FetchError> {
        read(&self.go_mod_file(module).await?)
    }

    async fn go_mod_file(&self, module: &ModuleVersion) -> Result<PathBuf, FetchError> {
        let text = named(module);
        let listed = self.ask(&["list", "-m", "-json", &text], &text).await?;
        if listed.go_mod.is_empty() { Err(self.failed(&text, "it named no go.mod")) } else { Ok(listed.go_mod.into()) }
    }

    /// All versions, also those that were retracted: who asks decides.
    pub(super) async fn list(&self, path: &ModulePath) -> Result<VersionList, FetchError> {
        let listed =
            self.ask(&["list", "-m", "-versions", "-retracted", "-json", path.as_str()], path.as_str()).await?;
        VersionList::parse(listed.versions.join("\n").as_bytes())
    }

    pub(super) async fn resolve(&self, path: &ModulePath, query: &str) -> Result<ModInfo, FetchError> {
        let text = format!("{path}@{query}");
        let listed = self.ask(&["list", "-m", "-json", &text], &text).await?;
        let json = serde_json::json!({ "Version": listed.version, "Time": listed.time });
        ModInfo::parse(json.to_string().as_bytes()).map_err(|error| self.failed(&text, &error.to_string()))
    }

    /// The go command's answer; one command for all who ask the same at the same time.
    async fn ask(&self, arguments: &[&str], what: &str) -> Result<Listed, FetchError> {
        let key = arguments.join(" ");
        let answer = Arc::clone(self.running().entry(key.clone()).or_default());
        let asked = Asked { of: self, key, answer };
        asked.answer.get_or_init(|| self.run(arguments, what)).await.clone()
    }

    async fn run(&self, arguments: &[&str], what: &str) -> Result<Listed, FetchError> {
        let Some(go) = &self.go else {
            let text = format!("{what}: only the go command can fetch this (direct), and there is none in PATH");
            return Err(FetchError::new(FailKind::GoCommand, Party::Client, text).with_advice(
                "install Go, or name a module proxy that serves this module in GOPROXY and GONOPROXY=none",
            ));
        };
        let _turn = self.at_once.acquire().await;
        // Outside any module: a go.mod could forbid what is asked for.
        let folder = tempfile::tempdir().map_err(|error| FetchError::local("making a temporary folder", &error))?;
        let mut command = Command::new(go);
        if self.apart {
            command.process_group(0);
        }
        let mut child = command
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
        let mut group = Group(child.id().filter(|_| self.apart));
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
            let status = child.wait().await;
            group.0 = None;
            status
        };
        let status = match tokio::time::timeout(self.limit, reading).await {
            Ok(status) => {
                status.map_err(|error| FetchError::local(format_args!("running {}", go.display()), &error))?
            }
            Err(_) => {
                let text = format!("go {} took more than {} s", arguments.join(" "), self.limit.as_secs());
                return Err(self.failed(what, &text));
            }
        };
        let listed: Listed = serde_json::from_slice(&out).unwrap_or_default();
        match (&listed.error, status.success()) {
            (Some(error), _) => Err(self.failed(what, error)),
            (None, false) => Err(self.failed(what, String::from_utf8_lossy(&err).trim())),
            (None, true) => Ok(listed),
        }
    }

    /// Whether it failed before it knew of any repository. The go command then takes it that there is no such module
    /// (`modfetch/repo.go`, `lookupDirect`): a package's path is asked for as a module's too, and its host, which nobody
    /// needs while a proxy has the modules, may be out of reach.
    pub(super) fn knows_no_repository(&self, error: &FetchError) -> bool {
        error.kind == FailKind::GoCommand && (self.go.is_none() || words::names_no_repository(&error.detail))
    }

    fn failed(&self, what: &str, why: &str) -> FetchError {
        words::failed(what, why, self.cache())
    }

    /// GOMODCACHE, where it was set.
    fn cache(&self) -> Option<&str> {
        self.env.iter().find(|(name, _)| name == "GOMODCACHE").map(|(_, value)| value.as_str())
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Answer>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Someone who waits for an answer. The last one, and the first one that has it, takes it off the list.
struct Asked<'a> {
    of: &'a GoDirect,
    key: String,
    answer: Answer,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut running = self.of.running();
        let same = running.get(&self.key).is_some_and(|answer| Arc::ptr_eq(answer, &self.answer));
        // Two hold it: the list, and this.
        if same && (self.answer.initialized() || Arc::strong_count(&self.answer) <= 2) {
            running.remove(&self.key);
        }
    }
}

/// The process group of a go command that runs; ended with this.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let leader = self.0.and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(leader) = leader {
            // Not waited for yet, so the number is still its own.
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}

/// As the go command names it.
fn named(module: &ModuleVersion) -> String {
    format!("{}@{}", module.path(), module.version())
}

fn read(file: &Path) -> Result<Bytes, FetchError> {
    std::fs::read(file)
        .map(Bytes::from)
        .map_err(|error| FetchError::local(format_args!("reading {}", file.display()), &error))
}
