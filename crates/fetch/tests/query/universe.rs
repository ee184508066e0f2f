//! Module proxies made up in a directory, and what reads them without the go command.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use goferry_fetch::query::Versions;
use goferry_fetch::{BoxFuture, FailKind, FetchError, VersionList};
use goferry_module::zip::create_module_zip;
use goferry_module::{FileKind, ModInfo, ModulePath, ModuleVersion, Version};
use goferry_net::Party;

/// The directories of two module proxies, `a` and `b`.
pub(crate) struct Universe {
    pub(crate) dir: tempfile::TempDir,
}

/// A version is `VERSION` (with a go.mod), `VERSION!` (without) or `VERSION: LINES` (lines of the go.mod, `;` between).
const TAGGED: &[(&str, &[&str])] = &[
    ("a/example.com/plain", &["v1.0.0", "v1.1.0", "v1.2.0", "v1.2.3", "v1.3.0-rc.1", "v1.10.0"]),
    ("a/example.com/pre", &["v0.1.0-alpha", "v0.1.0-beta.2", "v0.1.0-beta.11"]),
    ("a/example.com/retracts", &["v1.0.0", "v1.1.0", "v1.2.0: retract v1.2.0 // broken; retract [v1.0.5, v1.1.0]"]),
    ("a/example.com/allgone", &["v1.0.0", "v1.1.0: retract [v0.0.0, v1.9.9]"]),
    ("a/example.com/badretract", &["v1.0.0", "v1.1.0: retract [v1.0.0"]),
    ("a/example.com/toonew", &["v1.0.0", "v1.1.0: go 1.999; retract v1.1.0"]),
    ("a/example.com/renamed", &["v1.0.0", "v1.1.0: module example.com/other; retract v1.1.0"]),
    ("a/example.com/incompat", &["v1.0.0!", "v1.1.0!", "v2.0.0+incompatible!", "v3.0.0-rc.1+incompatible!"]),
    ("a/example.com/incompatmod", &["v1.0.0!", "v1.1.0", "v2.0.0+incompatible!", "v2.1.0+incompatible!"]),
    ("a/example.com/onlyincompat", &["v2.0.0+incompatible!", "v3.1.0+incompatible!"]),
    ("a/example.com/premod", &["v1.0.0-pre", "v2.0.0+incompatible!"]),
    ("a/example.com/majors/v2", &["v2.0.0", "v2.1.0"]),
    ("a/gopkg.in/thing.v1", &["v1.0.0", "v1.1.0"]),
    ("a/example.com/!upper", &["v1.0.0-!rc1", "v1.0.0"]),
    ("a/example.com/fork", &["v1.7.0"]),
    ("a/example.com/liar", &["v1.0.0", "v1.1.0"]),
    ("a/example.com/branchless", &["v1.0.0"]),
    ("a/example.com/deep", &["v1.0.0: require example.com/incompatmod v2.0.0+incompatible"]),
    ("b/example.com/onlyb", &["v1.0.0"]),
    ("b/example.com/untagged", &["v1.0.0"]),
    ("b/example.com/liar", &["v1.2.0"]),
    ("b/example.com/halfgone", &["v1.0.0"]),
];

const OLD: &str = "v0.0.0-20200101000000-aaaaaaaaaaaa";
const NEW: &str = "v0.0.0-20220101000000-bbbbbbbbbbbb";
const MAIN: &str = "v1.10.1-0.20230101000000-cccccccccccc";

impl Universe {
    pub(crate) fn make() -> Universe {
        let universe = Universe { dir: tempfile::tempdir().unwrap() };
        for (module, versions) in TAGGED {
            let mut list = String::new();
            for (minute, version) in versions.iter().enumerate() {
                let (version, go_mod) = describe(module, version);
                universe.version(module, &version, &go_mod, &format!("2021-01-01T00:{minute:02}:00Z"));
                list = format!("{}\n{list}", unescape(&version));
            }
            universe.write(&format!("{module}/@v/list"), &list);
        }
        universe.irregular();
        universe
    }

    /// What is not just a list of tagged versions.
    fn irregular(&self) {
        let pseudo = |module: &str, version: &str| {
            let year = &version.rsplit('-').nth(1).unwrap().trim_start_matches("0.")[..4];
            let time = format!("{year}-01-01T00:00:00Z");
            self.version(module, version, "", &time);
            format!("{{\"Version\":\"{version}\",\"Time\":\"{time}\"}}")
        };
        let main = pseudo("a/example.com/plain", MAIN);
        self.write("a/example.com/plain/@v/main.info", &main);
        self.write("a/example.com/plain/@v/cccccccccccc.info", &main);
        self.write("a/example.com/plain/@latest", &main);
        self.write("a/example.com/pre/@latest", "not asked for");

        pseudo("a/example.com/untagged", OLD);
        let new = pseudo("a/example.com/untagged", NEW);
        self.write("a/example.com/untagged/@latest", &new);
        self.write("a/example.com/untagged/@v/list", "");

        pseudo("a/example.com/nolatest", OLD);
        pseudo("a/example.com/nolatest", NEW);
        self.write("a/example.com/nolatest/@v/list", &format!("{NEW}\n{OLD}\n"));
        pseudo("a/example.com/timed", OLD);
        pseudo("a/example.com/timed", NEW);
        self.write("a/example.com/timed/@v/list", &format!("{NEW} 2022-01-01T00:00:00Z\n{OLD} 2023-01-01T00:00:00Z\n"));

        self.write("a/example.com/nothing/@v/list", "");
        self.write("a/example.com/halfgone/@v/list", "v1.9.0\n");
        self.write("a/example.com/nolist/@latest", &new);
        self.version("a/example.com/nolist", "v1.0.0", "", "2021-01-01T00:00:00Z");

        self.write("a/example.com/liar/@v/v1.0.0.info", r#"{"Version":"v1.0.1"}"#);
        self.write("a/example.com/liar/@v/v1.1.0.info", "<html>");
        self.write("a/example.com/liar/@v/other.info", r#"{"Version":"v2.0.0"}"#);
        self.misfit("a/example.com/liar");
        self.write("a/example.com/liar/@v/short.info", r#"{"Version":"v1"}"#);
        self.write("a/example.com/liar/@v/word.info", r#"{"Version":"main"}"#);
        self.write("a/example.com/badlatest/@v/list", "");
        self.write("a/example.com/badlatest/@latest", "<html>");
        self.write("a/example.com/wordlatest/@v/list", "");
        self.write("a/example.com/wordlatest/@latest", r#"{"Version":"tip"}"#);

        for version in ["v1.0.0", "v1.5.0"] {
            self.version("a/example.com/hostile", version, "", "2021-01-01T00:00:00Z");
        }
        self.write("a/example.com/hostile/@v/v1.5.info", r#"{"Version":"v1.5.0","Time":"2021-01-01T00:00:00Z"}"#);
        self.write("a/example.com/hostile/@v/list", "1.9.0\n\u{0}\nv1.0.0 x y\nv1.5\r\nv01.0.0\nmaster\nv1.9.0!\n");
        self.write("a/example.com/wrongmajor/@v/list", "v1.0.0\nv2.0.0\n");
        self.version("a/example.com/wrongmajor", "v1.0.0", "", "2021-01-01T00:00:00Z");
        self.misfit("a/example.com/wrongmajor");
    }

    /// Writes a version v2.0.0 of a module whose path has no major version.
    fn misfit(&self, module: &str) {
        let path = &module[2..];
        self.write(&format!("{module}/@v/v2.0.0.info"), r#"{"Version":"v2.0.0"}"#);
        self.write(&format!("{module}/@v/v2.0.0.mod"), &format!("module {path}\n\ngo 1.20\n"));
        let fitting = ModuleVersion::new(path.parse().unwrap(), Version::parse("v1.0.9").unwrap()).unwrap();
        let mut zip = create_module_zip(&fitting, [("a.go", "package a\n")]).unwrap();
        for at in 0..zip.len() - 8 {
            if zip[at..].starts_with(b"@v1.0.9/") {
                zip[at..at + 8].copy_from_slice(b"@v2.0.0/");
            }
        }
        fs::write(self.dir.path().join(format!("{module}/@v/v2.0.0.zip")), zip).unwrap();
    }

    /// Writes `.info`, `.mod` and `.zip`. `module` begins with the proxy; it and the version are escaped.
    fn version(&self, module: &str, version: &str, go_mod: &str, time: &str) {
        let path: ModulePath = unescape(&module[2..]).parse().unwrap();
        let plain = unescape(version);
        let file = |kind: &str| format!("{module}/@v/{version}.{kind}");
        self.write(&file("info"), &format!("{{\"Version\":\"{plain}\",\"Time\":\"{time}\"}}"));
        let made_up = format!("module {path}\n");
        self.write(&file("mod"), if go_mod.is_empty() { &made_up } else { go_mod });
        let module = ModuleVersion::new(path, Version::parse(&plain).unwrap()).unwrap();
        let mut files = vec![("a.go", "package a\n")];
        if !go_mod.is_empty() {
            files.push(("go.mod", go_mod));
        }
        let zip = create_module_zip(&module, files).unwrap();
        fs::write(self.dir.path().join(file("zip")), zip).unwrap();
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.dir.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    pub(crate) fn double(&self, name: &str) -> Double {
        Double { dir: self.dir.path().join(name) }
    }
}

/// The version in its escaped form and its go.mod, empty where it has none.
fn describe(module: &str, text: &str) -> (String, String) {
    let path = unescape(&module[2..]);
    if let Some(version) = text.strip_suffix('!') {
        return (version.to_owned(), String::new());
    }
    let (version, lines) = text.split_once(": ").unwrap_or((text, ""));
    let mut go_mod = String::new();
    if !lines.contains("module ") {
        go_mod = format!("module {path}\n\n");
    }
    if !lines.contains("go 1.") {
        go_mod.push_str("go 1.20\n");
    }
    lines.split("; ").for_each(|line| go_mod = format!("{go_mod}{line}\n"));
    (version.to_owned(), go_mod)
}

fn unescape(text: &str) -> String {
    let mut upper = false;
    let letters = text.chars().filter_map(|c| {
        let up = std::mem::replace(&mut upper, c == '!');
        (c != '!').then(|| if up { c.to_ascii_uppercase() } else { c })
    });
    letters.collect()
}

/// Reads a proxy's directory.
pub(crate) struct Double {
    dir: PathBuf,
}

impl Double {
    fn read(&self, rest: &str) -> Result<Vec<u8>, FetchError> {
        let file = self.dir.join(rest.trim_start_matches('/'));
        fs::read(&file).map_err(|error| {
            FetchError::new(FailKind::NotFound(404), Party::Upstream, format!("reading {rest}: {error}"))
        })
    }

    fn read_info(&self, rest: &str) -> Result<ModInfo, FetchError> {
        ModInfo::parse(&self.read(rest)?).map_err(|error| FetchError::invalid(error.to_string()))
    }
}

impl Versions for Double {
    fn list<'a>(&'a self, path: &'a ModulePath) -> BoxFuture<'a, Result<VersionList, FetchError>> {
        Box::pin(async { VersionList::parse(&self.read(&path.list_path())?) })
    }

    fn latest<'a>(&'a self, path: &'a ModulePath) -> BoxFuture<'a, Result<ModInfo, FetchError>> {
        Box::pin(async { self.read_info(&path.latest_path()) })
    }

    fn info<'a>(&'a self, path: &'a ModulePath, rev: &'a str) -> BoxFuture<'a, Result<ModInfo, FetchError>> {
        let escaped = goferry_module::escape::escape_version(rev).unwrap();
        Box::pin(async move { self.read_info(&format!("/{}/@v/{escaped}.info", path.escape())) })
    }

    fn go_mod<'a>(&'a self, module: &'a ModuleVersion) -> BoxFuture<'a, Result<Bytes, FetchError>> {
        Box::pin(async { Ok(self.read(&module.proxy_path(FileKind::Mod))?.into()) })
    }
}

/// The requires of a go.mod and what the graph adds, by path.
pub(crate) fn selected(go_mod: &goferry_module::GoMod, graph: &[(&str, &str)]) -> BTreeMap<String, Version> {
    let mut selected: BTreeMap<String, Version> =
        go_mod.requires.iter().map(|require| (require.path.clone(), require.version.clone())).collect();
    for (path, version) in graph {
        selected.insert((*path).to_owned(), Version::parse(version).unwrap());
    }
    selected
}
