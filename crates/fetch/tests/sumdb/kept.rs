//! What is kept, looked at without asking anyone.

use std::fs;
use std::path::Path;

use goferry_fetch::sumdb::kept::{Verdict, look};
use goferry_module::sumdb::Verifier;

use crate::lasting::lasting;
use crate::log::{NAME, fork};
use crate::site::Site;
use crate::{Machine, module};

/// What is not proven, with why.
fn odd(machine: &Machine, key: Option<&str>) -> Vec<(String, String)> {
    let verifier = key.map(|key| Verifier::parse(key).unwrap());
    let seen = look(&machine.cache().join(NAME), &machine.latest(), verifier.as_ref()).unwrap();
    let text = |verdict| match verdict {
        Verdict::Proven => None,
        Verdict::Unproven => Some("unproven".to_owned()),
        Verdict::Damaged(reason) => Some(reason),
        Verdict::Contradicts => Some("contradicts".to_owned()),
    };
    let below = |path: &Path| {
        let path = path.strip_prefix(machine.cache().join(NAME)).unwrap_or(path);
        path.file_name().filter(|name| *name == "latest").map_or(path.display().to_string(), |_| "latest".to_owned())
    };
    seen.into_iter().filter_map(|(path, verdict)| Some((below(&path), text(verdict)?))).collect()
}

fn change(machine: &Machine, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = if file == "latest" { machine.latest() } else { machine.cached(file) };
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Records 7 and 299 of a log of 300, and 600 of one of 700.
async fn kept(site: &std::sync::Arc<Site>, machine: &Machine) {
    let client = lasting(machine, site);
    for number in [7, 299] {
        client.record(&module(number)).await.unwrap();
    }
    site.add(300..700);
    client.record(&module(600)).await.unwrap();
    client.latest().await.unwrap();
}

#[tokio::test]
async fn what_is_sound_is_proven_and_each_damage_is_found() {
    let (site, machine) = (Site::with(300), Machine::new());
    kept(&site, &machine).await;
    let key = site.log().key();
    assert_eq!(odd(&machine, Some(&key)), []);
    let sound = machine.files();
    for name in sound.keys() {
        let file = name.split_once(&format!("sumdb/{NAME}/")).unwrap().1;
        for damage in crate::lasting::damages() {
            change(&machine, file, damage);
            if machine.files() == sound {
                continue;
            }
            let odd = odd(&machine, Some(&key));
            let accused = odd.iter().find(|(path, _)| path == file);
            let why = accused.unwrap_or_else(|| panic!("{file} is not accused: {odd:?}"));
            assert!(!["unproven", "contradicts"].contains(&why.1.as_str()), "{odd:?}");
            // A record is never accused for a tile, nor the other way round.
            let kind = |path: &str| path.split('/').next().unwrap().to_owned();
            let guilty = |why: &String| why != "unproven";
            assert!(odd.iter().all(|(path, why)| !guilty(why) || kind(path) == kind(file)), "{file}: {odd:?}");
            fs::write(machine.path(name), &sound[name]).unwrap();
        }
    }
    // Another record of the same log, as sound as it is.
    fs::copy(machine.cached("lookup/example.com/!mod7@v1.0.0"), machine.cached("lookup/example.com/!mod299@v1.0.0"))
        .unwrap();
    let wrong = "it is not about example.com/Mod299@v1.0.0".to_owned();
    assert_eq!(odd(&machine, Some(&key)), [("lookup/example.com/!mod299@v1.0.0".to_owned(), wrong)]);
}

#[tokio::test]
async fn a_damaged_tile_at_the_edge_is_told_from_the_others() {
    let (site, machine) = (Site::with(700), Machine::new());
    let client = lasting(&machine, &site);
    for number in [7, 299, 600] {
        client.record(&module(number)).await.unwrap();
    }
    let key = site.log().key();
    assert_eq!(odd(&machine, Some(&key)), []);
    let (low, high) = ("tile/8/0/002.p/188", "tile/8/1/000.p/2");
    let kept = ["tile/8/0/000", "tile/8/0/001", low, high];
    assert!(kept.iter().all(|tile| machine.cached(tile).exists()));
    let all = |why: &str| format!("it has not the hash{why} the signed log of 700 records");
    let unproven = |files: &[&str]| files.iter().map(|file| ((*file).to_owned(), "unproven".to_owned())).collect();
    let lookups = ["!mod299", "!mod600", "!mod7"].map(|name| format!("lookup/example.com/{name}@v1.0.0"));
    let lookups = lookups.each_ref().map(String::as_str);
    for (file, hash, why, proven) in [
        // A look-up has the record.
        (low, 600 - 512, all(" of record 600, with which it fits"), &[high][..]),
        // Nothing has it, and all that the other tile says is kept.
        (low, 5, all("es of"), &[]),
        // A tile below it is kept.
        (high, 1, all(" of tile/8/0/001, with which it fits"), &[low, lookups[1]]),
    ] {
        let sound = fs::read(machine.cached(file)).unwrap();
        change(&machine, file, |bytes| bytes[hash * 32 + 3] ^= 1);
        let others = lookups.into_iter().chain(kept).filter(|other| *other != file && !proven.contains(other));
        let mut right: Vec<_> = unproven(&others.collect::<Vec<_>>());
        right.push((file.to_owned(), why));
        right.sort();
        assert_eq!(odd(&machine, Some(&key)), right);
        fs::write(machine.cached(file), sound).unwrap();
    }
    // Where not all is kept below it, the other tile may be the damaged one.
    fs::remove_file(machine.cached(kept[1])).unwrap();
    change(&machine, low, |bytes| bytes[5 * 32] ^= 1);
    let mut right: Vec<_> = unproven(&[&lookups[..], &kept[..1]].concat());
    right.extend([low, high].map(|file| (file.to_owned(), all("es of") + ", or one of 1 others has not")));
    right.sort();
    assert_eq!(odd(&machine, Some(&key)), right);
}

#[tokio::test]
async fn without_the_key_only_the_form_counts() {
    let (site, machine) = (Site::with(300), Machine::new());
    kept(&site, &machine).await;
    let all = odd(&machine, None);
    assert!(all.len() == machine.files().len() && all.iter().all(|(_, why)| why == "unproven"), "{all:?}");
    change(&machine, "lookup/example.com/!mod7@v1.0.0", |bytes| bytes.truncate(20));
    change(&machine, "tile/8/0/000", |bytes| bytes.truncate(8000));
    let wrong: Vec<_> = odd(&machine, None).into_iter().filter(|(_, why)| why != "unproven").collect();
    let text = |file: &str, why: &str| (file.to_owned(), why.to_owned());
    let tile = "tile/8/0/000 has 8000 bytes, not 8192";
    assert_eq!(wrong, [text("lookup/example.com/!mod7@v1.0.0", "malformed record data"), text("tile/8/0/000", tile)]);
}

#[tokio::test]
async fn two_histories_are_told_from_damage() {
    let (site, machine) = (Site::with(300), Machine::new());
    kept(&site, &machine).await;
    let (log, key) = (site.log(), site.log().key());
    // Signed, of the same size as the latest, and another log.
    let forked = fork(&log, 650);
    let lookup = forked.lookup(module(7).path().as_str(), "v1.0.0", |_| 700).unwrap();
    fs::write(machine.cached("lookup/example.com/!mod7@v1.0.0"), lookup).unwrap();
    assert_eq!(odd(&machine, Some(&key)), [("lookup/example.com/!mod7@v1.0.0".to_owned(), "contradicts".to_owned())]);
}

#[tokio::test]
async fn nothing_is_nothing_and_what_is_being_made_is_not_there() {
    let (site, machine) = (Site::with(300), Machine::new());
    let key = site.log().key();
    assert_eq!(odd(&machine, Some(&key)), []);
    kept(&site, &machine).await;
    for name in ["lookup/example.com/new@v1.0.0", "tile/8/0/999"] {
        fs::write(machine.cached(name), b"").unwrap();
    }
    fs::write(machine.cached("lookup/example.com/.goferry-x.tmp"), b"half").unwrap();
    assert_eq!(odd(&machine, Some(&key)), []);
}
