//! A proxy under test, and go commands that use it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use goferry_lab::go_client::{GoClient, GoRun, GoVersion};
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
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(self.dir.path()).status();
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

/// An answer: its status, head and body.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Asks as a go command would, with more header fields.
pub(crate) fn ask(serve: &ServeProcess, method: &str, path: &str, fields: &str) -> Got {
    let mut stream = TcpStream::connect(serve.authority()).unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{fields}\r\n", serve.authority());
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Got { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

pub(crate) fn get(serve: &ServeProcess, path: &str) -> Got {
    ask(serve, "GET", path, "")
}

/// All files below a folder whose names end like this.
pub(crate) fn files(root: &Path, end: &str) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(end) {
                found.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}
