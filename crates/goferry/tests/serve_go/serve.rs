//! `goferry serve` of a test: an empty store, and an environment of its own.

use std::fs;
use std::path::{Path, PathBuf};

use goferry_lab::folder::snapshot;
use goferry_lab::serve::ServeProcess;
use tempfile::TempDir;

use crate::world::Home;

/// A proxy that runs, and its store. Both end with this.
pub(crate) struct Serve {
    process: ServeProcess,
    home: Home,
    _config: TempDir,
}

impl Serve {
    /// One that asks `upstream`, verifies with the checksum database of this GOSUMDB, and has these settings, in TOML, besides.
    pub(crate) fn start(upstream: &str, gosumdb: &str, settings: &str) -> Serve {
        let home = Home::new(upstream).with("GOSUMDB", gosumdb);
        let config = TempDir::new().unwrap();
        let file = config.path().join("goferry.toml");
        fs::write(&file, settings).unwrap();
        let store = store(&home);
        let args = ["serve", "--listen", "127.0.0.1:0", "--store", store.to_str().unwrap(), "--config"];
        let args = [&args[..], &[file.to_str().unwrap()]].concat();
        let mut command = home.command(Path::new(env!("CARGO_BIN_EXE_goferry")), home.path(), &args);
        let process = ServeProcess::start(&mut command, &home.path().join("log")).unwrap();
        Serve { process, home, _config: config }
    }

    pub(crate) fn url(&self) -> &str {
        self.process.url()
    }

    /// The zips and go.mod files in the store whose name has this part.
    pub(crate) fn stored(&self, part: &str) -> Vec<String> {
        let names = snapshot(&store(&self.home)).into_keys();
        names
            .filter(|name| !name.starts_with(".goferry/") && !name.starts_with("sumdb/"))
            .filter(|name| name.contains(part) && (name.contains(".zip") || name.ends_with(".mod")))
            .collect()
    }
}

fn store(home: &Home) -> PathBuf {
    home.path().join("store")
}
