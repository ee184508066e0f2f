//! Which requirements of pruned modules the main module has as its own, as far as can be told.
//!
//! With a go line of 1.17 or later the go command reads the `.mod`s of what the main module requires, in the order of
//! their paths, and not those that they require. But a tidy main module requires, at the selected version, everything
//! that its packages need: a requirement may be one of those, or may not.
//!
//! So each requirement is first only remembered, and the client is watched: it asks for the path at this version (right),
//! at another, or goes past the path (wrong). Nothing is fetched before such guesses were right eight times, and almost never
//! wrong; then at most half as many as were right are on their way.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;

use goferry_module::{ModulePath, ModuleVersion, Version};

/// Guesses that must have been right before one is acted on.
const ENOUGH: usize = 8;
/// How often a guess must be right for each that was wrong.
const RIGHT: usize = 16;
/// Most files that are fetched on a guess and not asked for yet.
const MOST: usize = 128;
/// Most paths that are watched.
const WATCHED: usize = 4_096;

/// Guesses of one reading of a module graph.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    open: BTreeMap<ModulePath, Guess>,
    /// The last path, in their order, that was asked for.
    scan: Option<ModulePath>,
    /// Paths about which it is known whether the guess was right.
    resolved: HashSet<ModulePath>,
    right: usize,
    wrong: usize,
    /// Fetched and not asked for yet.
    pending: usize,
    /// Fetched, and then not asked for.
    wasted: usize,
}

#[derive(Debug)]
struct Guess {
    version: Version,
    fetched: bool,
}

impl Guesses {
    /// A new reading begins. What was wasted is not forgotten.
    pub(super) fn restart(&mut self) {
        *self = Guesses { wasted: self.wasted + self.pending, ..Guesses::default() };
    }

    /// How much is kept.
    pub(super) fn len(&self) -> usize {
        self.open.len() + self.resolved.len()
    }

    /// The client asked for a `.mod` of the graph.
    pub(super) fn asked(&mut self, module: &ModuleVersion) {
        if self.scan.as_ref().is_none_or(|scan| scan < module.path()) {
            self.scan = Some(module.path().clone());
        }
        if let Some(guess) = self.open.remove(module.path()) {
            self.pending -= usize::from(guess.fetched);
            if guess.version == *module.version() {
                self.right += 1;
            } else {
                self.mistaken(&guess);
            }
            self.resolved.insert(module.path().clone());
        }
    }

    /// A pruned module that the client asked for requires `module`; `top` is the highest version of it known before,
    /// `asked` whether the client asked for this one.
    pub(super) fn required(&mut self, module: &ModuleVersion, top: Option<&Version>, asked: bool) {
        let (path, version) = (module.path(), module.version());
        if top.is_some_and(|top| top > version) || self.len() >= WATCHED || self.resolved.contains(path) {
            return;
        }
        if asked {
            self.right += 1;
            self.resolved.insert(path.clone());
            return;
        }
        match self.open.get_mut(path) {
            None => {
                self.open.insert(path.clone(), Guess { version: version.clone(), fetched: false });
            }
            Some(guess) if guess.version < *version => {
                let old = std::mem::replace(guess, Guess { version: version.clone(), fetched: false });
                self.pending -= usize::from(old.fetched);
                self.mistaken(&old);
            }
            Some(_) => {}
        }
    }

    fn mistaken(&mut self, guess: &Guess) {
        self.wrong += 1;
        self.wasted += usize::from(guess.fetched);
    }

    /// What to fetch now, in the order in which it will be asked for. `given` is how many `.mod`s the client was given.
    pub(super) fn take(&mut self, given: usize) -> Vec<ModuleVersion> {
        let Some(scan) = self.scan.clone() else { return Vec::new() };
        let window = (self.right / 2).min(MOST);
        if self.right < ENOUGH || self.wasted * 100 > given || self.pending >= window {
            return Vec::new();
        }
        let passed = self.open.range(..&scan).take(self.right).count();
        if (self.wrong + passed) * RIGHT > self.right {
            return Vec::new();
        }
        let mut taken = Vec::new();
        let ahead = self.open.range_mut::<ModulePath, _>((Bound::Excluded(&scan), Bound::Unbounded));
        for (path, guess) in ahead.filter(|(_, guess)| !guess.fetched).take(window - self.pending) {
            if let Ok(module) = ModuleVersion::new(path.clone(), guess.version.clone()) {
                guess.fetched = true;
                taken.push(module);
            }
        }
        self.pending += taken.len();
        taken
    }
}
