//! The module graph, as far as a client has read it, and which `.mod`s it will read next.

use std::collections::{HashMap, HashSet, VecDeque};

use goferry_module::{ModulePath, ModuleVersion, Version};

use super::guesses::Guesses;
use super::requires::Requires;
use super::zips::Standing;

/// Files of a closure that are fetched before any was asked for; each that is makes it two more.
const WINDOW: usize = 32;
/// Requests by which one may come later than its turn: the go command makes some at once.
const LATE: usize = 16;
/// Most modules of closures that are remembered.
const MEMBERS: usize = 16_384;

/// What a client has read of a module graph.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// The `.mod`s that it asked for in order to read the graph, and the highest version of each path.
    asked: HashSet<ModuleVersion>,
    /// Paths that the main module requires itself: the go command reads those first, in their order, or nothing else has
    /// asked for them.
    roots: HashSet<ModulePath>,
    /// The last path, in their order, that it asked for.
    scan: Option<ModulePath>,
    /// What it was at each of the last requests, the oldest first.
    scans: VecDeque<ModulePath>,
    /// The last requests.
    recent: VecDeque<Recent>,
    /// What came last before the order was over, or first after it.
    unsure: HashSet<ModulePath>,
    /// Whether it left that order: then what the main module requires itself has been read.
    inside: bool,
    highest: HashMap<ModulePath, Version>,
    /// The highest version of each path that one of them requires.
    required: HashMap<ModulePath, Version>,
    /// What a module below go 1.17 requires, and what that requires: the go command reads all of it.
    members: HashSet<ModuleVersion>,
    waiting: VecDeque<ModuleVersion>,
    /// Members fetched and not asked for yet.
    pending: HashSet<ModuleVersion>,
    used: usize,
    guesses: Guesses,
}

/// A `.mod` that the client asked for lately.
#[derive(Debug)]
struct Recent {
    path: ModulePath,
    /// Whether it came out of the order of paths.
    late: bool,
    /// Whether the order alone says that the main module requires it: it was not known before, and a closure has it.
    guess: bool,
}

/// A `.mod` to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) module: ModuleVersion,
    /// Whether its requirements are to be told.
    pub(super) follow: bool,
}

impl Graph {
    /// How much is kept.
    pub(super) fn len(&self) -> usize {
        self.asked.len() + self.roots.len() + self.required.len() + self.members.len() + self.guesses.len()
    }

    /// Whether the client asked for this `.mod`.
    pub(super) fn has(&self, module: &ModuleVersion) -> bool {
        self.asked.contains(module)
    }

    /// Whether the client asked for any `.mod` of the path.
    pub(super) fn has_path(&self, path: &ModulePath) -> bool {
        self.highest.contains_key(path)
    }

    /// The highest version of a path that the client asked for.
    pub(super) fn highest(&self, path: &ModulePath) -> Option<&Version> {
        self.highest.get(path)
    }

    /// The highest version of a path that is required.
    pub(super) fn required(&self, path: &ModulePath) -> Option<&Version> {
        self.required.get(path)
    }

    /// How many `.mod`s it asked for.
    pub(super) fn count(&self) -> usize {
        self.asked.len()
    }

    /// Whether the main module requires the path itself.
    pub(super) fn standing(&self, path: &ModulePath) -> Standing {
        match self.roots.contains(path) {
            true if self.unsure.contains(path) || self.doubted().any(|recent| recent.path == *path) => Standing::Unsure,
            true => Standing::Root,
            false => Standing::Other,
        }
    }

    /// The same, where that is certain.
    pub(super) fn is_root(&self, path: &ModulePath) -> bool {
        self.standing(path) == Standing::Root
    }

    /// What came since one came late: that one was held up somewhere, or the order is over.
    fn doubted(&self) -> impl Iterator<Item = &Recent> {
        self.recent.iter().skip_while(|recent| !recent.late).filter(|recent| recent.guess)
    }

    /// How many paths the main module requires itself, as far as is known.
    pub(super) fn roots(&self) -> usize {
        self.roots.len()
    }

    /// Whether the path is the first one of those.
    pub(super) fn is_first(&self, path: &ModulePath) -> bool {
        self.roots.iter().min() == Some(path)
    }

    /// The versions that are selected, as far as is known: of what the main module requires itself, or of what is
    /// required only by modules below go 1.17.
    pub(super) fn selected(&self, roots: bool) -> Vec<ModuleVersion> {
        let of = self.highest.iter().filter(|(path, _)| self.is_root(path) == roots);
        of.filter_map(|(path, version)| ModuleVersion::new(path.clone(), version.clone()).ok()).collect()
    }

    /// The same of everything that is asked for or required.
    pub(super) fn selected_of_all(&self) -> Vec<ModuleVersion> {
        let mut all = self.required.clone();
        for (path, version) in &self.highest {
            if all.get(path).is_none_or(|known| known < version) {
                all.insert(path.clone(), version.clone());
            }
        }
        all.into_iter().filter_map(|(path, version)| ModuleVersion::new(path, version).ok()).collect()
    }

    /// The client did something else, and now reads a graph again.
    pub(super) fn restart(&mut self) {
        self.guesses.restart();
        self.scan = None;
        self.scans.clear();
        self.recent.clear();
        self.inside = false;
    }

    /// The client asks for a `.mod` in order to read the graph.
    pub(super) fn asks(&mut self, module: &ModuleVersion) -> Vec<Next> {
        if self.pending.remove(module) {
            self.used += 1;
        }
        if self.asked.insert(module.clone()) {
            note(&mut self.highest, module);
            let path = module.path();
            self.place(module);
            if self.scan.as_ref().is_none_or(|scan| scan < path) {
                self.scan = Some(path.clone());
            }
            self.scans.extend(self.scan.clone());
            if self.scans.len() > LATE {
                self.scans.pop_front();
            }
            self.guesses.asked(module);
        }
        self.next()
    }

    /// Whether the main module requires it itself. One that comes late says nothing: a busy machine may hold any request
    /// up. When several of the last ones are late the order is over.
    fn place(&mut self, module: &ModuleVersion) {
        let (path, member) = (module.path(), self.members.contains(module));
        let late = self.scans.len() == LATE && self.scans.front().is_some_and(|scan| scan > path);
        if self.inside {
            if !member {
                self.roots.insert(path.clone());
            }
            return;
        }
        let guess = self.roots.insert(path.clone()) && member;
        if self.recent.len() == 2 * LATE {
            self.recent.pop_front();
        }
        self.recent.push_back(Recent { path: path.clone(), late, guess });
        if self.recent.iter().filter(|recent| recent.late).count() >= LATE / 2 {
            self.inside = true;
            let recent = std::mem::take(&mut self.recent);
            // Where they begin to be many: before, one was held up.
            let many = |at: &usize| {
                let late = recent.range(*at..).filter(|recent| recent.late).count();
                late * 2 >= recent.len() - at
            };
            let first = (0..recent.len()).filter(|at| recent[*at].late).find(many);
            for (at, Recent { path, .. }) in recent.into_iter().enumerate().filter(|(_, recent)| recent.guess) {
                if first.is_some_and(|first| at < first) {
                    self.unsure.insert(path);
                } else {
                    self.roots.remove(&path);
                }
            }
        }
    }

    /// What a `.mod` requires, which the client has read, or which was fetched for being a member of a closure.
    pub(super) fn reads(&mut self, module: &ModuleVersion, requires: &Requires) -> Vec<Next> {
        let member = self.members.contains(module);
        if member || !requires.pruned {
            for required in requires.list.iter() {
                note(&mut self.required, required);
                if self.members.len() < MEMBERS && self.members.insert(required.clone()) {
                    self.waiting.push_back(required.clone());
                }
            }
        } else {
            for required in requires.list.iter() {
                let (highest, known) = (self.highest.get(required.path()), self.required.get(required.path()));
                self.guesses.required(required, highest.max(known), self.asked.contains(required));
                note(&mut self.required, required);
            }
        }
        self.next()
    }

    /// A member of a closure could not be had.
    pub(super) fn failed(&mut self, module: &ModuleVersion) {
        self.pending.remove(module);
    }

    fn next(&mut self) -> Vec<Next> {
        let mut next = Vec::new();
        while self.pending.len() < WINDOW + 2 * self.used
            && let Some(module) = self.waiting.pop_front()
        {
            // One that the client has is read again: as a member all that it requires is read.
            if !self.asked.contains(&module) {
                self.pending.insert(module.clone());
            }
            next.push(Next { module, follow: true });
        }
        let guessed = self.guesses.take(self.asked.len());
        next.extend(guessed.into_iter().map(|module| Next { module, follow: false }));
        next
    }
}

fn note(highest: &mut HashMap<ModulePath, Version>, module: &ModuleVersion) {
    match highest.get_mut(module.path()) {
        Some(known) if *known >= *module.version() => {}
        Some(known) => known.clone_from(module.version()),
        None => {
            highest.insert(module.path().clone(), module.version().clone());
        }
    }
}
