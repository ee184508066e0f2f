//! A server, its store, and a client of HTTP/1.1.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use goferry_env::{Environment, Inputs};
use goferry_lab::made;
use goferry_lab::universe::noise;
use goferry_proxy::Proxy;
use goferry_proxy::config::{Listen, ProxyConfig, SourceMode};
use goferry_proxy::server::{Changed, Server, Stop};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A small file that is there.
pub(crate) const MOD: &str = "/example.com/small/@v/v1.0.0.mod";
/// A large one.
pub(crate) const ZIP: &str = "/example.com/large/@v/v1.0.0.zip";
/// How large: more than the system keeps for a client that reads nothing.
const LARGE: usize = 24 << 20;
/// What a client waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The store that all servers here share; none may write it.
pub(crate) fn store() -> PathBuf {
    static STORE: OnceLock<TempDir> = OnceLock::new();
    STORE.get_or_init(|| {
        let dir = TempDir::with_prefix("goferry-server-").unwrap();
        for (name, size) in [("small", 10), ("large", LARGE)] {
            let module = made::module(&format!("example.com/{name}@v1.0.0"));
            let go_mod = made::go_mod(&module, "1.21", None);
            made::Made::new(module, go_mod, &[("noise.bin", &noise(size, 1))]).store(dir.path()).unwrap();
        }
        dir
    });
    STORE.get().unwrap().path().to_owned()
}

/// The content of the large file.
pub(crate) fn large() -> Vec<u8> {
    fs::read(store().join(&ZIP[1..])).unwrap()
}

/// A proxy that gives what is in the store.
pub(crate) fn proxy(set: impl FnOnce(&mut ProxyConfig)) -> Arc<Proxy> {
    let inputs = Inputs::empty(store(), store()).with_env("GOPROXY", "off").with_env("GOSUMDB", "off");
    let env = Environment::resolve(&inputs).unwrap();
    let mut config = ProxyConfig {
        listen: vec![Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)))],
        store: store(),
        source: SourceMode::Frozen,
        sumdb: Some("off".to_owned()),
        ..ProxyConfig::default()
    };
    set(&mut config);
    Arc::new(Proxy::open(config, &inputs, &env).unwrap())
}

/// A server that runs until this is dropped.
pub(crate) struct Served {
    pub(crate) server: Arc<Server>,
    runtime: Option<Runtime>,
    stop: watch::Sender<bool>,
    running: Option<JoinHandle<()>>,
}

impl Served {
    pub(crate) fn new(set: impl FnOnce(&mut ProxyConfig)) -> Served {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (stop, stopped) = Stop::new();
        let (server, running) = runtime.block_on(async {
            let server = Arc::new(Server::bind(proxy(set)).unwrap());
            let running = tokio::spawn(Arc::clone(&server).run(stopped));
            (server, running)
        });
        Served { server, runtime: Some(runtime), stop, running: Some(running) }
    }

    /// Another proxy for it; made where it can be.
    pub(crate) fn swap(&self, set: impl FnOnce(&mut ProxyConfig)) -> std::io::Result<Changed> {
        let _inside = self.runtime.as_ref().unwrap().enter();
        let proxy = proxy(set);
        let prepared = self.server.prepare(proxy.config())?;
        Ok(self.server.apply(prepared, proxy))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.addresses()[0]
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// What is answered to these bytes, on a connection of their own, until it is closed.
    pub(crate) fn ask(&self, bytes: impl AsRef<[u8]>) -> Reply {
        let mut socket = self.connect();
        // A server that has seen enough may close before it has read all.
        let _ = socket.write_all(bytes.as_ref());
        Reply::read(&mut socket)
    }

    /// A client is let in again.
    pub(crate) fn lets_in_within(&self, bound: Duration) {
        let began = Instant::now();
        while self.ask(get(MOD, "Connection: close\r\n")).status != 200 {
            assert!(began.elapsed() < bound, "nobody is let in again");
        }
    }

    /// An honest client is served.
    pub(crate) fn still_serves(&self) {
        let reply = self.ask(get(MOD, "Connection: close\r\n"));
        assert_eq!((reply.status, reply.body.as_slice()), (200, &b"module example.com/small\n\ngo 1.21\n"[..]));
    }

    /// Asks the server to stop.
    pub(crate) fn stop(&self) {
        self.stop.send(true).unwrap();
    }

    /// How long it takes to end from here.
    pub(crate) fn ended(&mut self) -> Duration {
        let began = Instant::now();
        let running = self.running.take().unwrap();
        self.runtime.as_ref().unwrap().block_on(running).unwrap();
        began.elapsed()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A request of HTTP/1.1; `fields` end with CR LF each.
pub(crate) fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: goproxy.example.com\r\n{fields}\r\n")
}

/// An answer of HTTP/1.1.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    /// 0 where the connection was closed without one.
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Whether the connection was closed after it.
    pub(crate) closed: bool,
}

impl Reply {
    /// Of `/metrics`: how many connections were turned away for that reason.
    pub(crate) fn refused(&self, reason: &str) -> u64 {
        let name = format!("goferry_connections_refused_total{{reason=\"{reason}\"}} ");
        let text = String::from_utf8_lossy(&self.body);
        let line = text.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or_else(|| panic!("{text}"));
        line.parse().unwrap()
    }

    /// Reads an answer, to its length, or to the end of the connection where it closes.
    pub(crate) fn read(socket: &mut impl Read) -> Reply {
        let mut all = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        let mut reply = Reply::default();
        loop {
            if let Some(end) = all.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                reply.head = String::from_utf8_lossy(&all[..end]).to_ascii_lowercase();
                reply.status = reply.head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
                reply.body = all.split_off(end + 4);
                break;
            }
            match socket.read(&mut buffer) {
                Ok(0) => return Reply { closed: true, ..Reply::default() },
                Ok(count) => all.extend_from_slice(&buffer[..count]),
                Err(error) if timed_out(&error) => panic!("nothing came: {error}"),
                Err(_) => return Reply { closed: true, ..Reply::default() },
            }
        }
        let length = reply.field("content-length").and_then(|length| length.parse().ok()).unwrap_or(usize::MAX);
        let closes = reply.field("connection") == Some("close");
        while reply.body.len() < length || closes {
            match socket.read(&mut buffer) {
                Ok(0) => {
                    reply.closed = true;
                    break;
                }
                Ok(count) => reply.body.extend_from_slice(&buffer[..count]),
                Err(error) if timed_out(&error) => panic!("the rest did not come: {error}"),
                Err(_) => {
                    reply.closed = true;
                    break;
                }
            }
        }
        reply
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
    }
}

pub(crate) fn timed_out(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

/// How long it takes until the other end closes; what comes before is not looked at.
pub(crate) fn closes(socket: &mut impl Read) -> Duration {
    let began = Instant::now();
    let mut buffer = [0; 64 << 10];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return began.elapsed(),
            Ok(_) => {}
            Err(error) if timed_out(&error) => panic!("it stays open"),
            Err(_) => return began.elapsed(),
        }
    }
}
