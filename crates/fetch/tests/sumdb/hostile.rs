//! Databases, networks and disks that must not be believed.

use std::fs;
use std::sync::Arc;

use goferry_fetch::{FailKind, FetchError};
use goferry_module::sumdb::tlog::Hash;
use goferry_net::Party;

use crate::log::{Log, NAME, fork, sign};
use crate::site::{Site, record};
use crate::web::FakeWeb;
use crate::{Machine, look_up_all, module};

const LOOKUP: &str = "/db/lookup/example.com/!mod1@v1.0.0";

/// The error of a first look-up when the server answers this.
async fn refused(site: &Arc<Site>, answer: impl Into<Vec<u8>>) -> (FetchError, Machine) {
    let machine = Machine::new();
    site.instead(LOOKUP, 200, answer);
    let error = machine.client(&FakeWeb::new(site.clone())).lookup(&module(1)).await.unwrap_err();
    assert!(error.detail.starts_with("example.com/Mod1@v1.0.0: "), "{error}");
    (error, machine)
}

fn answer(id: u64, record: &str, signed: &str) -> String {
    format!("{id}\n{record}\n{signed}")
}

#[tokio::test]
async fn nothing_is_kept_of_what_is_not_signed() {
    let site = Site::with(10);
    let (log, head) = (site.log(), site.log().head(10));
    let good = log.signed(10);
    let forged = good.replace("tree\n10\n", "tree\n11\n");
    let stranger = good.replace(&format!("— {NAME} "), "— other.example.com ");
    for (signed, why) in [(forged, "invalid signature for key"), (stranger, "note has no verifiable signatures")] {
        let (error, machine) = refused(&site, answer(1, log.record(1), &signed)).await;
        assert_eq!((&error.kind, error.party), (&FailKind::Mismatch, Party::Upstream));
        assert!(error.detail.contains("SECURITY ERROR") && error.detail.contains(why), "{error}");
        assert_eq!(machine.files().len(), 0);
    }
    for (answer, why) in [
        (answer(1, log.record(1), &head.to_string()), "malformed note"),
        (answer(1, log.record(1), &sign("another text\n")), "malformed tree note"),
        ("<html>\u{7}</html>".to_owned(), "malformed record data\n\t<html>\\u{7}</html>"),
        (String::new(), "malformed record data"),
    ] {
        let (error, machine) = refused(&site, answer).await;
        assert_eq!((&error.kind, error.party), (&FailKind::Invalid, Party::Upstream), "{error}");
        assert!(error.detail.contains(why), "{error}");
        assert_eq!(machine.files().len(), 0);
    }
    let (error, _) = refused(&site, vec![b'x'; 1_000_001]).await;
    assert_eq!(error.kind, FailKind::Invalid);
}

#[tokio::test]
async fn a_record_that_is_not_in_the_log_is_refused() {
    let site = Site::with(10);
    let (log, signed) = (site.log(), site.log().signed(10));
    let another = record(&module(1)).replace("h1:", "h1:x");
    for (answer, why) in [
        (answer(1, &another, &signed), "cannot authenticate record data"),
        (answer(2, log.record(1), &signed), "cannot authenticate record data"),
        (answer(10, log.record(1), &signed), "cannot validate record 10 in tree of size 10"),
        // A log without records needs no signature, and has no record.
        (answer(1, log.record(1), ""), "cannot validate record 1 in tree of size 0"),
    ] {
        let (error, machine) = refused(&site, answer).await;
        assert_eq!((&error.kind, error.party), (&FailKind::Mismatch, Party::Upstream), "{error}");
        assert!(error.detail.contains("SECURITY ERROR") && error.detail.contains(why), "{error}");
        assert!(!machine.cached("lookup").exists());
    }
}

#[tokio::test]
async fn two_histories_are_a_security_error_with_the_proof() {
    let (site, machine) = (Site::with(300), Machine::new());
    let client = machine.client(&FakeWeb::new(site.clone()));
    client.lookup(&module(299)).await.unwrap();
    let (honest, before) = (site.log(), machine.files());
    // What is cached of it is right: 0/000. A change there would be refused as a wrong tile.
    site.replace_log(fork(&honest, 270));
    site.fill(400);
    let forked = site.log();

    let error = client.lookup(&module(1)).await.unwrap_err();
    assert_eq!((&error.kind, error.party), (&FailKind::Mismatch, Party::Upstream));
    let indent = |note: String| note.replace('\n', "\n\t");
    let head = |log: &Log, size| indent(log.signed(size));
    let expected = format!(
        "example.com/Mod1@v1.0.0: SECURITY ERROR\ngo.sum database server misbehavior detected!\n\nold database:\n\t{}\n\
         new database:\n\t{}\nproof of misbehavior:\n\t{}\n\t",
        head(&honest, 300),
        head(&forked, 400),
        forked.head(300).hash
    );
    assert!(error.detail.starts_with(&expected), "{error}\n---\n{expected}");
    let proof: Vec<Hash> =
        error.detail[expected.len()..].split("\n\t").map(|hash| Hash::parse(hash).unwrap()).collect();
    goferry_module::sumdb::tlog::check_tree(&proof, &forked.head(400), &forked.head(300)).unwrap();
    assert_eq!(fs::read(machine.latest()).unwrap(), honest.signed(300).as_bytes());
    assert!(before.iter().all(|(name, data)| machine.files().get(name) == Some(data)));

    // The go command exits; here nothing more is asked, not even what was right before.
    site.take_requests();
    let error = client.lookup(&module(299)).await.unwrap_err();
    assert!(error.detail.contains("server misbehavior detected"), "{error}");
    assert_eq!(site.take_requests(), [""; 0]);
}

#[tokio::test]
async fn a_fork_of_the_same_or_an_older_size_is_found_too() {
    for (size, fill) in [(300, 300), (200, 300)] {
        let (site, machine) = (Site::with(300), Machine::new());
        machine.client(&FakeWeb::new(site.clone())).lookup(&module(299)).await.unwrap();
        let honest = site.log();
        let mut forked = fork(&honest, 5);
        assert_eq!(forked.size(), fill);
        let signed = forked.signed(size);
        forked = honest;
        let (site_answer, path) = (answer(1, forked.record(1), &signed), LOOKUP);
        site.instead(path, 200, site_answer);
        let client = machine.client(&FakeWeb::new(site.clone()));
        let outcomes = look_up_all(&client, [1, 299]).await;
        let error = outcomes[0].as_ref().unwrap_err();
        assert_eq!(error.kind, FailKind::Mismatch);
        assert!(error.detail.contains("server misbehavior detected"), "{size}: {error}");
        let _either_way = &outcomes[1];
        assert!(client.lookup(&module(299)).await.is_err(), "from then on nothing is believed");
    }
}

#[tokio::test]
async fn wrong_tiles_are_refused_and_not_kept() {
    let site = Site::with(600);
    let log = site.log();
    let edge = log.tile("tile/8/0/002.p/88", 600).unwrap();
    let full = log.tile("tile/8/0/000", 600).unwrap();
    let mut changed = full.clone();
    changed[77] ^= 1;
    let mut changed_edge = edge.clone();
    changed_edge[0] ^= 1;
    for (tile, data, kind, why) in [
        ("tile/8/0/000", changed, FailKind::Mismatch, "tile/8/0/000 does not have the hash"),
        ("tile/8/0/002.p/88", changed_edge, FailKind::Mismatch, "do not have the hash of the log of 600 records"),
        ("tile/8/0/000", full[..full.len() - 1].to_vec(), FailKind::Invalid, "has 8191 bytes, not 8192"),
        ("tile/8/0/002.p/88", Vec::new(), FailKind::Invalid, "has 0 bytes, not 2816"),
        ("tile/8/0/000", [&full[..], b"x"].concat(), FailKind::Invalid, "over 8192 bytes"),
    ] {
        let (site, machine) = (Site::with(600), Machine::new());
        site.instead(&format!("/db/{tile}"), 200, data);
        let error = machine.client(&FakeWeb::new(site)).lookup(&module(1)).await.unwrap_err();
        assert_eq!((&error.kind, error.party), (&kind, Party::Upstream), "{error}");
        assert!(error.detail.contains(why), "{error}");
        assert_eq!(error.detail.contains("SECURITY ERROR"), kind == FailKind::Mismatch, "{error}");
        assert!(!machine.cached(tile).exists() && !machine.cached("lookup").exists());
    }
}

#[tokio::test]
async fn failures_keep_their_kind_and_party_and_are_not_asked_again() {
    for (path, status, kind, party) in [
        (LOOKUP, 404, FailKind::Status(404), Party::Upstream),
        (LOOKUP, 410, FailKind::Status(410), Party::Upstream),
        (LOOKUP, 500, FailKind::Status(500), Party::Upstream),
        (LOOKUP, 0, FailKind::Network(None), Party::Network),
        ("/db/tile/8/0/000.p/10", 0, FailKind::Network(None), Party::Network),
        ("/db/tile/8/0/000.p/10", 404, FailKind::Status(404), Party::Upstream),
    ] {
        let (site, machine) = (Site::with(10), Machine::new());
        site.instead(path, status, "");
        let client = machine.client(&FakeWeb::new(site.clone()));
        let error = client.lookup(&module(1)).await.unwrap_err();
        assert_eq!((&error.kind, error.party), (&kind, party), "{path}: {error}");
        assert!(!machine.cached("lookup").exists());
        site.take_requests();
        assert_eq!(client.lookup(&module(1)).await.unwrap_err(), error);
        assert_eq!(site.take_requests(), [""; 0]);
    }
}

#[tokio::test]
async fn a_damaged_cache_is_refused_and_named_as_by_the_go_command() {
    let (site, machine) = (Site::with(600), Machine::new());
    machine.client(&FakeWeb::new(site.clone())).lookup(&module(1)).await.unwrap();
    let good = |file: &str| fs::read(machine.cached(file)).unwrap();
    let lookup = "lookup/example.com/!mod1@v1.0.0";
    let mut tile = good("tile/8/0/000");
    tile[100] ^= 1;
    let half = |data: Vec<u8>| data[..data.len() / 2].to_vec();
    let text = String::from_utf8(good(lookup)).unwrap();
    for (file, data, kind) in [
        ("tile/8/0/000", tile, FailKind::Mismatch),
        ("tile/8/0/000", half(good("tile/8/0/000")), FailKind::Invalid),
        (lookup, half(good(lookup)), FailKind::Invalid),
        (lookup, text.replace("h1:", "h1:x").into_bytes(), FailKind::Mismatch),
        (lookup, text.replace("tree\n600", "tree\n601").into_bytes(), FailKind::Mismatch),
    ] {
        let before = good(file);
        fs::write(machine.cached(file), data).unwrap();
        site.take_requests();
        let error = machine.client(&FakeWeb::new(site.clone())).lookup(&module(1)).await.unwrap_err();
        assert_eq!((&error.kind, error.party), (&kind, Party::Client), "{file}: {error}");
        let advice = error.advice.unwrap();
        assert!(advice.contains("remove") && advice.contains(machine.cache().join(NAME).to_str().unwrap()), "{advice}");
        assert_eq!(site.take_requests(), [""; 0], "it is not asked for again");
        fs::write(machine.cached(file), before).unwrap();
    }
    // An empty file is one that somebody is about to write.
    fs::write(machine.cached(lookup), "").unwrap();
    machine.client(&FakeWeb::new(site.clone())).lookup(&module(1)).await.unwrap();
    assert_eq!(site.take_requests(), ["/db/lookup/example.com/!mod1@v1.0.0"]);
    assert_eq!(good(lookup), text.as_bytes());
}

#[tokio::test]
async fn a_damaged_latest_file_stops_every_look_up() {
    let (site, machine) = (Site::with(10), Machine::new());
    machine.client(&FakeWeb::new(site.clone())).lookup(&module(1)).await.unwrap();
    let good = fs::read_to_string(machine.latest()).unwrap();
    for (data, kind) in
        [("what is this?".to_owned(), FailKind::Invalid), (good.replace("tree\n10", "tree\n9"), FailKind::Mismatch)]
    {
        fs::write(machine.latest(), &data).unwrap();
        let error = machine.client(&FakeWeb::new(site.clone())).lookup(&module(1)).await.unwrap_err();
        assert_eq!((&error.kind, error.party), (&kind, Party::Client), "{error}");
        assert!(error.detail.contains(machine.latest().to_str().unwrap()), "{error}");
        assert_eq!(fs::read_to_string(machine.latest()).unwrap(), data);
    }
    fs::remove_file(machine.latest()).unwrap();
    fs::create_dir(machine.latest()).unwrap();
    let error = machine.client(&FakeWeb::new(site)).lookup(&module(1)).await.unwrap_err();
    assert!(matches!(error.kind, FailKind::Local(Some(_))), "{error}");
}
