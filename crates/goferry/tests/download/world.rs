//! Made-up modules behind a `file://` proxy, projects that need them, and the two commands run on them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use goferry_lab::folder::{differences, make_writable, snapshot};
use goferry_lab::go_client::GoVersion;
use goferry_lab::made::{self, Made, with_origin};
use goferry_lab::sumdb::Log;
use goferry_lab::universe::noise;
use goferry_module::{DirHash, FileKind, ModuleVersion};
use tempfile::TempDir;

/// The name of the checksum database of a universe.
pub(crate) const SUMDB: &str = "sum.example.com";
/// The go command that goferry is held against.
pub(crate) const TOOLCHAIN: &str = "go1.27.3";

/// name@version below example.com, its go line, its requires.
const MODULES: &[(&str, &str, &[&str])] = &[
    ("a@v1.0.0", "1.20", &["b@v1.0.0"]),
    ("a@v1.1.0", "1.20", &["b@v1.1.0", "c@v1.0.0"]),
    ("a@v1.2.0-rc.1", "1.20", &["b@v1.1.0"]),
    ("a@v0.0.0-20240102030405-abcdefabcdef", "1.20", &[]),
    ("b@v1.0.0", "1.20", &["c@v1.0.0"]),
    ("b@v1.1.0", "1.20", &["c@v1.1.0"]),
    ("c@v1.0.0", "1.20", &[]),
    ("c@v1.1.0", "1.20", &["d@v1.0.0"]),
    ("d@v1.0.0", "1.16", &["e@v1.0.0"]),
    ("e@v1.0.0", "", &[]),
    ("Upper/Case@v1.0.0", "1.20", &[]),
    ("major/v2@v2.3.4", "1.20", &[]),
    ("old@v3.0.0+incompatible", "", &[]),
    ("leaf@v1.0.0", "1.20", &[]),
];

pub(crate) fn module(name: &str) -> ModuleVersion {
    if name.starts_with("golang.org/") { made::module(name) } else { made::module(&format!("example.com/{name}")) }
}

/// A module proxy in a directory.
pub(crate) struct Universe {
    dir: TempDir,
    hashes: BTreeMap<String, DirHash>,
}

impl Universe {
    /// Nothing.
    pub(crate) fn empty() -> Universe {
        Universe { dir: TempDir::new().unwrap(), hashes: BTreeMap::new() }
    }

    /// The modules of the table above.
    pub(crate) fn new() -> Universe {
        let mut universe = Universe::empty();
        for (name, go, requires) in MODULES {
            universe.add(name, go, requires, 100);
        }
        universe
    }

    /// Publishes a module with a file of `size` bytes that do not compress.
    pub(crate) fn add(&mut self, name: &str, go: &str, requires: &[&str], size: usize) {
        let module = module(name);
        let go_mod = made::go_mod(&module, go, requires.iter().map(|require| format!("example.com/{require}")));
        let seed = name.bytes().fold(7, |all, byte| all * 31 % 0xffff_fffb + u64::from(byte));
        let noise = noise(size, seed);
        let files = [("x.go", &b"package x\n"[..]), ("data/noise.bin", &noise), ("sub/y_test.go", b"package sub\n")];
        let mut made = Made::new(module, go_mod, &files);
        made.info = with_origin(&made.info);
        made.publish(self.root()).unwrap();
        self.hashes.insert(name.to_owned(), made.zip_hash);
        self.hashes.insert(format!("{name}/go.mod"), made.go_mod_hash);
    }

    pub(crate) fn publish(&self, module: &ModuleVersion, kind: FileKind, content: &[u8]) {
        let file = self.file(module, kind);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }

    pub(crate) fn file(&self, module: &ModuleVersion, kind: FileKind) -> PathBuf {
        self.root().join(module.proxy_path(kind).trim_start_matches('/'))
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.dir.path().display())
    }

    /// A go.sum with the hashes of zip and go.mod of all `names`.
    pub(crate) fn go_sum(&self, names: &[&str]) -> String {
        names
            .iter()
            .flat_map(|name| [((*name).to_owned(), ""), (format!("{name}/go.mod"), "/go.mod")])
            .filter_map(|(key, end)| {
                let module = module(key.trim_end_matches("/go.mod"));
                Some(format!("{} {}{end} {}\n", module.path(), module.version(), self.hashes.get(&key)?))
            })
            .collect()
    }

    pub(crate) fn hash(&self, name: &str) -> DirHash {
        self.hashes[name]
    }

    /// Has the proxy answer for a checksum database that knows every module, and gives its GOSUMDB.
    pub(crate) fn publish_sumdb(&self) -> String {
        let mut log = Log::new(SUMDB);
        let mut records = Vec::new();
        for name in self.hashes.keys().filter(|name| !name.ends_with("/go.mod")) {
            let record = self.go_sum(&[name]);
            log.add(&record);
            records.push(module(name));
        }
        let size = log.size();
        assert!(size < 256, "one tile has it all");
        let write = |name: String, content: &[u8]| {
            let file = self.root().join(format!("sumdb/{SUMDB}/{name}"));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        };
        write("supported".to_owned(), b"");
        write("latest".to_owned(), log.signed(size).as_bytes());
        let tile = format!("tile/8/0/000.p/{size}");
        write(tile.clone(), &log.tile(&tile, size).unwrap());
        for module in records {
            let answer = log.lookup(module.path().as_str(), &module.version().to_string(), |_| size).unwrap();
            write(format!("lookup/{}@{}", module.path().escape(), module.escaped_version()), answer.as_bytes());
        }
        log.key()
    }

    /// A go.sum with everything.
    pub(crate) fn full_go_sum(&self) -> String {
        let names: Vec<&str> =
            self.hashes.keys().map(String::as_str).filter(|name| !name.ends_with("/go.mod")).collect();
        self.go_sum(&names)
    }
}

/// A folder with a project's files.
pub(crate) fn project(files: &[(&str, String)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, text) in files {
        let file = dir.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    dir
}

/// A go.mod of `example.com/main`.
pub(crate) fn go_mod(go: &str, rest: &str) -> String {
    let go = if go.is_empty() { String::new() } else { format!("\ngo {go}\n") };
    format!("module example.com/main\n{go}\n{rest}")
}

/// A home, with the module cache in it, and the settings of both commands.
pub(crate) struct Home {
    dir: TempDir,
    toolchain: GoVersion,
    env: Vec<(String, String)>,
}

impl Home {
    pub(crate) fn new(proxy: &str) -> Home {
        let mut home = Home { dir: TempDir::new().unwrap(), toolchain: TOOLCHAIN.parse().unwrap(), env: Vec::new() };
        for (name, value) in
            [("GOENV", "off"), ("GOPROXY", proxy), ("GOSUMDB", "off"), ("GOTOOLCHAIN", "local"), ("GOFLAGS", "")]
        {
            home.set(name, value);
        }
        home
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Home {
        self.set(name, value);
        self
    }

    /// The same with another go command.
    pub(crate) fn toolchain(mut self, name: &str) -> Home {
        self.toolchain = name.parse().unwrap();
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The module cache.
    pub(crate) fn cache(&self) -> PathBuf {
        self.dir.path().join("go/pkg/mod")
    }

    pub(crate) fn command(&self, program: &Path, dir: &Path, args: &[&str]) -> Command {
        let path = format!("{}:{}", self.goroot().join("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(dir)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.dir.path())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// `goferry download ARGS`.
    pub(crate) fn goferry(&self, dir: &Path, args: &[&str]) -> Command {
        let args: Vec<&str> = std::iter::once("download").chain(args.iter().copied()).collect();
        self.command(Path::new(env!("CARGO_BIN_EXE_goferry")), dir, &args)
    }

    pub(crate) fn download(&self, dir: &Path, args: &[&str]) -> Ran {
        Ran::of(&self.goferry(dir, args).output().unwrap())
    }

    /// `go ARGS`.
    pub(crate) fn go_command(&self, dir: &Path, args: &[&str]) -> Command {
        self.command(&self.goroot().join("bin/go"), dir, args)
    }

    pub(crate) fn go(&self, dir: &Path, args: &[&str]) -> Ran {
        Ran::of(&self.go_command(dir, args).output().unwrap())
    }

    pub(crate) fn go_download(&self, dir: &Path, args: &[&str]) -> Ran {
        let args: Vec<&str> = ["mod", "download"].into_iter().chain(args.iter().copied()).collect();
        self.go(dir, &args)
    }

    fn goroot(&self) -> PathBuf {
        self.toolchain.goroot().unwrap()
    }

    /// Removes the module cache.
    pub(crate) fn clean(&self) {
        make_writable(&self.cache());
        let _ = fs::remove_dir_all(self.cache());
    }

    /// The zips in the cache, and what is left over of any.
    pub(crate) fn zips(&self) -> Vec<String> {
        snapshot(&self.cache())
            .into_keys()
            .filter(|name| name.contains(".zip") && !name.ends_with(".ziphash"))
            .collect()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        make_writable(self.dir.path());
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Ran {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Ran {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Ran {
        assert!(self.err.contains(text) || self.out.contains(text), "{text:?} not in\n{}{}", self.out, self.err);
        self
    }
}

#[track_caller]
pub(crate) fn assert_same(go: &Path, ours: &Path, what: &str) {
    let differences = differences(&snapshot(go), &snapshot(ours));
    assert!(differences.is_empty(), "{what}\n{}", differences.join("\n"));
}
