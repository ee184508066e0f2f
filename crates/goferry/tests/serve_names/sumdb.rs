//! The checksum database, through a proxy.

use std::fs;
use std::process::Command;

use goferry_lab::sumdb::Log;

use crate::upstream::{SUMDB, Upstream};
use crate::world::{TOOLCHAINS, World, ask, client, files, get, ok, project};

const NAMES: [&str; 3] = ["example.com/a@v1.0.0", "example.com/b@v1.0.0", "example.com/Upper@v1.2.3"];

fn published() -> Upstream {
    let upstream = Upstream::start();
    for name in NAMES {
        upstream.publish(name, &[]);
    }
    // So that there are complete tiles.
    let mut content = upstream.content();
    for number in 0..600 {
        content.log.add(&format!("example.com/filler v1.{number}.0 h1:none\n"));
    }
    drop(content);
    upstream
}

/// `go mod download` of all without a go.sum, with empty caches: the go.sum that it leaves.
fn downloaded(toolchain: &str, goproxy: &str, gosumdb: &str) -> Result<String, String> {
    let dir = project(&NAMES);
    let mut args = vec!["mod", "download"];
    args.extend(NAMES);
    let run = client(toolchain, goproxy, dir.path(), &args).gosumdb(gosumdb).run().unwrap();
    if run.succeeded() {
        Ok(fs::read_to_string(dir.path().join("go.sum")).unwrap_or_default())
    } else {
        Err(run.stderr)
    }
}

#[test]
fn a_go_command_without_go_sum_verifies_through_the_proxy() {
    for toolchain in TOOLCHAINS {
        let upstream = published();
        let gosumdb = upstream.gosumdb();
        let world = World::new().env("GOSUMDB", &gosumdb);
        let serve = world.serve(&upstream.url(), "", &[]);
        let sums = downloaded(toolchain, serve.url(), &gosumdb).unwrap();
        for id in 0..3 {
            for line in upstream.content().log.record(id).lines() {
                assert!(sums.contains(line), "{line} is not in\n{sums}");
            }
        }
        // What both need is asked for once.
        let asked = upstream.asked();
        let lookups = asked.iter().filter(|path| path.contains("/lookup/")).count();
        assert_eq!(lookups, 3, "{asked:?}");
        // The next one is served from what is kept, whatever becomes of the database.
        upstream.content().failing = Some(503);
        assert_eq!(downloaded(toolchain, serve.url(), &gosumdb).unwrap(), sums);
        drop(serve);
        let serve = world.serve(&upstream.url(), "", &["--offline"]);
        upstream.asked();
        assert_eq!(downloaded(toolchain, serve.url(), &gosumdb).unwrap(), sums);
        let latest = get(&serve, &format!("/sumdb/{SUMDB}/latest"));
        assert_eq!((latest.status, latest.body.contains("go.sum database tree")), (200, true), "{latest:?}");
        assert_eq!(get(&serve, &format!("/sumdb/{SUMDB}/lookup/example.com/c@v1.0.0")).status, 404);
        assert_eq!(upstream.asked(), [""; 0]);
    }
}

#[test]
fn what_is_answered_for() {
    let upstream = published();
    let gosumdb = upstream.gosumdb();
    let world = World::new().env("GOSUMDB", &gosumdb);
    let serve = world.serve(&upstream.url(), "", &["--no-sumdb", "private.example.com"]);
    let at = |path: &str| get(&serve, &format!("/sumdb/{SUMDB}/{path}"));
    assert_eq!(at("supported").status, 200);
    assert_eq!(get(&serve, "/sumdb/sum.other.example.com/supported").status, 404);
    let got = at("lookup/example.com/nothing@v1.0.0");
    assert!(got.status == 404 && got.body.contains("the upstream has no such thing"), "{got:?}");
    let got = at("lookup/private.example.com/m@v1.0.0");
    assert!(got.status == 403 && got.body.contains("GONOSUMDB"), "{got:?}");
    assert!(!upstream.asked().iter().any(|path| path.contains("private")));
    let got = at("tile/8/0/000");
    assert_eq!(got.status, 200);
    assert!(got.head.contains("application/octet-stream") && got.head.contains("immutable"), "{got:?}");
    assert_eq!(at("latest").status, 200);
    upstream.content().failing = Some(500);
    assert_eq!(at("latest").status, 200, "of a moment ago");
    assert_eq!(at("lookup/example.com/a@v1.0.0").status, 502, "it cannot say that there is none");
    drop(serve);

    let serve = world.serve(&upstream.url(), "", &["--sumdb", "off"]);
    assert_eq!(get(&serve, &format!("/sumdb/{SUMDB}/supported")).status, 404);
    drop(serve);
    let empty = World::new().env("GOSUMDB", &gosumdb);
    let serve = empty.serve(&upstream.url(), "", &["--offline"]);
    assert_eq!(get(&serve, &format!("/sumdb/{SUMDB}/supported")).status, 404);
}

#[test]
fn a_record_that_does_not_fit_is_a_security_error() {
    for toolchain in TOOLCHAINS {
        let upstream = Upstream::start();
        let record = upstream.upload(NAMES[0], &[]);
        // In the log, signed, and not the hashes of what is served.
        let (zip, rest) = record.split_once("h1:").unwrap();
        upstream.content().log.add(&format!("{zip}h1:{}", rest.replacen(&rest[..4], "AAAA", 1)));
        upstream.publish(NAMES[1], &[]);
        upstream.publish(NAMES[2], &[]);
        let gosumdb = upstream.gosumdb();
        let world = World::new().env("GOSUMDB", &gosumdb);
        let serve = world.serve(&upstream.url(), "", &[]);
        let error = downloaded(toolchain, serve.url(), &gosumdb).unwrap_err();
        assert!(error.contains("example.com/a") && error.contains("SECURITY ERROR"), "{error}");
        let got = get(&serve, "/example.com/a/@v/v1.0.0.zip");
        assert!(got.status == 502 && got.body.contains("checksum mismatch"), "{got:?}");
        assert_eq!(files(&world.store().join("example.com/a"), ".zip"), [""; 0]);
    }
}

#[test]
fn a_forged_answer_is_a_security_error_and_not_kept() {
    let upstream = published();
    let gosumdb = upstream.gosumdb();
    // Another log with the same key, which knows other hashes.
    let mut other = Log::new("sum.other.example.com");
    other.add("example.com/a v1.0.0 h1:x\nexample.com/a v1.0.0/go.mod h1:y\n");
    upstream.content().log = other;
    let world = World::new().env("GOSUMDB", &gosumdb);
    let serve = world.serve(&upstream.url(), "", &[]);
    let got = get(&serve, &format!("/sumdb/{SUMDB}/lookup/example.com/a@v1.0.0"));
    assert!(got.status == 502 && got.body.contains("SECURITY ERROR"), "{got:?}");
    for toolchain in TOOLCHAINS {
        let error = downloaded(toolchain, serve.url(), &gosumdb).unwrap_err();
        assert!(error.contains("SECURITY ERROR"), "{error}");
    }
    assert_eq!(files(&world.store(), ""), files(&world.store(), ".info"), "an .info has no hash");
}

/// A log of the same signer that goes on in another way from this record on, and is longer.
fn forked(honest: &Log, at: u64) -> Log {
    let mut forked = Log::new(SUMDB);
    for id in 0..honest.size() + 10 {
        forked.add(if id >= at { "example.com/evil v1.0.0 h1:evil\n" } else { honest.record(id) });
    }
    forked
}

#[test]
fn two_histories_are_a_security_error_until_there_is_one_again() {
    let upstream = published();
    let gosumdb = upstream.gosumdb();
    let world = World::new().env("GOSUMDB", &gosumdb);
    let serve = world.serve(&upstream.url(), "", &[]);
    assert_eq!(get(&serve, "/example.com/a/@v/v1.0.0.mod").status, 200);
    let honest = upstream.content().log.clone();
    upstream.content().log = forked(&honest, 590);
    let before = files(&world.store(), "");
    for _ in 0..2 {
        let got = get(&serve, &format!("/sumdb/{SUMDB}/lookup/example.com/b@v1.0.0"));
        assert!(got.status == 502 && got.body.contains("SECURITY ERROR"), "{got:?}");
        // The tiles of the right log are still there, and prove it.
        assert!(got.body.contains("server misbehavior detected"), "{got:?}");
    }
    for toolchain in TOOLCHAINS {
        let error = downloaded(toolchain, serve.url(), &gosumdb).unwrap_err();
        assert!(error.contains("SECURITY ERROR"), "{error}");
    }
    // An .info has no hash, and the record of one module was verified before: its zip may be taken.
    let known = |name: &String| name.ends_with(".info") || name.starts_with("example.com/a/");
    let new: Vec<_> =
        files(&world.store(), "").into_iter().filter(|name| !before.contains(name) && !known(name)).collect();
    assert_eq!(new, [""; 0]);
    upstream.content().log = honest;
    for toolchain in TOOLCHAINS {
        assert!(downloaded(toolchain, serve.url(), &gosumdb).is_ok());
    }
    let dir = project(&["example.com/a@v1.0.0"]);
    ok(client(TOOLCHAINS[0], serve.url(), dir.path(), &["mod", "download"]).gosumdb(&gosumdb).run().unwrap());
}

#[test]
fn two_proxies_on_one_store_believe_in_one_history() {
    for round in 0..3 {
        let [right, wrong] = [published(), published()];
        let honest = right.content().log.clone();
        wrong.content().log = forked(&honest, 590);
        let gosumdb = right.gosumdb();
        let world = World::new().env("GOSUMDB", &gosumdb);
        // Both begin with an empty store; who is asked first is another one each time.
        let (first, second) = if round % 2 == 0 { (&right, &wrong) } else { (&wrong, &right) };
        let serves = [first, second].map(|upstream| world.serve(&upstream.url(), "", &[]));
        let paths = ["a", "b", "!upper"].map(|name| {
            let version = if name == "!upper" { "v1.2.3" } else { "v1.0.0" };
            [
                format!("/sumdb/{SUMDB}/lookup/example.com/{name}@{version}"),
                format!("/example.com/{name}/@v/{version}.mod"),
            ]
        });
        let believed = std::thread::scope(|scope| {
            let asked = serves.each_ref().map(|serve| {
                paths.each_ref().map(|paths| scope.spawn(move || paths.each_ref().map(|path| get(serve, path))))
            });
            asked.map(|one| one.map(|one| one.join().unwrap()))
        });
        let kept = files(&world.store(), &format!("{SUMDB}/latest"));
        let latest = fs::read_to_string(world.store().join(&kept[0])).unwrap();
        let logs = [first, second].map(|upstream| upstream.content().log.clone());
        let winner = usize::from(latest != logs[0].signed(logs[0].size()));
        let log = &logs[winner];
        assert_eq!(latest, log.signed(log.size()));
        for got in believed[winner].iter().flatten() {
            assert_eq!(got.status, 200, "{got:?}");
        }
        // What the other one has kept is as good for this; by itself it has proven nothing.
        for got in believed[1 - winner].iter().flatten().filter(|got| got.status == 200) {
            let head = log.signed(log.size());
            assert!(got.body.starts_with("module ") || got.body.ends_with(&head), "{got:?}");
        }
        let got = get(&serves[1 - winner], &format!("/sumdb/{SUMDB}/latest"));
        assert!(got.status == 502 && got.body.contains("SECURITY ERROR"), "{got:?}");
        for file in files(&world.store().join("sumdb"), "") {
            let Some(tile) = file.split_once(&format!("{SUMDB}/")).map(|(_, path)| path) else { continue };
            if tile.starts_with("tile/") {
                let kept = fs::read(world.store().join("sumdb").join(&file)).unwrap();
                assert_eq!(log.tile(tile, log.size()).unwrap(), kept, "{file}");
            }
        }
    }
}

/// A store that has all that a go command asked for, and the go.sum that it wrote.
struct Kept {
    upstream: Upstream,
    gosumdb: String,
    world: World,
    sums: String,
}

impl Kept {
    fn new() -> Kept {
        let upstream = published();
        let gosumdb = upstream.gosumdb();
        let world = World::new().env("GOSUMDB", &gosumdb);
        let serve = world.serve(&upstream.url(), "", &[]);
        let sums = downloaded(TOOLCHAINS[0], serve.url(), &gosumdb).unwrap();
        drop(serve);
        Kept { upstream, gosumdb, world, sums }
    }
}

/// `goferry store verify` with this GOSUMDB: its exit code and what it printed.
fn verified(world: &World, gosumdb: &str, args: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_goferry"));
    command.args(["store", "verify", "--store"]).arg(world.store()).args(args).env_clear();
    command.env("HOME", world.home()).env("GOENV", "off").env("GOPROXY", "off").env("GOSUMDB", gosumdb);
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    (output.status.code().unwrap(), text)
}

#[test]
fn a_damaged_answer_is_found_offline_and_never_given() {
    let Kept { upstream, gosumdb, world, sums } = Kept::new();
    let (code, text) = verified(&world, &gosumdb, &[]);
    assert!(code == 0 && text.contains(" are what was signed, none damaged"), "{text}");
    // The key of another database is no help.
    let (code, text) = verified(&world, "sum.golang.org", &[]);
    assert!(code == 0 && text.contains(&format!("not proven: {SUMDB}: its key is not known")), "{text}");

    // A digit of a hash in a record that is signed, a bit of a tile, and half a record.
    let file = |path: &str| world.store().join("sumdb").join(SUMDB).join(path);
    let damaged = ["lookup/example.com/a@v1.0.0", "lookup/example.com/b@v1.0.0", "tile/8/0/000"];
    let tile = fs::read(file(damaged[2])).unwrap();
    let record = fs::read_to_string(file(damaged[0])).unwrap();
    let (before, after) = record.split_once("h1:").unwrap();
    let other = if after.starts_with('A') { "B" } else { "A" };
    fs::write(file(damaged[0]), format!("{before}h1:{other}{}", &after[1..])).unwrap();
    fs::write(file(damaged[1]), &record[..20]).unwrap();
    let (code, text) = verified(&world, &gosumdb, &[]);
    let named = |text: &str, path: &str| text.contains(&format!("damaged: sumdb/{SUMDB}/{path}: "));
    assert!(code == 1 && text.contains("2 damaged") && damaged[..2].iter().all(|path| named(&text, path)), "{text}");
    let mut bent = tile.clone();
    bent[5000] ^= 1;
    fs::write(file(damaged[2]), bent).unwrap();
    for how in ["--offline", "--frozen"] {
        let serve = world.serve(&upstream.url(), "", &[how]);
        upstream.asked();
        for path in &damaged[1..] {
            let got = get(&serve, &format!("/sumdb/{SUMDB}/{path}"));
            assert!(
                got.status == 502 && got.body.starts_with("the store of goferry has it damaged"),
                "{how} {path}: {got:?}"
            );
            assert!(got.body.contains(path), "{got:?}");
        }
        assert_eq!(get(&serve, &format!("/sumdb/{SUMDB}/lookup/example.com/!upper@v1.2.3")).status, 200);
        assert_eq!(upstream.asked(), [""; 0]);
        drop(serve);
    }
    // With the tile as it was the record does not fit it.
    fs::write(file(damaged[2]), &tile).unwrap();
    let serve = world.serve(&upstream.url(), "", &["--offline"]);
    let got = get(&serve, &format!("/sumdb/{SUMDB}/{}", damaged[0]));
    assert!(got.status == 502 && got.body.contains("it is not record 0 of the log"), "{got:?}");
    drop(serve);

    let (code, text) = verified(&world, &gosumdb, &["--repair"]);
    assert!(code == 1 && text.matches("(in quarantine now)").count() == 2, "{text}");
    assert_eq!(fs::read_dir(world.store().join(".goferry/quarantine")).unwrap().count(), 2);
    let serve = world.serve(&upstream.url(), "", &[]);
    assert_eq!(downloaded(TOOLCHAINS[1], serve.url(), &gosumdb).unwrap(), sums);
    drop(serve);
    assert_eq!(verified(&world, &gosumdb, &[]).0, 0);
}

#[test]
fn without_a_fetch_a_damaged_answer_is_refused_as_offline() {
    const NO_FETCH: &str = "Disable-Module-Fetch: true\r\n";
    let Kept { upstream, world, .. } = Kept::new();
    let asked = ["latest", "lookup/example.com/b@v1.0.0", "tile/8/0/000", "lookup/example.com/!upper@v1.2.3"]
        .map(|path| format!("/sumdb/{SUMDB}/{path}"));
    let serve = world.serve(&upstream.url(), "", &["--offline"]);
    let right = asked.each_ref().map(|path| get(&serve, path));
    assert!(right.iter().all(|got| got.status == 200), "{right:?}");
    drop(serve);

    // Half a tree head, half a record and a bit of a tile.
    let kept = files(&world.store(), &format!("{SUMDB}/latest"));
    let store = world.store();
    let half = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2);
    let bit = |bytes: &mut Vec<u8>| bytes[5000] ^= 1;
    for (path, damage) in [&kept[0], &asked[1][1..], &asked[2][1..]].into_iter().zip([half, half, bit]) {
        let mut bytes = fs::read(store.join(path)).unwrap();
        damage(&mut bytes);
        fs::write(store.join(path), bytes).unwrap();
    }
    let serve = world.serve(&upstream.url(), "", &["--offline"]);
    let offline = asked.each_ref().map(|path| get(&serve, path));
    drop(serve);
    assert_eq!(offline.each_ref().map(|got| got.status), [502, 502, 502, 200]);
    let serve = world.serve(&upstream.url(), "", &[]);
    upstream.asked();
    for (path, offline) in asked.iter().zip(&offline) {
        let got = ask(&serve, "GET", path, NO_FETCH);
        assert_eq!((got.status, &got.body), (offline.status, &offline.body), "{path}");
    }
    assert_eq!(upstream.asked(), [""; 0]);
    // Without the field they are fetched again; from then on they are given with it.
    for fields in ["", NO_FETCH] {
        for (path, right) in asked.iter().zip(&right) {
            let got = ask(&serve, "GET", path, fields);
            assert_eq!((got.status, &got.body), (200, &right.body), "{path}");
        }
    }
}

#[test]
fn the_damaged_tile_at_the_edge_is_named_and_the_others_are_given() {
    let Kept { upstream, gosumdb, world, .. } = Kept::new();
    // The log has 603 records: both are at its edge, and the first has the hash of a tile that is kept.
    let edge = ["tile/8/1/000.p/2", "tile/8/0/002.p/91"];
    let files = edge.map(|tile| world.store().join("sumdb").join(SUMDB).join(tile));
    let [mut bent, other] = files.each_ref().map(|file| fs::read(file).unwrap());
    bent[3] ^= 1;
    fs::write(&files[0], bent).unwrap();
    let (code, text) = verified(&world, &gosumdb, &[]);
    let named = format!(
        "damaged: sumdb/{SUMDB}/{}: it has not the hash of tile/8/0/000, with which it fits the signed log of 603 records",
        edge[0]
    );
    assert!(code == 1 && text.contains(&named) && text.contains("1 damaged"), "{text}");
    let serve = world.serve(&upstream.url(), "", &["--offline"]);
    let [got, given] = edge.map(|tile| get(&serve, &format!("/sumdb/{SUMDB}/{tile}")));
    assert!(got.status == 502 && got.body.contains(edge[0]), "{got:?}");
    assert_eq!((given.status, given.head.contains(&format!("ength: {}\r\n", other.len()))), (200, true), "{given:?}");
}
