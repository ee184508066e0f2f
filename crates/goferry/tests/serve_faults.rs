//! An unmodified go command behind `goferry serve` through every fault of the lab, across the emulated link (root only):
//! what a client can survive go survives there, with every file in its cache and in the store, verified; the rest fails with
//! goferry's words in go's output, and nothing that was not verified is served or stored.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use goferry_lab::faults::{self, Fault, Survival};
use goferry_lab::go_client::GoVersion;
use goferry_lab::serve::{Behind, ServeDrive};

/// Scenarios at once: most of them wait.
const WORKERS: usize = 8;
/// Nothing takes longer.
const LIMIT: Duration = Duration::from_secs(100);
/// What a fault that can be survived may cost beyond the download itself, and what the slowest healthy one takes.
const COST: f64 = 40.0;
/// What go may take to fail: `fetch.timeout` is 30 s, and what is asked for after the first failure must not wait as long again.
const PATIENCE: f64 = 45.0;
/// What would take longer without a remedy of its own.
const REMEDIED: &[(&str, f64)] = &[("ipv6-swallow", 8.0), ("sumdb-blocked", 30.0)];
/// The newest asks an empty store, the oldest the same one, which may lack what the newest did not need.
const VERSIONS: [&str; 2] = ["go1.27.3", "go1.21.13"];

#[test]
fn what_can_be_survived_is_survived_by_an_unmodified_go() {
    let only = std::env::var("GOFERRY_FAULT").ok();
    let wanted = |fault: &Fault| only.as_deref().is_none_or(|only| fault.id.starts_with(only));
    let mut faults: Vec<Fault> = faults::all().into_iter().filter(wanted).collect();
    assert!(!faults.is_empty(), "no fault begins with GOFERRY_FAULT");
    // Those that fail wait the longest.
    faults.sort_by_key(survives);
    let queue: Mutex<VecDeque<Fault>> = Mutex::new(faults.into());
    let wrong = Mutex::new(Vec::new());
    let program = std::env::var("GOFERRY_SERVE").unwrap_or_else(|_| env!("CARGO_BIN_EXE_goferry").to_owned());
    let versions: Vec<GoVersion> = VERSIONS.iter().map(|name| name.parse().unwrap()).collect();
    let drive = ServeDrive::new(program, &versions, LIMIT);
    let next = || queue.lock().unwrap().pop_front();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(fault) = next() {
                    if let Err(why) = check(&drive, &fault) {
                        wrong.lock().unwrap().push(format!("{}: {why}", fault.id));
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    assert!(wrong.is_empty(), "{} faults went wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

fn survives(fault: &Fault) -> bool {
    fault.survival() == Survival::Possible
}

fn check(drive: &ServeDrive, fault: &Fault) -> Result<(), String> {
    let survival = fault.survival();
    let behind = drive.drive(&(fault.build)()).map_err(|error| error.to_string())?;
    let mut disagrees = behind.disagrees(survival);
    let seconds = behind.slowest().as_secs_f64();
    let remedied = REMEDIED.iter().find(|(id, _)| *id == fault.id).map(|(_, seconds)| *seconds);
    let most = remedied.unwrap_or(if survives(fault) { COST } else { PATIENCE });
    if disagrees.is_none() && seconds > most {
        disagrees = Some(format!("it took {seconds:.1} s"));
    }
    show(fault, &behind, disagrees.as_deref());
    let Some(why) = disagrees else { return Ok(()) };
    let said: Vec<String> = behind
        .runs
        .iter()
        .map(|run| {
            let end: String = run.stderr.chars().take(1500).collect();
            format!("{} {} after {:.1} s: {end}", run.version.as_str(), run.outcome, run.wall.as_secs_f64())
        })
        .collect();
    Err(format!("{why}\n{}\nthe proxy: {}", said.join("\n"), behind.log))
}

/// With GOFERRY_SHOW set, says what became of each fault; GOFERRY_FAULT picks the faults whose id begins so.
#[expect(clippy::print_stderr, reason = "asked for by the person who runs the test")]
fn show(fault: &Fault, behind: &Behind, disagrees: Option<&str>) {
    if std::env::var_os("GOFERRY_SHOW").is_none() {
        return;
    }
    for run in &behind.runs {
        let (seconds, version) = (run.wall.as_secs_f64(), run.version.as_str());
        let (connections, requests) = (run.connections, run.requests);
        eprintln!("{} {version} {}: {seconds:.1} s, {connections} conn., {requests} req.", fault.id, run.outcome);
        if std::env::var("GOFERRY_SHOW").is_ok_and(|much| much == "2") {
            eprintln!("{}", run.stderr);
        }
    }
    if let Some(why) = disagrees {
        eprintln!("{} WRONG: {why}", fault.id);
    }
}
