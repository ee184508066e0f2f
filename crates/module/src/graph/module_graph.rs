//! What was selected.

use std::collections::{BTreeSet, HashSet};

use super::error::GraphError;
use super::loader::{GraphLoader, module_version};
use super::main_modules::Replaced;
use super::node::{Node, NodeVersion};
use super::read::Pruning;
use super::requirements::{Requirement, Requirements};
use crate::go_version::GoVersion;
use crate::module_version::ModuleVersion;
use crate::version::Version;

/// A module graph in which everything that counts has been read.
#[derive(Clone, Debug)]
pub struct ModuleGraph {
    build_list: Vec<Selected>,
    downloads: Downloads,
    go_mods_read: Vec<ModuleVersion>,
    go_mods_in_graph: Vec<ModuleVersion>,
    max_go: Option<GoLineOf>,
    requirements: Option<Requirements>,
}

/// The selected version of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// The module's path; only a path that was read or is downloaded is known to be well-formed.
    pub path: String,
    /// Its version.
    pub version: Version,
    /// What stands in its place.
    pub replacement: Option<Replaced>,
}

impl Selected {
    /// The module version whose files are used; `None` for a directory.
    ///
    /// # Errors
    /// Where no proxy could serve it, with the go command's reason.
    pub fn module_version(&self) -> Result<Option<ModuleVersion>, Refused> {
        let (path, version) = match &self.replacement {
            Some(Replaced::Directory { .. }) => return Ok(None),
            Some(Replaced::Module { path, version }) => (path, version),
            None => (&self.path, &self.version),
        };
        module_version(path, version).map(Some).map_err(|reason| Refused {
            path: path.clone(),
            version: Some(version.clone()),
            reason,
        })
    }
}

/// What `go mod download` without arguments fetches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Downloads {
    /// `.info`, `.mod` and `.zip` of these, after replacement; sorted, each once.
    pub modules: Vec<ModuleVersion>,
    /// What it reports as an error. It fetches the others and then fails.
    pub refused: Vec<Refused>,
}

/// A module that the go command cannot fetch, whatever a proxy says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("module {path}: {reason}")]
pub struct Refused {
    /// The module's path.
    pub path: String,
    /// Its version, where one was selected.
    pub version: Option<Version>,
    /// Why, in the words of the go command.
    pub reason: String,
}

/// A `go` line and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoLineOf {
    /// The version.
    pub version: GoVersion,
    /// As written.
    pub text: String,
    /// The module, with its version, or a directory.
    pub module: String,
}

impl ModuleGraph {
    pub(super) fn new(
        loader: &GraphLoader,
        go_mods_read: Vec<ModuleVersion>,
        max_go: Option<GoLineOf>,
    ) -> Result<Self, GraphError> {
        let mut build_list = Vec::new();
        for node in loader.graph.build_list(&loader.nodes) {
            if let Some(version) = loader.nodes.module_version(node) {
                let path = loader.nodes.path(node).to_owned();
                let replacement = loader.main.replacement(&path, version)?;
                build_list.push(Selected { path, version: version.clone(), replacement });
            }
        }
        let in_graph: BTreeSet<ModuleVersion> =
            loader.graph.loaded.iter().filter_map(|&node| loader.fetched(node)).collect();
        let mut graph = Self {
            build_list,
            downloads: Downloads::default(),
            go_mods_read,
            go_mods_in_graph: in_graph.into_iter().collect(),
            max_go,
            requirements: requirements(loader),
        };
        graph.downloads = graph.choose_downloads(loader);
        Ok(graph)
    }

    /// Every module of the graph at its selected version, by path: what `go list -m all` prints after the main modules.
    #[must_use]
    pub fn build_list(&self) -> &[Selected] {
        &self.build_list
    }

    /// The selected version of a module; `None` where the graph does not have it, or where it is a main module.
    #[must_use]
    pub fn selected(&self, path: &str) -> Option<&Selected> {
        let index = self.build_list.binary_search_by(|selected| selected.path.as_str().cmp(path)).ok()?;
        Some(&self.build_list[index])
    }

    /// What `go mod download` without arguments fetches: with a `go` line at 1.17 or later the selected version of each
    /// `require` line, also where there is no `go` line (the command adds one first); with an older `go` line, and in a
    /// workspace, the whole build list (`modcmd/download.go`).
    #[must_use]
    pub fn download_default(&self) -> &Downloads {
        &self.downloads
    }

    /// The module versions whose `.mod` file was needed, sorted: what the go command fetches to know the graph. Those of
    /// [`download_default`](Self::download_default) come on top.
    pub fn go_mods_read(&self) -> impl Iterator<Item = &ModuleVersion> {
        self.go_mods_read.iter()
    }

    /// The module versions whose go.mod counts in the end, sorted: those whose `/go.mod` hash the go command keeps in
    /// go.sum, together with the hashes of the build list (`modload.keepSums`). Without what only an earlier round read.
    pub fn go_mods_in_graph(&self) -> impl Iterator<Item = &ModuleVersion> {
        self.go_mods_in_graph.iter()
    }

    /// The highest `go` line of the main modules and of all go.mod files read. A go command below it fails, or switches
    /// to a toolchain that is not (`gover.TooNewError`).
    #[must_use]
    pub fn max_go(&self) -> Option<&GoLineOf> {
        self.max_go.as_ref()
    }

    /// What `go mod download` leaves in go.mod; `None` in a workspace, where it changes no go.mod.
    #[must_use]
    pub fn requirements(&self) -> Option<&Requirements> {
        self.requirements.as_ref()
    }

    fn choose_downloads(&self, loader: &GraphLoader) -> Downloads {
        let mut refused = Vec::new();
        let wanted: Vec<&Selected> = if loader.graph.pruning == Pruning::Pruned {
            let main = &loader.main.modules[0];
            let mut seen = HashSet::new();
            let lines = main.go_mod.requires.iter().map(|line| line.path.as_str());
            let paths: Vec<&str> = lines.filter(|path| *path != main.path && seen.insert(*path)).collect();
            for path in paths.iter().filter(|path| self.selected(path).is_none()) {
                let reason = "not a known dependency".to_owned();
                refused.push(Refused { path: (*path).to_owned(), version: None, reason });
            }
            paths.iter().filter_map(|path| self.selected(path)).collect()
        } else {
            self.build_list.iter().collect()
        };
        let mut modules = BTreeSet::new();
        for selected in wanted {
            match selected.module_version() {
                Ok(module) => modules.extend(module),
                Err(error) => refused.push(error),
            }
        }
        Downloads { modules: modules.into_iter().collect(), refused }
    }
}

/// The roots as lines.
fn requirements(loader: &GraphLoader) -> Option<Requirements> {
    if loader.graph.pruning == Pruning::Workspace {
        return None;
    }
    let go_mod = &loader.main.modules[0].go_mod;
    if go_mod.requires.is_empty() {
        // "no module dependencies to download": the command ends before it would write.
        let go = go_mod.go.as_ref().map(|line| line.version.clone());
        let toolchain = go_mod.toolchain.as_ref().map(|line| line.name.clone());
        return Some(Requirements { go, toolchain, requires: Vec::new(), changed: false });
    }
    let direct = loader.direct_paths();
    let (mut go, mut toolchain, mut requires) = (None, None, Vec::new());
    for &root in &loader.roots {
        let path = loader.nodes.path(root);
        match loader.nodes.version(root) {
            NodeVersion::Module(version) => requires.push(Requirement {
                path: path.to_owned(),
                version: version.clone(),
                indirect: !direct.contains(path),
            }),
            NodeVersion::Go(text, _) if path == "go" => go = Some(text.clone()),
            NodeVersion::Go(text, _) => toolchain = Some(text.clone()),
            NodeVersion::Main | NodeVersion::LocalGo => {}
        }
    }
    Some(Requirements::of(go_mod, go, toolchain, requires))
}

impl GraphLoader {
    /// The module version that a node's go.mod was fetched of.
    fn fetched(&self, node: Node) -> Option<ModuleVersion> {
        match self.source_of(node)? {
            super::loader::Need::Module(module) => Some(module.clone()),
            super::loader::Need::Directory(_) => None,
        }
    }
}
