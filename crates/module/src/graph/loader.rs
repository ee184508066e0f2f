//! Loading the graph a few go.mod files at a time.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::error::GraphError;
use super::main_modules::{MainModule, MainModules, Replaced, Workspace};
use super::module_graph::{GoLineOf, ModuleGraph};
use super::node::{Node, NodeVersion, Nodes, STRICT};
use super::read::{Graph, Pruning, Summary};
use crate::go_version::GoVersion;
use crate::gomod::GoMod;
use crate::module_version::ModuleVersion;
use crate::path::ModulePath;

/// A go.mod that the graph is waiting for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// The `.mod` file of a module version, after replacement.
    Module(ModuleVersion),
    /// The go.mod in a directory that replaces a module.
    Directory(PathBuf),
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module(module) => module.fmt(f),
            Self::Directory(dir) => dir.display().fmt(f),
        }
    }
}

/// How large a graph may be. A dependency's go.mod may say anything, so a graph without limits could grow for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// go.mod files that are read.
    pub modules: usize,
    /// Module versions that are named.
    pub versions: usize,
    /// `require` lines of all go.mod files that are read.
    pub requirements: usize,
    /// Bytes of the paths and versions that are named.
    pub text: usize,
    /// Requirements between a main module and the go.mod that is read: as many answers must be waited for.
    pub depth: usize,
    /// How often the roots may move, so that the graph is read again.
    pub rounds: usize,
}

impl Default for Limits {
    /// 100,000 files, 1,000,000 versions, 10,000,000 lines, 256 MiB, 1,000 deep, 200 rounds. The largest public projects
    /// stay below a twentieth of this.
    fn default() -> Self {
        Self {
            modules: 100_000,
            versions: 1_000_000,
            requirements: 10_000_000,
            text: 256 << 20,
            depth: 1_000,
            rounds: 200,
        }
    }
}

/// Loads a module graph without I/O: says what it needs, takes it, and says what it needs next.
#[derive(Debug)]
pub struct GraphLoader {
    pub(super) limits: Limits,
    pub(super) main: MainModules,
    pub(super) nodes: Nodes,
    pub(super) graph: Graph,
    pub(super) roots: Vec<Node>,
    pub(super) rounds: usize,
    /// The node that first required this one, and how far from a root it is.
    found: HashMap<Node, (Option<Node>, usize)>,
    excluded: HashSet<Node>,
    /// Where the go.mod of a node comes from, once known.
    sources: HashMap<Node, Need>,
    /// The nodes whose go.mod is not fetched: main modules, `go` and `toolchain`.
    own: HashMap<Node, Arc<Summary>>,
    summaries: HashMap<Need, Arc<Summary>>,
    asked: HashSet<Need>,
    fresh: Vec<Need>,
    waiting: HashMap<Need, Vec<(Node, Pruning)>>,
    requirements: usize,
    max_go: Option<GoLineOf>,
    done: bool,
}

impl GraphLoader {
    /// Starts with the main module, or with a go.work and its modules in the order of its `use` lines.
    ///
    /// # Errors
    /// For what the go command refuses before it reads any dependency: see [`GraphError`].
    pub fn new(main: Vec<MainModule>, workspace: Option<Workspace>) -> Result<Self, GraphError> {
        Self::with_limits(main, workspace, Limits::default())
    }

    /// As [`GraphLoader::new`], with other limits.
    ///
    /// # Errors
    /// As [`GraphLoader::new`].
    pub fn with_limits(
        main: Vec<MainModule>,
        workspace: Option<Workspace>,
        limits: Limits,
    ) -> Result<Self, GraphError> {
        let mut loader = Self {
            limits,
            main: MainModules::new(main, workspace)?,
            nodes: Nodes::new(limits),
            graph: Graph::default(),
            roots: Vec::new(),
            rounds: 0,
            found: HashMap::new(),
            excluded: HashSet::new(),
            sources: HashMap::new(),
            own: HashMap::new(),
            summaries: HashMap::new(),
            asked: HashSet::new(),
            fresh: Vec::new(),
            waiting: HashMap::new(),
            requirements: 0,
            max_go: None,
            done: false,
        };
        loader.start()?;
        loader.run()?;
        Ok(loader)
    }

    /// The go.mod files that are needed and were not named before. More may follow after each
    /// [`provide`](Self::provide).
    pub fn needs(&mut self) -> Vec<Need> {
        std::mem::take(&mut self.fresh)
    }

    /// Takes a go.mod that was needed, as the bytes of the file. Files may come in any order.
    ///
    /// # Errors
    /// Where the go command could not use the file: it does not parse, or its `module` line is missing or another (not
    /// asked of a directory). Also where what it requires can never be fetched, and where a limit is passed. The graph
    /// cannot be loaded then.
    pub fn provide(&mut self, need: &Need, go_mod: &[u8]) -> Result<(), GraphError> {
        let Some(waiting) = self.waiting.remove(need) else {
            return Err(GraphError::NotNeeded(need.clone()));
        };
        let reason = |reason: String| GraphError::Module {
            required_by: self.required_by_node(waiting[0].0),
            module: need.to_string(),
            reason,
        };
        let parsed = GoMod::parse_lax("go.mod", go_mod).map_err(|e| reason(format!("parsing go.mod: {e}")))?;
        let summary = self.summarize(&parsed, &need.to_string())?;
        self.summaries.insert(need.clone(), Arc::new(summary));
        self.graph.work.extend(waiting);
        self.run()
    }

    /// Whether all go.mod files were given.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.done
    }

    /// The modules that lead to a need that has not been provided yet, each requiring the next; the first is required
    /// by a main module. Empty where a main module requires it itself. For messages about a file that cannot be had.
    #[must_use]
    pub fn required_by(&self, need: &Need) -> Vec<String> {
        self.waiting.get(need).map(|nodes| self.required_by_node(nodes[0].0)).unwrap_or_default()
    }

    /// The graph.
    ///
    /// # Errors
    /// Where go.mod files are missing, or replacements of selected modules conflict.
    pub fn finish(self) -> Result<ModuleGraph, GraphError> {
        if !self.done {
            return Err(GraphError::Incomplete(self.waiting.len()));
        }
        let read = self.asked.iter().filter_map(|need| match need {
            Need::Module(module) => Some(module.clone()),
            Need::Directory(_) => None,
        });
        let (mut read, max_go) = (read.collect::<Vec<_>>(), self.max_go.clone());
        read.sort();
        ModuleGraph::new(&self, read, max_go)
    }

    /// Visits all that can be visited, and goes on to the next step while nothing is missing.
    fn run(&mut self) -> Result<(), GraphError> {
        loop {
            while let Some((node, pruning)) = self.graph.work.pop_front() {
                self.visit(node, pruning)?;
            }
            if !self.waiting.is_empty() || self.done {
                return Ok(());
            }
            self.done = !self.next_step()?;
        }
    }

    /// `enqueue` and `loadOne` of `readModGraph`.
    fn visit(&mut self, node: Node, pruning: Pruning) -> Result<(), GraphError> {
        let Some(summary) = self.summary(node)? else {
            let need = self.sources[&node].clone();
            self.waiting.entry(need).or_default().push((node, pruning));
            return Ok(());
        };
        if self.graph.loaded.insert(node) {
            let depth = self.depth(node) + 1;
            for &required in &summary.requires {
                self.found.entry(required).or_insert((Some(node), depth));
                self.graph.select(&self.nodes, required);
            }
        }
        let next = if pruning == Pruning::Unpruned { Pruning::Unpruned } else { summary.pruning };
        if pruning != Pruning::Pruned || summary.pruning == Pruning::Unpruned {
            for &required in &summary.requires {
                self.graph.enqueue(required, next);
            }
        }
        Ok(())
    }

    /// What a node's go.mod says (`goModSummary`); `None` where it has been asked for.
    pub(super) fn summary(&mut self, node: Node) -> Result<Option<Arc<Summary>>, GraphError> {
        if let Some(summary) = self.own.get(&node) {
            return Ok(Some(Arc::clone(summary)));
        }
        if !matches!(self.nodes.version(node), NodeVersion::Main | NodeVersion::Module(_)) {
            let summary = Arc::new(self.go_summary(node)?);
            self.own.insert(node, Arc::clone(&summary));
            return Ok(Some(summary));
        }
        let need = match self.sources.get(&node) {
            Some(need) => need.clone(),
            None => {
                let need = self.source(node)?;
                self.sources.insert(node, need.clone());
                need
            }
        };
        let Some(summary) = self.summaries.get(&need) else {
            self.ask(node, need)?;
            return Ok(None);
        };
        if let Need::Module(actual) = &need
            && !self.graph.loaded.contains(&node)
        {
            let reason = match summary.module.as_deref().filter(|path| !path.is_empty()) {
                None => "parsing go.mod: missing module line".to_owned(),
                Some(path) if path == self.nodes.path(node) || path == actual.path().as_str() => {
                    return Ok(Some(Arc::clone(summary)));
                }
                Some(path) => format!(
                    "parsing go.mod:\n\tmodule declares its path as: {path}\n\t        but was required as: {}",
                    self.nodes.path(node)
                ),
            };
            return Err(self.module_error(node, &need.to_string(), reason));
        }
        Ok(Some(Arc::clone(summary)))
    }

    fn ask(&mut self, node: Node, need: Need) -> Result<(), GraphError> {
        if !self.asked.insert(need.clone()) {
            return Ok(());
        }
        if self.asked.len() > self.limits.modules {
            return Err(GraphError::TooLarge { what: "go.mod files", limit: self.limits.modules });
        }
        if self.depth(node) > self.limits.depth {
            return Err(GraphError::TooLarge { what: "requirements in a row", limit: self.limits.depth });
        }
        self.fresh.push(need);
        Ok(())
    }

    /// The file that a node's requirements are read from (`resolveReplacement`).
    fn source(&self, node: Node) -> Result<Need, GraphError> {
        let path = self.nodes.path(node);
        let version = self.nodes.module_version(node).expect("main modules have a summary of their own");
        let (path, version) = match self.main.replacement(path, version)? {
            Some(Replaced::Directory { dir, .. }) => return Ok(Need::Directory(dir)),
            Some(Replaced::Module { path, version }) => (path, version),
            None => (path.to_owned(), version.clone()),
        };
        module_version(&path, &version)
            .map(Need::Module)
            .map_err(|reason| self.module_error(node, &format!("{path}@{version}"), reason))
    }

    /// Keeps what the graph needs of a go.mod (`summaryFromModFile`), without excluded requirements.
    fn summarize(&mut self, go_mod: &GoMod, name: &str) -> Result<Summary, GraphError> {
        self.requirements += go_mod.requires.len();
        if self.requirements > self.limits.requirements {
            return Err(GraphError::TooLarge { what: "require lines", limit: self.limits.requirements });
        }
        let mut requires = Vec::with_capacity(go_mod.requires.len() + 1);
        for require in &go_mod.requires {
            let node = self.nodes.module(&require.path, &require.version)?;
            if !self.excluded.contains(&node) {
                requires.push(node);
            }
        }
        if let (Some(line), Some(go)) = (&go_mod.go, go_mod.go_version()) {
            if go >= *STRICT {
                requires.push(self.nodes.go("go", &line.version)?);
            }
            self.see_go_line(&line.version, go, name);
        }
        let module = go_mod.module.as_ref().map(|module| module.path.clone());
        Ok(Summary { module, pruning: pruning_of(go_mod), requires })
    }

    /// `go 1.21.3` requires `toolchain go1.21.3`.
    fn go_summary(&mut self, node: Node) -> Result<Summary, GraphError> {
        let mut requires = Vec::new();
        if self.nodes.path(node) == "go" {
            match self.nodes.version(node).clone() {
                NodeVersion::Go(text, Some(go)) if go >= *STRICT => {
                    requires.push(self.nodes.go("toolchain", &format!("go{text}"))?);
                }
                NodeVersion::LocalGo => requires.push(self.nodes.local_go("toolchain")?),
                _ => {}
            }
        }
        Ok(Summary { module: None, pruning: Pruning::Pruned, requires })
    }

    fn see_go_line(&mut self, text: &str, version: GoVersion, module: &str) {
        if self.max_go.as_ref().is_none_or(|max| version > max.version) {
            self.max_go = Some(GoLineOf { version, text: text.to_owned(), module: module.to_owned() });
        }
    }

    /// Main modules, excluded versions, and the first roots (`requirementsFromModFiles`).
    fn start(&mut self) -> Result<(), GraphError> {
        for index in 0..self.main.modules.len() {
            for exclude in self.main.modules[index].go_mod.excludes.clone() {
                let node = self.nodes.module(&exclude.path, &exclude.version)?;
                self.excluded.insert(node);
            }
        }
        let mut main_nodes = Vec::new();
        let mut summaries = Vec::new();
        for index in 0..self.main.modules.len() {
            let (path, go_mod) = (self.main.modules[index].path.clone(), self.main.modules[index].go_mod.clone());
            let summary = self.summarize(&go_mod, &path)?;
            main_nodes.push(self.nodes.main(&path)?);
            summaries.push(summary);
        }
        let (go, toolchain, pruning) = match &self.main.workspace {
            Some(work) => {
                let toolchain = work.go_work.toolchain.as_ref();
                (Some(line_or(work.go_work.go.as_ref(), "1.18")), toolchain, Pruning::Workspace)
            }
            None => {
                let go_mod = &self.main.modules[0].go_mod;
                let go = go_mod.go.as_ref().map(|line| line.version.clone());
                (go, go_mod.toolchain.as_ref(), pruning_of(go_mod))
            }
        };
        let toolchain = toolchain.map(|line| line.name.clone());
        let go = match go {
            Some(go) => self.nodes.go("go", &go)?,
            None => self.nodes.local_go("go")?,
        };
        let mut roots = match pruning {
            Pruning::Workspace => main_nodes.clone(),
            // The `go` line is a root of its own kind.
            _ => summaries[0].requires.iter().copied().filter(|&node| self.is_module(node)).collect(),
        };
        roots.push(go);
        if let Some(toolchain) = toolchain {
            roots.push(self.nodes.go("toolchain", &toolchain)?);
        }
        self.nodes.sort(&mut roots);
        if pruning == Pruning::Workspace {
            self.own.extend(main_nodes.iter().copied().zip(summaries.into_iter().map(Arc::new)));
        }
        self.first_graph(main_nodes, pruning, roots);
        Ok(())
    }

    /// The summary of a node that has been read.
    pub(super) fn loaded_summary(&self, node: Node) -> Option<Arc<Summary>> {
        let summary = self.own.get(&node).or_else(|| self.summaries.get(self.sources.get(&node)?))?;
        Some(Arc::clone(summary))
    }

    /// Where a node's go.mod came from.
    pub(super) fn source_of(&self, node: Node) -> Option<&Need> {
        self.sources.get(&node)
    }

    fn is_module(&self, node: Node) -> bool {
        matches!(self.nodes.version(node), NodeVersion::Module(_))
    }

    /// Begins to read a graph from the given roots.
    pub(super) fn read_graph(&mut self, graph_roots: &[Node], pruning: Pruning, roots: Vec<Node>) {
        self.graph = Graph::new(pruning, std::mem::take(&mut self.graph.main));
        for &root in graph_roots.iter().chain(&roots) {
            self.found.entry(root).or_insert((None, 0));
            self.graph.select(&self.nodes, root);
        }
        for &root in &roots {
            self.graph.enqueue(root, pruning);
        }
        self.roots = roots;
    }

    fn depth(&self, node: Node) -> usize {
        self.found.get(&node).map_or(0, |(_, depth)| *depth)
    }

    fn module_error(&self, node: Node, module: &str, reason: String) -> GraphError {
        GraphError::Module { required_by: self.required_by_node(node), module: module.to_owned(), reason }
    }

    fn required_by_node(&self, node: Node) -> Vec<String> {
        let mut chain = Vec::new();
        let mut at = node;
        while let Some((Some(parent), _)) = self.found.get(&at) {
            chain.push(self.nodes.name(*parent));
            at = *parent;
        }
        chain.reverse();
        chain
    }
}

/// A module version as it can be asked of a proxy, or why it cannot be.
pub(super) fn module_version(path: &str, version: &crate::version::Version) -> Result<ModuleVersion, String> {
    let path = ModulePath::parse(path).map_err(|e| e.to_string())?;
    ModuleVersion::new(path, version.clone()).map_err(|e| e.to_string())
}

fn pruning_of(go_mod: &GoMod) -> Pruning {
    if go_mod.is_pruned() { Pruning::Pruned } else { Pruning::Unpruned }
}

fn line_or(line: Option<&crate::gomod::GoLine>, default: &str) -> String {
    line.map_or_else(|| default.to_owned(), |line| line.version.clone())
}
