//! A module proxy in a directory, and both commands run on it in the same environment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use goferry_lab::go_client::GoVersion;
use goferry_lab::made::{self, Made};

pub(crate) const TOOLCHAINS: [&str; 2] = ["go1.27.3", "go1.21.13"];

/// Name and version, and what stands in its go.mod after the module line. `z` has no zip.
const UNIVERSE: &[(&str, &str, &str)] = &[
    ("a", "v1.0.0", "go 1.20\nrequire example.com/b v1.0.0\n"),
    ("a", "v1.1.0", "go 1.20\nrequire example.com/b v1.1.0\n"),
    ("b", "v1.0.0", "go 1.20\nrequire example.com/c v1.0.0\n"),
    ("b", "v1.1.0", "go 1.16\nrequire example.com/c v1.0.0\n"),
    ("c", "v1.0.0", "go 1.20\n"),
    ("c", "v1.1.0", "go 1.20\n"),
    ("d", "v1.0.0", ""),
    ("n", "v1.0.0", "go 1.21.5\nrequire example.com/c v1.0.0\n"),
    ("r", "v1.0.0", "go 1.20\n"),
    ("r", "v1.0.1", "go 1.20\nretract v1.0.1\n"),
    ("z", "v1.0.0", "go 1.20\n"),
];

pub(crate) struct World {
    dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn make() -> World {
        let dir = tempfile::tempdir().unwrap();
        let proxy = dir.path().join("proxy");
        for (name, version, rest) in UNIVERSE {
            let module = made::module(&format!("example.com/{name}@{version}"));
            let go_mod = format!("module example.com/{name}\n{rest}");
            let made = Made::new(module, go_mod, &[("x.go", b"package x\n")]);
            made.publish(&proxy).unwrap();
            let at = proxy.join(format!("example.com/{name}/@v"));
            if *name == "z" {
                fs::remove_file(at.join(format!("{version}.zip"))).unwrap();
            }
            // The first version is where the branch is.
            if !at.join("main.info").exists() {
                fs::write(at.join("main.info"), made.info).unwrap();
            }
        }
        World { dir }
    }

    pub(crate) fn project(&self, files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = dir.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        dir
    }

    /// `go mod download`, with an empty cache.
    pub(crate) fn go(&self, toolchain: &str, goflags: &str, arguments: &str, dir: &Path) -> Output {
        let mut command = Command::new(goroot(toolchain).join("bin/go"));
        command.args(["mod", "download"]).args(arguments.split_whitespace());
        self.run(command, toolchain, goflags, dir)
    }

    /// `goferry download`, with an empty cache and that go command on PATH.
    pub(crate) fn goferry(&self, toolchain: &str, goflags: &str, arguments: &str, dir: &Path) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_goferry"));
        let arguments = arguments.split_whitespace().map(|argument| argument.replace("-json", "--json"));
        command.arg("download").args(arguments);
        self.run(command, toolchain, goflags, dir)
    }

    fn run(&self, mut command: Command, toolchain: &str, goflags: &str, dir: &Path) -> Output {
        let cache = tempfile::tempdir().unwrap();
        let system = std::env::var("PATH").unwrap();
        command
            .current_dir(dir)
            .env_clear()
            .env("PATH", format!("{}:{system}", goroot(toolchain).join("bin").display()))
            .env("HOME", cache.path())
            .env("GOENV", "off")
            .env("GOTOOLCHAIN", "local")
            .env("GOPROXY", format!("file://{}", self.dir.path().join("proxy").display()))
            .env("GOSUMDB", "off")
            .env("GOFLAGS", format!("-modcacherw {goflags}"))
            .env("GOMODCACHE", cache.path().join("mod"))
            .output()
            .unwrap()
    }
}

fn goroot(toolchain: &str) -> PathBuf {
    toolchain.parse::<GoVersion>().unwrap().goroot().unwrap()
}
