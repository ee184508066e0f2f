//! The same database through the go command, and files that both share.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use goferry_lab::plain::PlainServer;

use crate::log::NAME;
use crate::site::Site;
use crate::web::FakeWeb;
use crate::{Machine, look_up_all, module};

/// What the go command says to a download of modules, and what it asked the database for.
struct Run {
    ok: bool,
    output: String,
    database: Vec<String>,
}

/// `go mod download` of modules, with nothing in the cache but what the machine has of the database.
fn go(
    machine: &Machine,
    server: &PlainServer,
    site: &Site,
    gosumdb: &str,
    numbers: impl Iterator<Item = usize>,
) -> Run {
    let dir = machine.dir.path();
    let modules = numbers.map(|number| module(number).to_string());
    site.take_requests();
    let output = Command::new("go")
        .args(["mod", "download", "-modcacherw"])
        .args(modules)
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", dir)
        .env("GOMODCACHE", dir.join("mod"))
        .env("GOPATH", dir.join("gopath"))
        .env("GOPROXY", format!("{}/proxy", server.url()))
        .envs([("GOENV", "off"), ("GOTOOLCHAIN", "local"), ("GOFLAGS", ""), ("GOWORK", "off")])
        .env("GOSUMDB", gosumdb)
        .output()
        .expect("the go command must be on PATH for this test");
    let database = |path: &String| path.starts_with("/db/") || path.contains("/sumdb/");
    Run {
        ok: output.status.success(),
        output: String::from_utf8(output.stderr).unwrap(),
        database: site.take_requests().into_iter().filter(database).collect(),
    }
}

/// Another machine with the same files of the database, and no modules.
fn copy(machine: &Machine) -> Machine {
    let copy = Machine::new();
    for (name, data) in machine.files() {
        let file = copy.dir.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, data).unwrap();
    }
    copy
}

fn large_site() -> (Arc<Site>, PlainServer) {
    let site = Site::with(20);
    site.fill(70_000);
    site.add(20..30);
    let server = site.serve();
    (site, server)
}

#[tokio::test]
async fn the_go_command_asks_for_nothing_that_we_have_looked_up() {
    let (site, server) = large_site();
    for url in [Some(format!("{}/db", server.url())), None] {
        let machine = Machine::new();
        let proxy = format!("{}/proxy", server.url());
        let client = machine.client_of(&FakeWeb::new(site.clone()), site.database(url.as_deref()), &proxy);
        assert!(look_up_all(&client, 0..30).await.iter().all(Result::is_ok));
        let before = machine.files();
        let run = go(&machine, &server, &site, &site.gosumdb(url.as_deref()), 0..30);
        assert!(run.ok, "{}", run.output);
        assert_eq!(run.database, [""; 0]);
        assert_eq!(machine.files(), before);
    }
}

#[tokio::test]
async fn we_ask_for_nothing_that_the_go_command_has_looked_up() {
    let (site, server) = large_site();
    let proxied = [format!("/proxy/sumdb/{NAME}/supported")];
    for url in [Some(format!("{}/db", server.url())), None] {
        let machine = Machine::new();
        let run = go(&machine, &server, &site, &site.gosumdb(url.as_deref()), 0..30);
        assert!(run.ok, "{}", run.output);
        assert_eq!(run.database.iter().filter(|path| proxied.contains(path)).count(), usize::from(url.is_none()));
        let before = machine.files();
        let proxy = format!("{}/proxy", server.url());
        let client = machine.client_of(&FakeWeb::new(site.clone()), site.database(url.as_deref()), &proxy);
        assert!(look_up_all(&client, 0..30).await.iter().all(Result::is_ok));
        assert_eq!(site.take_requests(), [""; 0]);
        assert_eq!(machine.files(), before);
    }
}

/// One step after another on a machine of go's and one of ours: the same requests, and the same files.
#[tokio::test]
async fn both_keep_the_same_files_while_the_log_grows() {
    let site = Site::with(4);
    let server = site.serve();
    let url = format!("{}/db", server.url());
    let (mut theirs, mut ours) = (Machine::new(), Machine::new());
    let steps: [(&str, u64, &[usize]); 9] = [
        ("a small log", 4, &[0]),
        ("an answer signed for an older log", 200, &[1]),
        ("a first tile that is complete", 256, &[2]),
        ("a log of two levels", 300, &[2000]),
        ("look-ups at once", 700, &[2001, 2002, 2003]),
        ("old tiles are gone", 5000, &[2004, 2005]),
        ("an old answer, older than everything here", 5000, &[3]),
        ("a log of three levels", 66_000, &[2007, 2008]),
        ("all at once, from the cache", 66_000, &[0, 1, 2, 2000, 2001, 2002, 2003, 2004, 2005, 3, 2007, 2008]),
    ];
    for (what, size, numbers) in steps {
        let known = |number: &usize| site.log().find(module(*number).path().as_str(), "v1.0.0").is_some();
        site.fill(size.saturating_sub(numbers.len() as u64));
        site.add(numbers.iter().copied().filter(|number| !known(number)));
        site.fill(size);
        match what {
            "an answer signed for an older log" => site.old_head(1, 5),
            "old tiles are gone" => site.drop_old_tiles(),
            "an old answer, older than everything here" => {
                site.old_head(3, 4);
            }
            _ => {}
        }
        // Without modules in the cache, so that they are verified anew.
        (theirs, ours) = (copy(&theirs), copy(&ours));
        let run = go(&theirs, &server, &site, &site.gosumdb(Some(&url)), numbers.iter().copied());
        assert!(run.ok, "{what}: {}", run.output);
        let client = ours.client_of(&FakeWeb::new(site.clone()), site.database(Some(&url)), "off");
        assert!(look_up_all(&client, numbers.iter().copied()).await.iter().all(Result::is_ok), "{what}");
        let sorted = |mut requests: Vec<String>| {
            requests.sort();
            requests
        };
        assert_eq!(sorted(site.take_requests()), sorted(run.database), "{what}");
        let (theirs, ours) = (theirs.files(), ours.files());
        assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{what}");
        assert!(ours == theirs, "{what}: not the same bytes");
    }
}

#[tokio::test]
async fn both_refuse_the_same() {
    let site = Site::with(300);
    let server = site.serve();
    let url = format!("{}/db", server.url());
    let machine = Machine::new();
    machine.client(&FakeWeb::new(site.clone())).lookup(&module(0)).await.unwrap();
    let (tile, lookup) = ("tile/8/0/000", "lookup/example.com/!mod0@v1.0.0");
    let read = |file: &Path| std::fs::read(file).unwrap();
    let (good_tile, good_lookup) = (read(&machine.cached(tile)), read(&machine.cached(lookup)));
    let mut bad_tile = good_tile.clone();
    bad_tile[3] ^= 1;
    let bad_lookup = String::from_utf8(good_lookup.clone()).unwrap().replace("h1:", "h1:x");
    for (file, data, why) in [
        (machine.cached(tile), bad_tile, "downloaded inconsistent tile"),
        (machine.cached(tile), good_tile[..100].to_vec(), ""),
        (machine.cached(lookup), bad_lookup.into_bytes(), "cannot authenticate record data"),
        (machine.cached(lookup), good_lookup[..20].to_vec(), "malformed record data"),
        (machine.latest(), b"what?\n".to_vec(), "malformed note"),
        (machine.latest(), b"".to_vec(), "ok"),
        (machine.cached(lookup), b"".to_vec(), "ok"),
    ] {
        let name = file.display();
        let before = read(&file);
        std::fs::write(&file, &data).unwrap();
        let (theirs, ours) = (copy(&machine), copy(&machine));
        let run = go(&theirs, &server, &site, &site.gosumdb(Some(&url)), 0..1);
        let client = ours.client_of(&FakeWeb::new(site.clone()), site.database(Some(&url)), "off");
        let result = client.lookup(&module(0)).await;
        assert_eq!(result.is_ok(), run.ok, "{name}: {result:?}\n{}", run.output);
        assert_eq!(run.ok, why == "ok", "{name}");
        if let Err(error) = result {
            assert!(run.output.contains(why) && error.detail.contains(why), "{name}: {error}\n{}", run.output);
        }
        let asked: Vec<String> = site.take_requests();
        assert_eq!(asked, run.database, "{name}");
        assert!(ours.files() == theirs.files(), "{name}");
        std::fs::write(&file, before).unwrap();
    }
}

#[tokio::test]
async fn both_show_the_same_two_histories() {
    let site = Site::with(300);
    let server = site.serve();
    let url = format!("{}/db", server.url());
    let machine = Machine::new();
    machine.client(&FakeWeb::new(site.clone())).lookup(&module(0)).await.unwrap();
    let forked = Site::with(299);
    forked.fill(400);
    site.replace_log(forked.log());
    let (theirs, ours) = (copy(&machine), copy(&machine));
    let run = go(&theirs, &server, &site, &site.gosumdb(Some(&url)), 1..2);
    let client = ours.client_of(&FakeWeb::new(site.clone()), site.database(Some(&url)), "off");
    let error = client.lookup(&module(1)).await.unwrap_err();
    let said = error.detail.strip_prefix("example.com/Mod1@v1.0.0: ").unwrap();
    assert!(said.starts_with("SECURITY ERROR\n"));
    assert!(!run.ok && run.output.contains(said), "{said}\n--- go says\n{}", run.output);
    // The go command leaves tiles of the second history there; who shares the folder would meet them.
    let before = machine.files();
    assert!(ours.files() == before);
    assert!(before.iter().all(|(name, data)| theirs.files().get(name) == Some(data)));
}
