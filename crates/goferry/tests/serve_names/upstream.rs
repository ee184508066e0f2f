//! A module proxy with a checksum database on loopback, whose content is set by hand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use goferry_lab::made::{self, Made, module};
use goferry_lab::plain::{PlainServer, Response};
use goferry_lab::sumdb::Log;
use goferry_module::{EscapedPath, escape};

/// The name of the checksum database.
pub(crate) const SUMDB: &str = "sum.example.com";

/// Ends with this.
pub(crate) struct Upstream {
    server: PlainServer,
    content: Arc<Mutex<Content>>,
}

pub(crate) struct Content {
    files: BTreeMap<String, Vec<u8>>,
    pub(crate) log: Log,
    /// What everything is answered with.
    pub(crate) failing: Option<u16>,
}

impl Upstream {
    pub(crate) fn start() -> Upstream {
        let content = Content { files: BTreeMap::new(), log: Log::new(SUMDB), failing: None };
        let content = Arc::new(Mutex::new(content));
        let serving = Arc::clone(&content);
        let server = PlainServer::start(move |request| {
            let content = serving.lock().unwrap();
            match (content.failing, content.answer(&request.path)) {
                (Some(status), _) => Response::refused(status, "it fails\n"),
                (None, Some(body)) => Response::ok(body),
                (None, None) => Response::refused(404, "the upstream has no such thing\n"),
            }
        });
        Upstream { server: server.unwrap(), content }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap()
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
        let go_mod = made::go_mod(&module, "1.20", requires.iter().map(|require| (*require).to_owned()));
        let made = Made::new(module, go_mod, &[("x.go", b"package x\n")]);
        let module = &made.module;
        let mut content = self.content();
        let list = content.files.entry(module.path().list_path()).or_default();
        if module.version().pseudo().is_none() {
            list.extend(format!("{}\n", module.version()).into_bytes());
        }
        if module.version().prerelease().is_empty() {
            content.files.insert(module.path().latest_path(), made.info.clone().into_bytes());
        }
        content.files.extend(made.files().map(|(path, file)| (path, file.to_vec())));
        made.go_sum()
    }

    /// A branch.
    pub(crate) fn branch(&self, path: &str, branch: &str, version: &str) {
        let info = format!(r#"{{"Version":"{version}","Time":"2024-01-02T03:04:05Z"}}"#);
        self.content().files.insert(format!("/{path}/@v/{branch}.info"), info.into_bytes());
    }

    /// Gives this for a path, whatever it should be.
    pub(crate) fn gives(&self, path: &str, content: &str) {
        self.content().files.insert(path.to_owned(), content.as_bytes().to_vec());
    }

    /// The paths that were asked for since the last call.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.server.asked().into_iter().map(|request| request.path).collect()
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
