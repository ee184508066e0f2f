//! The roots of a module's graph, and how they move (`modload/buildlist.go`: `expandGraph`, `updatePrunedRoots`,
//! `updateUnprunedRoots`, `convertPruning`; `mvs.Req`).

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::error::GraphError;
use super::loader::GraphLoader;
use super::node::{Node, NodeVersion, PathId};
use super::read::Pruning;

impl GraphLoader {
    /// The first graph. Lower duplicates of a root, and requirements of the main module itself, are no roots of a pruned
    /// module: the go command drops them before it reads anything.
    pub(super) fn first_graph(&mut self, main: Vec<Node>, pruning: Pruning, mut roots: Vec<Node>) {
        self.graph.main.clone_from(&main);
        if pruning == Pruning::Pruned {
            let main_path = self.nodes.path_id(main[0]);
            roots.retain(|&root| self.nodes.path_id(root) != main_path);
            // Sorted: the highest of a path is the last.
            let mut unique: Vec<Node> = Vec::with_capacity(roots.len());
            for root in roots {
                match unique.last_mut() {
                    Some(last) if self.nodes.path_id(*last) == self.nodes.path_id(root) => *last = root,
                    _ => unique.push(root),
                }
            }
            roots = unique;
        }
        self.read_graph(&main, pruning, roots);
    }

    /// Called where a graph has been read. Whether there is more to read.
    pub(super) fn next_step(&mut self) -> Result<bool, GraphError> {
        self.rounds += 1;
        if self.rounds > self.limits.rounds {
            return Err(GraphError::TooLarge { what: "rounds of moving roots", limit: self.limits.rounds });
        }
        let main = self.graph.main.clone();
        let roots = match self.graph.pruning {
            Pruning::Workspace => return self.read_more_of_workspace(),
            Pruning::Pruned => {
                let selected: Vec<Node> = self.roots.iter().map(|&r| self.graph.selected(&self.nodes, r)).collect();
                if selected == self.roots {
                    return Ok(false);
                }
                selected
            }
            Pruning::Unpruned => {
                // No go line: `go mod download` adds one, and with it all that pruning would take away.
                if self.main.modules[0].go_mod.go.is_none() {
                    let roots = self.graph.build_list(&self.nodes);
                    self.read_graph(&main, Pruning::Pruned, roots);
                    return Ok(true);
                }
                if self.roots_are_selected() {
                    return Ok(false);
                }
                self.minimal_roots()?
            }
        };
        let pruning = self.graph.pruning;
        self.read_graph(&main, pruning, roots);
        Ok(true)
    }

    fn roots_are_selected(&self) -> bool {
        let mut paths: HashSet<PathId> = self.graph.main.iter().map(|&main| self.nodes.path_id(main)).collect();
        let mut fine =
            |root: Node| paths.insert(self.nodes.path_id(root)) && self.graph.selected(&self.nodes, root) == root;
        self.roots.iter().all(|&root| fine(root))
    }

    /// The fewest roots that select the same: those that are selected as they are, the direct ones, and what no other
    /// implies (`updateUnprunedRoots`, `mvs.Req`).
    fn minimal_roots(&mut self) -> Result<Vec<Node>, GraphError> {
        let list = self.graph.build_list(&self.nodes);
        let direct = self.direct_paths();
        let by_path: HashMap<PathId, Node> = list.iter().map(|&node| (self.nodes.path_id(node), node)).collect();
        let kept = self.roots.iter().copied().filter(|&root| self.graph.selected(&self.nodes, root) == root);
        let wanted = list.iter().copied().filter(|&node| direct.contains(self.nodes.path(node)));
        let base: Vec<Node> = kept.chain(wanted).collect();

        let mut requires: HashMap<Node, Vec<Node>> = HashMap::new();
        let postorder = self.postorder(&list, &mut requires)?;
        let mut have = HashSet::new();
        let mut minimal = HashSet::new();
        for node in base {
            if minimal.insert(node) {
                walk(node, &requires, &mut have);
            }
        }
        for &node in postorder.iter().rev() {
            let is_selected = by_path.get(&self.nodes.path_id(node)) == Some(&node);
            if is_selected && !have.contains(&node) {
                minimal.insert(node);
                walk(node, &requires, &mut have);
            }
        }
        let mut roots: Vec<Node> = minimal.into_iter().collect();
        self.nodes.sort(&mut roots);
        Ok(roots)
    }

    /// All that is reachable from `list`, each after what it requires, where there is no cycle.
    fn postorder(&mut self, list: &[Node], requires: &mut HashMap<Node, Vec<Node>>) -> Result<Vec<Node>, GraphError> {
        let mut postorder = Vec::new();
        for &start in list {
            match requires.entry(start) {
                Entry::Occupied(_) => continue,
                Entry::Vacant(entry) => entry.insert(self.required(start)?),
            };
            let mut stack = vec![(start, 0)];
            while let Some((node, next)) = stack.last_mut() {
                let Some(&child) = requires[node].get(*next) else {
                    postorder.push(*node);
                    stack.pop();
                    continue;
                };
                *next += 1;
                if let Entry::Vacant(entry) = requires.entry(child) {
                    entry.insert(self.required(child)?);
                    stack.push((child, 0));
                }
            }
        }
        Ok(postorder)
    }

    /// What a node requires. All of an unpruned graph has been read.
    fn required(&mut self, node: Node) -> Result<Vec<Node>, GraphError> {
        if matches!(self.nodes.version(node), NodeVersion::Main) {
            return Ok(Vec::new());
        }
        Ok(self.summary(node)?.map(|summary| summary.requires.clone()).unwrap_or_default())
    }

    /// The paths of the main module's requirements without `// indirect`, and `go`. Excluded lines do not count.
    pub(super) fn direct_paths(&self) -> HashSet<String> {
        let mut direct = HashSet::from(["go".to_owned()]);
        for main in &self.main.modules {
            let excludes = main.go_mod.excludes.iter().map(|line| (&line.path, &line.version));
            let excludes: HashSet<_> = excludes.collect();
            let lines = main.go_mod.requires.iter();
            let lines = lines.filter(|line| !line.indirect && !excludes.contains(&(&line.path, &line.version)));
            direct.extend(lines.map(|line| line.path.clone()));
        }
        direct
    }
}

fn walk(node: Node, requires: &HashMap<Node, Vec<Node>>, have: &mut HashSet<Node>) {
    let mut stack = vec![node];
    while let Some(node) = stack.pop() {
        if have.insert(node) {
            stack.extend(requires.get(&node).into_iter().flatten());
        }
    }
}
