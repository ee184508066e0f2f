//! What the test's servers answer: a checksum database below `/db`, and module proxies below `/proxy` and `/plain`, of
//! which the first also answers for the database.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::{Arc, Mutex, MutexGuard};

use goferry_lab::plain::{PlainServer, Response};
use goferry_module::zip::create_module_zip;
use goferry_module::{DirHash, EscapedPath, ModuleVersion, escape};

use super::log::{Log, NAME, empty};
use super::module;

/// A status and a body.
pub(crate) type Answer = (u16, Vec<u8>);

#[derive(Default)]
pub(crate) struct Site {
    state: Mutex<State>,
}

struct State {
    log: Log,
    /// The size that look-ups of one module are signed for, where it is not that of the whole log.
    old_heads: BTreeMap<u64, u64>,
    /// Tiles of older sizes are gone, but for those that are complete.
    drop_old_tiles: bool,
    /// Answers in place of the right ones.
    instead: BTreeMap<String, Answer>,
    requests: Vec<String>,
}

impl Default for State {
    fn default() -> Self {
        State {
            log: empty(),
            old_heads: BTreeMap::new(),
            drop_old_tiles: false,
            instead: BTreeMap::new(),
            requests: Vec::new(),
        }
    }
}

impl Site {
    /// A database with this many records, one a module.
    pub(crate) fn with(modules: usize) -> Arc<Self> {
        let site = Self::default();
        site.add(0..modules);
        Arc::new(site)
    }

    /// Adds the records of modules.
    pub(crate) fn add(&self, numbers: impl IntoIterator<Item = usize>) {
        let records: Vec<String> = numbers.into_iter().map(|number| record(&module(number))).collect();
        let mut state = self.lock();
        records.iter().for_each(|record| state.log.add(record));
    }

    /// Adds records that nobody asks for, until there are this many.
    pub(crate) fn fill(&self, size: u64) {
        let mut state = self.lock();
        for number in state.log.size()..size {
            state.log.add(&format!("example.com/filler v1.{number}.0 h1:none\n"));
        }
    }

    pub(crate) fn log(&self) -> Log {
        self.lock().log.clone()
    }

    /// From now on, it is another log.
    pub(crate) fn replace_log(&self, log: Log) {
        self.lock().log = log;
    }

    /// Answers look-ups of a record with the tree head of an older size.
    pub(crate) fn old_head(&self, id: u64, size: u64) {
        self.lock().old_heads.insert(id, size);
    }

    pub(crate) fn drop_old_tiles(&self) {
        self.lock().drop_old_tiles = true;
    }

    pub(crate) fn instead(&self, path: &str, status: u16, body: impl Into<Vec<u8>>) {
        self.lock().instead.insert(path.to_owned(), (status, body.into()));
    }

    /// A server on a loopback port that answers so, until it is dropped.
    pub(crate) fn serve(self: &Arc<Self>) -> PlainServer {
        let site = Arc::clone(self);
        PlainServer::start(move |request| {
            let (status, body) = site.answer(&request.path);
            Response::new(status, body)
        })
        .unwrap()
    }

    /// What was asked for since the last call.
    pub(crate) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().requests)
    }

    pub(crate) fn answer(&self, path: &str) -> Answer {
        let mut state = self.lock();
        state.requests.push(path.to_owned());
        if let Some(answer) = state.instead.get(path) {
            return answer.clone();
        }
        let proxied = format!("/proxy/sumdb/{NAME}/");
        let found = if let Some(path) = path.strip_prefix("/db/").or_else(|| path.strip_prefix(&proxied)) {
            state.database(path)
        } else {
            path.strip_prefix("/proxy/").or_else(|| path.strip_prefix("/plain/")).and_then(module_file)
        };
        found.map_or((404, b"not found".to_vec()), |body| (200, body))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn database(&self, path: &str) -> Option<Vec<u8>> {
        if path == "supported" {
            return Some(Vec::new());
        }
        if path == "latest" {
            return Some(self.log.signed(self.log.size()).into_bytes());
        }
        if let Some(asked) = path.strip_prefix("lookup/") {
            let (path, version) = asked.split_once('@')?;
            let (path, version) = (EscapedPath::parse(path).ok()?.unescape(), escape::unescape_version(version).ok()?);
            let size = |id| self.old_heads.get(&id).copied().unwrap_or(self.log.size());
            return self.log.lookup(path.as_str(), &version, size).map(String::into_bytes);
        }
        if self.drop_old_tiles && path.contains(".p/") {
            // Not those at the edge, whose parents nobody else could compute.
            let complete = path.split_once(".p/").unwrap().0;
            if self.log.tile(complete, self.log.size()).is_some() {
                return None;
            }
        }
        self.log.tile(path, self.log.size())
    }
}

/// The go.sum lines of a module of the test.
pub(crate) fn record(module: &ModuleVersion) -> String {
    let (zip, go_mod) = hashes(module);
    format!("{module} {zip}\n{module}/go.mod {go_mod}\n").replace("@v", " v")
}

/// The hashes of the zip and of the go.mod of a module of the test.
pub(crate) fn hashes(module: &ModuleVersion) -> (DirHash, DirHash) {
    (DirHash::of_zip(Cursor::new(zip(module))).unwrap(), DirHash::of_go_mod(go_mod(module).as_bytes()))
}

fn go_mod(module: &ModuleVersion) -> String {
    format!("module {}\n", module.path())
}

fn zip(module: &ModuleVersion) -> Vec<u8> {
    create_module_zip(module, [("go.mod", go_mod(module).as_bytes()), ("a.go", b"package a\n")]).unwrap()
}

fn module_file(path: &str) -> Option<Vec<u8>> {
    let (path, file) = path.split_once("/@v/")?;
    let number = EscapedPath::parse(path).ok()?.unescape().as_str().strip_prefix("example.com/Mod")?.parse().ok()?;
    let module = module(number);
    match file {
        "v1.0.0.info" => Some(br#"{"Version":"v1.0.0","Time":"2024-01-01T00:00:00Z"}"#.to_vec()),
        "v1.0.0.mod" => Some(go_mod(&module).into_bytes()),
        "v1.0.0.zip" => Some(zip(&module)),
        _ => None,
    }
}
