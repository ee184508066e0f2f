//! A proxy under test, and go commands that use it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use goferry_lab::folder::{Entry, make_writable, snapshot};
use goferry_lab::go_client::{GoClient, GoRun, GoVersion};
use goferry_lab::plain::{self, Answer};
use goferry_lab::serve::ServeProcess;
use tempfile::TempDir;

/// The go commands that are tried: the newest, and the oldest that is supported.
pub(crate) const TOOLCHAINS: [&str; 2] = ["go1.27.3", "go1.21.13"];

/// What a proxy is started with. Its folders outlive it.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    env: Vec<(String, String)>,
    go: PathBuf,
}

impl World {
    pub(crate) fn new() -> World {
        World::with(TOOLCHAINS[0])
    }

    /// With a go command of its own for what only that can fetch.
    pub(crate) fn with(toolchain: &str) -> World {
        let dir = TempDir::with_prefix("goferry-serve-names-").unwrap();
        for folder in ["home", "store"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        World { dir, env: Vec::new(), go: goroot(toolchain).join("bin") }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> World {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another folder of programs, looked at first.
    pub(crate) fn programs(mut self, dir: &Path) -> World {
        self.go = dir.to_owned();
        self
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// Starts a proxy with these settings, in TOML.
    pub(crate) fn serve(&self, upstream: &str, settings: &str, args: &[&str]) -> ServeProcess {
        let file = self.dir.path().join("goferry.toml");
        fs::write(&file, settings).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_goferry"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--upstream", upstream, "--config"])
            .arg(file)
            // As people write it; the go commands for direct run elsewhere.
            .args(["--store", "store"])
            .args(args)
            .current_dir(&self.dir)
            .env_clear()
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", self.go.display()))
            .env("HOME", self.home())
            .env("GOENV", "off")
            .env("GOFLAGS", "")
            .env("GOTOOLCHAIN", "local")
            .env("GOSUMDB", "off")
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        ServeProcess::start(&mut command, &self.dir.path().join("log")).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // What a go command unpacks is read-only.
        make_writable(self.dir.path());
    }
}

pub(crate) fn goroot(toolchain: &str) -> PathBuf {
    toolchain.parse::<GoVersion>().unwrap().goroot().unwrap()
}

/// A go command with empty caches.
pub(crate) fn go(toolchain: &str, goproxy: &str, dir: &Path, args: &[&str]) -> GoRun {
    client(toolchain, goproxy, dir, args).run().unwrap()
}

pub(crate) fn client(toolchain: &str, goproxy: &str, dir: &Path, args: &[&str]) -> GoClient {
    GoClient::new(toolchain.parse().unwrap()).args(args.iter().copied()).dir(dir).goproxy(goproxy)
}

#[track_caller]
pub(crate) fn ok(run: GoRun) -> String {
    assert!(run.succeeded(), "{}{}", run.stdout, run.stderr);
    run.stdout
}

/// A main module that requires these.
pub(crate) fn project(requires: &[&str]) -> TempDir {
    let dir = TempDir::new().unwrap();
    let requires: String = requires.iter().map(|name| format!("require {}\n", name.replace('@', " "))).collect();
    fs::write(dir.path().join("go.mod"), format!("module example.com/main\n\ngo 1.20\n\n{requires}")).unwrap();
    dir
}

/// Asks as a go command would, with more header fields.
pub(crate) fn ask(serve: &ServeProcess, method: &str, path: &str, fields: &str) -> Answer {
    plain::ask(serve.authority(), method, path, fields).unwrap()
}

pub(crate) fn get(serve: &ServeProcess, path: &str) -> Answer {
    ask(serve, "GET", path, "")
}

/// All files below a folder whose names end like this.
pub(crate) fn files(root: &Path, end: &str) -> Vec<String> {
    let is_one = |(name, (_, content)): &(String, Entry)| content.is_some() && name.ends_with(end);
    snapshot(root).into_iter().filter(is_one).map(|(name, _)| name).collect()
}
