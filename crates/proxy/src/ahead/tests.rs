//! Sessions against a model of the go command: what it asks for (facts: `readModGraph`, `runDownload`), in the order in
//! which it asks, with as many requests at once as it makes.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use goferry_module::{FileKind, ModulePath, ModuleVersion, Version};
use proptest::prelude::*;

use super::{Event, Requires, Session, ToFetch};

fn module(number: usize, minor: usize) -> ModuleVersion {
    let path = ModulePath::parse(&format!("example.com/m{number:03}")).unwrap();
    ModuleVersion::new(path, Version::parse(&format!("v1.{minor}.0")).unwrap()).unwrap()
}

#[derive(Clone, Debug, Default)]
struct World {
    go_mods: BTreeMap<ModuleVersion, Requires>,
    roots: Vec<ModuleVersion>,
}

impl World {
    fn add(&mut self, module: ModuleVersion, pruned: bool, requires: &[ModuleVersion]) {
        self.go_mods.insert(module, Requires { pruned, list: requires.into() });
    }

    /// Number i requires 2i+1 and 2i+2.
    fn tree(count: usize, pruned: bool) -> World {
        let mut world = World::default();
        for number in 0..count {
            let children: Vec<ModuleVersion> =
                (2 * number + 1..2 * number + 3).filter(|child| *child < count).map(|child| module(child, 0)).collect();
            world.add(module(number, 0), pruned, &children);
        }
        world.roots = (0..count).map(|number| module(number, 0)).collect();
        world
    }

    /// By chance: modules in several versions, which require others at older ones. The main module needs some at the newest.
    fn random(seed: u64, count: usize, below: u64) -> World {
        let mut state = seed | 1;
        let mut dice = |sides: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) % sides.max(1)
        };
        let mut world = World::default();
        for number in 0..count {
            for minor in 0..3 {
                let rest = (count - number - 1) as u64;
                let requires: BTreeMap<usize, usize> = (0..dice(6).min(rest))
                    .map(|_| (number + 1 + dice(rest) as usize, dice(minor as u64 + 1) as usize))
                    .collect();
                let requires: Vec<ModuleVersion> =
                    requires.into_iter().map(|(number, minor)| module(number, minor)).collect();
                world.add(module(number, minor), dice(100) >= below, &requires);
            }
            if dice(2) == 0 {
                world.roots.push(module(number, 2));
            }
        }
        world
    }

    /// The same, where some come later than their turn: each of `late` by so many requests.
    fn graph_in_disorder(&self, late: &[(usize, usize)]) -> Vec<ModuleVersion> {
        let mut graph = self.graph();
        for (from, by) in late {
            let from = from % graph.len();
            let one = graph.remove(from);
            graph.insert((from + by).min(graph.len()), one);
        }
        graph
    }

    /// The first 40 are required by the main module, at the newest version, and by each other; some of those are below
    /// go 1.17. For their tests they require others, which come after them in the order of paths.
    fn with_tests() -> World {
        let mut world = World::default();
        for number in 0..40 {
            for minor in 0..3 {
                let older = usize::from(minor > 0);
                let olds = (number + 2..40).step_by(3).take(8).map(|other| module(other, older));
                let imports = (number + 1..40).step_by(7).take(2).map(|other| module(other, minor));
                let tests = (0..4).map(|test| module(100 + (number * 5 + test) % 90, older));
                let requires: Vec<ModuleVersion> = olds.chain(imports).chain(tests).collect();
                world.add(module(number, minor), number % 10 != 9, &requires);
            }
            world.roots.push(module(number, 2));
        }
        for test in 100..190 {
            for minor in 0..3 {
                world.add(module(test, minor), true, &[module(100 + (test + 1) % 90, 0)]);
            }
        }
        world
    }

    fn requires(&self, module: &ModuleVersion) -> &Requires {
        &self.go_mods[module]
    }

    /// What `go list -m all` asks for: the highest version of every path that is read or required by what is read.
    fn build_list(&self) -> Vec<ModuleVersion> {
        let graph = self.graph();
        let mut all: BTreeMap<ModulePath, Version> = BTreeMap::new();
        for module in graph.iter().chain(graph.iter().flat_map(|module| self.requires(module).list.iter())) {
            let known = all.entry(module.path().clone()).or_insert_with(|| module.version().clone());
            *known = known.clone().max(module.version().clone());
        }
        all.into_iter().map(|(path, version)| ModuleVersion::new(path, version).unwrap()).collect()
    }

    /// The `.mod`s that the go command reads, in its order.
    fn graph(&self) -> Vec<ModuleVersion> {
        let mut queue: VecDeque<(ModuleVersion, bool)> = self.roots.iter().map(|root| (root.clone(), true)).collect();
        let mut seen: HashSet<(ModuleVersion, bool)> = queue.iter().cloned().collect();
        let mut order = Vec::new();
        while let Some((module, pruned)) = queue.pop_front() {
            if !order.contains(&module) {
                order.push(module.clone());
            }
            let requires = self.requires(&module);
            if !pruned || !requires.pruned {
                for required in requires.list.iter() {
                    if seen.insert((required.clone(), false)) {
                        queue.push_back((required.clone(), false));
                    }
                }
            }
        }
        order
    }
}

/// A client that makes some requests at once, and all that was fetched for it.
struct Client<'a> {
    world: &'a World,
    session: Session,
    fetched: BTreeSet<(FileKind, ModuleVersion)>,
    asked: BTreeSet<(FileKind, ModuleVersion)>,
    /// How often it waited for what nobody had fetched.
    waits: usize,
}

impl<'a> Client<'a> {
    fn new(world: &'a World) -> Client<'a> {
        Client { world, session: Session::default(), fetched: BTreeSet::new(), asked: BTreeSet::new(), waits: 0 }
    }

    fn take(&mut self, fetch: Vec<ToFetch>) {
        for ToFetch { module, kind, follow } in fetch {
            self.fetched.insert((kind, module.clone()));
            if follow {
                let next = self.session.tell(Event::Followed(&module, self.world.requires(&module)));
                self.take(next);
            }
        }
    }

    /// Asks for all, `at_once` together, which come in any order.
    fn asks(&mut self, kind: FileKind, modules: &[ModuleVersion], at_once: usize) {
        for group in modules.chunks(at_once) {
            for module in group.iter().rev() {
                let new = self.asked.insert((kind, module.clone()));
                self.waits += usize::from(new && !self.fetched.contains(&(kind, module.clone())));
                let fetch = self.session.tell(Event::Ask(module, kind));
                self.take(fetch);
            }
            if kind == FileKind::Mod {
                for module in group {
                    let fetch = self.session.tell(Event::Given(module, self.world.requires(module)));
                    self.take(fetch);
                }
            }
        }
    }

    /// `go mod download`.
    fn downloads(&mut self, at_once: usize) {
        self.asks(FileKind::Mod, &self.world.graph(), at_once);
        self.asks(FileKind::Info, &self.world.roots, 1);
        self.asks(FileKind::Zip, &self.world.roots, at_once);
    }

    fn wasted(&self, kind: FileKind) -> Vec<String> {
        self.fetched
            .difference(&self.asked)
            .filter(|(of, _)| *of == kind)
            .map(|(_, module)| module.to_string())
            .collect()
    }
}

#[test]
fn a_tree_is_fetched_ahead_whole() {
    for (pruned, at_once) in [(true, 1), (true, 2), (true, 16), (false, 2)] {
        let world = World::tree(200, pruned);
        let mut client = Client::new(&world);
        client.downloads(at_once);
        assert!(client.fetched.is_subset(&client.asked), "{at_once}");
        let most = if pruned { 20 + 3 * at_once } else { 8 };
        assert!(client.waits <= most, "{pruned} {at_once}: {} waits of 600", client.waits);
    }
}

#[test]
fn a_latest_version_says_nothing_about_the_graph() {
    let mut world = World::tree(8, false);
    world.add(module(0, 1), false, &[module(1, 0)]);
    let mut client = Client::new(&world);
    let latest = module(0, 1);
    client.session.tell(Event::Look(latest.path()));
    client.asks(FileKind::Mod, std::slice::from_ref(&latest), 1);
    assert!(client.fetched.is_empty());
    // Nor does one that is read after its zip, for its go line.
    client.asks(FileKind::Zip, &[module(1, 0)], 1);
    client.asks(FileKind::Mod, &[module(1, 0)], 1);
    assert_eq!(client.fetched, BTreeSet::from([(FileKind::Mod, module(1, 0))]));
    client.asks(FileKind::Mod, &[module(3, 0)], 1);
    assert!(client.fetched.contains(&(FileKind::Mod, module(7, 0))), "this one does");
}

#[test]
fn one_info_brings_no_others() {
    let world = World::tree(20, true);
    let mut client = Client::new(&world);
    client.asks(FileKind::Mod, &world.graph(), 2);
    let before = client.fetched.clone();
    client.asks(FileKind::Info, &[module(3, 0)], 1);
    assert_eq!(client.fetched, before, "go get example.com/m003@v1.0.0");
    client.asks(FileKind::Info, &[module(4, 1)], 1);
    assert_eq!(client.fetched, before, "of a version that is not selected");
    client.asks(FileKind::Info, &[module(0, 0)], 1);
    assert_eq!(client.fetched.len(), before.len() + 18);
}

#[test]
fn infos_after_the_zips_are_those_of_the_zips() {
    let world = World::tree(20, true);
    let mut client = Client::new(&world);
    let used: Vec<ModuleVersion> = (0..10).map(|number| module(number, 0)).collect();
    for module in &used {
        client.asks(FileKind::Zip, std::slice::from_ref(module), 1);
        client.asks(FileKind::Mod, std::slice::from_ref(module), 1);
    }
    assert_eq!(client.waits, 10, "each .mod comes with its zip");
    client.asks(FileKind::Info, &used, 1);
    assert_eq!(client.waits, 11);
    assert!(client.fetched.is_subset(&client.asked));
}

#[test]
fn listing_asks_for_what_is_pruned_out_too() {
    let world = World::random(77, 60, 0);
    let (graph, all) = (world.graph(), world.build_list());
    assert!(all.len() > world.roots.len() + 10);
    let mut client = Client::new(&world);
    client.asks(FileKind::Mod, &graph, 2);
    client.waits = 0;
    client.asks(FileKind::Info, &all, 2);
    assert!(client.waits <= 6, "{}", client.waits);
    assert_eq!(client.wasted(FileKind::Info), Vec::<String>::new());
}

#[test]
fn zips_that_do_not_follow_the_infos_bring_no_others() {
    let world = World::tree(100, true);
    let mut client = Client::new(&world);
    client.asks(FileKind::Info, &world.roots, 2);
    let some: Vec<ModuleVersion> = world.roots.iter().step_by(3).cloned().collect();
    client.asks(FileKind::Zip, &some, 2);
    assert_eq!(client.wasted(FileKind::Zip), Vec::<String>::new());
    // The order from the beginning, though not from the first request on.
    let mut client = Client::new(&world);
    client.asks(FileKind::Info, &world.roots, 2);
    client.asks(FileKind::Zip, &world.roots, 16);
    assert_eq!((client.wasted(FileKind::Zip).len(), client.waits), (0, 100 + 16));
}

#[test]
fn a_list_of_all_modules_promises_the_zips_of_the_roots_only() {
    let world = World::random(77, 60, 0);
    let graph = world.graph();
    let required = graph.iter().flat_map(|module| world.requires(module).list.iter());
    let pruned: BTreeSet<ModuleVersion> =
        required.filter(|one| graph.iter().all(|root| root.path() != one.path())).cloned().collect();
    // The order of go list -m all where all roots come first, and one where they do not.
    let behind: Vec<ModuleVersion> = world.roots.iter().chain(&pruned).cloned().collect();
    let mut mixed = behind.clone();
    mixed.sort();
    for (order, zips) in [(&behind, &world.roots), (&mixed, &world.roots), (&mixed, &mixed)] {
        let mut client = Client::new(&world);
        client.asks(FileKind::Mod, &graph, 2);
        client.asks(FileKind::Info, order, 2);
        client.waits = 0;
        client.asks(FileKind::Zip, zips, 2);
        assert_eq!(client.wasted(FileKind::Zip), Vec::<String>::new());
        assert!(client.waits <= 6, "{} waits of {}", client.waits, zips.len());
    }
}

/// `go list -m all`, then `go mod download` with another module cache, and one `.mod` comes long after its turn, as happens
/// on a busy machine.
#[test]
fn one_that_comes_late_is_no_proof_of_all() {
    let world = World::with_tests();
    let (mut zips, mut in_all) = (0, 0);
    for (from, by) in (0..40).step_by(2).flat_map(|from| [0, 1, 8, 15, 17, 20, 30].map(|by| (from, by))) {
        let mut client = Client::new(&world);
        let graph = world.graph_in_disorder(&[(from, by)]);
        client.asks(FileKind::Mod, &graph, 2);
        client.asks(FileKind::Info, &world.build_list(), 2);
        client.asks(FileKind::Mod, &graph, 2);
        client.asks(FileKind::Info, &world.roots, 1);
        client.waits = 0;
        client.asks(FileKind::Zip, &world.roots, 2);
        let wasted = client.wasted(FileKind::Zip);
        assert!(wasted.is_empty(), "number {from} comes {by} later: {} zips: {wasted:?}", wasted.len());
        // What is not certain is waited for.
        let most = if by == 0 { 4 } else { 30 };
        assert!(client.waits <= most, "number {from} comes {by} later: {} waits", client.waits);
        // With the same one no .mod is asked for again, and the order of the .mods alone tells which zips.
        let mut client = Client::new(&world);
        client.asks(FileKind::Mod, &graph, 2);
        client.asks(FileKind::Info, &world.build_list(), 2);
        client.asks(FileKind::Zip, &world.roots, 2);
        let count = client.wasted(FileKind::Zip).len();
        assert!(count <= 8, "number {from} comes {by} later: {count} zips");
        (zips, in_all) = (zips + world.roots.len(), in_all + count);
    }
    assert!(in_all * 50 <= zips, "{in_all} zips beside {zips}");
}

#[test]
fn a_session_stays_small() {
    let mut session = Session::default();
    for number in 0..9_000 {
        let module = module(number, 0);
        let requires =
            Requires { pruned: number % 2 == 0, list: (0..20).map(|i| self::module(number * 20 + i, 0)).collect() };
        for kind in [FileKind::Mod, FileKind::Info, FileKind::Zip] {
            session.tell(Event::Ask(&module, kind));
        }
        session.tell(Event::Given(&module, &requires));
        session.tell(Event::Look(module.path()));
        assert!(session.len() < 80_000, "{}", session.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the graph: the closures of old modules are fetched exactly, zips exactly, and of guesses next to none is wrong.
    #[test]
    fn little_is_wasted(seed: u64, count in 10_usize..120, below in 0_u64..30, at_once in 1_usize..20) {
        let world = World::random(seed, count, below);
        let mut client = Client::new(&world);
        client.downloads(at_once);
        let go_mods = client.asked.iter().filter(|(kind, _)| *kind == FileKind::Mod).count();
        let wasted = client.wasted(FileKind::Mod);
        prop_assert!(wasted.len() * 50 <= go_mods + 50, "{wasted:?} beside {go_mods}");
        prop_assert_eq!(client.wasted(FileKind::Zip), Vec::<String>::new());
        let wasted = client.wasted(FileKind::Info);
        prop_assert!(wasted.len() <= 8 + client.asked.len() / 20, "{wasted:?} beside {}", client.asked.len());
    }

    /// `go list -m all`, then `go mod download` with another module cache, whatever order the `.mod`s come in: on a busy
    /// machine one may come long after its turn.
    #[test]
    fn who_comes_late_costs_no_zips(
        seed: u64,
        count in 20_usize..120,
        below in 5_u64..30,
        late in proptest::collection::vec((0_usize..200, 1_usize..60), 0..6),
    ) {
        let world = World::random(seed, count, below);
        let mut client = Client::new(&world);
        let graph = world.graph_in_disorder(&late);
        client.asks(FileKind::Mod, &graph, 2);
        client.asks(FileKind::Info, &world.build_list(), 2);
        client.asks(FileKind::Mod, &graph, 2);
        client.asks(FileKind::Info, &world.roots, 1);
        client.asks(FileKind::Zip, &world.roots, 2);
        prop_assert_eq!(client.wasted(FileKind::Zip), Vec::<String>::new());
    }

    /// Any events in any order: no panic, and nothing is fetched twice for the same reason without end.
    #[test]
    fn anything_may_be_asked(events in proptest::collection::vec((0_usize..30, 0_usize..3, 0_u8..7), 0..300)) {
        let world = World::random(5, 40, 20);
        let mut session = Session::default();
        let mut fetched = 0;
        for (number, minor, what) in events {
            let module = module(number, minor);
            let requires = world.requires(&module);
            let fetch = session.tell(match what {
                0 => Event::Look(module.path()),
                1 => Event::Ask(&module, FileKind::Info),
                2 => Event::Ask(&module, FileKind::Mod),
                3 => Event::Ask(&module, FileKind::Zip),
                4 => Event::Given(&module, requires),
                5 => Event::Followed(&module, requires),
                _ => Event::Failed(&module),
            });
            fetched += fetch.len();
        }
        prop_assert!(fetched <= 3_000, "{fetched}");
    }
}
