//! Files of the store that are not what they were.

use std::fs;
use std::path::Path;
use std::time::Duration;

use goferry_lab::serve::ServeProcess;
use goferry_lab::universe::ZipSize;
use nix::sys::signal::Signal;

use crate::world::{Client, World, path, stored};

fn change(store: &Path, number: usize, extension: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let file = stored(store, number, extension);
    let mut bytes = fs::read(&file).unwrap();
    change(&mut bytes);
    fs::write(file, bytes).unwrap();
}

/// Damages six versions; gives what is wrong with which file, and a word of the reason.
fn damage(store: &Path) -> [(usize, &'static str, &'static str); 5] {
    // In the middle of the content of a file, and in the record beside it.
    change(store, 0, "zip", |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    change(store, 1, "zip", |bytes| bytes.truncate(bytes.len() / 2));
    change(store, 2, "mod", |bytes| bytes.extend(b"\n// changed\n"));
    change(store, 3, "info", Vec::clear);
    change(store, 4, "ziphash", |bytes| bytes[10] ^= 2);
    fs::remove_file(stored(store, 5, "ziphash")).unwrap();
    [(0, "zip", ""), (1, "zip", ""), (2, "mod", "damaged or replaced"), (3, "info", "not JSON"), (4, "zip", "hash")]
}

fn end(mut server: ServeProcess) {
    server.signal(Signal::SIGTERM).unwrap();
    server.wait(Duration::from_secs(10)).unwrap();
}

fn filled() -> World {
    let world = World::new(8, ZipSize::Fixed(20_000));
    let server = world.serve(&[]);
    world.fill(&server);
    end(server);
    world
}

fn all_is_right(world: &World, server: &ServeProcess) {
    let mut client = Client::of(server);
    for path in world.paths() {
        let (status, body) = client.get(&path, &[]).unwrap();
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
        assert!(body == world.right(&path), "{path}: not the right bytes");
    }
}

#[test]
fn with_an_upstream_it_heals() {
    let world = filled();
    damage(&world.store());
    let server = world.serve(&[]);
    all_is_right(&world, &server);
    let kept = fs::read_dir(world.store().join(".goferry/quarantine")).unwrap().count();
    assert_eq!(kept, 5, "what was damaged is kept");
    assert!(stored(&world.store(), 5, "ziphash").exists(), "the hash is recorded again");
    // While a server runs and knows the files.
    change(&world.store(), 6, "zip", |bytes| bytes[5_000] ^= 1);
    fs::remove_file(stored(&world.store(), 7, "zip")).unwrap();
    all_is_right(&world, &server);
    let (code, text) = world.command(&["verify"]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn offline_it_is_said_and_never_served() {
    let world = filled();
    let damaged = damage(&world.store());
    let (code, text) = world.command(&["verify"]);
    assert!(code == 1 && text.matches("damaged: ").count() == 5, "{text}");
    let server = world.serve(&["--offline"]);
    let asked = world.asked();
    let mut client = Client::of(&server);
    for (number, kind, reason) in damaged {
        let (status, body) = client.get(&path(number, kind), &[]).unwrap();
        let text = String::from_utf8(body).unwrap();
        assert!(status == 502 && text.contains(&format!("m{number:04}")) && text.contains(reason), "{status}: {text}");
        assert!(text.starts_with("the store of goferry has it damaged"), "whose fault it is: {text}");
    }
    // The pin still says what the zip must be.
    assert_eq!(client.get(&path(5, "zip"), &[]).unwrap(), (200, world.right(&path(5, "zip"))));
    fs::remove_file(world.store().join(".goferry/pins").join(path(6, "")[1..].trim_end_matches('.'))).unwrap();
    fs::remove_file(stored(&world.store(), 6, "ziphash")).unwrap();
    let (status, body) = client.get(&path(6, "zip"), &[]).unwrap();
    let text = String::from_utf8(body).unwrap();
    assert!(status == 502 && text.contains("no hash of the zip"), "{status}: {text}");
    let (status, _) = client.get("/lab.example.com/none/@v/v1.0.0.zip", &[]).unwrap();
    assert_eq!((status, world.asked()), (404, asked));
    assert!(!world.store().join(".goferry/quarantine").exists(), "nothing is moved");
    // Repaired by hand, then healed by the upstream.
    end(server);
    let (code, text) = world.command(&["verify", "--repair"]);
    assert!(code == 1 && text.contains("5 damaged, in quarantine"), "{text}");
    assert_eq!(world.command(&["verify"]).0, 0);
    all_is_right(&world, &world.serve(&[]));
}
