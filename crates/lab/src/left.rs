//! What a client left in its module cache, held against what the universe has.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::go_client::{GoClientError, GoVersion};
use crate::scenario::Running;
use crate::universe::{LabModule, Universe, VERSION};

/// A module cache, judged.
#[derive(Debug, Clone, Default)]
pub struct Left {
    /// Files that it lacks.
    pub missing: Vec<String>,
    /// What is wrong with it, if something is: files of a module that are not the right ones.
    pub unverified: Vec<String>,
    /// What `go mod verify` says where it does not pass; not asked where files are missing.
    pub verify: Option<String>,
}

impl Left {
    /// Looks at the files of every module of the universe in `downloads`, a folder in the layout of the module cache's
    /// `cache/download`.
    #[must_use]
    pub fn of(universe: &Universe, downloads: &Path) -> Self {
        let mut left = Self::default();
        for module in universe.modules() {
            let folder = downloads.join(&module.path).join("@v");
            for kind in ["info", "mod", "zip", "ziphash"] {
                let name = format!("{}@{VERSION}.{kind}", module.path);
                match fs::read(folder.join(format!("{VERSION}.{kind}"))) {
                    Ok(content) if is_right(module, kind, &content) => {}
                    Ok(_) => left.unverified.push(name),
                    Err(_) => left.missing.push(name),
                }
            }
        }
        left
    }

    /// The same of a module cache, and `GOPROXY=off go mod verify` in the project, with `home` for whatever else go writes.
    ///
    /// # Errors
    /// When the go command cannot be run.
    pub fn verified(running: &Running, go: &GoVersion, gomodcache: &Path, home: &Path) -> Result<Self, GoClientError> {
        let mut left = Self::of(running.universe(), &gomodcache.join("cache/download"));
        if left.missing.is_empty() {
            let mut command = Command::new(go.goroot()?.join("bin/go"));
            environment(&mut command, go, home)?;
            command.args(["mod", "verify"]).current_dir(running.project()).env("GOMODCACHE", gomodcache);
            command.env("GOPROXY", "off").env("GOSUMDB", "off").env("GOFLAGS", "-modcacherw -mod=mod");
            let output = command.output().map_err(GoClientError::system("running go mod verify"))?;
            let said = [output.stdout, output.stderr].concat();
            left.verify = (!output.status.success()).then(|| String::from_utf8_lossy(&said).trim().to_owned());
        }
        Ok(left)
    }

    /// What is wrong with a cache that should have everything.
    #[must_use]
    pub fn is_incomplete(&self) -> Option<String> {
        if let Some(file) = self.missing.first() {
            return Some(format!("{file} is missing, and {} more", self.missing.len() - 1));
        }
        self.is_wrong().or_else(|| self.verify.as_ref().map(|said| format!("go mod verify: {said}")))
    }

    /// What is wrong with a cache that may lack anything.
    #[must_use]
    pub fn is_wrong(&self) -> Option<String> {
        self.unverified.first().map(|file| format!("{file} is there and not what it should be"))
    }
}

/// A clean environment for a program that fills a module cache below `home`.
pub(crate) fn environment(command: &mut Command, go: &GoVersion, home: &Path) -> Result<(), GoClientError> {
    let goroot = go.goroot()?;
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

/// The scenario's variables, and no other certificates than its own.
pub(crate) fn scenario_environment(command: &mut Command, running: &Running, empty: &Path) {
    for (name, value) in running.env() {
        command.env(name, value);
        if name == "SSL_CERT_FILE" {
            command.env("SSL_CERT_DIR", empty);
        }
    }
}

fn is_right(module: &LabModule, kind: &str, content: &[u8]) -> bool {
    match kind {
        "mod" => content == &*module.go_mod,
        "zip" => content == &*module.zip,
        "ziphash" => content == module.zip_hash.as_bytes(),
        _ => serde_json::from_slice::<Value>(content).is_ok_and(|info| info["Version"] == VERSION),
    }
}
