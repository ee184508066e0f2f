//! The client of a process that lives long, and what it hands on: records, tiles, the latest tree head.

use std::fs;
use std::sync::Arc;

use goferry_fetch::{FailKind, SumDbClient};
use goferry_module::sumdb::Tile;

use crate::log::{NAME, fork};
use crate::site::Site;
use crate::web::FakeWeb;
use crate::{Machine, module};

const LOOKUP: &str = "/db/lookup/example.com/!mod1@v1.0.0";

pub(crate) fn lasting(machine: &Machine, site: &Arc<Site>) -> SumDbClient {
    let (web, db) = (FakeWeb::new(site.clone()), site.database(Some("http://db.example.com/db")));
    let off = goferry_module::ProxyList::parse("off").unwrap();
    SumDbClient::new(db, off, web, machine.cache(), machine.config()).lasting()
}

fn tile(path: &str) -> Tile {
    Tile::parse(path).unwrap()
}

#[tokio::test]
async fn an_error_is_told_once_and_forgotten() {
    let (site, machine) = (Site::with(10), Machine::new());
    let (client, short) = (lasting(&machine, &site), machine.client(&FakeWeb::new(site.clone())));
    for status in [503, 404, 0] {
        site.instead(LOOKUP, status, "x");
        assert!(client.record(&module(1)).await.is_err(), "{status}");
        assert!(short.lookup(&module(1)).await.is_err());
    }
    assert!(!machine.cached("lookup").exists());
    let right = format!("1\n{}\n{}", site.log().record(1), site.log().signed(10));
    site.instead(LOOKUP, 200, right.clone());
    assert_eq!(client.record(&module(1)).await.unwrap(), right.as_bytes());
    assert!(short.lookup(&module(1)).await.is_err(), "what lives for one command does not ask again");
}

#[tokio::test]
async fn a_record_that_was_removed_is_fetched_again() {
    let (site, machine) = (Site::with(10), Machine::new());
    let client = lasting(&machine, &site);
    let record = client.record(&module(1)).await.unwrap();
    assert_eq!(client.kept_record(&module(1)).await.unwrap(), record);
    site.take_requests();
    assert_eq!(client.record(&module(1)).await.unwrap(), record);
    assert_eq!(site.take_requests(), [""; 0]);
    fs::remove_dir_all(machine.cached("lookup")).unwrap();
    assert_eq!(client.kept_record(&module(1)).await, None);
    assert_eq!(client.record(&module(1)).await.unwrap(), record);
    assert_eq!(site.take_requests(), [LOOKUP]);
}

#[tokio::test]
async fn memory_is_renewed_now_and_then() {
    let (site, machine) = (Site::with(10), Machine::new());
    let client = lasting(&machine, &site);
    client.lookup(&module(1)).await.unwrap();
    fs::remove_dir_all(machine.cached("lookup")).unwrap();
    site.take_requests();
    let mut from_memory = 1;
    while site.take_requests().is_empty() {
        client.lookup(&module(1)).await.unwrap();
        from_memory += 1;
        assert!(from_memory < 10_000, "memory only grows");
    }
    assert!(from_memory > 1000, "{from_memory}");
}

#[tokio::test]
async fn nothing_of_another_history_is_kept_and_the_right_one_goes_on() {
    let (site, machine) = (Site::with(300), Machine::new());
    let client = lasting(&machine, &site);
    client.record(&module(299)).await.unwrap();
    let (honest, before) = (site.log(), machine.files());
    site.replace_log(fork(&honest, 270));
    site.fill(400);
    for _ in 0..2 {
        let error = client.record(&module(1)).await.unwrap_err();
        assert_eq!(error.kind, FailKind::Mismatch);
        assert!(error.detail.contains("SECURITY ERROR"), "{error}");
        let error = client.latest().await.unwrap_err();
        assert!(error.detail.contains("server misbehavior detected"), "{error}");
        let after = machine.files();
        let names = |files: &std::collections::BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&after), names(&before), "nothing is lost, nothing is new");
        assert!(after == before, "nothing is changed");
    }
    site.replace_log(honest.clone());
    site.fill(500);
    client.record(&module(1)).await.unwrap();
    assert_eq!(client.latest().await.unwrap(), site.log().signed(500).as_bytes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_keep_nothing_of_another_history() {
    for _ in 0..20 {
        let (site, machine) = (Site::with(300), Machine::new());
        let client = Arc::new(lasting(&machine, &site));
        client.record(&module(299)).await.unwrap();
        let (honest, before) = (site.log(), machine.files());
        site.replace_log(fork(&honest, 270));
        site.fill(400);
        let mut asked = tokio::task::JoinSet::new();
        for number in 0..16 {
            let client = Arc::clone(&client);
            asked.spawn(async move { client.record(&module(number)).await.map_err(|error| error.kind) });
        }
        for outcome in asked.join_all().await {
            assert_eq!(outcome.unwrap_err(), FailKind::Mismatch);
        }
        assert_eq!(machine.files(), before);
        // Where a tile of the other history were left, this would find it.
        site.replace_log(honest);
        site.fill(400);
        client.record(&module(1)).await.unwrap();
    }
}

/// All ways in which a file may be damaged.
pub(crate) fn damages() -> [fn(&mut Vec<u8>); 4] {
    [
        |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x41;
        },
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| bytes.fill(0),
        |bytes| bytes.extend_from_within(..),
    ]
}

#[tokio::test]
async fn what_is_damaged_on_disk_is_fetched_again() {
    let (site, machine) = (Site::with(300), Machine::new());
    let right = lasting(&machine, &site).record(&module(7)).await.unwrap();
    let files = machine.files();
    assert!(files.keys().any(|name| name.ends_with("latest")) && files.keys().any(|name| name.contains("/tile/")));
    for damage in damages() {
        for name in files.keys() {
            let mut bytes = files[name].clone();
            damage(&mut bytes);
            fs::write(machine.path(name), bytes).unwrap();
            for _ in 0..2 {
                let client = lasting(&machine, &site);
                let record = client.record(&module(7)).await;
                assert_eq!(record.unwrap_or_else(|error| panic!("{name}: {error}")), right);
                assert!(client.latest().await.is_ok(), "{name}");
            }
            assert!(machine.files() == files, "{name} is what it was");
        }
    }
    // All of them at once, and many who ask.
    for name in files.keys() {
        fs::write(machine.path(name), "damaged\n").unwrap();
    }
    let client = Arc::new(lasting(&machine, &site));
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let client = Arc::clone(&client);
        asked.spawn(async move { client.record(&module(7)).await });
    }
    assert!(asked.join_all().await.into_iter().all(|record| record.unwrap() == right));
    assert!(machine.files() == files);
}

#[tokio::test]
async fn a_damaged_tile_is_not_given() {
    let (site, machine) = (Site::with(10), Machine::new());
    site.fill(600);
    let client = lasting(&machine, &site);
    client.latest().await.unwrap();
    for path in ["tile/8/0/000", "tile/8/0/002.p/88"] {
        let right = client.tile(tile(path)).await.unwrap();
        let mut wrong = right.to_vec();
        wrong[77] ^= 1;
        fs::write(machine.cached(path), wrong).unwrap();
        // A later process.
        let later = lasting(&machine, &site);
        assert_eq!(later.tile(tile(path)).await.unwrap(), right, "{path}");
        assert_eq!(later.tile(tile(path)).await.unwrap(), right, "{path}");
        assert_eq!(fs::read(machine.cached(path)).unwrap(), right, "{path}");
    }
    // What cannot be proven for want of an answer is given as it is kept.
    fs::remove_dir_all(machine.cached("tile/8/1")).unwrap();
    site.instead("/db/tile/8/1/000.p/2", 503, "");
    assert!(lasting(&machine, &site).tile(tile("tile/8/0/000")).await.is_ok());
}

#[tokio::test]
async fn damaged_files_hide_no_second_history() {
    let (site, machine) = (Site::with(300), Machine::new());
    lasting(&machine, &site).record(&module(299)).await.unwrap();
    let mut before = machine.files();
    site.replace_log(fork(&site.log(), 270));
    site.fill(400);
    // The tiles are damaged, and the last tree head is not.
    for (name, bytes) in before.iter_mut().filter(|(name, _)| name.contains("/tile/")) {
        bytes[0] ^= 1;
        fs::write(machine.path(name), bytes).unwrap();
    }
    let client = lasting(&machine, &site);
    for number in [1, 299] {
        let error = client.record(&module(number)).await.unwrap_err();
        assert!(error.kind == FailKind::Mismatch && error.detail.contains("SECURITY ERROR"), "{error}");
    }
    assert!(machine.files() == before, "nothing of the other history is kept");
}

#[tokio::test]
async fn the_latest_head_is_of_the_same_log_and_remembered() {
    let (site, machine) = (Site::with(10), Machine::new());
    let client = lasting(&machine, &site);
    assert_eq!(client.kept_latest().await, None);
    for size in [10, 300] {
        site.fill(size);
        assert_eq!(client.latest().await.unwrap(), site.log().signed(size).as_bytes());
        assert_eq!(client.kept_latest().await.unwrap(), site.log().signed(size).as_bytes());
    }
    site.instead("/db/latest", 200, site.log().signed(10).replace("tree\n10", "tree\n11"));
    assert_eq!(client.latest().await.unwrap_err().kind, FailKind::Mismatch);
    site.instead("/db/latest", 503, "");
    assert!(client.latest().await.is_err());
    assert_eq!(client.kept_latest().await.unwrap(), site.log().signed(300).as_bytes());
    assert_eq!(client.folder(), machine.cache().join(NAME));
}

#[tokio::test]
async fn tiles_are_proven_where_the_log_has_them() {
    let (site, machine) = (Site::with(10), Machine::new());
    site.fill(600);
    let client = lasting(&machine, &site);
    client.latest().await.unwrap();
    let log = site.log();
    // A complete one, and the beginning of one at the edge that is wider by now.
    for (path, size) in [("tile/8/0/000", 600), ("tile/8/0/002.p/40", 600), ("tile/8/1/000.p/2", 600)] {
        let bytes = client.tile(tile(path)).await.unwrap();
        assert_eq!(bytes, log.tile(path, size).unwrap(), "{path}");
    }
    assert!(machine.cached("tile/8/0/000").exists() && machine.cached("tile/8/0/002.p/88").exists());
    assert!(!machine.cached("tile/8/0/002.p/40").exists());
    site.take_requests();
    // From the complete one on disk.
    let part = client.kept_tile(tile("tile/8/0/000.p/17")).await.unwrap();
    assert_eq!(part, log.tile("tile/8/0/000.p/17", 600).unwrap());
    assert_eq!(client.tile(tile("tile/8/0/000.p/17")).await.unwrap(), part);
    assert_eq!(site.take_requests(), [""; 0]);
    // Beyond what is known of the log: as the server says, and not kept.
    site.fill(700);
    let bytes = client.tile(tile("tile/8/0/002.p/188")).await.unwrap();
    assert_eq!(bytes, site.log().tile("tile/8/0/002.p/188", 700).unwrap());
    assert!(!machine.cached("tile/8/0/002.p/188").exists());
    let error = client.tile(tile("tile/8/0/999")).await.unwrap_err();
    assert_eq!(error.kind, FailKind::Status(404));
    site.instead("/db/tile/8/0/003.p/1", 200, "short");
    assert_eq!(client.tile(tile("tile/8/0/003.p/1")).await.unwrap_err().kind, FailKind::Invalid);
}

#[tokio::test]
async fn a_wrong_tile_is_neither_given_nor_kept_and_the_right_one_follows() {
    let (site, machine) = (Site::with(10), Machine::new());
    site.fill(600);
    let client = lasting(&machine, &site);
    client.latest().await.unwrap();
    let mut wrong = site.log().tile("tile/8/0/001", 600).unwrap();
    wrong[77] ^= 1;
    site.instead("/db/tile/8/0/001", 200, wrong);
    let error = client.tile(tile("tile/8/0/001")).await.unwrap_err();
    assert_eq!(error.kind, FailKind::Mismatch);
    assert!(error.detail.contains("SECURITY ERROR") && !machine.cached("tile/8/0/001").exists(), "{error}");
    let right = site.log().tile("tile/8/0/001", 600).unwrap();
    site.instead("/db/tile/8/0/001", 200, right.clone());
    assert_eq!(client.tile(tile("tile/8/0/001")).await.unwrap(), right);
}
