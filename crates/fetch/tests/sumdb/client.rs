//! Look-ups that succeed: what is asked, what is kept, what is answered.

use std::collections::BTreeMap;
use std::fs;

use goferry_module::DirHash;

use crate::log::NAME;
use crate::site::{Site, hashes};
use crate::web::FakeWeb;
use crate::{Machine, look_up_all, module};

#[tokio::test]
async fn a_module_is_looked_up_and_kept() {
    let (site, machine) = (Site::with(10), Machine::new());
    let lines = machine.client(&FakeWeb::new(site.clone())).lookup(&module(3)).await.unwrap();
    let (zip, go_mod) = hashes(&module(3));
    assert_eq!((&lines.zip, &lines.go_mod), (&vec![zip.to_string()], &vec![go_mod.to_string()]));
    assert_eq!((&lines.module, lines.database.as_str()), (&module(3), NAME));
    assert_eq!((lines.check_zip(&zip), lines.check_go_mod(&go_mod)), (Ok(()), Ok(())));
    assert_eq!(site.take_requests(), ["/db/lookup/example.com/!mod3@v1.0.0", "/db/tile/8/0/000.p/10"]);
    assert_eq!(fs::read(machine.latest()).unwrap(), site.log().signed(10).as_bytes());
    let cached = fs::read_to_string(machine.cached("lookup/example.com/!mod3@v1.0.0")).unwrap();
    assert_eq!(cached, format!("3\n{}\n{}", site.log().record(3), site.log().signed(10)));
    assert_eq!(
        fs::read(machine.cached("tile/8/0/000.p/10")).unwrap(),
        site.log().tile("tile/8/0/000", 10).unwrap_or_else(|| site.log().tile("tile/8/0/000.p/10", 10).unwrap())
    );
    assert_eq!(machine.files().len(), 3, "no temporary file is left");

    // The next process has it all, and verifies it.
    let again = machine.client(&FakeWeb::new(site.clone())).lookup(&module(3)).await.unwrap();
    assert_eq!(again, lines);
    assert_eq!(site.take_requests(), [""; 0]);
}

#[tokio::test]
async fn three_hundred_look_ups_ask_for_each_file_once_and_wait_three_times() {
    let (site, machine) = (Site::with(300), Machine::new());
    site.fill(70_000);
    let web = FakeWeb::gated(site.clone());
    let client = machine.client_of(&web, site.database(None), "http://proxy.example.com/proxy,direct");
    // Each module twice: go.mod and zip are looked up on their own.
    let all = tokio::spawn(async move { look_up_all(&client, (0..300).chain(0..300)).await });
    web.release(1).await;
    web.release(300).await;
    // Of the right edge 0/273.p/112, 1/001.p/17, 2/000.p/1, above the records 0/000, 0/001 and 1/000.
    web.release(6).await;
    for (number, lines) in all.await.unwrap().into_iter().enumerate() {
        assert_eq!(lines.unwrap().zip, [hashes(&module(number % 300)).0.to_string()]);
    }
    let mut requests = BTreeMap::new();
    for request in site.take_requests() {
        *requests.entry(request).or_insert(0) += 1;
    }
    assert_eq!((requests.len(), requests.values().max()), (307, Some(&1)));
    let tiles = ["0/000", "0/001", "0/273.p/112", "1/000", "1/001.p/17", "2/000.p/1"];
    for tile in tiles {
        assert!(requests.contains_key(&format!("/proxy/sumdb/{NAME}/tile/8/{tile}")), "{tile}");
        assert!(machine.cached("tile/8").join(tile).exists(), "{tile}");
    }

    let client = machine.client_of(&web, site.database(None), "http://proxy.example.com/proxy,direct");
    assert!(look_up_all(&client, 0..300).await.iter().all(Result::is_ok));
    assert_eq!(site.take_requests(), [""; 0], "not even whether the proxy answers for the database");
}

#[tokio::test]
async fn the_log_grows_between_look_ups() {
    let (site, machine) = (Site::with(200), Machine::new());
    let client = machine.client(&FakeWeb::new(site.clone()));
    for size in [200, 256, 257, 300, 513, 1000] {
        site.fill(size - 1);
        let number = usize::try_from(size).unwrap() + 1000;
        site.add([number]);
        let size = site.log().size();
        for client in [&client, &machine.client(&FakeWeb::new(site.clone()))] {
            client.lookup(&module(number)).await.unwrap();
            assert_eq!(fs::read(machine.latest()).unwrap(), site.log().signed(size).as_bytes());
        }
    }
}

#[tokio::test]
async fn an_older_head_than_the_stored_one_is_checked_and_changes_nothing() {
    let (site, machine) = (Site::with(600), Machine::new());
    let client = machine.client(&FakeWeb::new(site.clone()));
    client.lookup(&module(599)).await.unwrap();
    site.old_head(10, 300);
    site.take_requests();
    client.lookup(&module(10)).await.unwrap();
    // The edge 0/002.p/88 and 1/000.p/2 is known; the older log ends in 0/001, the record is in 0/000.
    let mut requests = site.take_requests();
    requests.sort();
    assert_eq!(requests, ["/db/lookup/example.com/!mod10@v1.0.0", "/db/tile/8/0/000", "/db/tile/8/0/001"]);
    assert_eq!(fs::read(machine.latest()).unwrap(), site.log().signed(600).as_bytes());
    let cached = fs::read_to_string(machine.cached("lookup/example.com/!mod10@v1.0.0")).unwrap();
    assert!(cached.ends_with(&site.log().signed(300)), "kept as it came");
}

#[tokio::test]
async fn a_partial_tile_that_is_gone_is_cut_from_the_complete_one() {
    let (site, machine) = (Site::with(100), Machine::new());
    machine.client(&FakeWeb::new(site.clone())).lookup(&module(1)).await.unwrap();
    fs::remove_dir_all(machine.cached("tile")).unwrap();
    site.fill(1000);
    site.drop_old_tiles();
    site.take_requests();
    site.old_head(2, 100);
    machine.client(&FakeWeb::new(site.clone())).lookup(&module(2)).await.unwrap();
    let mut requests = site.take_requests();
    requests.sort();
    let expected = ["/db/lookup/example.com/!mod2@v1.0.0", "/db/tile/8/0/000", "/db/tile/8/0/000.p/100"];
    assert_eq!(requests, expected);
    let part = fs::read(machine.cached("tile/8/0/000.p/100")).unwrap();
    assert_eq!(part, site.log().tile("tile/8/0/000.p/100", 100).unwrap());
    assert!(!machine.cached("tile/8/0/000").exists(), "only the part was verified");

    // A complete one on disk serves for every narrower one.
    fs::remove_dir_all(machine.cached("tile")).unwrap();
    fs::create_dir_all(machine.cached("tile/8/0")).unwrap();
    fs::write(machine.cached("tile/8/0/000"), site.log().tile("tile/8/0/000", 1000).unwrap()).unwrap();
    machine.client(&FakeWeb::new(site.clone())).lookup(&module(2)).await.unwrap();
    assert_eq!(site.take_requests(), [""; 0]);
    assert!(!machine.cached("tile/8/0/000.p/100").exists(), "it need not be kept twice");
}

#[tokio::test]
async fn processes_move_the_latest_file_on_together() {
    let (site, machine) = (Site::with(50), Machine::new());
    let clients: Vec<_> = (0..8).map(|_| machine.client(&FakeWeb::new(site.clone()))).collect();
    for number in 0..50 {
        site.old_head(number, number + 1);
    }
    let mut tasks = Vec::new();
    for (offset, client) in clients.into_iter().enumerate() {
        tasks.push(tokio::spawn(async move { look_up_all(&client, (0..50).map(|n| (n * 7 + offset) % 50)).await }));
    }
    for task in tasks {
        assert!(task.await.unwrap().iter().all(Result::is_ok));
    }
    assert_eq!(fs::read(machine.latest()).unwrap(), site.log().signed(50).as_bytes());
}

#[tokio::test]
async fn what_was_downloaded_is_compared_as_the_go_command_does() {
    let (site, machine) = (Site::with(3), Machine::new());
    let mut lines = machine.client(&FakeWeb::new(site)).lookup(&module(0)).await.unwrap();
    let (zip, go_mod) = hashes(&module(0));
    let error = lines.check_zip(&go_mod).unwrap_err();
    for part in ["example.com/Mod0@v1.0.0: verifying module: checksum mismatch", "SECURITY ERROR", NAME] {
        assert!(error.detail.contains(part), "{error}");
    }
    assert!(error.detail.contains(&zip.to_string()) && error.detail.contains(&go_mod.to_string()));
    lines.zip = vec!["h2:later".to_owned(), zip.to_string()];
    assert_eq!(lines.check_zip(&zip), Ok(()), "hashes of a later kind are passed over");
    lines.go_mod.clear();
    let error = lines.check_go_mod(&DirHash::of_go_mod(b"")).unwrap_err();
    assert!(error.detail.contains("verifying go.mod: checksum missing from sumdb response"), "{error}");
}
