//! The real go command.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::cases::Place;
use crate::kind;
use crate::universe::Universe;

pub(crate) const TOOLCHAINS: [&str; 2] = ["go1.27.3", "go1.21.13"];

const LIMIT: Duration = Duration::from_secs(60);

/// An object of `go mod download -json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Module {
    path: String,
    version: String,
    query: String,
    error: String,
}

/// The module versions that the go command downloads, with ` ?` after those that it chose and could not download; or the
/// kind of failure.
pub(crate) fn download(toolchain: &str, universe: &Universe, place: &Place, argument: &str, dir: &Path) -> String {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("out");
    let entry = |entry: &str| format!("file://{}/{entry}", universe.dir.path().display());
    let proxies: String = place.proxies.split_inclusive([',', '|']).map(entry).collect();
    let mut child = Command::new(goroot(toolchain).join("bin/go"))
        .args(["mod", "download", "-json", argument])
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home.path())
        .env("GOENV", "off")
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", proxies)
        .env("GOSUMDB", "off")
        .env("GOFLAGS", if place.go_work.is_empty() { "-mod=mod -modcacherw" } else { "-modcacherw" })
        .env("GOMODCACHE", home.path().join("mod"))
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&out).unwrap())
        .stderr(std::fs::File::create(home.path().join("err")).unwrap())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if start.elapsed() > LIMIT => {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("{toolchain} mod download {argument}: not done after {LIMIT:?}");
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let out = std::fs::read(out).unwrap();
    let modules: Vec<Module> =
        serde_json::Deserializer::from_slice(&out).into_iter().collect::<Result<_, _>>().unwrap();
    if modules.is_empty() {
        // Nothing was looked at, or there is nothing to download.
        let err = std::fs::read_to_string(home.path().join("err")).unwrap();
        return if status.success() { String::new() } else { kind(&err) };
    }
    let mut texts = Vec::new();
    for module in modules {
        let text = format!("{}@{}", module.path, module.version);
        match (module.error.as_str(), module.query.is_empty()) {
            ("", _) => texts.push(text),
            (error, false) if kind(error) == "!not found" => texts.push(format!("{text} ?")),
            (error, _) => return kind(error),
        }
    }
    texts.join(" ")
}

fn goroot(toolchain: &str) -> PathBuf {
    static KNOWN: OnceLock<Vec<(&str, PathBuf)>> = OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        TOOLCHAINS
            .into_iter()
            .map(|name| {
                let out = Command::new("go").args(["env", "GOROOT"]).env("GOTOOLCHAIN", name).output().unwrap();
                assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&out.stderr));
                (name, PathBuf::from(String::from_utf8(out.stdout).unwrap().trim()))
            })
            .collect()
    });
    known.iter().find(|(name, _)| *name == toolchain).unwrap().1.clone()
}
