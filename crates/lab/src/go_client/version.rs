//! Go toolchains by name, and where they are installed.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use super::error::GoClientError;
use super::process::{self, Ended};

/// A toolchain that is not installed yet is a download of 75 MB.
const LOCATE_DEADLINE: Duration = Duration::from_secs(600);

/// The name of a Go toolchain, as in `GOTOOLCHAIN`: `go1.21.13`, `go1.28rc1`, or `local` for the one of the `go` on PATH.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GoVersion(String);

impl GoVersion {
    /// The toolchain of the `go` on PATH, whatever its version.
    pub fn local() -> Self {
        Self("local".to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The toolchain's GOROOT, as `GOTOOLCHAIN=<name> go env GOROOT` says; the go command downloads the toolchain where it must. Asked once
    /// in a process.
    ///
    /// # Errors
    /// When there is no `go`, or it cannot get the toolchain.
    pub fn goroot(&self) -> Result<PathBuf, GoClientError> {
        static KNOWN: Mutex<Option<HashMap<GoVersion, PathBuf>>> = Mutex::new(None);
        // Held while asking, so that others wait for the answer rather than ask too.
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_default();
        if let Some(goroot) = known.get(self) {
            return Ok(goroot.clone());
        }
        let goroot = self.locate()?;
        known.insert(self.clone(), goroot.clone());
        Ok(goroot)
    }

    fn locate(&self) -> Result<PathBuf, GoClientError> {
        // An empty folder: no go.mod may have its say.
        let folder = TempDir::with_prefix("goferry-go-").map_err(GoClientError::system("making a temporary folder"))?;
        let mut command = Command::new("go");
        command
            .args(["env", "GOROOT"])
            .current_dir(&folder)
            .env("GOTOOLCHAIN", &self.0)
            .env_remove("GOROOT")
            .env_remove("GOFLAGS");
        let run = process::run(&mut command, LOCATE_DEADLINE, |command| {
            command.spawn().map_err(|source| GoClientError::NoGo { source })
        })?;
        let fail = |reason: String| GoClientError::Toolchain { name: self.0.clone(), reason };
        match run.ended {
            Ended::Exited(status) if status.success() => {}
            Ended::Exited(status) => {
                return Err(fail(format!("go env GOROOT: {status}: {}", run.stderr.text.trim())));
            }
            Ended::Killed => {
                return Err(fail(format!("go env GOROOT did not end within {} s", LOCATE_DEADLINE.as_secs())));
            }
        }
        let goroot = PathBuf::from(run.stdout.text.trim());
        self.check(&goroot).map_err(fail)?;
        Ok(goroot)
    }

    /// Whether `goroot` holds this toolchain, by its VERSION file and its go command.
    fn check(&self, goroot: &Path) -> Result<(), String> {
        let go = goroot.join("bin/go");
        if !go.is_file() {
            return Err(format!("{} is not there", go.display()));
        }
        if self.0 == "local" {
            return Ok(());
        }
        let file = goroot.join("VERSION");
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        match text.lines().next() {
            Some(line) if line.split_whitespace().next() == Some(&self.0) => Ok(()),
            other => Err(format!("{} says {:?}", file.display(), other.unwrap_or_default())),
        }
    }
}

impl FromStr for GoVersion {
    type Err = GoClientError;

    fn from_str(name: &str) -> Result<Self, GoClientError> {
        let numbers = name.strip_prefix("go1.").is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_ascii_digit())
                && rest.len() <= 32
                && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-')
        });
        if numbers || name == "local" {
            return Ok(Self(name.to_owned()));
        }
        Err(GoClientError::BadVersion { name: name.chars().take(64).collect() })
    }
}

impl fmt::Display for GoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_toolchains() {
        for good in ["go1.21.13", "go1.27.3", "go1.28rc1", "local"] {
            assert_eq!(good.parse::<GoVersion>().unwrap().as_str(), good);
        }
        for bad in ["", "1.27.3", "go", "go1.", "go2.0", "auto", "path", "go1.27.3; true", "go1.x", "go1.27 "] {
            assert!(bad.parse::<GoVersion>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_folder_that_holds_another_version_is_refused() {
        let folder = TempDir::new().unwrap();
        let version: GoVersion = "go1.27.3".parse().unwrap();
        assert!(version.check(folder.path()).unwrap_err().contains("is not there"));
        fs::create_dir(folder.path().join("bin")).unwrap();
        fs::write(folder.path().join("bin/go"), "").unwrap();
        fs::write(folder.path().join("VERSION"), "go1.27.30\ntime 2026-10-19T22:20:36Z\n").unwrap();
        assert!(version.check(folder.path()).unwrap_err().contains("go1.27.30"));
        fs::write(folder.path().join("VERSION"), "go1.27.3\n").unwrap();
        version.check(folder.path()).unwrap();
    }
}
