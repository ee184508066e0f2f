//! Zips in the order of the `.info`s that a client asked for: `go mod download` asks for both in the same order.
//!
//! An `.info` does not promise a zip (`go list -m all` asks for no zip), and neither does one zip promise the others
//! (`go build` goes along the imports). So nothing is fetched before the zips that were asked for are the first ones of
//! that order, and at least two. What the main module does not require itself is passed over at first: `go mod download
//! all` asks for it, `go mod download` after a `go list -m all` does not. What it requires is told by the order of its
//! `.mod`s, in which one may come late, so that one such zip proves nothing: there must be several, and no more are
//! fetched than were asked for.
//!
//! A client that reads the graph again does something else: the next `.info` begins another order.

use std::collections::{HashMap, HashSet};

use goferry_module::ModuleVersion;

/// Zips that are fetched first, or as many as were asked for; each that is then asked for makes it one more.
const WINDOW: usize = 8;
/// Most zips that are fetched and not asked for yet.
const MOST: usize = 128;
/// Zips that the main module does not require itself, of which so many, and one for so many that it does, must be asked
/// for before others of them are fetched.
const OTHERS: usize = 4;
/// Most `.info`s whose order is remembered.
const ORDER: usize = 8_192;

/// How a module stands to the main module, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Required by it.
    Root,
    /// Either.
    Unsure,
    /// Required by others only.
    Other,
}

/// The `.info`s since the last zip, and the zips that followed.
#[derive(Debug, Default)]
pub(super) struct Zips {
    order: Vec<ModuleVersion>,
    index: HashMap<ModuleVersion, usize>,
    asked: HashSet<usize>,
    /// Whether a graph was read since: then the next `.info` begins another order.
    over: bool,
    last: usize,
    /// How many were asked for that the main module does not require itself.
    others: usize,
    /// Whether those were so many that it will be all, or whether there are none.
    all: bool,
    /// How many before [`Zips::last`] are passed over.
    passed: usize,
    /// The first one that was not fetched ahead yet.
    next: usize,
    /// Fetched and not asked for yet, and how the main module stands to it.
    pending: HashMap<usize, Standing>,
    used: usize,
}

impl Zips {
    /// How much is kept.
    pub(super) fn len(&self) -> usize {
        self.order.len() * 2
    }

    /// The client reads the graph again.
    pub(super) fn restart(&mut self) {
        self.over = true;
    }

    /// The client asks for an `.info`.
    pub(super) fn info(&mut self, module: &ModuleVersion) {
        if self.over || !self.asked.is_empty() {
            *self = Zips::default();
        }
        if self.order.len() < ORDER && !self.index.contains_key(module) {
            self.index.insert(module.clone(), self.order.len());
            self.order.push(module.clone());
        }
    }

    /// The client asks for a zip. Gives those that it will ask for next.
    pub(super) fn zip(
        &mut self,
        module: &ModuleVersion,
        standing: impl Fn(&ModuleVersion) -> Standing,
    ) -> Vec<ModuleVersion> {
        let Some(&at) = self.index.get(module) else { return Vec::new() };
        if !self.asked.insert(at) {
            return Vec::new();
        }
        if self.asked.len() == 1 {
            self.all = self.order.iter().all(|module| standing(module) != Standing::Other);
        }
        self.others += usize::from(standing(module) == Standing::Other);
        let passes = |module: &ModuleVersion| standing(module) != Standing::Root;
        if !self.all && self.others >= OTHERS.max(self.asked.len().div_ceil(OTHERS + 1)) {
            (self.all, self.passed, self.next) = (true, 0, 0);
        }
        if at > self.last {
            if !self.all {
                let between = (self.last..at).filter(|between| !self.asked.contains(between));
                self.passed += between.filter(|between| passes(&self.order[*between])).count();
            }
            self.last = at;
        } else if !self.all && passes(module) {
            self.passed = self.passed.saturating_sub(1);
        }
        self.used += usize::from(self.pending.remove(&at).is_some());
        let count = self.asked.len();
        // As many requests at once as the go command makes may come in any order: then the gaps close a moment later.
        if count < 2 || self.last - self.passed >= count + count / 8 {
            return Vec::new();
        }
        self.take((WINDOW.max(count) + self.used).min(MOST), standing)
    }

    /// The next ones, as long as fewer than `window` are on their way.
    fn take(&mut self, window: usize, standing: impl Fn(&ModuleVersion) -> Standing) -> Vec<ModuleVersion> {
        let mut others = self.pending.values().filter(|standing| **standing == Standing::Other).count();
        self.next = self.next.max(self.last + 1);
        let mut taken = Vec::new();
        while self.pending.len() < window && self.next < self.order.len() {
            let module = &self.order[self.next];
            let standing = standing(module);
            let root = standing == Standing::Root;
            if self.all && standing == Standing::Other && others >= self.others {
                break;
            }
            if (self.all || root) && !self.asked.contains(&self.next) && !self.pending.contains_key(&self.next) {
                self.pending.insert(self.next, standing);
                others += usize::from(standing == Standing::Other);
                taken.push(module.clone());
            }
            self.next += 1;
        }
        taken
    }
}
