//! A module universe made up for a test: modules that require each other, with zips of the size asked for and with
//! correct hashes, kept in memory as the files a module proxy serves.

mod archive;
mod project;

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

pub use self::archive::noise;
pub use self::project::ProjectSpec;

use self::archive::{Random, go_mod_hash, module_zip};
use crate::sumdb::Log;

/// The version that every module of a universe has.
pub const VERSION: &str = "v1.0.0";
/// What every module path begins with.
pub const PREFIX: &str = "lab.example.com";
/// The name of the checksum database that every universe has. A proxy answers for it below `/sumdb/`; nobody else does.
pub const SUMDB: &str = "sum.lab.example.com";
/// When every module was published, as `.info` and `@latest` say.
const TIME: &str = "2024-01-02T03:04:05Z";
/// The smallest zip that can be made: a go.mod, a Go file and the zip's own directory.
pub const MIN_ZIP: usize = 1024;

/// Bytes of a file, cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Body(Arc<[u8]>);

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// What a path of a module proxy names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// `@v/list`.
    List,
    /// `@latest`.
    Latest,
    /// `@v/V.info`.
    Info,
    /// `@v/V.mod`.
    Mod,
    /// `@v/V.zip`.
    Zip,
    /// `/sumdb/…`.
    SumDb,
    /// Anything else.
    Other,
}

impl FileKind {
    /// What `path`, as in a request line, names.
    #[must_use]
    pub fn of(path: &str) -> Self {
        if path.starts_with("/sumdb/") {
            return Self::SumDb;
        }
        if path.ends_with("/@latest") {
            return Self::Latest;
        }
        match path.rsplit_once("/@v/") {
            Some((_, "list")) => Self::List,
            Some((_, file)) => match file.rsplit_once('.') {
                Some((_, "info")) => Self::Info,
                Some((_, "mod")) => Self::Mod,
                Some((_, "zip")) => Self::Zip,
                _ => Self::Other,
            },
            None => Self::Other,
        }
    }

    /// A name for logs and counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Latest => "latest",
            Self::Info => "info",
            Self::Mod => "mod",
            Self::Zip => "zip",
            Self::SumDb => "sumdb",
            Self::Other => "other",
        }
    }

    /// The media type that the public module proxies send.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Info | Self::Latest => "application/json",
            Self::Zip => "application/zip",
            _ => "text/plain; charset=utf-8",
        }
    }
}

/// How modules require each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shape {
    /// None requires another.
    #[default]
    Flat,
    /// Module i requires 2i+1 and 2i+2.
    BinaryTree,
    /// Module i requires i+1.
    Chain,
}

impl Shape {
    fn requires(self, module: usize, modules: usize) -> Vec<usize> {
        let wanted = match self {
            Self::Flat => vec![],
            Self::BinaryTree => vec![2 * module + 1, 2 * module + 2],
            Self::Chain => vec![module + 1],
        };
        wanted.into_iter().filter(|other| *other < modules).collect()
    }

    /// Whether the main module requires this one by itself, and not only through another.
    fn is_root(self, module: usize) -> bool {
        self == Self::Flat || module == 0
    }
}

/// Sizes of the zips, in bytes; at least [`MIN_ZIP`] each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZipSize {
    /// All the same.
    Fixed(usize),
    /// Most small and a few large, as real modules are: half of `largest` is in one of 16, the others share evenly
    /// between `smallest` and a quarter of `largest`, by chance.
    Skewed {
        /// The smallest.
        smallest: usize,
        /// The largest.
        largest: usize,
    },
}

impl ZipSize {
    fn pick(self, random: &mut Random) -> usize {
        let size = match self {
            Self::Fixed(size) => size,
            Self::Skewed { smallest, largest } => {
                let top = if random.below(16) == 0 { largest } else { (largest / 4).max(smallest + 1) };
                smallest + random.below(top.saturating_sub(smallest).max(1) as u64) as usize
            }
        };
        size.max(MIN_ZIP)
    }
}

/// One module.
#[derive(Debug, Clone)]
pub struct LabModule {
    /// Its path.
    pub path: String,
    /// Numbers of the modules that it requires.
    pub requires: Vec<usize>,
    /// Its go.mod.
    pub go_mod: Body,
    /// Its zip.
    pub zip: Body,
    /// `h1:` hash of its go.mod, as in go.sum.
    pub go_mod_hash: String,
    /// `h1:` hash of its zip, as in go.sum.
    pub zip_hash: String,
    size: usize,
    seed: u64,
}

/// Makes a [`Universe`].
#[derive(Debug, Clone)]
pub struct UniverseBuilder {
    modules: usize,
    zip_size: ZipSize,
    shape: Shape,
    go_line: String,
    seed: u64,
}

impl UniverseBuilder {
    /// How many modules; 8 unless said.
    #[must_use]
    pub fn modules(mut self, modules: usize) -> Self {
        self.modules = modules;
        self
    }

    /// How large the zips are; 20 kB unless said.
    #[must_use]
    pub fn zip_size(mut self, size: ZipSize) -> Self {
        self.zip_size = size;
        self
    }

    /// How modules require each other; flat unless said.
    #[must_use]
    pub fn shape(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }

    /// The `go` line of every go.mod; `1.21` unless said. Below 1.17 graphs are not pruned.
    #[must_use]
    pub fn go_line(mut self, version: &str) -> Self {
        version.clone_into(&mut self.go_line);
        self
    }

    /// Seed of sizes and contents; the same seed gives the same bytes.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Makes all files.
    #[must_use]
    pub fn build(self) -> Universe {
        let mut random = Random::new(self.seed);
        let paths: Vec<_> = (0..self.modules).map(|number| format!("{PREFIX}/m{number:04}")).collect();
        let mut by_path = HashMap::new();
        let modules = paths.iter().enumerate().map(|(number, path)| {
            by_path.insert(path.clone(), number);
            let requires = self.shape.requires(number, self.modules);
            let mut go_mod = format!("module {path}\n\ngo {}\n", self.go_line);
            for other in &requires {
                go_mod.push_str(&format!("\nrequire {} {VERSION}\n", paths[*other]));
            }
            let (size, seed) = (self.zip_size.pick(&mut random), random.next());
            let (zip, zip_hash) = module_zip(path, VERSION, &go_mod, size, seed);
            LabModule {
                path: path.clone(),
                requires,
                go_mod_hash: go_mod_hash(go_mod.as_bytes()),
                go_mod: go_mod.into_bytes().into(),
                zip: zip.into(),
                zip_hash,
                size,
                seed,
            }
        });
        let modules = modules.collect();
        Universe { modules, by_path, go_line: self.go_line, shape: self.shape, log: OnceLock::new() }
    }
}

/// Modules, and the files a module proxy serves for them.
#[derive(Debug)]
pub struct Universe {
    modules: Vec<LabModule>,
    by_path: HashMap<String, usize>,
    go_line: String,
    shape: Shape,
    log: OnceLock<Log>,
}

impl Universe {
    /// Starts with 8 modules, flat, 20 kB each, `go 1.21`, seed 1.
    #[must_use]
    pub fn builder() -> UniverseBuilder {
        UniverseBuilder {
            modules: 8,
            zip_size: ZipSize::Fixed(20_000),
            shape: Shape::Flat,
            go_line: "1.21".to_owned(),
            seed: 1,
        }
    }

    /// All modules.
    #[must_use]
    pub fn modules(&self) -> &[LabModule] {
        &self.modules
    }

    /// The file at a path of the proxy, or `None` (404). With `changed` the bytes of `.mod` and `.zip` are others
    /// than go.sum promises, in an otherwise valid file.
    #[must_use]
    pub fn file(&self, path: &str, changed: bool) -> Option<Body> {
        let path = path.strip_prefix('/')?;
        if let Some(module) = path.strip_suffix("/@latest") {
            return self.module(module).map(|_| info());
        }
        let (module, file) = path.rsplit_once("/@v/")?;
        let module = self.module(module)?;
        if file == "list" {
            return Some(format!("{VERSION}\n").into_bytes().into());
        }
        match (file.strip_prefix(VERSION)?, changed) {
            (".info", _) => Some(info()),
            (".mod", false) => Some(module.go_mod.clone()),
            (".mod", true) => Some([&*module.go_mod, b"\n// changed\n"].concat().into()),
            (".zip", false) => Some(module.zip.clone()),
            (".zip", true) => {
                let go_mod = String::from_utf8_lossy(&module.go_mod);
                Some(module_zip(&module.path, VERSION, &go_mod, module.size, !module.seed).0.into())
            }
            _ => None,
        }
    }

    /// The answer of the checksum database to what is asked of it, such as `lookup/lab.example.com/m0000@v1.0.0`.
    #[must_use]
    pub fn sumdb(&self, asked: &str) -> Option<Body> {
        let log = self.log();
        if asked == "supported" {
            return Some(Body::default());
        }
        let body = match (asked, asked.strip_prefix("lookup/")) {
            ("latest", _) => log.signed(log.size()).into_bytes(),
            (_, Some(module)) => {
                let (path, version) = module.split_once('@')?;
                log.lookup(path, version, |_| log.size())?.into_bytes()
            }
            _ => log.tile(asked, log.size())?,
        };
        Some(body.into())
    }

    /// The key of the checksum database: a GOSUMDB.
    #[must_use]
    pub fn sumdb_key(&self) -> String {
        self.log().key()
    }

    fn log(&self) -> &Log {
        self.log.get_or_init(|| {
            let mut log = Log::new(SUMDB);
            for LabModule { path, zip_hash, go_mod_hash, .. } in &self.modules {
                log.add(&format!("{path} {VERSION} {zip_hash}\n{path} {VERSION}/go.mod {go_mod_hash}\n"));
            }
            log
        })
    }

    fn module(&self, path: &str) -> Option<&LabModule> {
        self.by_path.get(path).map(|number| &self.modules[*number])
    }
}

fn info() -> Body {
    format!("{{\"Version\":\"{VERSION}\",\"Time\":\"{TIME}\"}}").into_bytes().into()
}

#[cfg(test)]
mod tests;
