//! `goferry download` through every fault of the lab, across the emulated link (root only): what a client can survive is
//! survived, with every file in the cache and verified; the rest fails with the right words and leaves nothing unverified.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use goferry_lab::download::{Download, Downloaded};
use goferry_lab::faults::{self, Fault, Survival};
use goferry_lab::go_client::GoVersion;

/// Downloads at once: most of them wait.
const WORKERS: usize = 6;
/// Nothing takes longer.
const LIMIT: Duration = Duration::from_secs(100);
/// What a fault that can be survived may cost beyond the download itself, and what the slowest healthy one takes.
const COST: f64 = 40.0;
/// Where a file never comes, this is how long it is waited for here; the default is two minutes.
const TIMEOUT: &str = "25";

#[test]
fn what_can_be_survived_is_survived() {
    let only = std::env::var("GOFERRY_FAULT").ok();
    let wanted = |fault: &Fault| only.as_deref().is_none_or(|only| fault.id.starts_with(only));
    let queue: Mutex<VecDeque<Fault>> = Mutex::new(faults::all().into_iter().filter(wanted).collect());
    assert!(!queue.lock().unwrap().is_empty(), "no fault begins with GOFERRY_FAULT");
    let wrong = Mutex::new(Vec::new());
    let program = std::env::var("GOFERRY_DOWNLOAD").unwrap_or_else(|_| env!("CARGO_BIN_EXE_goferry").to_owned());
    let go: GoVersion = "go1.27.3".parse().unwrap();
    let download = Download::new(program, go, LIMIT);
    let next = || queue.lock().unwrap().pop_front();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(fault) = next() {
                    if let Err(why) = check(&download, &fault) {
                        wrong.lock().unwrap().push(format!("{}: {why}", fault.id));
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    assert!(wrong.is_empty(), "{} downloads went wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

fn check(download: &Download, fault: &Fault) -> Result<(), String> {
    let survival = fault.survival();
    let download = match survival {
        Survival::Possible => download.clone(),
        Survival::Impossible(_) => download.clone().args(&["--timeout", TIMEOUT]),
    };
    let done = download.drive(&(fault.build)()).map_err(|error| error.to_string())?;
    let mut disagrees = done.disagrees(survival);
    let seconds = done.wall.as_secs_f64();
    if disagrees.is_none() && survival == Survival::Possible && seconds > COST {
        disagrees = Some(format!("it took {seconds:.1} s"));
    }
    show(fault, &done, disagrees.as_deref());
    match disagrees {
        None => Ok(()),
        Some(why) => {
            let said: String = done.stderr.chars().take(2000).collect();
            Err(format!("{why} ({seconds:.1} s)\ndecisions: {:?}\n{said}", done.decisions()))
        }
    }
}

/// With GOFERRY_SHOW set, says what each download was; GOFERRY_FAULT picks the faults whose id begins so.
#[expect(clippy::print_stderr, reason = "asked for by the person who runs the test")]
fn show(fault: &Fault, done: &Downloaded, disagrees: Option<&str>) {
    if std::env::var_os("GOFERRY_SHOW").is_some() {
        let (seconds, decisions) = (done.wall.as_secs_f64(), done.decisions());
        let (connections, requests, healed) = (done.connections, done.requests, done.healed());
        let error = done.stderr.lines().next().unwrap_or_default();
        eprintln!(
            "{} {seconds:.1} s, {:?}, {connections} conn., {requests} req., {healed} healed, {disagrees:?}, {decisions:?} {error}",
            fault.id, done.code
        );
        if std::env::var("GOFERRY_SHOW").is_ok_and(|much| much == "2") {
            eprintln!("{}\n{:#}", done.stderr, done.timeline);
        }
    }
}
