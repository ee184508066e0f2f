//! An upstream with made-up modules and their checksum database, servers with stores, and clients.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use goferry_lab::go_client::{GoClient, GoRun};
use goferry_lab::serve::ServeProcess;
use goferry_lab::server::behaviour::Transport;
use goferry_lab::server::{Behaviour, Origin, OriginHandle};
use goferry_lab::universe::{ProjectSpec, Universe, VERSION, ZipSize};
use tempfile::TempDir;

/// Modules, whoever serves them, and a store that is empty at first.
pub(crate) struct World {
    pub(crate) universe: Arc<Universe>,
    origin: OriginHandle,
    pub(crate) home: TempDir,
}

impl World {
    pub(crate) fn new(modules: usize, zips: ZipSize) -> World {
        let universe = Arc::new(Universe::builder().modules(modules).zip_size(zips).build());
        let behaviour = Behaviour { transport: Transport::Plain, ..Behaviour::default() };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = Origin::start(behaviour, Arc::clone(&universe), None, listener).unwrap();
        World { universe, origin, home: TempDir::new().unwrap() }
    }

    pub(crate) fn upstream(&self) -> String {
        format!("http://{}", self.origin.address())
    }

    /// Requests that the upstream has had.
    pub(crate) fn asked(&self) -> u64 {
        self.origin.snapshot().total_requests()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.home.path().join("store")
    }

    /// The environment of all commands of goferry here.
    fn goferry(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_goferry"));
        command.env_clear().env("PATH", self.home.path()).env("HOME", self.home.path());
        command.env("GOENV", "off").env("GOPROXY", self.upstream()).env("GOSUMDB", self.universe.sumdb_key());
        command
    }

    /// `goferry serve` with more arguments.
    pub(crate) fn serving(&self, store: &Path, args: &[&str]) -> Command {
        let mut command = self.goferry();
        command.args(["serve", "--listen", "127.0.0.1:0", "--store"]).arg(store).args(args);
        command
    }

    pub(crate) fn serve(&self, args: &[&str]) -> ServeProcess {
        self.serve_from(&self.store(), args)
    }

    pub(crate) fn serve_from(&self, store: &Path, args: &[&str]) -> ServeProcess {
        start(&mut self.serving(store, args), self.home.path())
    }

    /// `goferry store`, its exit code and what it printed.
    pub(crate) fn command(&self, args: &[&str]) -> (i32, String) {
        let Output { status, stdout, stderr } =
            self.goferry().arg("store").args(args).arg("--store").arg(self.store()).output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        (status.code().unwrap_or(-1), text)
    }

    /// What a path of the protocol gives, as the upstream has it.
    pub(crate) fn right(&self, path: &str) -> Vec<u8> {
        self.universe.file(path, false).unwrap().to_vec()
    }

    /// A go command with an empty module cache, on a project that needs all modules.
    pub(crate) fn go(&self, proxy: &str, args: &[&str]) -> GoRun {
        let project = TempDir::new().unwrap();
        self.universe.write_project(project.path(), &ProjectSpec::default()).unwrap();
        GoClient::new("go1.27.3".parse().unwrap())
            .args(args)
            .dir(project.path())
            .goproxy(proxy)
            .gosumdb(self.universe.sumdb_key())
            .run()
            .unwrap()
    }

    /// Asks for all files of all modules.
    pub(crate) fn fill(&self, server: &ServeProcess) {
        let mut client = Client::of(server);
        for path in self.paths() {
            assert_eq!(client.get(&path, &[]).unwrap(), (200, self.right(&path)), "{path}");
        }
    }

    /// The paths of all files of versions.
    pub(crate) fn paths(&self) -> Vec<String> {
        let of = |path: &str| ["info", "mod", "zip"].map(|kind| format!("/{path}/@v/{VERSION}.{kind}"));
        self.universe.modules().iter().flat_map(|module| of(&module.path)).collect()
    }
}

pub(crate) fn start(command: &mut Command, home: &Path) -> ServeProcess {
    let log = home.join(format!("serve-{:?}.log", Instant::now()).replace(['{', '}', ' ', ':', ','], ""));
    ServeProcess::start(command, &log).unwrap()
}

/// A file of a module's version in a store.
pub(crate) fn stored(store: &Path, number: usize, extension: &str) -> PathBuf {
    store.join(format!("lab.example.com/m{number:04}/@v/{VERSION}.{extension}"))
}

/// The path of a file of a module's version.
pub(crate) fn path(number: usize, extension: &str) -> String {
    format!("/lab.example.com/m{number:04}/@v/{VERSION}.{extension}")
}

/// A connection of HTTP/1.1, opened when it is needed.
pub(crate) struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
    pub(crate) limit: Duration,
}

impl Client {
    pub(crate) fn of(server: &ServeProcess) -> Client {
        Client { address: server.authority().parse().unwrap(), stream: None, limit: Duration::from_secs(60) }
    }

    /// Status and body of a complete answer.
    pub(crate) fn get(&mut self, path: &str, fields: &[&str]) -> io::Result<(u16, Vec<u8>)> {
        let outcome = self.exchange(path, fields);
        if outcome.is_err() {
            self.stream = None;
        }
        outcome
    }

    fn exchange(&mut self, path: &str, fields: &[&str]) -> io::Result<(u16, Vec<u8>)> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(TcpStream::connect(self.address)?),
        };
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(self.limit))?;
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", self.address).as_bytes())?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).to_lowercase();
        let bad = || io::Error::other(format!("{path}: {head}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(bad)?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).ok_or_else(bad)?;
        let mut body = vec![0; length.trim().parse().map_err(|_| bad())?];
        stream.read_exact(&mut body)?;
        Ok((status, body))
    }
}

/// Only what is in the store.
pub(crate) const STORED: &str = "Disable-Module-Fetch: true";

/// Names, sizes and times of change of all below a folder, and of the folders themselves.
pub(crate) fn snapshot(dir: &Path) -> HashMap<PathBuf, (u64, std::time::SystemTime)> {
    let mut found = HashMap::new();
    let mut left = vec![dir.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let (path, meta) = entry.map(|entry| (entry.path(), entry.metadata().unwrap())).unwrap();
            if meta.is_dir() {
                left.push(path.clone());
            }
            found.insert(path, (meta.len(), meta.modified().unwrap()));
        }
    }
    found
}
