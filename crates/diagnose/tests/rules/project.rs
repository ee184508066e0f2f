//! The project and the variables of the go command.

use goferry_diagnose::{Fact, Id, Severity};
use goferry_net::ErrorKind;

use super::catalogue::{RTT, positive};
use super::seen::sumdb;
use super::support::{HASH, Scene, Seen, ms};

/// The checksum database by what it answers through the entry and by itself, with hashes missing or not.
fn asked(entry: u16, direct: Result<u16, ErrorKind>, missing: bool) -> Scene {
    let seen = Seen::healthy(RTT).fact(sumdb(true, Ok(entry), None)).fact(sumdb(false, direct, None));
    Scene::on(seen).with(|scene| scene.go_sum = !missing)
}

#[test]
fn a_database_that_can_be_reached_either_way_is_nothing() {
    assert_eq!(asked(404, Ok(200), false).said(), []);
    assert_eq!(asked(200, Err(ErrorKind::TimedOut), false).said(), []);
    assert_eq!(asked(404, Ok(200), true).said(), [(Id::GosumIncomplete, Severity::Warning)]);
    assert_eq!(asked(200, Err(ErrorKind::TimedOut), true).said(), [(Id::GosumIncomplete, Severity::Warning)]);
}

#[test]
fn an_entry_that_forbids_the_database_has_the_last_word() {
    let needed = [(Id::SumdbUnreachable, Severity::Error), (Id::GosumIncomplete, Severity::Info)];
    assert_eq!(asked(403, Ok(200), true).said(), needed);
    assert_eq!(asked(403, Ok(200), false).said(), [(Id::SumdbUnreachable, Severity::Info)]);
    // Behind a bar go goes on after any answer.
    let bar = asked(403, Ok(200), true).env("GOPROXY", "https://goproxy.example.com|direct");
    assert_eq!(bar.said(), [(Id::GosumIncomplete, Severity::Warning)]);
}

#[test]
fn through_the_entry_alone_nothing_is_proven() {
    let scene = Scene::on(Seen::healthy(RTT).fact(sumdb(true, Ok(404), None))).with(|scene| scene.go_sum = false);
    assert_eq!(scene.said(), [(Id::GosumIncomplete, Severity::Warning)]);
}

#[test]
fn a_database_that_is_not_needed_is_information() {
    assert_eq!(asked(404, Err(ErrorKind::TimedOut), false).said(), [(Id::SumdbUnreachable, Severity::Info)]);
}

#[test]
fn with_the_database_off_missing_hashes_cost_nothing() {
    for (name, value) in [("GOSUMDB", "off"), ("GONOSUMDB", "example.com")] {
        let scene = positive(Id::GosumIncomplete).env(name, value);
        let finding = scene.finding(Id::GosumIncomplete);
        assert_eq!(finding.severity, Severity::Info, "{name}");
        assert!(finding.title.ends_with("and nothing else verifies them"), "{}", finding.title);
    }
}

#[test]
fn a_hash_that_is_in_go_sum_is_no_mismatch() {
    let hashed = |wanted: &str| {
        Scene::on(Seen::healthy(RTT).fact(Fact::Hashed {
            what: "example.com/m0001@v1.0.0".to_owned(),
            got: HASH.to_owned(),
            wanted: wanted.to_owned(),
        }))
    };
    let other = HASH.replace('A', "B");
    assert_eq!(hashed(HASH).said(), []);
    // go.sum may hold several hashes of one file.
    assert_eq!(hashed(&format!("{other} {HASH}")).said(), []);
    assert_eq!(hashed(&other).said(), [(Id::ChecksumMismatch, Severity::Error)]);
}

#[test]
fn a_small_machine_is_no_fault() {
    let machine = |cpus, rtt| Scene::on(Seen::healthy(rtt)).with(|scene| scene.cpus = cpus);
    assert_eq!(machine(8, RTT).said(), []);
    assert_eq!(machine(2, RTT).said(), [(Id::GomaxprocsLow, Severity::Info)]);
    // The same number, set by hand on a machine that has more, is one.
    assert_eq!(machine(16, RTT).env("GOMAXPROCS", "2").said(), [(Id::GomaxprocsLow, Severity::Warning)]);
    assert_eq!(machine(16, RTT).env("GOMAXPROCS", "8").said(), []);
    let tiny = |scene: Scene| scene.with(|scene| scene.modules = 2);
    assert_eq!(tiny(machine(2, ms(1))).said(), []);
    assert_eq!(tiny(machine(16, ms(1)).env("GOMAXPROCS", "2")).said(), [(Id::GomaxprocsLow, Severity::Info)]);
}

#[test]
fn gomaxprocs_is_named_by_the_file_that_sets_it() {
    let scene = positive(Id::GomaxprocsLow).file(".envrc", "# few\nexport GOMAXPROCS=2\n");
    let location = scene.finding(Id::GomaxprocsLow).location.unwrap();
    assert!(location.file.ends_with("project/.envrc") && location.line == 2, "{location:?}");
}

#[test]
fn a_pruned_graph_begins_with_1_17() {
    let line = |line| positive(Id::UnprunedGraph).with(|scene| scene.go_line = Some(line)).says(Id::UnprunedGraph);
    assert!(line("1.16") && line("1.9"));
    assert!(!line("1.17") && !line("1.25.0"));
    // An old module in a workspace: raising the go line of the workspace would not help.
    let workspace = positive(Id::UnprunedGraph).file("go.work", "go 1.25.0\n\nuse .\n");
    assert!(!workspace.says(Id::UnprunedGraph));
}

#[test]
fn a_toolchain_that_is_there_is_not_downloaded() {
    assert!(!Scene::on(Seen::healthy(RTT)).says(Id::GotoolchainDownload));
    let finding = positive(Id::GotoolchainDownload).finding(Id::GotoolchainDownload);
    assert!(finding.title.contains("go1.27.3"), "{}", finding.title);
    assert!(finding.remedies.iter().any(|remedy| format!("{remedy:?}").contains("go1.27.3")), "{:?}", finding.remedies);
}

#[test]
fn off_forbids_only_what_is_missing() {
    assert_eq!(positive(Id::GoproxyOff).said(), [(Id::GoproxyOff, Severity::Error)]);
    let full = positive(Id::GoproxyOff).with(|scene| scene.cached = Some(1_000));
    assert_eq!(full.said(), [(Id::GoproxyOff, Severity::Info)]);
    let last = Scene::on(Seen::healthy(RTT)).env("GOPROXY", "https://goproxy.example.com,off");
    assert_eq!(last.said(), []);
}

#[test]
fn direct_as_the_last_entry_is_the_usual_thing() {
    assert_eq!(Scene::on(Seen::healthy(RTT)).env("GOPROXY", "https://goproxy.example.com,direct").said(), []);
    // Private modules go past the proxy on purpose: worth knowing.
    let private = Scene::on(Seen::healthy(RTT)).env("GOPRIVATE", "example.com/m000*");
    assert_eq!(private.said(), [(Id::GoproxyDirect, Severity::Info)]);
    let finding = private.finding(Id::GoproxyDirect);
    assert!(finding.title.starts_with("10 of 50 modules"), "{}", finding.title);
}

#[test]
fn serial_requests_wait_for_a_round_trip_each() {
    let waits =
        |rtt, modules| Scene::on(Seen::healthy(rtt)).with(|scene| scene.modules = modules).says(Id::SerialRequests);
    assert!(waits(ms(50), 4) && !waits(ms(50), 3));
    assert!(!waits(ms(1), 50));
    assert!(!waits(ms(300), 1));
    assert_eq!(positive(Id::SerialRequests).finding(Id::SerialRequests).severity, Severity::Info);
}

#[test]
fn without_a_project_a_nominal_one_is_priced_and_that_is_said() {
    let scene = positive(Id::Http2NotOffered).with(|scene| scene.go_line = None);
    let cost = scene.finding(Id::Http2NotOffered).cost.unwrap();
    assert!(cost.basis.ends_with("a nominal one of 50 modules is priced"), "{}", cost.basis);
}
