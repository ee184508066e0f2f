//! A module proxy with a checksum database on loopback, whose content is set by hand.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Cursor, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use goferry_lab::sumdb::Log;
use goferry_module::zip::create_module_zip;
use goferry_module::{DirHash, EscapedPath, FileKind, ModulePath, ModuleVersion, Version, escape};

/// The name of the checksum database.
pub(crate) const SUMDB: &str = "sum.example.com";

/// Ends with this.
pub(crate) struct Upstream {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    content: Mutex<Content>,
    ended: AtomicBool,
}

pub(crate) struct Content {
    files: BTreeMap<String, Vec<u8>>,
    pub(crate) log: Log,
    /// What everything is answered with.
    pub(crate) failing: Option<u16>,
    asked: Vec<String>,
}

pub(crate) fn module(name: &str) -> ModuleVersion {
    let (path, version) = name.split_once('@').unwrap();
    ModuleVersion::new(ModulePath::parse(path).unwrap(), Version::parse(version).unwrap()).unwrap()
}

impl Upstream {
    pub(crate) fn start() -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let content = Content { files: BTreeMap::new(), log: Log::new(SUMDB), failing: None, asked: Vec::new() };
        let state = Arc::new(State { content: Mutex::new(content), ended: AtomicBool::new(false) });
        let serving = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.ended.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), serving) = (stream, Arc::clone(&serving)) else { continue };
                // A client that goes away is no failure of the test.
                std::thread::spawn(move || serve(&stream, &serving));
            }
        });
        Upstream { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn content(&self) -> MutexGuard<'_, Content> {
        self.state.content.lock().unwrap()
    }

    /// The checksum database as GOSUMDB names it.
    pub(crate) fn gosumdb(&self) -> String {
        self.content().log.key()
    }

    /// Publishes a module that requires others, in the list and in the checksum database.
    pub(crate) fn publish(&self, name: &str, requires: &[&str]) {
        let record = self.upload(name, requires);
        self.content().log.add(&record);
    }

    /// Publishes a module, but for the checksum database, whose record it gives.
    pub(crate) fn upload(&self, name: &str, requires: &[&str]) -> String {
        let module = module(name);
        let mut go_mod = format!("module {}\n\ngo 1.20\n", module.path());
        for require in requires {
            go_mod.push_str(&format!("\nrequire {}\n", require.replace('@', " ")));
        }
        let files = vec![("go.mod", go_mod.clone().into_bytes()), ("x.go", b"package x\n".to_vec())];
        let zip = create_module_zip(&module, files).unwrap();
        let hash = DirHash::of_zip(Cursor::new(&zip)).unwrap();
        let record =
            format!("{module} {hash}\n{module}/go.mod {}\n", DirHash::of_go_mod(go_mod.as_bytes())).replace("@v", " v");
        let info = format!(r#"{{"Version":"{}","Time":"2024-01-02T03:04:05Z"}}"#, module.version());
        let mut content = self.content();
        let list = content.files.entry(module.path().list_path()).or_default();
        if module.version().pseudo().is_none() {
            list.extend(format!("{}\n", module.version()).into_bytes());
        }
        if module.version().prerelease().is_empty() {
            content.files.insert(module.path().latest_path(), info.clone().into_bytes());
        }
        content.files.insert(module.proxy_path(FileKind::Info), info.into_bytes());
        content.files.insert(module.proxy_path(FileKind::Mod), go_mod.into_bytes());
        content.files.insert(module.proxy_path(FileKind::Zip), zip);
        record
    }

    /// A branch.
    pub(crate) fn branch(&self, path: &str, branch: &str, version: &str) {
        let info = format!(r#"{{"Version":"{version}","Time":"2024-01-02T03:04:05Z"}}"#);
        self.content().files.insert(format!("/{path}/@v/{branch}.info"), info.into_bytes());
    }

    /// The paths that were asked for since the last call.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.content().asked)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

impl Content {
    fn answer(&self, path: &str) -> Option<Vec<u8>> {
        let Some(asked) = path.strip_prefix(&format!("/sumdb/{SUMDB}/")) else { return self.files.get(path).cloned() };
        if asked == "supported" {
            return Some(Vec::new());
        }
        if asked == "latest" {
            return Some(self.log.signed(self.log.size()).into_bytes());
        }
        let Some(module) = asked.strip_prefix("lookup/") else { return self.log.tile(asked, self.log.size()) };
        let (path, version) = module.split_once('@')?;
        let (path, version) = (EscapedPath::parse(path).ok()?.unescape(), escape::unescape_version(version).ok()?);
        self.log.lookup(path.as_str(), &version, |_| self.log.size()).map(String::into_bytes)
    }
}

fn serve(mut stream: &TcpStream, state: &State) {
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(request)) = lines.next() {
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        if state.ended.load(Ordering::SeqCst) {
            return;
        }
        let path = request.split(' ').nth(1).unwrap_or_default().replace("%21", "!");
        let (status, body) = {
            let mut content = state.content.lock().unwrap();
            content.asked.push(path.clone());
            match (content.failing, content.answer(&path)) {
                (Some(status), _) => (status, b"it fails\n".to_vec()),
                (None, Some(body)) => (200, body),
                (None, None) => (404, b"the upstream has no such thing\n".to_vec()),
            }
        };
        let head = format!("HTTP/1.1 {status} x\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", body.len());
        if stream.write_all(&[head.as_bytes(), &body].concat()).is_err() {
            return;
        }
    }
}
