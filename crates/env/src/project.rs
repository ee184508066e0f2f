//! The project in a directory: its go.mod or go.work, go.sum, and what `go mod download` would fetch for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use goferry_module::gomod::{MAX_GO_MOD, Replace, Replacement, ResolvedVersions};
use goferry_module::gosum::MAX_GO_SUM;
use goferry_module::{FileKind, GoMod, GoSum, GoWork, ModulePath, ModuleVersion, Version};

use crate::inputs::Inputs;
use crate::resolve::Environment;
use crate::{locate, read};

/// Most modules of a workspace that are read.
const MAX_MODULES: usize = 2000;

/// A project as the go command would see it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Project {
    /// The go.mod that is in effect (`-modfile` counts), or `None` in a workspace.
    pub go_mod: Option<PathBuf>,
    /// The go.work that is in effect.
    pub go_work: Option<PathBuf>,
    /// The main modules.
    pub modules: Vec<MainModule>,
    /// The go line of the go.work or go.mod.
    pub go_line: Option<String>,
    /// The toolchain line of the go.work or go.mod.
    pub toolchain_line: Option<String>,
    /// Whether the module graph is pruned: every main module is at go 1.17 or later.
    pub pruned: bool,
    /// Whether there is a vendor directory beside the go.mod or go.work, so that builds need no download.
    pub vendored: bool,
    /// The modules that are required, after replacement and without those replaced by a directory.
    #[serde(serialize_with = "crate::serialize_displays")]
    pub requires: Vec<ModuleVersion>,
    /// The go.sum files that are read.
    pub go_sums: Vec<PathBuf>,
    /// go.mod hashes in go.sum: an upper bound of the `.mod` files of the graph, since go.sum may list more than are read.
    pub graph_mod_files: usize,
    /// Requires without the hash of their zip in go.sum: each costs a look-up in the checksum database.
    #[serde(serialize_with = "crate::serialize_displays")]
    pub missing_zip_hash: Vec<ModuleVersion>,
    /// Requires without the hash of their go.mod in go.sum.
    #[serde(serialize_with = "crate::serialize_displays")]
    pub missing_mod_hash: Vec<ModuleVersion>,
    /// What `go mod download` fetches.
    pub to_fetch: Vec<Fetch>,
    /// Whether [`Project::to_fetch`] is the list of requires, and not derived from go.sum.
    pub exact: bool,
}

/// One main module.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MainModule {
    /// Its path, empty when go.mod has no module line.
    pub path: String,
    /// Its directory.
    pub dir: PathBuf,
    /// Its go line.
    pub go_line: Option<String>,
}

/// One module that is fetched.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fetch {
    /// The module.
    #[serde(serialize_with = "crate::serialize_display")]
    pub module: ModuleVersion,
    /// Whether GONOPROXY (or GOPRIVATE) sends it past GOPROXY.
    pub private: bool,
    /// Size in bytes of its zip in the module cache; `None` when it is not there.
    pub cached_zip: Option<u64>,
    /// Whether go.sum has the hash of its zip.
    pub has_zip_hash: bool,
}

/// Why the project cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProjectError {
    /// A file is there and cannot be read.
    #[error("{path} cannot be read: {problem}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        problem: String,
    },
    /// A file is malformed; the text names file, line and column.
    #[error("{problem}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Every error with its position.
        problem: String,
    },
    /// A setting cannot be used with this project.
    #[error("{0}")]
    Setting(String),
    /// The workspace has more modules than are read.
    #[error(
        "{path} uses {count} modules, more than the {MAX_MODULES} that are read: split the workspace, or set GOWORK=off"
    )]
    TooManyModules {
        /// The go.work.
        path: PathBuf,
        /// Its `use` lines.
        count: usize,
    },
}

/// The files of a project, parsed.
///
/// What a downloader needs: [`Project`] is a summary of the same.
#[derive(Clone, Debug)]
pub struct ProjectFiles {
    /// The go.work in effect, `None` outside a workspace.
    pub go_work: Option<(PathBuf, GoWork)>,
    /// The go.mod files of the main modules: one, or those that the go.work uses, in its order. Outside a workspace
    /// `-modfile` counts.
    pub modules: Vec<(PathBuf, GoMod)>,
    /// The go.sum files that are read, whether or not they exist. The first is the one that is written: the go.work.sum,
    /// or the go.sum beside the go.mod (`-modfile=x.mod`: x.sum). The others are those of the workspace's modules, in
    /// the order of [`ProjectFiles::modules`].
    pub sums: Vec<PathBuf>,
    /// The versions that stand for others in the go.mod files: see [`Project::queries`].
    pub resolved: ResolvedVersions,
}

impl Project {
    /// Finds the project of [`Inputs::dir`]. `Ok(None)` when there is none, which is no error.
    ///
    /// # Errors
    /// When a go.mod, go.work or go.sum cannot be read or is malformed, or GOWORK or `-modfile` is unusable.
    pub fn find(inputs: &Inputs, env: &Environment) -> Result<Option<Project>, ProjectError> {
        match Project::files(inputs, env)? {
            Some(files) => files.summarise(env).map(Some),
            None => Ok(None),
        }
    }

    /// The files of the project of [`Inputs::dir`]. `Ok(None)` when there is none, which is no error.
    ///
    /// # Errors
    /// When a go.mod or go.work cannot be read or is malformed, a go.work uses one directory twice or too many, or
    /// GOWORK or `-modfile` is unusable. The go.sum files are not opened.
    pub fn files(inputs: &Inputs, env: &Environment) -> Result<Option<ProjectFiles>, ProjectError> {
        Project::files_with(inputs, env, ResolvedVersions::default())
    }

    /// As [`Project::files`], with the answers to [`Project::queries`].
    ///
    /// # Errors
    /// As [`Project::files`].
    pub fn files_with(
        inputs: &Inputs,
        env: &Environment,
        resolved: ResolvedVersions,
    ) -> Result<Option<ProjectFiles>, ProjectError> {
        match Head::find(inputs, env)? {
            Some(Head::Module(file)) => ProjectFiles::module(file, resolved).map(Some),
            Some(Head::Workspace(file)) => ProjectFiles::workspace(file, resolved).map(Some),
            None => Ok(None),
        }
    }

    /// Paths and versions in the go.mod files of the project that the go command asks its sources about, such as `master`
    /// and `v1.2`: see [`GoMod::queries`]. [`Project::files`] takes `v1.2` for `v1.2.0` and refuses `master`.
    ///
    /// # Errors
    /// As [`Project::files`].
    pub fn queries(inputs: &Inputs, env: &Environment) -> Result<Vec<(String, String)>, ProjectError> {
        let files = match Head::find(inputs, env)? {
            Some(Head::Module(file)) => vec![file],
            Some(Head::Workspace(file)) => go_mods(&file, &load_work(&file)?)?,
            None => Vec::new(),
        };
        let mut queries = Vec::new();
        for file in files {
            let more = GoMod::queries(&file.display().to_string(), &load(&file, MAX_GO_MOD)?)
                .map_err(|e| ProjectError::Malformed { path: file.clone(), problem: e.to_string() })?;
            queries.extend(more);
        }
        queries.sort();
        queries.dedup();
        Ok(queries)
    }
}

/// The file that a project begins with.
enum Head {
    Module(PathBuf),
    Workspace(PathBuf),
}

impl Head {
    fn find(inputs: &Inputs, env: &Environment) -> Result<Option<Head>, ProjectError> {
        if env.value("GO111MODULE") == "off" {
            return Ok(None);
        }
        let modfile = env.goflag("modfile").filter(|f| !f.is_empty());
        match locate::go_work(inputs, env) {
            Some(_) if modfile.is_some() => {
                let what = "-modfile in GOFLAGS cannot be used in a workspace: unset it, or set GOWORK=off";
                Err(ProjectError::Setting(what.to_owned()))
            }
            Some(file) if !file.is_absolute() => {
                let what = format!("GOWORK={} is not an absolute path", file.display());
                Err(ProjectError::Setting(what))
            }
            Some(file) => Ok(Some(Head::Workspace(file))),
            None => match (locate::go_mod(&inputs.dir), modfile) {
                (None, _) => Ok(None),
                (Some(_), Some(name)) if !name.ends_with(".mod") => {
                    let what = format!("-modfile={name} in GOFLAGS does not end with .mod");
                    Err(ProjectError::Setting(what))
                }
                (Some(_), Some(name)) => Ok(Some(Head::Module(inputs.dir.join(name)))),
                (Some(root), None) => Ok(Some(Head::Module(root))),
            },
        }
    }
}

impl ProjectFiles {
    fn module(file: PathBuf, resolved: ResolvedVersions) -> Result<ProjectFiles, ProjectError> {
        let parsed = parse_mod(&file, &resolved)?;
        Ok(ProjectFiles {
            go_work: None,
            sums: vec![file.with_extension("sum")],
            modules: vec![(file, parsed)],
            resolved,
        })
    }

    fn workspace(file: PathBuf, resolved: ResolvedVersions) -> Result<ProjectFiles, ProjectError> {
        let work = load_work(&file)?;
        let mut sums = vec![with_sum(&file)];
        let mut modules = Vec::with_capacity(work.uses.len());
        for go_mod in go_mods(&file, &work)? {
            sums.push(go_mod.with_extension("sum"));
            let parsed = parse_mod(&go_mod, &resolved)?;
            modules.push((go_mod, parsed));
        }
        Ok(ProjectFiles { go_work: Some((file, work)), modules, sums, resolved })
    }

    fn summarise(self, env: &Environment) -> Result<Project, ProjectError> {
        let mut go_sums = Vec::new();
        let mut sums = Vec::new();
        for path in &self.sums {
            if let Some(sum) = parse_sum(path)? {
                go_sums.push(path.clone());
                sums.push(sum);
            }
        }
        let has_zip = |m: &ModuleVersion| sums.iter().any(|s| s.has_zip(m));
        let has_mod = |m: &ModuleVersion| sums.iter().any(|s| s.has_go_mod(m));
        let requires = self.requires();
        let pruned = !self.modules.is_empty() && self.modules.iter().all(|(_, m)| m.is_pruned());
        let exact = pruned && self.go_work.is_none();
        let missing = |has: &dyn Fn(&ModuleVersion) -> bool| -> Vec<ModuleVersion> {
            requires.iter().filter(|m| !has(m)).cloned().collect()
        };
        let list = if exact { requires.clone() } else { self.build_list(&sums, &requires) };
        let to_fetch = list
            .into_iter()
            .map(|module| Fetch {
                private: env.skips_proxy(module.path().as_str()),
                cached_zip: env.mod_cache().and_then(|dir| cached_zip(dir, &module)),
                has_zip_hash: has_zip(&module),
                module,
            })
            .collect();
        let hashes: BTreeSet<(&str, &str)> = sums
            .iter()
            .flat_map(GoSum::iter)
            .filter(|(_, version, _)| version.ends_with("/go.mod"))
            .map(|(path, version, _)| (path, version))
            .collect();
        let head = self.modules.first().map(|(_, m)| m);
        let (go, toolchain) = match &self.go_work {
            Some((_, work)) => (work.go.as_ref(), work.toolchain.as_ref()),
            None => (head.and_then(|m| m.go.as_ref()), head.and_then(|m| m.toolchain.as_ref())),
        };
        let main_file = self.go_work.as_ref().map(|(f, _)| f).or(self.modules.first().map(|(f, _)| f));
        Ok(Project {
            go_line: go.map(|g| g.version.clone()),
            toolchain_line: toolchain.map(|t| t.name.clone()),
            pruned,
            vendored: main_file.is_some_and(|f| f.with_file_name("vendor").join("modules.txt").is_file()),
            graph_mod_files: hashes.len(),
            missing_zip_hash: missing(&has_zip),
            missing_mod_hash: missing(&has_mod),
            to_fetch,
            exact,
            modules: self.modules.iter().map(main_module).collect(),
            go_mod: match self.go_work {
                Some(_) => None,
                None => self.modules.first().map(|(f, _)| f.clone()),
            },
            go_work: self.go_work.map(|(f, _)| f),
            requires,
            go_sums,
        })
    }

    /// The requires of all main modules after replacement, the highest version of each path.
    fn requires(&self) -> Vec<ModuleVersion> {
        let mut highest: BTreeMap<String, Version> = BTreeMap::new();
        for (_, module) in &self.modules {
            for require in &module.requires {
                note(&mut highest, &require.path, &require.version);
            }
        }
        self.resolve(highest)
    }

    /// What a `go mod download` of an unpruned module or a workspace fetches, as far as go.sum tells: the highest
    /// listed version of each path.
    fn build_list(&self, sums: &[GoSum], requires: &[ModuleVersion]) -> Vec<ModuleVersion> {
        let mut highest: BTreeMap<String, Version> = BTreeMap::new();
        for module in requires {
            note(&mut highest, module.path().as_str(), module.version());
        }
        for (path, version, _) in sums.iter().flat_map(GoSum::iter) {
            let version = version.strip_suffix("/go.mod").unwrap_or(version);
            if let Ok(version) = Version::parse(version) {
                note(&mut highest, path, &version);
            }
        }
        self.resolve(highest)
    }

    /// Applies replacements and drops what is never fetched: main modules and directories.
    fn resolve(&self, versions: BTreeMap<String, Version>) -> Vec<ModuleVersion> {
        let main: BTreeSet<&str> =
            self.modules.iter().filter_map(|(_, m)| m.module.as_ref()).map(|m| m.path.as_str()).collect();
        let modules: BTreeSet<ModuleVersion> = versions
            .iter()
            .filter(|(path, _)| !main.contains(path.as_str()))
            .filter_map(|(path, version)| match self.replacement(path, version) {
                Some(new) => new.module_version(),
                None => ModuleVersion::new(ModulePath::parse(path).ok()?, version.clone()).ok(),
            })
            .collect();
        modules.into_iter().collect()
    }

    /// The replacement in effect: those of go.work come before those of its modules.
    fn replacement(&self, path: &str, version: &Version) -> Option<&Replacement> {
        let pick = |replaces: &'_ [Replace]| -> Option<usize> {
            let of = |wanted: Option<&Version>| {
                replaces.iter().rposition(|r| r.old_path == path && r.old_version.as_ref() == wanted)
            };
            of(Some(version)).or_else(|| of(None))
        };
        if let Some((_, work)) = &self.go_work
            && let Some(i) = pick(&work.replaces)
        {
            return Some(&work.replaces[i].new);
        }
        self.modules.iter().find_map(|(_, m)| m.replacement(path, version)).map(|r| &r.new)
    }
}

/// The go.sum of a go.work, whatever that is called (`modload.loadModFile`).
fn with_sum(go_work: &Path) -> PathBuf {
    let mut name = go_work.as_os_str().to_owned();
    name.push(".sum");
    PathBuf::from(name)
}

/// `filepath.Clean` of an absolute path: links are not followed.
fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

fn note(highest: &mut BTreeMap<String, Version>, path: &str, version: &Version) {
    match highest.get_mut(path) {
        Some(known) if *known >= *version => {}
        Some(known) => known.clone_from(version),
        None => {
            highest.insert(path.to_owned(), version.clone());
        }
    }
}

fn main_module((file, module): &(PathBuf, GoMod)) -> MainModule {
    MainModule {
        path: module.module.as_ref().map(|m| m.path.clone()).unwrap_or_default(),
        dir: file.parent().map(Path::to_owned).unwrap_or_default(),
        go_line: module.go.as_ref().map(|g| g.version.clone()),
    }
}

/// Size of a module's zip in the module cache.
fn cached_zip(mod_cache: &Path, module: &ModuleVersion) -> Option<u64> {
    let path = module.proxy_path(FileKind::Zip);
    let file = mod_cache.join("cache/download").join(path.trim_start_matches('/'));
    let meta = std::fs::metadata(file).ok()?;
    meta.is_file().then_some(meta.len())
}

fn load(path: &Path, limit: usize) -> Result<Vec<u8>, ProjectError> {
    read::bytes(path, limit as u64)
        .map_err(|e| ProjectError::Unreadable { path: path.to_owned(), problem: e.to_string() })
}

fn load_work(file: &Path) -> Result<GoWork, ProjectError> {
    let data = load(file, MAX_GO_MOD)?;
    let work = GoWork::parse(&file.display().to_string(), &data)
        .map_err(|e| ProjectError::Malformed { path: file.to_owned(), problem: e.to_string() })?;
    if work.uses.len() > MAX_MODULES {
        return Err(ProjectError::TooManyModules { path: file.to_owned(), count: work.uses.len() });
    }
    Ok(work)
}

/// The go.mod files that a go.work uses, in its order.
fn go_mods(file: &Path, work: &GoWork) -> Result<Vec<PathBuf>, ProjectError> {
    let dir = file.parent().unwrap_or(Path::new("/"));
    let mut go_mods = Vec::with_capacity(work.uses.len());
    let mut seen = BTreeSet::new();
    for used in &work.uses {
        let root = clean(&dir.join(&used.path));
        if !seen.insert(root.clone()) {
            let (at, root) = (file.display(), root.display());
            let problem = format!("{at}:{}: path {root} appears multiple times in workspace", used.line);
            return Err(ProjectError::Malformed { path: file.to_owned(), problem });
        }
        go_mods.push(root.join("go.mod"));
    }
    Ok(go_mods)
}

fn parse_mod(path: &Path, resolved: &ResolvedVersions) -> Result<GoMod, ProjectError> {
    let data = load(path, MAX_GO_MOD)?;
    GoMod::parse_with(&path.display().to_string(), &data, resolved)
        .map_err(|e| ProjectError::Malformed { path: path.to_owned(), problem: e.to_string() })
}

fn parse_sum(path: &Path) -> Result<Option<GoSum>, ProjectError> {
    if !path.exists() {
        return Ok(None);
    }
    let data = load(path, MAX_GO_SUM)?;
    GoSum::parse(&path.display().to_string(), &data)
        .map(Some)
        .map_err(|e| ProjectError::Malformed { path: path.to_owned(), problem: e.to_string() })
}
