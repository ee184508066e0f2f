//! A module proxy in a directory, the go command run on it, and the graph of the same files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use goferry_module::graph::{GraphLoader, MainModule, ModuleGraph, Need};
use goferry_module::zip::create_module_zip;
use goferry_module::{GoMod, ModulePath, ModuleVersion, Version};

/// Module, `go` line, requires.
const UNIVERSE: &[(&str, &str, &[&str])] = &[
    ("example.com/a@v1.0.0", "1.20", &["example.com/b@v1.0.0"]),
    ("example.com/a@v1.1.0", "1.16", &["example.com/b@v1.1.0", "example.com/d@v1.0.0"]),
    ("example.com/b@v1.0.0", "1.17", &["example.com/c@v1.0.0"]),
    ("example.com/b@v1.1.0", "1.17", &["example.com/c@v1.1.0"]),
    ("example.com/c@v1.0.0", "", &[]),
    ("example.com/c@v1.1.0", "", &["gopkg.in/f.v1@v1.1.0"]),
    ("example.com/d@v1.0.0", "1.18", &["example.com/a@v1.0.0"]),
    ("example.com/d@v1.1.0", "1.21.3", &[]),
    ("example.com/e@v1.0.0", "1.21", &["example.com/c@v1.1.0"]),
    ("example.com/e@v1.1.0", "1.21.5", &["example.com/c@v1.1.0"]),
    ("gopkg.in/f.v1@v1.0.0", "", &[]),
    ("gopkg.in/f.v1@v1.1.0", "", &["example.com/b@v1.0.0"]),
];

pub(crate) struct World {
    dir: tempfile::TempDir,
    go_mods: BTreeMap<ModuleVersion, String>,
}

impl World {
    pub(crate) fn make() -> World {
        let dir = tempfile::tempdir().unwrap();
        let mut go_mods = BTreeMap::new();
        for (name, go, requires) in UNIVERSE {
            let module = module(name);
            let mut go_mod = format!("module {}\n", module.path());
            if !go.is_empty() {
                go_mod.push_str(&format!("go {go}\n"));
            }
            for require in *requires {
                go_mod.push_str(&format!("require {}\n", require.replace('@', " ")));
            }
            let zip = create_module_zip(&module, [("go.mod", go_mod.as_bytes())]).unwrap();
            let at = dir.path().join(format!("proxy/{}/@v", module.path()));
            fs::create_dir_all(&at).unwrap();
            let version = module.version();
            fs::write(at.join(format!("{version}.mod")), &go_mod).unwrap();
            fs::write(at.join(format!("{version}.zip")), zip).unwrap();
            fs::write(at.join(format!("{version}.info")), format!(r#"{{"Version":"{version}"}}"#)).unwrap();
            go_mods.insert(module, go_mod);
        }
        fs::create_dir(dir.path().join("project")).unwrap();
        World { dir, go_mods }
    }

    /// `go mod edit -fmt`, or what it says.
    pub(crate) fn go_mod_edit_fmt(&self, data: &[u8]) -> Result<Vec<u8>, String> {
        let file = self.dir.path().join("project/go.mod");
        fs::write(&file, data).unwrap();
        said(&self.go("go1.27.3", &["mod", "edit", "-fmt"]))?;
        Ok(fs::read(file).unwrap())
    }

    /// The go.mod that `go mod download` leaves, or what it says.
    pub(crate) fn go_mod_download(&self, toolchain: &str, before: &str) -> Result<String, String> {
        let project = self.dir.path().join("project");
        fs::write(project.join("go.mod"), before).unwrap();
        let _ = fs::remove_file(project.join("go.sum"));
        said(&self.go(toolchain, &["mod", "download"]))?;
        Ok(fs::read_to_string(project.join("go.mod")).unwrap())
    }

    pub(crate) fn graph(&self, go_mod: &str) -> Result<ModuleGraph, String> {
        let go_mod = GoMod::parse("go.mod", go_mod.as_bytes()).map_err(|e| e.to_string())?;
        let main = MainModule { dir: PathBuf::from("/nowhere"), go_mod };
        let mut loader = GraphLoader::new(vec![main], None).map_err(|e| e.to_string())?;
        while !loader.is_complete() {
            for need in loader.needs() {
                let Need::Module(module) = &need else { return Err(format!("{need} is a directory")) };
                let go_mod = self.go_mods.get(module).ok_or_else(|| format!("{module} is not there"))?;
                loader.provide(&need, go_mod.as_bytes()).map_err(|e| e.to_string())?;
            }
        }
        loader.finish().map_err(|e| e.to_string())
    }

    fn go(&self, toolchain: &str, arguments: &[&str]) -> Output {
        let base = self.dir.path();
        Command::new(goroot(toolchain).join("bin/go"))
            .args(arguments)
            .current_dir(base.join("project"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", base)
            .env("GOENV", "off")
            .env("GOTOOLCHAIN", "local")
            .env("GOPROXY", format!("file://{}", base.join("proxy").display()))
            .env("GOSUMDB", "off")
            .env("GOFLAGS", "-modcacherw")
            .env("GOMODCACHE", base.join("cache"))
            .output()
            .unwrap()
    }
}

fn said(output: &Output) -> Result<(), String> {
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

fn module(name: &str) -> ModuleVersion {
    let (path, version) = name.split_once('@').unwrap();
    ModuleVersion::new(ModulePath::parse(path).unwrap(), Version::parse(version).unwrap()).unwrap()
}

fn goroot(toolchain: &str) -> &'static Path {
    static KNOWN: OnceLock<BTreeMap<&str, PathBuf>> = OnceLock::new();
    let ask = |name: &'static str| {
        let dir = tempfile::tempdir().unwrap();
        let mut go = Command::new("go");
        go.args(["env", "GOROOT"]).current_dir(&dir).env("GOTOOLCHAIN", name).env_remove("GOROOT");
        let out = go.output().expect("a go on PATH");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        (name, PathBuf::from(String::from_utf8(out.stdout).unwrap().trim()))
    };
    &KNOWN.get_or_init(|| ["go1.27.3", "go1.21.13"].into_iter().map(ask).collect())[toolchain]
}
