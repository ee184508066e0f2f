//! Made-up modules behind a `file://` proxy, and the module caches that real go commands and goferry make of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use goferry_fetch::cache::{Origin, Zip};
use goferry_fetch::{FetchError, ModCache, Unpacker};
use goferry_lab::folder::{differences, make_writable, snapshot};
use goferry_module::zip::create_module_zip;
use goferry_module::{DirHash, FileKind, ModulePath, ModuleVersion, Version};
use tempfile::TempDir;

/// What the modules are: several versions of one path, upper case, `+incompatible`, a pseudo-version, one that is large.
const MODULES: [(&str, &str); 9] = [
    ("example.com/plain", "v1.0.0"),
    ("example.com/plain", "v1.10.0"),
    ("example.com/plain", "v1.9.0"),
    ("example.com/Upper/Case", "v0.1.0-Alpha.1"),
    ("example.com/major/v2", "v2.3.4"),
    ("example.com/old", "v3.0.0+incompatible"),
    ("gopkg.in/made.v1", "v1.2.3"),
    ("example.com/pseudo", "v0.0.0-20240102030405-abcdefabcdef"),
    ("example.com/large", "v1.0.0"),
];

pub(crate) struct Universe {
    pub(crate) dir: Folder,
    pub(crate) modules: Vec<ModuleVersion>,
}

pub(crate) fn module(path: &str, version: &str) -> ModuleVersion {
    ModuleVersion::new(ModulePath::parse(path).unwrap(), Version::parse(version).unwrap()).unwrap()
}

fn modules() -> Vec<ModuleVersion> {
    MODULES.iter().map(|(path, version)| module(path, version)).collect()
}

/// The files of a module: nested, empty, with names that look executable, and in `large` more than one worker takes.
pub(crate) fn files(module: &ModuleVersion) -> Vec<(String, Vec<u8>)> {
    let mut files = vec![
        ("z.go".to_owned(), b"package z\n".to_vec()),
        ("a/b/c/d/deep.go".to_owned(), b"package d\n".to_vec()),
        ("a/b.txt".to_owned(), noise(70_000, 1)),
        ("a-b/run.sh".to_owned(), b"#!/bin/sh\n".to_vec()),
        ("bin/tool.exe".to_owned(), vec![0; 4096]),
        ("a/\u{e9}t\u{e9}.txt".to_owned(), vec![0xff; 100_000]),
        ("LICENSE".to_owned(), Vec::new()),
    ];
    if !module.version().is_incompatible() {
        files.insert(1, ("go.mod".to_owned(), gomod(module)));
    }
    if module.path().as_str().ends_with("large") {
        // More than one piece of work, too large to be read whole, and with a file that is streamed.
        files.extend((0..150).map(|i| (format!("pkg/p{}/f{i}.txt", i % 17), noise(20_000, i))));
        files.push(("huge.bin".to_owned(), noise(1 << 20, 7).repeat(9)));
    }
    files
}

/// The zip of a module, made once.
fn zip_of(module: &ModuleVersion) -> &'static [u8] {
    static ZIPS: Mutex<BTreeMap<String, &'static [u8]>> = Mutex::new(BTreeMap::new());
    let mut zips = ZIPS.lock().unwrap_or_else(PoisonError::into_inner);
    zips.entry(module.to_string()).or_insert_with(|| create_module_zip(module, files(module)).unwrap().leak())
}

fn gomod(module: &ModuleVersion) -> Vec<u8> {
    format!("module {}\n", module.path()).into_bytes()
}

/// Bytes that can be packed a little only.
fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            b'a' + (state % 26) as u8
        })
        .collect()
}

/// The folder of a universe: removed with it, or that of another process.
pub(crate) enum Folder {
    Own(TempDir),
    Borrowed(PathBuf),
}

impl Folder {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Own(dir) => dir.path(),
            Self::Borrowed(path) => path,
        }
    }
}

impl Universe {
    /// The universe that another process has made.
    pub(crate) fn at(dir: &Path) -> Self {
        Self { dir: Folder::Borrowed(dir.to_owned()), modules: modules() }
    }

    pub(crate) fn new() -> Self {
        let universe = Self { dir: Folder::Own(tempfile::tempdir().unwrap()), modules: modules() };
        for module in &universe.modules {
            universe.publish(module, zip_of(module));
        }
        universe
    }

    /// Puts a module with this zip behind the proxy.
    pub(crate) fn publish(&self, module: &ModuleVersion, zip: &[u8]) {
        let info = format!(
            "{{\n  \"Version\": \"{}\",\n \"Time\": \"2024-01-02T03:04:05.500+02:00\", \"Name\":\"x\", \
             \"Origin\":{{\"VCS\":\"git\",\"URL\":\"https://e.com/?a&b\",\"Ref\":\"refs/x\",\"TagSum\":\"t1:\",\"Hash\":\"abc\"}}}}\n",
            module.version()
        );
        for (kind, content) in
            [(FileKind::Info, info.as_bytes()), (FileKind::Mod, &gomod(module)), (FileKind::Zip, zip)]
        {
            let file = self.published(module, kind);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
    }

    pub(crate) fn proxy(&self) -> PathBuf {
        self.dir.path().join("proxy")
    }

    pub(crate) fn published(&self, module: &ModuleVersion, kind: FileKind) -> PathBuf {
        self.proxy().join(module.proxy_path(kind).trim_start_matches('/'))
    }

    pub(crate) fn hash(&self, module: &ModuleVersion) -> DirHash {
        DirHash::of_zip(fs::File::open(self.published(module, FileKind::Zip)).unwrap()).unwrap()
    }

    /// A go command with this cache and the proxy of the universe, without a checksum database.
    pub(crate) fn go(&self, cache: &Path) -> Command {
        let mut go = Command::new("go");
        go.current_dir(self.dir.path())
            .env("GOPROXY", format!("file://{}", self.proxy().display()))
            .env("GOMODCACHE", cache)
            .envs([("GOSUMDB", "off"), ("GOTOOLCHAIN", "local"), ("GOFLAGS", "-mod=mod"), ("GOWORK", "off")])
            .envs([("GOPRIVATE", ""), ("GONOPROXY", ""), ("GONOSUMDB", ""), ("GOENV", "off")]);
        go
    }

    pub(crate) fn go_download(&self, cache: &Path) -> Output {
        let names = self.modules.iter().map(ToString::to_string);
        self.go(cache).args(["mod", "download"]).args(names).output().expect("the go command must be on PATH")
    }

    /// The cache that the real go command makes.
    pub(crate) fn go_cache(&self) -> PathBuf {
        let cache = self.dir.path().join("go-cache");
        let output = self.go_download(&cache);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        cache
    }

    /// Fills a cache as `goferry download` does, small zips from memory and large ones by pieces.
    pub(crate) fn fill(&self, cache: &ModCache, unpacker: &Unpacker) -> Result<(), FetchError> {
        for module in &self.modules {
            self.install(cache, unpacker, module)?;
        }
        cache.flush_lists();
        Ok(())
    }

    pub(crate) fn install(
        &self,
        cache: &ModCache,
        unpacker: &Unpacker,
        module: &ModuleVersion,
    ) -> Result<(), FetchError> {
        let read = |kind| fs::read(self.published(module, kind)).unwrap();
        let state = cache.state(module);
        if !state.has_info {
            cache.write_info(module, &read(FileKind::Info))?;
        }
        if !state.has_mod {
            cache.write_mod(module, &read(FileKind::Mod))?;
        }
        let right = self.hash(module);
        let judge = |hash| if hash == right { Ok(()) } else { Err(mismatch()) };
        if state.extracted && state.zip().is_some() {
            return Ok(());
        }
        if state.has_zip {
            cache.extract_cached(module, judge, unpacker)?;
            return Ok(());
        }
        let zip = read(FileKind::Zip);
        let zip = if zip.len() < 500_000 { Zip::of_bytes(zip.into()) } else { in_pieces(cache, module, &zip)? };
        cache.install(module, zip, judge, true, unpacker).map(drop)
    }
}

pub(crate) fn mismatch() -> FetchError {
    FetchError::new(goferry_fetch::FailKind::Mismatch, goferry_net::Party::Upstream, "checksum mismatch")
}

/// Hands a zip over in two pieces; resumes those that are there.
pub(crate) fn in_pieces(cache: &ModCache, module: &ModuleVersion, zip: &[u8]) -> Result<Zip, FetchError> {
    use std::io::Write as _;
    let total = zip.len() as u64;
    let mut parts = cache.partial_zip(module, Duration::from_secs(20))?;
    parts.set_origin(Origin {
        url: "https://goproxy.example.com".to_owned(),
        total: Some(total),
        ..Origin::default()
    })?;
    let half = zip.len() / 2;
    for (start, end) in [(half, zip.len()), (0, half)] {
        let mut writer = parts.segment(start as u64, total)?;
        let from = usize::try_from(writer.arrived().end()).unwrap();
        for piece in zip.get(from..end).unwrap_or_default().chunks(64 << 10) {
            writer.write_all(piece).map_err(|e| FetchError::local("writing a piece", &e))?;
        }
    }
    parts.join(total)
}

/// Two caches are the same, file by file: names, modes, contents.
#[track_caller]
pub(crate) fn assert_same(go: &Path, ours: &Path) {
    let (mut go, mut ours) = (snapshot(go), snapshot(ours));
    // Go 1.21.13 writes two fields in the other order. The go commands take each other's files, and ours.
    for (_, (_, content)) in go.iter_mut().chain(&mut ours).filter(|(name, _)| name.ends_with(".info")) {
        let text = String::from_utf8(content.take().unwrap_or_default()).unwrap();
        *content = Some(text.replace(r#""Ref":"refs/x","Hash":"abc""#, r#""Hash":"abc","Ref":"refs/x""#).into_bytes());
    }
    let differences = differences(&go, &ours);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// What anyone could take for a module: all but locks and folders of the cache's own.
pub(crate) fn visible(root: &Path) -> Vec<String> {
    let all = snapshot(root).into_iter();
    let is_own =
        |name: &str| name.ends_with(".lock") || ["cache", "cache/download"].contains(&name) || name.ends_with("/@v");
    all.filter(|(name, (_, content))| !is_own(name) && (content.is_some() || name.contains('@')))
        .map(|(name, _)| name)
        .collect()
}

impl Drop for Universe {
    fn drop(&mut self) {
        if let Folder::Own(dir) = &self.dir {
            make_writable(dir.path());
        }
    }
}
