//! A module proxy in a directory, the go command run on it, and [`Sums`] driven as the go command checks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use goferry_fetch::sums::{DatabaseUse, Exempt, Hashed, Keep, SumFiles, Sums, Verdict};
use goferry_lab::go_client::GoVersion;
use goferry_lab::made::{self, Made};
use goferry_module::{DirHash, FileKind, ModuleVersion};

use crate::cases::Case;

pub(crate) const TOOLCHAINS: [&str; 2] = ["go1.27.3", "go1.21.13"];

/// name@version and its requires; all are at go 1.20. `no zip`: the proxy has none.
const UNIVERSE: &[(&str, &str)] = &[
    ("a@v1.0.0", "b@v1.0.0"),
    ("a@v1.1.0", "b@v1.1.0"),
    ("b@v1.0.0", "c@v1.0.0"),
    ("b@v1.1.0", "c@v1.0.0"),
    ("c@v1.0.0", ""),
    ("c@v1.1.0", ""),
    ("d@v1.0.0", "no zip"),
];

/// `GOSUMDB=off`.
pub(crate) fn off() -> DatabaseUse {
    DatabaseUse { off: true, ..DatabaseUse::default() }
}

pub(crate) fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

fn module(name: &str) -> ModuleVersion {
    made::module(&format!("example.com/{name}"))
}

/// A module proxy in a directory.
pub(crate) struct World {
    dir: tempfile::TempDir,
    hashes: BTreeMap<String, DirHash>,
}

pub(crate) struct Run {
    pub(crate) output: Output,
    pub(crate) mods: Vec<String>,
    pub(crate) zips: Vec<String>,
}

impl World {
    pub(crate) fn make() -> World {
        let dir = tempfile::tempdir().unwrap();
        let (mut hashes, proxy) = (BTreeMap::new(), dir.path().join("proxy"));
        for (name, requires) in UNIVERSE {
            let module = module(name);
            let required = requires.contains('@').then(|| format!("example.com/{requires}"));
            let go_mod = made::go_mod(&module, "1.20", required);
            let made = Made::new(module, go_mod, &[("x.go", b"package x\n")]);
            made.publish(&proxy).unwrap();
            if *requires == "no zip" {
                fs::remove_file(proxy.join(&made.module.proxy_path(FileKind::Zip)[1..])).unwrap();
            }
            hashes.insert((*name).to_owned(), made.zip_hash);
            hashes.insert(format!("{name}/go.mod"), made.go_mod_hash);
        }
        World { dir, hashes }
    }

    pub(crate) fn project(&self, case: &Case) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in case.files {
            let mut text = (*text).to_owned();
            for (module, hash) in &self.hashes {
                text = text.replace(&format!("{{{module}}}"), &hash.to_string());
            }
            assert!(!text.contains('{'), "{text}");
            let file = dir.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        dir
    }

    pub(crate) fn go(&self, toolchain: &str, case: &Case, dir: &Path) -> Run {
        let cache = tempfile::tempdir().unwrap();
        self.go_with(toolchain, case, dir, cache.path())
    }

    pub(crate) fn go_with(&self, toolchain: &str, case: &Case, dir: &Path, cache: &Path) -> Run {
        let output = Command::new(goroot(toolchain).join("bin/go"))
            .args(["mod", "download"])
            .args(case.args)
            .current_dir(dir)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", cache)
            .env("GOENV", "off")
            .env("GOTOOLCHAIN", "local")
            .env("GOPROXY", format!("file://{}", self.dir.path().join("proxy").display()))
            .env("GOSUMDB", "off")
            .env("GOFLAGS", format!("-modcacherw {}", case.goflags))
            .env("GOMODCACHE", cache.join("mod"))
            .output()
            .unwrap();
        let (mut mods, mut zips) = (Vec::new(), Vec::new());
        for (name, _) in UNIVERSE {
            let (path, version) = name.split_once('@').unwrap();
            let at = cache.join(format!("mod/cache/download/example.com/{path}/@v/{version}"));
            if at.with_file_name(format!("{version}.mod")).exists() {
                mods.push((*name).to_owned());
            }
            if at.with_file_name(format!("{version}.zip")).exists() {
                zips.push((*name).to_owned());
            }
        }
        Run { output, mods, zips }
    }

    /// Checks, adds and writes as `go mod download` does; gives the message of a mismatch.
    pub(crate) fn drive(&self, case: &Case, dir: &Path) -> Option<String> {
        let workspace = ["one", "two"].map(|m| dir.join(m)).into_iter().filter(|m| m.exists());
        let files = SumFiles {
            main: (!case.main.is_empty()).then(|| dir.join(case.main)),
            workspace: workspace.map(|m| m.join("go.sum")).collect(),
        };
        let sums = Sums::load(files, off()).unwrap();
        let mut keep = Keep::nothing();
        case.graph.iter().for_each(|m| keep.in_graph(&module(m)));
        case.selected.iter().for_each(|m| keep.selected(&module(m)));
        let cache = tempfile::tempdir().unwrap();
        let lock = cache.path().join("cache/lock");
        let check = |names: &[&str], what: Hashed| {
            names.iter().find_map(|name| {
                let hash = match what {
                    Hashed::Zip => self.hashes[*name],
                    Hashed::GoMod => self.hashes[&format!("{name}/go.mod")],
                };
                match sums.check(&module(name), what, &hash, "https://goproxy.example.com") {
                    Verdict::Mismatch(e) => return Some(e.detail),
                    Verdict::NotChecked { why: Exempt::GosumdbOff } => {
                        sums.add(&module(name), what, &hash, "https://goproxy.example.com").unwrap();
                    }
                    Verdict::Verified => {}
                    other => panic!("{other:?}"),
                }
                None
            })
        };
        if let Some(mismatch) = check(case.mods, Hashed::GoMod) {
            return Some(mismatch);
        }
        let before_zips = case.args.is_empty() && case.main != "go.work.sum";
        if before_zips {
            sums.write(&keep, &lock).unwrap();
        }
        if let Some(mismatch) = check(case.zips, Hashed::Zip) {
            return Some(mismatch);
        }
        if !before_zips {
            sums.write(&keep, &lock).unwrap();
        }
        None
    }
}

fn goroot(toolchain: &str) -> PathBuf {
    toolchain.parse::<GoVersion>().unwrap().goroot().unwrap()
}
