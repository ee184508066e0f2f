//! `goferry store` beside a server, and a store that is kept below a cap.

use std::fs::{self, File, FileTimes};
use std::time::{Duration, SystemTime};

use goferry_lab::universe::ZipSize;
use goferry_lab::wait::until;
use goferry_proxy::store::scan::Scan;
use serde_json::Value;

use crate::world::{Client, STORED, World, path, stored};

fn json(world: &World, args: &[&str]) -> Value {
    let (code, text) = world.command(&[args, &["--json"]].concat());
    assert_eq!(code, 0, "{text}");
    let value: Value = serde_json::from_str(&text).unwrap();
    let schema: Value = serde_json::from_str(include_str!("../../../../docs/schema/store-1.json")).unwrap();
    let errors: Vec<_> =
        jsonschema::validator_for(&schema).unwrap().iter_errors(&value).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}\n{value:#}");
    value
}

/// The zip of module 0 was used 100 hours ago, that of module 1 99 hours, and so on.
fn age(world: &World, modules: &[usize]) {
    for number in modules.iter().copied() {
        let used = SystemTime::now() - Duration::from_secs(3600 * (100 - number as u64));
        for extension in ["ziphash", "zip", "mod", "info"] {
            let name = stored(&world.store(), number, extension);
            let Ok(file) = File::options().append(true).open(name) else { continue };
            file.set_times(FileTimes::new().set_accessed(used).set_modified(used)).unwrap();
        }
    }
}

#[test]
fn list_size_prune_and_forget() {
    let world = World::new(6, ZipSize::Fixed(50_000));
    let server = world.serve(&[]);
    world.fill(&server);
    let (code, text) = world.command(&["list"]);
    assert!(code == 0 && text.lines().count() == 6 && text.contains("info mod  zip"), "{text}");
    assert!(text.contains("just now") && text.contains("lab.example.com/m0005@v1.0.0"), "{text}");
    let list = json(&world, &["list", "lab.example.com/m0001"]);
    let [only] = &list["versions"].as_array().unwrap()[..] else { panic!("{list}") };
    assert!(only["zip"] == true && only["bytes"].as_u64().unwrap() > 50_000, "{list}");
    let size = json(&world, &["size"]);
    assert_eq!(size["modules"].as_array().unwrap().len(), 6);
    let all = size["bytes"].as_u64().unwrap();
    assert!(all > 300_000 && size["own"].as_u64().unwrap() > 0, "{size}");
    let (code, said) = world.command(&["prune"]);
    assert!(code == 2 && said.contains("--max-size") && said.contains("--older-than"), "of what? {said}");
    age(&world, &[0, 1, 2, 3, 4, 5]);
    let dry = json(&world, &["prune", "--older-than", "97h30m", "--dry-run"]);
    let names = |pruned: &Value| -> Vec<String> {
        let removed = pruned["removed"].as_array().unwrap().iter();
        removed.filter(|one| one["files"][0] == "zip").map(|one| one["module"].as_str().unwrap().to_owned()).collect()
    };
    let wanted = ["lab.example.com/m0000", "lab.example.com/m0001", "lab.example.com/m0002"];
    assert_eq!(names(&dry), wanted);
    assert!(stored(&world.store(), 0, "zip").exists());
    let limit = (all - 60_000).to_string();
    assert_eq!(names(&json(&world, &["prune", "--max-size", &limit])), wanted[..2]);
    assert!(!stored(&world.store(), 1, "zip").exists() && stored(&world.store(), 1, "mod").exists());
    // The server fetches it again, and holds it to the hash that it saw first.
    let mut client = Client::of(&server);
    assert_eq!(client.get(&path(0, "zip"), &[STORED]).unwrap().0, 404);
    assert_eq!(client.get(&path(0, "zip"), &[]).unwrap(), (200, world.right(&path(0, "zip"))));
    let (code, text) = world.command(&["forget", "lab.example.com/m0002@v1.0.0"]);
    assert!(code == 0 && text.contains("forgotten"), "{text}");
    assert!(!stored(&world.store(), 2, "mod").exists());
    // What the server has in memory it forgets soon.
    until("it is still known", || client.get(&path(2, "mod"), &[STORED]).unwrap().0 == 404);
    assert_eq!(client.get(&path(2, "mod"), &[]).unwrap(), (200, world.right(&path(2, "mod"))));
    assert_eq!(json(&world, &["forget", "lab.example.com/m0003"])["forgotten"][0], "lab.example.com/m0003@v1.0.0");
    assert_eq!(json(&world, &["verify"])["damaged"], serde_json::json!([]));
    assert_eq!(world.command(&["forget", "no path"]).0, 2);
}

#[test]
fn what_is_not_there_is_said() {
    let world = World::new(2, ZipSize::Fixed(2_000));
    world.fill(&world.serve(&[]));
    for (there, lines) in [("lab.example.com", 2), ("lab.example.com/", 2), ("lab.example.com/m0001@v1.0.0", 1)] {
        let (code, text) = world.command(&["list", there]);
        assert!(code == 0 && text.lines().count() == lines, "{there}: {text}");
    }
    for (absent, hint) in [
        ("lab.example.com/m0007", "did you mean lab.example.com/m0000?"),
        ("lab.example.com/m0001@v1.2.3", "of lab.example.com/m0001 it has 1 version, up to v1.0.0"),
        ("example.org/nothing/like/it", "lists all that it has: 2 modules"),
    ] {
        let (code, text) = world.command(&["list", absent]);
        let said = format!("goferry: error: nothing of {absent} is in the store {}\n", world.store().display());
        assert!(code == 1 && text.starts_with(&said) && text.contains(hint), "{code}: {text}");
        let (code, text) = world.command(&["list", absent, "--json"]);
        let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        assert_eq!((code, &values.next().unwrap().unwrap()["versions"]), (1, &serde_json::json!([])), "{text}");
    }
    let empty = World::new(1, ZipSize::Fixed(2_000));
    drop(empty.serve(&[]));
    assert_eq!(empty.command(&["list"]), (0, String::new()), "that there is nothing is no failure");
    let (code, text) = empty.command(&["list", "lab.example.com"]);
    assert!(code == 1 && text.contains("goferry: hint: it has no module"), "{text}");
}

#[test]
fn what_was_seen_first_counts_until_it_is_forgotten() {
    let (first, other) = (World::new(3, ZipSize::Fixed(9_000)), World::new(3, ZipSize::Fixed(11_000)));
    let zip = path(1, "zip");
    let server = first.serve(&["--sumdb", "off"]);
    assert_eq!(Client::of(&server).get(&zip, &[]).unwrap(), (200, first.right(&zip)));
    drop(server);
    // Pruning leaves the pin: another zip of the same name is refused.
    age(&first, &[1]);
    assert_eq!(first.command(&["prune", "--older-than", "1h"]).0, 0);
    assert!(!stored(&first.store(), 1, "zip").exists());
    let server = other.serve_from(&first.store(), &["--sumdb", "off"]);
    let mut client = Client::of(&server);
    let (status, body) = client.get(&zip, &[]).unwrap();
    let text = String::from_utf8(body).unwrap();
    assert!(status == 502 && text.contains("SECURITY ERROR"), "{status}: {text}");
    assert!(text.contains("goferry store forget lab.example.com/m0001@v1.0.0"), "{text}");
    let (code, text) = first.command(&["forget", "lab.example.com/m0001@v1.0.0"]);
    assert!(code == 0 && text.contains("forgotten: lab.example.com/m0001@v1.0.0"), "{text}");
    assert_eq!(client.get(&zip, &[]).unwrap(), (200, other.right(&zip)));
}

#[test]
fn no_other_folder_is_touched() {
    let world = World::new(1, ZipSize::Fixed(2_000));
    fs::create_dir_all(world.store().join("cache/download")).unwrap();
    fs::write(world.store().join("thesis.txt"), b"x").unwrap();
    for args in [&["prune", "--max-size", "1MB"][..], &["verify", "--repair"], &["forget", "example.com/x"], &["list"]]
    {
        let (code, text) = world.command(args);
        assert!(code == 3 && text.contains("is not a store") && text.contains("cache/download"), "{args:?}: {text}");
    }
    assert!(world.store().join("thesis.txt").exists());
}

#[test]
fn a_server_keeps_below_a_cap() {
    let world = World::new(20, ZipSize::Fixed(200_000));
    let server = world.serve(&[]);
    world.fill(&server);
    age(&world, &(0..20).collect::<Vec<_>>());
    drop(server);
    // The oldest one is used again.
    let server = world.serve(&[]);
    assert_eq!(Client::of(&server).get(&path(0, "zip"), &[]).unwrap().0, 200);
    until("its use is not recorded", || {
        let used = fs::metadata(stored(&world.store(), 0, "ziphash")).unwrap().accessed().unwrap();
        used.elapsed().unwrap_or_default() < Duration::from_secs(3600)
    });
    drop(server);
    let server = world.serve(&["--max-size", "2MB"]);
    until("too much is left", || Scan::of(&world.store()).unwrap().bytes() <= 2_000_000);
    let mut client = Client::of(&server);
    for number in [0, 19, 18, 17] {
        assert_eq!(client.get(&path(number, "zip"), &[STORED]).unwrap().0, 200, "{number} was used lately");
    }
    assert_eq!(client.get(&path(1, "zip"), &[STORED]).unwrap().0, 404);
    assert_eq!(client.get(&path(1, "mod"), &[STORED]).unwrap().0, 200, "small files stay");
}
