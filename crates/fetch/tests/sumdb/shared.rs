//! Two clients that live long and share their folders, as two proxies on one store do: there is one history for both.

use std::fs;
use std::sync::Arc;

use goferry_fetch::{FailKind, FetchError, SumDbClient, SumLines};
use tokio::task::JoinSet;

use crate::lasting::lasting;
use crate::log::fork;
use crate::site::Site;
use crate::{Machine, module};

/// A database of the same signer, which has another record from this one on.
fn forked(honest: &Site, at: u64, size: u64) -> Arc<Site> {
    let site = Site::with(0);
    site.replace_log(fork(&honest.log(), at));
    site.fill(size);
    site
}

/// A log of 320 records, and one of 400 that is another from the 310th on; a look-up of the
/// first module shows the head of 300 records in both.
fn parting() -> (Arc<Site>, Arc<Site>, Machine) {
    let (right, machine) = (Site::with(320), Machine::new());
    let wrong = forked(&right, 310, 400);
    right.old_head(0, 300);
    wrong.old_head(0, 300);
    (right, wrong, machine)
}

/// All look-ups at once.
async fn ask(client: &Arc<SumDbClient>, numbers: std::ops::Range<usize>) -> Vec<Result<SumLines, FetchError>> {
    let mut asked = JoinSet::new();
    for number in numbers {
        let client = Arc::clone(client);
        asked.spawn(async move { client.lookup(&module(number)).await });
    }
    asked.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_writes_the_first_tree_head_wins_and_the_other_keeps_nothing() {
    for round in 0..15 {
        let (right, machine) = (Site::with(300), Machine::new());
        let wrong = forked(&right, 270, 300 + round % 3);
        let clients = [Arc::new(lasting(&machine, &right)), Arc::new(lasting(&machine, &wrong))];
        let (first, second) = tokio::join!(ask(&clients[0], 0..16), ask(&clients[1], 100..116));
        let good = |outcomes: &[Result<SumLines, FetchError>]| outcomes.iter().filter(|one| one.is_ok()).count();
        let winner = usize::from(good(&first) == 0);
        assert_eq!([good(&first), good(&second)], if winner == 0 { [16, 0] } else { [0, 16] });
        // Whose it is not is told so, also where its server does not help to compare.
        let error = clients[1 - winner].lookup(&module(50)).await.unwrap_err();
        assert!(error.kind == FailKind::Mismatch && error.detail.contains("SECURITY ERROR"), "{error}");

        let (log, names) = if winner == 0 { (right.log(), 0..16) } else { (wrong.log(), 100..116) };
        assert_eq!(fs::read_to_string(machine.latest()).unwrap(), log.signed(log.size()));
        for (name, data) in machine.files() {
            let name = name.split_once("sum.example.com/").unwrap().1;
            if let Some(module) = name.strip_prefix("lookup/") {
                assert!(names.clone().any(|number| module == format!("example.com/!mod{number}@v1.0.0")), "{name}");
            } else if name != "latest" {
                assert_eq!(log.tile(name, log.size()).unwrap(), data, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_tree_head_that_could_not_be_compared_is_not_believed() {
    let (right, wrong, machine) = parting();
    let (ours, theirs) = (lasting(&machine, &right), lasting(&machine, &wrong));
    // Both know the log of 300 records; then the other one sees the log of 400 records.
    ours.lookup(&module(0)).await.unwrap();
    theirs.lookup(&module(1)).await.unwrap();
    let latest = wrong.log().signed(400);
    assert_eq!(fs::read_to_string(machine.latest()).unwrap(), latest);
    // This one sees a log of 320 records, and the server does not tell whether it is the same.
    fs::remove_dir_all(machine.cached("tile")).unwrap();
    for _ in 0..2 {
        for number in [2, 3] {
            assert!(ours.lookup(&module(number)).await.is_err());
            assert!(!machine.cached(&format!("lookup/example.com/!mod{number}@v1.0.0")).exists());
        }
    }
    assert_eq!(fs::read_to_string(machine.latest()).unwrap(), latest);
    // Where it is known, it is another.
    let theirs = lasting(&machine, &wrong);
    theirs.tile(goferry_module::sumdb::Tile::parse("tile/8/0/001.p/144").unwrap()).await.unwrap();
    let error = ours.lookup(&module(2)).await.unwrap_err();
    assert!(error.detail.contains("server misbehavior detected"), "{error}");
    assert_eq!(fs::read_to_string(machine.latest()).unwrap(), latest);
}

#[tokio::test]
async fn the_same_for_what_lives_for_one_command() {
    let (right, wrong, machine) = parting();
    let ours = machine.client(&crate::web::FakeWeb::new(right.clone()));
    ours.lookup(&module(0)).await.unwrap();
    lasting(&machine, &wrong).lookup(&module(1)).await.unwrap();
    fs::remove_dir_all(machine.cached("tile")).unwrap();
    for number in [2, 3] {
        assert!(ours.lookup(&module(number)).await.is_err());
        assert!(!machine.cached(&format!("lookup/example.com/!mod{number}@v1.0.0")).exists());
    }
}

#[tokio::test]
async fn what_another_process_has_seen_counts_before_the_next_record() {
    let (right, machine) = (Site::with(300), Machine::new());
    let wrong = forked(&right, 270, 400);
    let ours = lasting(&machine, &right);
    ours.lookup(&module(0)).await.unwrap();
    // Somebody empties the folder, and another process begins there.
    fs::remove_file(machine.latest()).unwrap();
    lasting(&machine, &wrong).lookup(&module(1)).await.unwrap();
    // This server shows no other tree head than before.
    let error = ours.lookup(&module(2)).await.unwrap_err();
    assert!(error.detail.contains("server misbehavior detected"), "{error}");
    assert!(!machine.cached("lookup/example.com/!mod2@v1.0.0").exists());
    assert_eq!(fs::read_to_string(machine.latest()).unwrap(), wrong.log().signed(400));
}

#[tokio::test]
async fn a_later_tree_head_of_another_process_is_taken_up() {
    let (site, machine) = (Site::with(300), Machine::new());
    let (ours, theirs) = (lasting(&machine, &site), lasting(&machine, &site));
    ours.lookup(&module(0)).await.unwrap();
    site.old_head(2, 300);
    site.old_head(3, 350);
    site.fill(400);
    theirs.lookup(&module(1)).await.unwrap();
    for number in [2, 3] {
        ours.lookup(&module(number)).await.unwrap();
        assert_eq!(fs::read_to_string(machine.latest()).unwrap(), site.log().signed(400));
    }
    // Proven in the log of 400 records.
    assert!(!machine.cached("tile/8/0/001.p/94").exists());
}
