//! A server that is killed two hundred times while clients ask.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use goferry_lab::serve::ServeProcess;
use goferry_lab::universe::ZipSize;
use goferry_lab::wait::until;
use goferry_proxy::store::scan::{OtherKind, Scan};
use nix::sys::signal::Signal;

use crate::world::{Client, STORED, World};

/// Side by side, each with a store that is empty at first.
const EPOCHS: u64 = 4;
/// Kills of each.
const ROUNDS: u64 = 50;
const CLIENTS: u64 = 4;

/// Numbers that look like chance.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }
}

#[test]
fn two_hundred_kills_lose_nothing() {
    std::thread::scope(|scope| {
        for epoch in 0..EPOCHS {
            scope.spawn(move || kill(epoch));
        }
    });
}

fn kill(epoch: u64) {
    let world = World::new(240, ZipSize::Skewed { smallest: 3_000, largest: 400_000 });
    let paths = world.paths();
    let answered = Mutex::new(HashSet::new());
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (epoch + 1));
    let mut killed = 0;
    for round in 0..ROUNDS {
        let mut server = world.serve(&["--log-level", "error"]);
        let over = AtomicBool::new(false);
        let pause = Duration::from_millis(80 + random.below(300));
        let before: Vec<String> = answered.lock().unwrap().iter().cloned().collect();
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let seed = (epoch << 32) + (round << 8) + client + 1;
                let (world, server, paths, answered, over, before) =
                    (&world, &server, &paths, &answered, &over, &before);
                scope.spawn(move || {
                    ask(
                        world,
                        server,
                        paths,
                        before,
                        answered,
                        over,
                        Random(seed.wrapping_mul(0x5851_f42d_4c95_7f2d) | 1),
                    )
                });
            }
            std::thread::sleep(pause);
            server.signal(Signal::SIGKILL).unwrap();
            over.store(true, Ordering::Relaxed);
        });
        killed += u64::from(server.wait(Duration::from_secs(10)).unwrap().is_none());
    }
    assert_eq!(killed, ROUNDS);
    let answered = answered.into_inner().unwrap();
    assert!(answered.len() > paths.len() / 4, "hardly anything was asked for: {}", answered.len());
    everything_is_there(&world, &answered);
    nothing_is_left_behind(&world);
}

/// Asks until the server is gone. Half of the time for something new; else for what was answered before a kill, and is
/// in the store.
fn ask(
    world: &World,
    server: &ServeProcess,
    paths: &[String],
    before: &[String],
    answered: &Mutex<HashSet<String>>,
    over: &AtomicBool,
    mut random: Random,
) {
    let mut client = Client::of(server);
    // A killed server leaves no one waiting.
    client.limit = Duration::from_secs(20);
    while !over.load(Ordering::Relaxed) {
        let known = !before.is_empty() && random.below(2) == 0;
        let from = if known { before } else { paths };
        let path = &from[usize::try_from(random.below(from.len() as u64)).unwrap()];
        let fields: &[&str] = if known { &[STORED] } else { &[] };
        let Ok((status, body)) = client.get(path, fields) else { continue };
        assert_eq!(status, 200, "{path}, known: {known}: {}", String::from_utf8_lossy(&body));
        assert!(body == world.right(path), "{path}: not the right bytes");
        answered.lock().unwrap().insert(path.clone());
    }
}

fn everything_is_there(world: &World, answered: &HashSet<String>) {
    let mut server = world.serve(&[]);
    let mut client = Client::of(&server);
    let asked = world.asked();
    for path in answered {
        let (status, body) = client.get(path, &[STORED]).unwrap();
        assert!(status == 200 && body == world.right(path), "{path}: {status}");
    }
    assert_eq!(world.asked(), asked, "nothing was fetched");
    let (code, text) = world.command(&["verify"]);
    assert!(code == 0 && text.contains("none damaged"), "{text}");
    server.signal(Signal::SIGTERM).unwrap();
    server.wait(Duration::from_secs(10)).unwrap();
}

/// A day later, what the kills left is removed by the next server.
fn nothing_is_left_behind(world: &World) {
    let store = world.store();
    let left = |dir: &Path| -> Vec<String> {
        let others = Scan::of(dir).unwrap().others;
        assert!(
            others.iter().all(|other| matches!(other.kind, OtherKind::Temporary | OtherKind::Partial)),
            "{others:?}"
        );
        others.iter().map(|other| other.path.display().to_string()).collect()
    };
    for name in left(&store) {
        let file = File::options().append(true).open(store.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(25 * 3600)).unwrap();
    }
    let server = world.serve(&[]);
    until("what was left stays", || left(&store).is_empty());
    // `list` names every version that has a .mod.
    until("lists are old", || Scan::of(&store).unwrap().stale_lists.is_empty());
    drop(server);
}
