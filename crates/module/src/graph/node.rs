//! Module versions as small numbers, and their order.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use super::error::GraphError;
use super::loader::Limits;
use crate::go_version::{GoVersion, Toolchain};
use crate::semver;
use crate::version::Version;

/// A version of a module: an index of [`Nodes`].
pub(super) type Node = u32;

/// A module path: an index of [`Nodes`].
pub(super) type PathId = u32;

/// The version of a node. `go` and `toolchain` are modules to the go command, with versions of their own kind.
#[derive(Clone, Debug)]
pub(super) enum NodeVersion {
    /// A main module: above all versions.
    Main,
    Module(Version),
    /// A version of Go, or the name of a toolchain; the parsed version is missing where Go cannot compare it.
    Go(String, Option<GoVersion>),
    /// The version of the go command that runs, or its toolchain.
    LocalGo,
}

/// The Go version from which on a `go` line is a requirement (`gover.GoStrictVersion`).
pub(super) static STRICT: LazyLock<GoVersion> = LazyLock::new(|| go_version("1.21"));

/// Every module version that was named, once.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    limits: Limits,
    paths: Vec<Arc<str>>,
    path_ids: HashMap<Arc<str>, PathId>,
    nodes: Vec<(PathId, NodeVersion)>,
    ids: HashMap<(PathId, String), Node>,
    text: usize,
}

impl Nodes {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// The node of a version in a `require` or `exclude` line.
    pub(super) fn module(&mut self, path: &str, version: &Version) -> Result<Node, GraphError> {
        if is_toolchain(path) {
            return self.go(path, version.as_str());
        }
        self.node(path, version.as_str(), || NodeVersion::Module(version.clone()))
    }

    /// The node of a version of `go` or `toolchain`.
    pub(super) fn go(&mut self, path: &str, version: &str) -> Result<Node, GraphError> {
        let parsed = || {
            let own = GoVersion::parse(version).ok();
            own.or_else(|| Toolchain::parse(version).ok().filter(|_| path != "go").map(|t| t.version().clone()))
        };
        self.node(path, version, || NodeVersion::Go(version.to_owned(), parsed()))
    }

    pub(super) fn local_go(&mut self, path: &str) -> Result<Node, GraphError> {
        self.node(path, "local", || NodeVersion::LocalGo)
    }

    pub(super) fn main(&mut self, path: &str) -> Result<Node, GraphError> {
        self.node(path, "", || NodeVersion::Main)
    }

    pub(super) fn path_id(&self, node: Node) -> PathId {
        self.nodes[node as usize].0
    }

    pub(super) fn path(&self, node: Node) -> &str {
        &self.paths[self.path_id(node) as usize]
    }

    pub(super) fn version(&self, node: Node) -> &NodeVersion {
        &self.nodes[node as usize].1
    }

    /// The version where it is one that could be fetched: neither a main module nor Go itself.
    pub(super) fn module_version(&self, node: Node) -> Option<&Version> {
        match self.version(node) {
            NodeVersion::Module(version) => Some(version),
            _ => None,
        }
    }

    /// The order of two versions of the same module (`modload.cmpVersion`, `gover.ModCompare`). Build metadata does not
    /// count.
    pub(super) fn compare(&self, a: Node, b: Node) -> Ordering {
        use NodeVersion::{Go, LocalGo, Main, Module};
        match (self.version(a), self.version(b)) {
            (Module(a), Module(b)) => semver::compare(&a.parts(), &b.parts()),
            (Go(_, a), Go(_, b)) => a.cmp(b),
            (Main, Main) | (LocalGo, LocalGo) => Ordering::Equal,
            (Main | LocalGo, _) => Ordering::Greater,
            (_, Main | LocalGo) => Ordering::Less,
            (Module(_), Go(..)) | (Go(..), Module(_)) => unreachable!("a path has versions of one kind"),
        }
    }

    /// By path, then by version (`gover.ModSort`).
    pub(super) fn sort(&self, nodes: &mut [Node]) {
        nodes.sort_by(|&a, &b| self.path(a).cmp(self.path(b)).then_with(|| self.compare(a, b)));
    }

    /// As the go command prints it: `path@version`.
    pub(super) fn name(&self, node: Node) -> String {
        let path = self.path(node);
        match self.version(node) {
            NodeVersion::Main => path.to_owned(),
            NodeVersion::Module(version) => format!("{path}@{version}"),
            NodeVersion::Go(version, _) => format!("{path}@{version}"),
            NodeVersion::LocalGo => format!("{path}@local"),
        }
    }

    fn node(&mut self, path: &str, key: &str, version: impl FnOnce() -> NodeVersion) -> Result<Node, GraphError> {
        let path_id = self.intern_path(path)?;
        if let Some(&node) = self.ids.get(&(path_id, key.to_owned())) {
            return Ok(node);
        }
        if self.nodes.len() >= self.limits.versions {
            return Err(GraphError::TooLarge { what: "module versions", limit: self.limits.versions });
        }
        self.count_text(key.len())?;
        let node = Node::try_from(self.nodes.len()).expect("the limit is far below 2^32");
        self.nodes.push((path_id, version()));
        self.ids.insert((path_id, key.to_owned()), node);
        Ok(node)
    }

    fn intern_path(&mut self, path: &str) -> Result<PathId, GraphError> {
        if let Some(&id) = self.path_ids.get(path) {
            return Ok(id);
        }
        self.count_text(path.len())?;
        let id = PathId::try_from(self.paths.len()).expect("no more paths than versions");
        let path: Arc<str> = path.into();
        self.paths.push(Arc::clone(&path));
        self.path_ids.insert(path, id);
        Ok(id)
    }

    fn count_text(&mut self, length: usize) -> Result<(), GraphError> {
        self.text += length;
        if self.text > self.limits.text {
            return Err(GraphError::TooLarge { what: "bytes of paths and versions", limit: self.limits.text });
        }
        Ok(())
    }
}

/// Whether the path is that of Go itself (`gover.IsToolchain`). `golang.org/toolchain` is a module like any other.
pub(super) fn is_toolchain(path: &str) -> bool {
    path == "go" || path == "toolchain"
}

fn go_version(text: &str) -> GoVersion {
    GoVersion::parse(text).expect("a Go version")
}
