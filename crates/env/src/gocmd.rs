//! Asking the `go` on PATH what it is and what its defaults are, with a bound on the time it may take.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use goferry_module::Toolchain;

use crate::inputs::{Inputs, Os};

/// How long `go env` may take.
pub const TIME_LIMIT: Duration = Duration::from_secs(10);
const MAX_OUTPUT: u64 = 1 << 20;

/// The go command found on PATH. It was asked with `GOTOOLCHAIN=local`, so nothing is downloaded and the answers are
/// those of this very installation.
#[derive(Clone, Debug, serde::Serialize)]
pub struct GoCommand {
    /// The program.
    pub path: PathBuf,
    /// `GOVERSION`, for example `go1.26.8`.
    pub version: String,
    /// `GOROOT`.
    pub goroot: PathBuf,
    /// What `go env` answered, credentials included: for resolving, never for printing.
    #[serde(skip)]
    pub(crate) answers: Answers,
}

/// The variables as `go env` prints them.
#[derive(Clone, Default)]
pub(crate) struct Answers(BTreeMap<String, String>);

impl Answers {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }
}

impl std::fmt::Debug for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why the go command on PATH gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GoCommandError {
    /// It cannot be started.
    #[error("{path} cannot be started: {problem}: check the go on PATH")]
    Start {
        /// The program.
        path: PathBuf,
        /// What the system says.
        problem: String,
    },
    /// It took too long and was stopped.
    #[error("{path} env did not answer within {seconds} s and was stopped: run it by hand in this directory")]
    Slow {
        /// The program.
        path: PathBuf,
        /// The limit in seconds.
        seconds: u64,
    },
    /// It failed or printed something else than JSON.
    #[error("{path} env -json failed: {problem}")]
    Answer {
        /// The program.
        path: PathBuf,
        /// The first line of what it printed.
        problem: String,
    },
}

impl GoCommand {
    /// The minor version: 26 for `go1.26.8`. `None` for a development version.
    #[must_use]
    pub fn minor(&self) -> Option<u32> {
        minor_of(&self.version)
    }
}

/// The minor version of a toolchain name.
pub(crate) fn minor_of(name: &str) -> Option<u32> {
    let toolchain = Toolchain::parse(name.split_whitespace().next()?).ok()?;
    toolchain.version().language().split_once('.')?.1.parse().ok()
}

/// Runs `go env -json` in the project's directory. `Ok(None)` when there is no go on PATH.
pub(crate) fn ask(inputs: &Inputs, names: &[&str]) -> Result<Option<GoCommand>, GoCommandError> {
    let Some(path) = look_path(inputs, "go").filter(|_| inputs.run_go) else {
        return Ok(None);
    };
    let answer = |problem: String| GoCommandError::Answer { path: path.clone(), problem };
    let output = run(inputs, &path, names)?;
    let answers: BTreeMap<String, String> =
        serde_json::from_slice(&output).map_err(|e| answer(format!("no JSON: {e}")))?;
    let answers = Answers(answers);
    Ok(Some(GoCommand {
        version: answers
            .get("GOVERSION")
            .ok_or_else(|| answer("it knows no GOVERSION; go 1.16 or later is needed".into()))?
            .to_owned(),
        goroot: PathBuf::from(answers.get("GOROOT").unwrap_or_default()),
        path,
        answers,
    }))
}

fn run(inputs: &Inputs, path: &Path, names: &[&str]) -> Result<Vec<u8>, GoCommandError> {
    let dir = if inputs.dir.is_dir() { inputs.dir.as_path() } else { Path::new("/") };
    let mut child = Command::new(path)
        .args(["env", "-json"])
        .args(names)
        .current_dir(dir)
        .env_clear()
        .envs(&inputs.env)
        .env("GOTOOLCHAIN", "local")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| GoCommandError::Start { path: path.to_owned(), problem: e.to_string() })?;
    let stdout = reader(child.stdout.take());
    let stderr = reader(child.stderr.take());
    let Some(success) = wait(&mut child) else {
        // Its own children may hold the pipes open: the readers are left to end with them.
        return Err(GoCommandError::Slow { path: path.to_owned(), seconds: TIME_LIMIT.as_secs() });
    };
    let receive =
        |from: std::sync::mpsc::Receiver<Vec<u8>>| from.recv_timeout(Duration::from_secs(2)).unwrap_or_default();
    let stdout = receive(stdout);
    if success {
        return Ok(stdout);
    }
    let message = String::from_utf8_lossy(&receive(stderr)).into_owned();
    Err(GoCommandError::Answer {
        path: path.to_owned(),
        problem: crate::mask::urls(message.lines().next().unwrap_or("no message")),
    })
}

fn reader(from: Option<impl Read + Send + 'static>) -> std::sync::mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut out = Vec::new();
        if let Some(from) = from {
            // What was read before an error is what there is.
            let _ = from.take(MAX_OUTPUT).read_to_end(&mut out);
        }
        let _ = sender.send(out);
    });
    receiver
}

/// Whether it succeeded; `None` when it had to be stopped.
fn wait(child: &mut Child) -> Option<bool> {
    let deadline = Instant::now() + TIME_LIMIT;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.success()),
            Ok(None) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(2));
            }
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

/// A program on PATH, as `exec.LookPath` finds it; relative entries of PATH are passed over.
pub(crate) fn look_path(inputs: &Inputs, name: &str) -> Option<PathBuf> {
    let list = inputs.var("PATH").or_else(|| inputs.var("Path"))?;
    let name = if inputs.os == Os::Windows { format!("{name}.exe") } else { name.to_owned() };
    list.split(inputs.os.list_separator())
        .map(Path::new)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(&name))
        .find(|file| is_executable(file))
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file()
}
