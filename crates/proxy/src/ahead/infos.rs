//! Which `.info`s a client asks for once it has begun to.
//!
//! | command | asks for the `.info` of |
//! |---|---|
//! | `go mod download` | what the main module requires, one after another |
//! | `go list -m all`, `go mod download all`, and the one above below go 1.17 | the selected version of every path, in their order |
//! | `go build`, `go test`, `go vet` | each version whose zip it asked for, when it has them all |
//! | `go get example.com/a@v1.2.3` | that one |
//! | `go mod tidy` | nothing |

use std::collections::{BTreeSet, HashSet};
use std::ops::Bound;

use goferry_module::ModuleVersion;

use super::graph::Graph;

/// How many must fit the graph before the others are fetched: `go get` asks for one.
const ENOUGH: usize = 2;
/// Of so many, whoever asks for the first one in their order means to ask for all.
const MANY: usize = 16;

/// The `.info`s of one client.
#[derive(Debug, Default)]
pub(super) struct Infos {
    /// Asked for, or fetched for it.
    known: HashSet<ModuleVersion>,
    /// How many were of a version that is selected.
    fitting: usize,
    /// Whether one was of a path that is required by what is not read further: then it will be all.
    all: bool,
    /// How many `.mod`s of the graph were known when the others were fetched, and whether those were all.
    done: Option<(usize, bool)>,
    /// How many zips were asked for when their `.info`s were fetched.
    zips_done: usize,
    /// Of paths that only modules below go 1.17 require: fetched and not asked for yet, and asked for.
    pending: BTreeSet<ModuleVersion>,
    used: usize,
}

impl Infos {
    /// How much is kept.
    pub(super) fn len(&self) -> usize {
        self.known.len() + self.pending.len()
    }

    /// The client asks for one that says nothing about others.
    pub(super) fn note(&mut self, module: &ModuleVersion) -> Vec<ModuleVersion> {
        self.known.insert(module.clone());
        Vec::new()
    }

    /// The client asks for one. Gives those that it will ask for next.
    pub(super) fn asked(
        &mut self,
        module: &ModuleVersion,
        graph: &Graph,
        zipped: &HashSet<ModuleVersion>,
    ) -> Vec<ModuleVersion> {
        self.known.insert(module.clone());
        if zipped.contains(module) {
            let new = std::mem::replace(&mut self.zips_done, zipped.len()) != zipped.len();
            return if new { self.take(zipped.iter().cloned().collect()) } else { Vec::new() };
        }
        let (path, version) = (module.path(), module.version());
        let inner = graph.has(module) && !graph.is_root(path);
        if graph.has(module) && graph.highest(path) == Some(version) {
            self.fitting += 1;
        } else if !graph.has_path(path) && graph.required(path) == Some(version) {
            (self.fitting, self.all) = (self.fitting + 1, true);
        } else {
            return Vec::new();
        }
        let begins = graph.roots() >= MANY && graph.is_first(path);
        if self.fitting < ENOUGH && !begins {
            return Vec::new();
        }
        let mut next = Vec::new();
        // Looking at a graph costs as much as it is large: while it grows that is done seldom.
        let grown = |(count, all): (usize, bool)| all != self.all || graph.count() > count + count / 4;
        if self.done.is_none_or(grown) {
            self.done = Some((graph.count(), self.all));
            next = self.take(if self.all { graph.selected_of_all() } else { graph.selected(true) });
        }
        if inner && !self.all {
            next.extend(self.inner(module, graph));
        }
        next
    }

    /// One that the main module need not require itself: it may do so all the same, or all are asked for. Those that come
    /// next in their order, as many as were asked for.
    fn inner(&mut self, module: &ModuleVersion, graph: &Graph) -> Vec<ModuleVersion> {
        self.pending.remove(module);
        self.used += 1;
        let room = self.used.saturating_sub(self.pending.len());
        if room <= self.used / 2 {
            return Vec::new();
        }
        let rest: BTreeSet<ModuleVersion> =
            graph.selected(false).into_iter().filter(|module| !self.known.contains(module)).collect();
        let after = rest.range::<ModuleVersion, _>((Bound::Excluded(module), Bound::Unbounded));
        let taken = self.take(after.take(room).cloned().collect());
        self.pending.extend(taken.iter().cloned());
        taken
    }

    fn take(&mut self, mut modules: Vec<ModuleVersion>) -> Vec<ModuleVersion> {
        modules.retain(|module| self.known.insert(module.clone()));
        modules.sort();
        modules
    }
}
