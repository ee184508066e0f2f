//! A module cache that is served as it is.

use std::fs;

use goferry_lab::universe::{VERSION, ZipSize};

use crate::world::{Client, World, path, snapshot, start, stored};

#[test]
fn a_module_cache_served_as_it_is() {
    let world = World::new(10, ZipSize::Fixed(8_000));
    let run = world.go(&world.upstream(), &["mod", "download"]);
    assert!(run.succeeded(), "{}", run.stderr);
    let cache = run.gomodcache().join("cache/download");
    // What a go command that was killed leaves, and what it has not finished.
    for name in ["v1.1.0.lock", "v1.1.0.partial", "v1.1.0.zip123.tmp", "v1.1.0.zip.goferry-part-0", "v1.1.0.mod"] {
        fs::write(cache.join("lab.example.com/m0000/@v").join(name), "module lab.example.com/m0000\n").unwrap();
    }
    fs::write(cache.join("lab.example.com/m0000/@v/list"), "v1.0.0\nv1.1.0\nv1.2.0\n").unwrap();
    fs::remove_file(stored(&cache, 9, "ziphash")).unwrap();
    let before = snapshot(&cache);
    let asked = world.asked();
    let mut command = world.serving(&cache, &["--frozen"]);
    command.env("GOPRIVATE", "lab.example.com/m0008,lab.example.com/other/*");
    let server = start(&mut command, world.home.path());
    let mut client = Client::of(&server);
    for number in 0..8 {
        for kind in ["info", "mod", "zip"] {
            assert_eq!(client.get(&path(number, kind), &[]).unwrap(), (200, world.right(&path(number, kind))));
        }
    }
    let mut text = |path: &str| {
        let (status, body) = client.get(path, &[]).unwrap();
        (status, String::from_utf8(body).unwrap())
    };
    assert_eq!(text("/lab.example.com/m0000/@v/list"), (200, "v1.0.0\n".to_owned()), "what is there whole");
    assert!(text("/lab.example.com/m0000/@latest").1.contains(r#""Version":"v1.0.0""#));
    assert_eq!(text("/lab.example.com/m0000/@v/v1.1.0.mod").0, 200, "by its name");
    for name in ["v1.1.0.lock", "v1.1.0.partial", "v1.1.0.zip123.tmp", "v1.1.0.zip.goferry-part-0", "v1.0.0.ziphash"] {
        assert_eq!(text(&format!("/lab.example.com/m0000/@v/{name}")).0, 404, "{name}");
    }
    assert_eq!(text("/lab.example.com/m0000/@v/v1.1.0.zip").0, 404);
    for name in ["/@v/list", "/@latest", "/@v/v1.0.0.zip", "/@v/v1.0.0.mod"] {
        let (status, text) = text(&format!("/lab.example.com/m0008{name}"));
        assert!(status == 403 && text.contains("GOPRIVATE"), "{status}: {text}");
    }
    let (status, said) = text(&path(9, "zip"));
    assert!(status == 502 && said.contains("no hash of the zip"), "{status}: {said}");
    assert_eq!(text("/lab.example.com/unknown/@v/list").0, 404);
    let database = world.universe.sumdb_key();
    let database = database.split('+').next().unwrap();
    let (_, lookup) = text(&format!("/sumdb/{database}/lookup/lab.example.com/m0000@{VERSION}"));
    assert!(!lookup.contains("panicked"));
    drop(server);
    assert!(snapshot(&cache) == before, "nothing is written");
    assert_eq!(world.asked(), asked, "nobody is asked");
    let mut command = world.serving(&cache, &["--frozen", "--allow-private"]);
    command.env("GOPRIVATE", "lab.example.com/m0008");
    let server = start(&mut command, world.home.path());
    assert_eq!(Client::of(&server).get(&path(8, "zip"), &[]).unwrap().0, 200);
}

#[test]
fn a_go_command_on_a_frozen_cache() {
    let world = World::new(10, ZipSize::Fixed(8_000));
    let run = world.go(&world.upstream(), &["mod", "download"]);
    let cache = run.gomodcache().join("cache/download");
    let server = world.serve_from(&cache, &["--frozen"]);
    let (before, asked) = (snapshot(&cache), world.asked());
    for args in [&["mod", "download"][..], &["list", "-m", "-u", "all"], &["get", "lab.example.com/m0001@latest"]] {
        let run = world.go(server.url(), args);
        assert!(run.succeeded(), "{args:?}: {}", run.stderr);
    }
    drop(server);
    assert!(snapshot(&cache) == before && world.asked() == asked);
}
