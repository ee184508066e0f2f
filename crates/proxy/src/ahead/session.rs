//! What one client asks for, and what it will ask for next. No I/O: what there is to know is told.

use std::collections::HashSet;

use goferry_module::{FileKind, ModulePath, ModuleVersion};

use super::graph::{Graph, Next};
use super::infos::Infos;
use super::requires::Requires;
use super::zips::{Standing, Zips};
use crate::route::Route;

/// A client that asked for more than this is forgotten and met anew.
const ENTRIES: usize = 32_768;

/// What a client does.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// It asks which versions there are: `list`, `@latest`.
    Look(&'a ModulePath),
    /// It asks for a file.
    Ask(&'a ModuleVersion, FileKind),
    /// It has this `.mod` now.
    Given(&'a ModuleVersion, &'a Requires),
    /// A `.mod` that was to be followed was fetched.
    Followed(&'a ModuleVersion, &'a Requires),
    /// A `.mod` that was to be followed could not be had.
    Failed(&'a ModuleVersion),
}

impl Event<'_> {
    /// What asking for `route` is; `None` for what says nothing about files to come.
    #[must_use]
    pub fn of(route: &Route) -> Option<Event<'_>> {
        match route {
            Route::File(module, kind) => Some(Event::Ask(module, *kind)),
            Route::List(path) | Route::Latest(path) => Some(Event::Look(path)),
            _ => None,
        }
    }
}

/// A file that the client will ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToFetch {
    /// Of this version.
    pub module: ModuleVersion,
    /// The kind.
    pub kind: FileKind,
    /// Whether what the `.mod` requires is to be told ([`Event::Followed`]).
    pub follow: bool,
}

/// What a client asked for lately.
#[derive(Debug, Default)]
pub struct Session {
    graph: Graph,
    zips: Zips,
    /// Paths whose versions it looked at: the `.mod` of the latest is read for retractions then, and says nothing about
    /// the graph (`cmd/go/internal/modload/modfile.go`, `rawGoModData` and `queryLatestVersionIgnoringRetractions`).
    looked: HashSet<ModulePath>,
    /// Versions whose zip it asked for.
    zipped: HashSet<ModuleVersion>,
    /// Versions whose `.mod` it asked for, for whatever reason.
    go_mods: HashSet<ModuleVersion>,
    infos: Infos,
    /// Whether it did something else after it read the graph.
    left_graph: bool,
}

impl Session {
    /// How much is kept, in entries of some 100 bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        let sets = self.looked.len() + self.zipped.len() + self.go_mods.len() + self.infos.len();
        self.graph.len() + self.zips.len() + sets
    }

    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells what the client does, before it is answered. Gives what to fetch.
    pub fn tell(&mut self, event: Event<'_>) -> Vec<ToFetch> {
        if self.len() > ENTRIES {
            *self = Session::default();
        }
        match event {
            Event::Look(path) => {
                self.left_graph = true;
                self.looked.insert(path.clone());
                Vec::new()
            }
            Event::Ask(module, FileKind::Mod) => self.go_mod(module),
            Event::Ask(module, FileKind::Info) => self.info(module),
            Event::Ask(module, FileKind::Zip) => self.zip(module),
            Event::Given(module, requires) if self.of_graph(module) => go_mods(self.graph.reads(module, requires)),
            Event::Followed(module, requires) => go_mods(self.graph.reads(module, requires)),
            Event::Failed(module) => {
                self.graph.failed(module);
                Vec::new()
            }
            Event::Given(..) => Vec::new(),
        }
    }

    /// Whether a `.mod` is read for what it requires. After the zip it is read for its go line, and after a look at the
    /// versions for its retractions.
    fn of_graph(&self, module: &ModuleVersion) -> bool {
        !self.zipped.contains(module) && !self.looked.contains(module.path())
    }

    fn go_mod(&mut self, module: &ModuleVersion) -> Vec<ToFetch> {
        self.go_mods.insert(module.clone());
        if !self.of_graph(module) {
            return Vec::new();
        }
        if std::mem::take(&mut self.left_graph) {
            self.graph.restart();
            self.zips.restart();
        }
        go_mods(self.graph.asks(module))
    }

    fn info(&mut self, module: &ModuleVersion) -> Vec<ToFetch> {
        self.left_graph = true;
        self.zips.info(module);
        let looked = self.looked.contains(module.path());
        let infos = if looked { self.infos.note(module) } else { self.infos.asked(module, &self.graph, &self.zipped) };
        let infos = infos.into_iter().filter(|module| !self.looked.contains(module.path()));
        infos.map(|module| ToFetch { module, kind: FileKind::Info, follow: false }).collect()
    }

    fn zip(&mut self, module: &ModuleVersion) -> Vec<ToFetch> {
        self.left_graph = true;
        let mut fetch = Vec::new();
        if self.zipped.insert(module.clone()) && self.go_mods.insert(module.clone()) {
            fetch.push(ToFetch { module: module.clone(), kind: FileKind::Mod, follow: false });
        }
        let graph = &self.graph;
        let standing = |module: &ModuleVersion| match graph.count() {
            0 => Standing::Root,
            _ => graph.standing(module.path()),
        };
        let zips = self.zips.zip(module, standing).into_iter();
        fetch.extend(zips.map(|module| ToFetch { module, kind: FileKind::Zip, follow: false }));
        fetch
    }
}

fn go_mods(next: Vec<Next>) -> Vec<ToFetch> {
    let file = |Next { module, follow }| ToFetch { module, kind: FileKind::Mod, follow };
    next.into_iter().map(file).collect()
}
