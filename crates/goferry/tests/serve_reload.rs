//! SIGHUP and a running `goferry serve`: with curl, real ports, and a file of settings that changes.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use goferry_lab::serve::ServeProcess;
use goferry_lab::wait::{PATIENCE, until};
use nix::sys::signal::Signal;
use tempfile::TempDir;

/// A proxy of an empty store, and the file of its settings.
struct World {
    dir: TempDir,
    serve: ServeProcess,
}

impl World {
    fn start(settings: &str) -> World {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("store")).unwrap();
        fs::write(dir.path().join("goferry.toml"), settings).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_goferry"));
        command.args(["serve", "--config", "goferry.toml", "--store", "store", "--offline"]);
        command.current_dir(dir.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", dir.path()).env("GOENV", "off").env("GOTOOLCHAIN", "local");
        command.env("GOPROXY", "https://goproxy.example.com");
        let serve = ServeProcess::start(&mut command, &dir.path().join("log")).unwrap();
        World { dir, serve }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Changes the settings, and waits until the log says `word` of them.
    fn reload(&self, settings: &str, word: &str) {
        fs::write(self.path("goferry.toml"), settings).unwrap();
        let known = self.serve.log().len();
        self.serve.signal(Signal::SIGHUP).unwrap();
        until(word, || self.serve.log()[known..].contains(word));
    }

    fn address(&self) -> SocketAddr {
        self.serve.authority().parse().unwrap()
    }
}

const IN_EFFECT: &str = "settings were read again and are in effect";

/// The status and head of an answer to a request for the health of a proxy.
fn health(stream: &mut (impl std::io::Read + std::io::Write)) -> String {
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: goproxy.example.com\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&answer));
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Asks again and again on one connection, one request a 20th of a second, and says how many connections it took.
fn curl(address: SocketAddr, times: u32) -> Child {
    Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--rate", "20/s", "--write-out", "%{num_connects}\n"])
        .args(["--output", "/dev/null", &format!("http://{address}/healthz?[1-{times}]")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn addresses_come_stay_and_go() {
    let world = World::start("listen = \"127.0.0.1:0\"\n");
    let (stays, new, socket) = (world.address(), free_address(), world.path("socket"));
    let asks = curl(stays, 60);
    let mut open = connect(stays);
    health(&mut open);
    let all = format!("listen = [\"127.0.0.1:0\", \"{new}\", \"unix:{}\"]\n", socket.display());
    world.reload(&all, IN_EFFECT);
    let log = world.serve.log();
    assert!(
        log.contains(&format!("listening on {new}")) && log.contains(&format!("export GOPROXY=http://{new}")),
        "{log}"
    );
    let (mut here, mut there) = (connect(new), UnixStream::connect(&socket).unwrap());
    health(&mut here);
    health(&mut there);

    world.reload("listen = \"127.0.0.1:0\"\n", IN_EFFECT);
    assert!(
        world.serve.log().contains(&format!("no longer listening on {new}; connections to it may end within 30 s"))
    );
    until("it still listens", || TcpStream::connect(new).is_err() && !socket.exists());
    // Who was idle there is told that it is over.
    assert_eq!(here.read(&mut [0]).unwrap(), 0);
    assert_eq!(there.read(&mut [0]).unwrap(), 0);
    health(&mut open);
    let asked = asks.wait_with_output().unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    let connections: u32 =
        String::from_utf8_lossy(&asked.stdout).lines().map(|line| line.parse::<u32>().unwrap()).sum();
    assert_eq!(connections, 1, "its connection did not stay");
}

#[test]
fn where_an_address_is_taken_nothing_changes() {
    let mut world = World::start("listen = \"127.0.0.1:0\"\n");
    let (stays, free) = (world.address(), free_address());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut open = connect(stays);
    health(&mut open);
    let rule = "[[rule]]\npattern = \"example.com/m\"\nblock = \"not here\"\n";
    let wanted = format!("listen = [\"{free}\", \"{address}\"]\n{rule}");
    let words = "cannot be used; the old ones stay: listening: ";
    world.reload(&wanted, words);
    let log = world.serve.log();
    let line = log.lines().find(|line| line.contains(words)).unwrap();
    assert!(line.contains(&format!("{address}: ")) && line.contains("in use"), "{line}");
    health(&mut open);
    health(&mut connect(stays));
    assert!(TcpStream::connect(free).is_err());
    write!(open, "GET /example.com/m/@v/list HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    open.read_to_string(&mut answer).unwrap();
    assert!(!answer.starts_with("HTTP/1.1 403"), "the rule is in effect: {answer}");

    drop(taken);
    world.reload(&wanted, IN_EFFECT);
    health(&mut connect(address));
    health(&mut connect(free));
    world.serve.signal(Signal::SIGTERM).unwrap();
    assert_eq!(world.serve.wait(PATIENCE).unwrap(), Some(0));
}

#[test]
fn limits_tls_and_the_log_change_too() {
    let world = World::start("listen = \"127.0.0.1:0\"\n");
    let address = world.address();
    let mut open = connect(address);
    health(&mut open);
    world.reload("listen = \"127.0.0.1:0\"\nlog-format = \"json\"\n[limits]\nconnections = 1\n", IN_EFFECT);
    let log = world.serve.log();
    assert!(log.lines().last().is_some_and(|line| line.starts_with('{') && line.contains(IN_EFFECT)), "{log}");
    let mut refused = connect(address);
    write!(refused, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    refused.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    health(&mut open);

    world.reload("listen = \"127.0.0.1:0\"\n[tls]\nself-signed = true\n", IN_EFFECT);
    let log = world.serve.log();
    let said = log.split("export SSL_CERT_FILE=").nth(1).unwrap_or_else(|| panic!("{log}"));
    let authority = said.split_whitespace().next().unwrap();
    let asked = Command::new("curl")
        .args(["--silent", "--show-error", "--cacert", authority, &format!("https://{address}/healthz")])
        .output()
        .unwrap();
    assert_eq!(asked.stdout, b"ok\n", "{}", String::from_utf8_lossy(&asked.stderr));
    health(&mut open);
}
