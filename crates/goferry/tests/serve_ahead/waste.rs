//! Each command, in universes of several shapes: what the origin gives through an empty proxy is at most 1.02 times what
//! it gives to the go command alone.

use std::sync::Mutex;

use crate::universe::{Universe, name, path};
use crate::world::{NEWEST, OLDEST, World};

const LIMIT: f64 = 1.02;

/// Gives how often the go command waits for the origin, alone and through the proxy.
#[track_caller]
fn hold(world: &World, go: &str, processors: u32, args: &[&str]) -> (u64, u64) {
    let alone = world.alone(go, processors, args);
    let through = world.through(true, go, processors, args);
    let ratio = through.bytes() as f64 / alone.bytes() as f64;
    assert!(ratio <= LIMIT, "{go} {args:?}: {ratio:.4}: {:?}", through.beyond(&alone.given));
    assert_eq!(alone.left, through.left, "{args:?}");
    (alone.waited, through.waited)
}

/// So many times fewer waits.
#[track_caller]
fn gains(world: &World, go: &str, processors: u32, args: &[&str], times: f64) {
    let (alone, through) = hold(world, go, processors, args);
    assert!(alone as f64 >= times * through as f64, "{go} {args:?}: {alone} waits alone, {through} through the proxy");
}

fn all_commands(world: &World, go: &str, processors: u32, target: &str) {
    let latest = path(target);
    let older = format!("{latest}@v1.0.0");
    let commands: [&[&str]; 11] = [
        &["mod", "download"],
        &["build", "./..."],
        &["mod", "tidy"],
        &["get", &latest],
        &["get", &older],
        &["get", "-u", "./..."],
        &["list", "-m", "all"],
        &["list", "-m", "-u", "all"],
        &["mod", "verify"],
        &["mod", "vendor"],
        &["mod", "download", "all"],
    ];
    let left = Mutex::new(commands.iter());
    let next = || left.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(args) = next() {
                    hold(world, go, processors, args);
                }
            });
        }
    });
}

fn first() -> Vec<(String, &'static str)> {
    vec![(name(0), "v1.0.0")]
}

#[test]
fn a_binary_tree() {
    let world = World::new(Universe::tree(60, "1.21"), "1.21", &first());
    all_commands(&world, NEWEST, 2, &name(3));
    // With many requests at once the go command is often the first to ask for what would be fetched ahead.
    for (go, processors, times) in [(NEWEST, 2, 4.0), (OLDEST, 2, 4.0), (NEWEST, 16, 2.5)] {
        gains(&world, go, processors, &["mod", "download"], times);
    }
    // What is asked for is fetched either way.
    let (alone, plain) =
        (world.alone(NEWEST, 2, &["mod", "download"]), world.through(false, NEWEST, 2, &["mod", "download"]));
    assert_eq!((alone.bytes(), alone.waited), (plain.bytes(), plain.waited));
}

#[test]
fn a_flat_one() {
    let requires: Vec<_> = (0..60).map(|number| (name(number), "v1.0.0")).collect();
    let world = World::new(Universe::flat(60), "1.21", &requires);
    all_commands(&world, NEWEST, 2, &name(3));
    gains(&world, NEWEST, 2, &["mod", "download"], 2.2);
    gains(&world, OLDEST, 2, &["list", "-m", "all"], 1.8);
}

#[test]
fn a_chain_from_before_pruning() {
    let world = World::new(Universe::chain(40, "1.16"), "1.21", &first());
    all_commands(&world, NEWEST, 2, &name(3));
    // Both learn of the next one at the same moment: who asks first is chance, but there are no more waits.
    gains(&world, NEWEST, 2, &["mod", "verify"], 1.0);
    let world = World::new(Universe::tree(40, "1.16"), "1.16", &first());
    all_commands(&world, OLDEST, 2, &name(3));
    for go in [NEWEST, OLDEST] {
        gains(&world, go, 2, &["mod", "download"], 4.0);
    }
}

#[test]
fn a_pruned_graph_with_many_versions_that_are_not_selected() {
    let requires: Vec<_> = (0..30).map(|number| (name(number), "v1.2.0")).collect();
    let world = World::new(Universe::pruned(40), "1.20", &requires);
    all_commands(&world, NEWEST, 2, &name(3));
    for go in [NEWEST, OLDEST] {
        for args in [&["mod", "download"][..], &["list", "-m", "all"], &["mod", "tidy"]] {
            hold(&world, go, 16, args);
        }
    }
    gains(&world, OLDEST, 2, &["mod", "download"], 4.0);
}

#[test]
fn one_command_after_another() {
    let requires: Vec<_> = (0..30).map(|number| (name(number), "v1.2.0")).collect();
    let world = World::new(Universe::pruned(40), "1.20", &requires);
    let commands: [&[&str]; 4] = [&["list", "-m", "all"], &["mod", "download"], &["build", "./..."], &["mod", "tidy"]];
    let mut alone: Vec<(String, usize)> = commands.iter().flat_map(|args| world.alone(NEWEST, 2, args).given).collect();
    alone.sort();
    alone.dedup();
    let bytes: usize = alone.iter().map(|(_, bytes)| bytes).sum();
    let through = world.through_all(true, NEWEST, 2, &commands);
    let ratio = through.bytes() as f64 / bytes as f64;
    assert!(ratio <= LIMIT, "{ratio:.4}: {:?}", through.beyond(&alone));
    assert!(through.waited * 3 < alone.len() as u64, "{} waits of {}", through.waited, alone.len());
}
