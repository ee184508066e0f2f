//! One reading of the graph, from one set of roots (`modload.readModGraph`, `mvs.Graph`).

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::error::GraphError;
use super::loader::GraphLoader;
use super::node::{Node, NodeVersion, Nodes, PathId};

/// How much of the graph below a module is read (`modload.modPruning`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Pruning {
    #[default]
    Pruned,
    Unpruned,
    Workspace,
}

/// What the graph needs of a go.mod.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) module: Option<String>,
    pub(super) pruning: Pruning,
    pub(super) requires: Vec<Node>,
}

#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) pruning: Pruning,
    /// The main modules.
    pub(super) main: Vec<Node>,
    /// The nodes whose requirements count.
    pub(super) loaded: HashSet<Node>,
    pub(super) work: VecDeque<(Node, Pruning)>,
    selected: HashMap<PathId, Node>,
    queued: HashSet<(Node, Pruning)>,
    /// Of a workspace: the paths whose selected version is to be read as a main module is, and the versions that were.
    as_main: BTreeSet<PathId>,
    read_as_main: HashSet<Node>,
}

impl Graph {
    pub(super) fn new(pruning: Pruning, main: Vec<Node>) -> Self {
        Self { pruning, main, ..Self::default() }
    }

    pub(super) fn select(&mut self, nodes: &Nodes, node: Node) {
        let selected = self.selected.entry(nodes.path_id(node)).or_insert(node);
        if nodes.compare(*selected, node) == Ordering::Less {
            *selected = node;
        }
    }

    /// The selected version of a node's path.
    pub(super) fn selected(&self, nodes: &Nodes, node: Node) -> Node {
        self.selected.get(&nodes.path_id(node)).copied().unwrap_or(node)
    }

    /// The selected version of every path but those of the main modules, by path: the build list.
    pub(super) fn build_list(&self, nodes: &Nodes) -> Vec<Node> {
        let all = self.selected.values().copied();
        let mut list: Vec<Node> = all.filter(|&node| !matches!(nodes.version(node), NodeVersion::Main)).collect();
        nodes.sort(&mut list);
        list
    }

    pub(super) fn enqueue(&mut self, node: Node, pruning: Pruning) {
        if self.queued.insert((node, pruning)) {
            self.work.push_back((node, pruning));
        }
    }
}

impl GraphLoader {
    /// Of a workspace: what a main module requires and what was selected newer is read as a main module is, since its
    /// requirements are of packages that the workspace imports. Whether there is more to read.
    pub(super) fn read_more_of_workspace(&mut self) -> Result<bool, GraphError> {
        if self.graph.as_main.is_empty() {
            let paths: Vec<PathId> = self.roots.iter().map(|&root| self.nodes.path_id(root)).collect();
            self.graph.as_main.extend(paths);
        }
        let mut more = BTreeSet::new();
        for path in self.graph.as_main.iter() {
            let Some(&module) = self.graph.selected.get(path) else { continue };
            if !self.graph.read_as_main.contains(&module) {
                more.insert(module);
                continue;
            }
            for &required in &self.requirements_of(module).requires {
                let selected = self.graph.selected(&self.nodes, required);
                let newer = !matches!(self.nodes.version(selected), NodeVersion::Main)
                    && self.nodes.compare(selected, required) == Ordering::Greater;
                if newer && !self.graph.read_as_main.contains(&selected) {
                    more.insert(selected);
                }
            }
        }
        for &module in &more {
            self.graph.enqueue(module, Pruning::Workspace);
            self.graph.read_as_main.insert(module);
            self.graph.as_main.insert(self.nodes.path_id(module));
        }
        Ok(!more.is_empty())
    }

    /// The requirements of a module that has been read.
    pub(super) fn requirements_of(&self, node: Node) -> Arc<Summary> {
        self.loaded_summary(node).expect("what the graph loaded has a summary")
    }
}
