//! The main modules, and what their files and the go.work replace (`modload/init.go`, `makeMainModules`;
//! `modload/modfile.go`, `Replacement`).

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use super::error::GraphError;
use super::node::{STRICT, is_toolchain};
use crate::go_version::GoVersion;
use crate::gomod::{GoLine, GoMod, GoWork, Replace, Replacement};
use crate::version::Version;

/// A main module: the one whose go.mod is in use, or one of a workspace.
#[derive(Clone, Debug)]
pub struct MainModule {
    /// The directory of its go.mod. In a workspace it is to be absolute, or relative to the same directory as all
    /// others, since replacements are compared by their directories.
    pub dir: PathBuf,
    /// Its go.mod, from [`GoMod::parse`].
    pub go_mod: GoMod,
}

/// The go.work in use.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The directory of the go.work.
    pub dir: PathBuf,
    /// What it says.
    pub go_work: GoWork,
}

/// What stands in the place of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// A directory: nothing is fetched.
    Directory {
        /// As `go list -m` prints it: as written, or relative to the go.work.
        path: String,
        /// Where it is, from the directory of the file that names it. Without `.` and inner `..`.
        dir: PathBuf,
    },
    /// A version of a module.
    Module {
        /// Its path, unchecked.
        path: String,
        /// Its version.
        version: Version,
    },
}

/// A file's `replace` lines: the replaced path, then the replaced version (or none) and what replaces it.
type Replaces = HashMap<String, Vec<(Option<Version>, Replacement)>>;

#[derive(Debug)]
pub(super) struct MainModules {
    pub(super) modules: Vec<Main>,
    pub(super) workspace: Option<Workspace>,
    work_replaces: Replaces,
}

#[derive(Debug)]
pub(super) struct Main {
    pub(super) path: String,
    pub(super) dir: PathBuf,
    pub(super) go_mod: GoMod,
    replaces: Replaces,
}

impl MainModules {
    pub(super) fn new(main: Vec<MainModule>, workspace: Option<Workspace>) -> Result<Self, GraphError> {
        match (main.len(), &workspace) {
            (0, _) => return Err(GraphError::NoMainModule),
            (1, _) | (_, Some(_)) => {}
            (several, None) => return Err(GraphError::SeveralMainModules(several)),
        }
        let work_replaces = match &workspace {
            Some(work) => replaces(&work.go_work.replaces)?,
            None => Replaces::new(),
        };
        let modules = main.into_iter().map(Main::new).collect::<Result<Vec<_>, _>>()?;
        let all = Self { modules, workspace, work_replaces };
        if let Some(work) = &all.workspace {
            all.check_workspace(work)?;
        }
        Ok(all)
    }

    /// What replaces a version of a module.
    pub(super) fn replacement(&self, path: &str, version: &Version) -> Result<Option<Replaced>, GraphError> {
        if let (Some(work), Some((_, new))) = (&self.workspace, find(&self.work_replaces, path, version)) {
            return Ok(Some(replaced(new, &work.dir, None)));
        }
        let mut found: Option<(&Replacement, &Main)> = None;
        for main in &self.modules {
            let Some((from, new)) = find(&main.replaces, path, version) else { continue };
            // Not symmetric: a later line for one version contradicts an earlier one, a later one for all does not.
            if let Some((found_new, found_main)) = found
                && from.is_some()
                && found_new != new
            {
                return Err(GraphError::ConflictingReplacements {
                    module: format!("{path}@{version}"),
                    first: format!("{} (by {})", show(found_new), found_main.path),
                    second: format!("{} (by {})", show(new), main.path),
                });
            }
            found = Some((new, main));
        }
        let work_dir = self.workspace.as_ref().map(|work| work.dir.as_path());
        Ok(found.map(|(new, main)| replaced(new, &main.dir, work_dir)))
    }

    fn check_workspace(&self, work: &Workspace) -> Result<(), GraphError> {
        let mut used = HashSet::new();
        for line in &work.go_work.uses {
            if !used.insert(join(&work.dir, &line.path)) {
                return Err(GraphError::RepeatedUse { path: line.path.clone(), line: line.line });
            }
        }
        let mut paths = HashSet::new();
        for main in &self.modules {
            if !paths.insert(main.path.as_str()) {
                return Err(GraphError::RepeatedModule(main.path.clone()));
            }
            check_go_line(main, work)?;
        }
        for replace in &work.go_work.replaces {
            if replace.old_version.is_none() && paths.contains(replace.old_path.as_str()) {
                return Err(GraphError::ReplacedWorkspaceModule(replace.old_path.clone()));
            }
        }
        self.check_conflicts()
    }

    /// Main modules must agree on what they replace, unless the go.work says something of the same path.
    fn check_conflicts(&self) -> Result<(), GraphError> {
        let mut seen: HashMap<(&str, Option<&Version>), (Replaced, usize)> = HashMap::new();
        for (index, main) in self.modules.iter().enumerate() {
            for replace in &main.go_mod.replaces {
                if self.work_replaces.contains_key(&replace.old_path) {
                    continue;
                }
                let key = (replace.old_path.as_str(), replace.old_version.as_ref());
                let new = replaced(&replace.new, &main.dir, Some(Path::new("")));
                match seen.get(&key) {
                    Some((before, by)) if *by != index && !same_target(before, &new) => {
                        return Err(conflict(replace, before, &new));
                    }
                    _ => seen.insert(key, (new, index)),
                };
            }
        }
        Ok(())
    }
}

impl Main {
    fn new(main: MainModule) -> Result<Self, GraphError> {
        let MainModule { dir, go_mod } = main;
        let bad = |reason: String| GraphError::MainModule { dir: dir.display().to_string(), reason };
        let path = match &go_mod.module {
            Some(module) => module.path.clone(),
            None => {
                return Err(bad("missing module declaration. To specify the module path:\n\tgo mod edit \
                                -module=example.com/mod"
                    .to_owned()));
            }
        };
        if path.is_empty() || is_toolchain(&path) {
            return Err(bad(format!("invalid module path: {path:?}")));
        }
        let replaces = replaces(&go_mod.replaces)?;
        Ok(Self { path, dir, go_mod, replaces })
    }
}

/// A module's `go` line may not be above that of the go.work, from go 1.21 on.
fn check_go_line(main: &Main, work: &Workspace) -> Result<(), GraphError> {
    const DEFAULT: &str = "1.18";
    let has = work.go_work.go.as_ref().map_or(DEFAULT, |line| &line.version);
    let wants = main.go_mod.go.as_ref().map_or("", |line: &GoLine| &line.version);
    let (work_go, module_go) = (GoVersion::parse(has).ok(), GoVersion::parse(wants).ok());
    if module_go > work_go && module_go.is_some_and(|go| go >= *STRICT) {
        return Err(GraphError::WorkspaceTooOld {
            dir: main.dir.display().to_string(),
            module: wants.to_owned(),
            work: has.to_owned(),
        });
    }
    Ok(())
}

/// The lines of one file; the same left side may only stand twice with the same right side.
fn replaces(lines: &[Replace]) -> Result<Replaces, GraphError> {
    let mut map = Replaces::new();
    for line in lines {
        let of_path = map.entry(line.old_path.clone()).or_default();
        match of_path.iter().find(|(version, _)| *version == line.old_version) {
            Some((_, before)) if *before != line.new => {
                let module = old(line);
                return Err(GraphError::ConflictingReplacements {
                    module,
                    first: show(before),
                    second: show(&line.new),
                });
            }
            Some(_) => {}
            None => of_path.push((line.old_version.clone(), line.new.clone())),
        }
    }
    Ok(map)
}

fn find<'a>(map: &'a Replaces, path: &str, version: &Version) -> Option<(Option<&'a Version>, &'a Replacement)> {
    let of_path = map.get(path)?;
    let exact = of_path.iter().find(|(old, _)| old.as_ref() == Some(version));
    let found = exact.or_else(|| of_path.iter().find(|(old, _)| old.is_none()));
    found.map(|(old, new)| (old.as_ref(), new))
}

/// `work_dir` is given where a module of a workspace replaces: the go command then names directories from the go.work.
fn replaced(new: &Replacement, base: &Path, work_dir: Option<&Path>) -> Replaced {
    match new {
        Replacement::Module { path, version } => Replaced::Module { path: path.clone(), version: version.clone() },
        Replacement::Directory(path) => {
            let dir = join(base, path);
            let shown = match work_dir {
                Some(work_dir) if !Path::new(path).is_absolute() => {
                    directory_path(&relative(work_dir, &dir).unwrap_or_else(|| dir.clone()))
                }
                _ => path.clone(),
            };
            Replaced::Directory { path: shown, dir }
        }
    }
}

fn same_target(a: &Replaced, b: &Replaced) -> bool {
    match (a, b) {
        (Replaced::Directory { dir: a, .. }, Replaced::Directory { dir: b, .. }) => a == b,
        _ => a == b,
    }
}

fn conflict(line: &Replace, first: &Replaced, second: &Replaced) -> GraphError {
    let show = |replaced: &Replaced| match replaced {
        Replaced::Directory { dir, .. } => dir.display().to_string(),
        Replaced::Module { path, version } => format!("{path}@{version}"),
    };
    let module = old(line);
    let second = format!("{}\nuse \"go work edit -replace {module}=[override]\" to resolve", show(second));
    GraphError::ConflictingReplacements { module, first: show(first), second }
}

fn old(line: &Replace) -> String {
    match &line.old_version {
        Some(version) => format!("{}@{version}", line.old_path),
        None => line.old_path.clone(),
    }
}

fn show(new: &Replacement) -> String {
    match new {
        Replacement::Directory(path) => path.clone(),
        Replacement::Module { path, version } => format!("{path}@{version}"),
    }
}

/// `filepath.Join`: by name only, symbolic links are not followed.
fn join(base: &Path, path: &str) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in base.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => match clean.components().next_back() {
                Some(Component::Normal(_)) => {
                    clean.pop();
                }
                Some(Component::RootDir) => {}
                _ => clean.push(".."),
            },
            other => clean.push(other),
        }
    }
    if clean.as_os_str().is_empty() { PathBuf::from(".") } else { clean }
}

/// `filepath.Rel`: `None` where one is absolute and the other is not.
fn relative(base: &Path, target: &Path) -> Option<PathBuf> {
    let base = join(base, ".");
    if base.is_absolute() != target.is_absolute() || base.starts_with("..") {
        return None;
    }
    let (mut from, mut to) = (base.components().peekable(), target.components().peekable());
    while from.peek().is_some() && from.peek() == to.peek() {
        from.next();
        to.next();
    }
    let up = from.filter(|component| *component != Component::CurDir).map(|_| Component::ParentDir);
    Some(up.chain(to.filter(|component| *component != Component::CurDir)).collect())
}

/// `modload.ToDirectoryPath`: a path that cannot be taken for a module's.
fn directory_path(path: &Path) -> String {
    let text = path.to_string_lossy().replace('\\', "/");
    match text.as_str() {
        "" => ".".to_owned(),
        ".." => text,
        _ if path.is_absolute() || text.starts_with("../") => text,
        _ => format!("./{text}"),
    }
}
