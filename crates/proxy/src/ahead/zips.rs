//! Zips in the order of the `.info`s that a client asked for: `go mod download` asks for both in the same order.
//!
//! An `.info` does not promise a zip (`go list -m all` asks for no zip), and neither does one zip promise the others
//! (`go build` goes along the imports). So nothing is fetched before the zips that were asked for are the first ones of
//! that order, and at least two. What the main module does not require itself is passed over until one such zip was asked
//! for: `go mod download all` asks for them, `go mod download` after a `go list -m all` does not.

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
    /// Whether a zip was asked for that the main module does not require itself.
    all: bool,
    /// How many before [`Zips::last`] are passed over.
    passed: usize,
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

    /// The client asks for a zip. Gives those that it will ask for next; `is_root` says what the main module requires
    /// itself.
    pub(super) fn zip(
        &mut self,
        module: &ModuleVersion,
        is_root: impl Fn(&ModuleVersion) -> bool,
    ) -> Vec<ModuleVersion> {
        let Some(&at) = self.index.get(module) else { return Vec::new() };
        self.asked.insert(at);
        if !self.all && !is_root(module) {
            (self.all, self.passed, self.next) = (true, 0, 0);
        }
        if at > self.last {
            if !self.all {
                self.passed += self.order[self.last..at].iter().filter(|module| !is_root(module)).count();
            }
            self.last = at;
        }
        self.used += usize::from(self.pending.remove(&at));
        let count = self.asked.len();
        // As many requests at once as the go command makes may come in any order: then the gaps close a moment later.
        if count < 2 || self.last - self.passed >= count + count / 8 {
            return Vec::new();
        }
        let window = (WINDOW.max(count) + self.used).min(MOST);
        self.next = self.next.max(self.last + 1);
        let mut taken = Vec::new();
        while self.pending.len() < window && self.next < self.order.len() {
            let module = &self.order[self.next];
            if (self.all || is_root(module)) && !self.asked.contains(&self.next) && self.pending.insert(self.next) {
                taken.push(module.clone());
            }
            self.next += 1;
        }
        taken
    }
}
