//! Zips in the order of the `.info`s that a client asked for: `go mod download` asks for both in the same order.
//!
//! An `.info` does not promise a zip (`go list -m all` asks for no zip), and neither does one zip promise the others
//! (`go build` goes along the imports). So nothing is fetched before the zips that were asked for are the first ones of
//! that order, and at least two.

use std::collections::{HashMap, HashSet};

use goferry_module::ModuleVersion;

/// Zips that are fetched first, or as many as were asked for; each that is then asked for makes it one more.
const WINDOW: usize = 8;
/// Most zips that are fetched and not asked for yet.
const MOST: usize = 128;
/// Most `.info`s whose order is remembered.
const ORDER: usize = 8_192;

/// The `.info`s since the last zip, and the zips that followed.
#[derive(Debug, Default)]
pub(super) struct Zips {
    order: Vec<ModuleVersion>,
    index: HashMap<ModuleVersion, usize>,
    asked: HashSet<usize>,
    last: usize,
    /// The first one that was not fetched ahead yet.
    next: usize,
    pending: HashSet<usize>,
    used: usize,
}

impl Zips {
    /// How much is kept.
    pub(super) fn len(&self) -> usize {
        self.order.len() * 2
    }

    /// The client asks for an `.info`.
    pub(super) fn info(&mut self, module: &ModuleVersion) {
        if !self.asked.is_empty() {
            *self = Zips::default();
        }
        if self.order.len() < ORDER && !self.index.contains_key(module) {
            self.index.insert(module.clone(), self.order.len());
            self.order.push(module.clone());
        }
    }

    /// The client asks for a zip. Gives those that it will ask for next.
    pub(super) fn zip(&mut self, module: &ModuleVersion) -> Vec<ModuleVersion> {
        let Some(&at) = self.index.get(module) else { return Vec::new() };
        self.asked.insert(at);
        self.last = self.last.max(at);
        self.used += usize::from(self.pending.remove(&at));
        let count = self.asked.len();
        // As many requests at once as the go command makes may come in any order: then the gaps close a moment later.
        if count < 2 || self.last >= count + count / 8 {
            return Vec::new();
        }
        let window = (WINDOW.max(count) + self.used).min(MOST);
        self.next = self.next.max(self.last + 1);
        let mut taken = Vec::new();
        while self.pending.len() < window && self.next < self.order.len() {
            self.pending.insert(self.next);
            taken.push(self.order[self.next].clone());
            self.next += 1;
        }
        taken
    }
}
