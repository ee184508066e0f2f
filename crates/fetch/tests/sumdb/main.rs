//! The client of the checksum database, against a database made in the test and against the go command.

mod against_go;
mod base;
mod client;
mod hostile;
mod kept;
mod lasting;
mod log;
mod shared;
mod site;
mod web;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use goferry_fetch::{FetchError, SumDbClient, SumLines};
use goferry_module::sumdb::Database;
use goferry_module::{ModulePath, ModuleVersion, ProxyList, SumDb, Version};
use tempfile::TempDir;

use self::site::Site;
use self::web::FakeWeb;

/// The module with this number.
fn module(number: usize) -> ModuleVersion {
    let path = ModulePath::parse(&format!("example.com/Mod{number}")).unwrap();
    ModuleVersion::new(path, Version::parse("v1.0.0").unwrap()).unwrap()
}

/// GOMODCACHE and GOPATH of one machine.
struct Machine {
    dir: TempDir,
}

impl Machine {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("mod/cache/download/sumdb")
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("gopath/pkg/sumdb")
    }

    /// The file of the last tree head seen.
    fn latest(&self) -> PathBuf {
        self.config().join(log::NAME).join("latest")
    }

    /// A cached look-up or tile.
    fn cached(&self, path: &str) -> PathBuf {
        self.cache().join(log::NAME).join(path)
    }

    /// A file that [`Machine::files`] names.
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A client that asks the database itself.
    fn client(&self, web: &Arc<FakeWeb>) -> Arc<SumDbClient> {
        self.client_of(web, web.site.database(Some("http://db.example.com/db")), "off")
    }

    fn client_of(&self, web: &Arc<FakeWeb>, db: Database, goproxy: &str) -> Arc<SumDbClient> {
        let proxies = ProxyList::parse(goproxy).unwrap();
        Arc::new(SumDbClient::new(db, proxies, web.clone(), self.cache(), self.config()))
    }

    /// All files of the checksum database with their content.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for dir in [self.cache(), self.config()] {
            collect(self.dir.path(), &dir, &mut files);
        }
        files
    }
}

fn collect(root: &Path, dir: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read(path).unwrap());
        }
    }
}

/// All look-ups at once, each in a task of its own.
async fn look_up_all(
    client: &Arc<SumDbClient>,
    numbers: impl IntoIterator<Item = usize>,
) -> Vec<Result<SumLines, FetchError>> {
    let start = |number| {
        let client = client.clone();
        tokio::spawn(async move { client.lookup(&module(number)).await })
    };
    let tasks: Vec<_> = numbers.into_iter().map(start).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

impl Site {
    /// The database as GOSUMDB names it.
    fn database(&self, url: Option<&str>) -> Database {
        match SumDb::parse(&self.gosumdb(url)).unwrap() {
            SumDb::On(db) => *db,
            SumDb::Off => panic!("GOSUMDB is not off"),
        }
    }

    fn gosumdb(&self, url: Option<&str>) -> String {
        format!("{} {}", self.log().key(), url.unwrap_or_default()).trim().to_owned()
    }
}
