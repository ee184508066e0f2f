//! Ctrl-C and kill -9, and the run after that.

use std::fs;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use goferry_lab::folder::{differences, snapshot};
use goferry_lab::wait::until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::server::Server;
use crate::world::{Home, Ran, Universe, assert_same, go_mod, project};

/// Modules of which two are large enough to be resumed.
fn world() -> (Universe, TempDir) {
    let mut universe = Universe::empty();
    let mut requires = String::new();
    for (name, size) in (0..8)
        .map(|n| (format!("m{n}@v1.0.0"), 20_000))
        .chain([("large@v1.0.0".to_owned(), 3 << 20), ("larger@v1.0.0".to_owned(), 4 << 20)])
    {
        universe.add(&name, "1.20", &[], size);
        requires.push_str(&format!("require example.com/{}\n", name.replace('@', " ")));
    }
    let dir = project(&[("go.mod", go_mod("1.20", &requires)), ("go.sum", universe.full_go_sum())]);
    (universe, dir)
}

fn start(home: &Home, dir: &TempDir) -> Child {
    home.goferry(dir.path(), &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

#[test]
fn ctrl_c_keeps_what_arrived_and_the_next_run_goes_on_there() {
    let (universe, dir) = world();
    for wanted in [Signal::SIGINT, Signal::SIGTERM] {
        let server = Server::start(universe.root());
        server.pace(Duration::from_millis(10));
        let home = Home::new(&server.url());
        let before = snapshot(dir.path());
        let child = start(&home, &dir);
        server.wait_for(1 << 20);
        let began = Instant::now();
        signal(&child, wanted);
        let ran = Ran::of(&child.wait_with_output().unwrap()).failed(130).says("interrupted");
        assert!(ran.out.is_empty() && began.elapsed() < Duration::from_secs(5), "{ran:?}");
        assert!(snapshot(dir.path()) == before);
        assert!(
            home.zips().iter().any(|name| name.contains("large") && name.contains("goferry-part")),
            "{:?}",
            home.zips()
        );
        assert!(!home.cache().join("example.com/large@v1.0.0").exists());
        server.pace(Duration::ZERO);
        server.asked();
        home.download(dir.path(), &[]).ok();
        let asked = server.asked();
        let resumed = asked.iter().filter(|one| one.path.contains("/large") && one.field("range").is_some());
        for one in resumed.clone() {
            assert!(one.field("range") != Some("bytes=0-") && one.field("if-range").is_some(), "{one:?}");
        }
        assert!(resumed.count() > 0, "{asked:?}");
        assert!(!home.zips().iter().any(|name| name.contains("goferry-part")), "{:?}", home.zips());
    }
}

#[test]
fn an_interrupt_in_the_middle_of_nothing() {
    let (universe, dir) = world();
    let server = Server::start(universe.root());
    server.delay(Duration::from_secs(20));
    let home = Home::new(&server.url());
    let child = start(&home, &dir);
    let began = Instant::now();
    until("nothing is asked for", || !server.asked().is_empty());
    signal(&child, Signal::SIGINT);
    Ran::of(&child.wait_with_output().unwrap()).failed(130);
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[test]
fn after_a_hundred_kills_the_cache_is_that_of_the_go_command() {
    const ROUNDS: u32 = 100;
    let (universe, dir) = world();
    let go = Home::new(&universe.url());
    go.go_download(dir.path(), &[]).ok();
    let server = Server::start(universe.root());
    server.pace(Duration::from_micros(500));
    let next = AtomicU32::new(0);
    let problems = Mutex::new(Vec::new());
    let killed = AtomicU32::new(0);
    // How long a run takes here, in microseconds; less where the machine is less busy later on.
    let began = Instant::now();
    Home::new(&server.url()).download(dir.path(), &[]).ok();
    let whole = AtomicU64::new(began.elapsed().as_micros() as u64);
    std::thread::scope(|scope| {
        for worker in 0..3_u32 {
            let (next, problems, killed, whole) = (&next, &problems, &killed, &whole);
            let (server, go, dir) = (&server, &go, &dir);
            scope.spawn(move || {
                let home = Home::new(&server.url());
                let mut empty = true;
                loop {
                    let round = next.fetch_add(1, Ordering::Relaxed);
                    if round >= ROUNDS || !problems.lock().unwrap().is_empty() {
                        return;
                    }
                    let mut child = home.goferry(dir.path(), &["-q"]).spawn().unwrap();
                    // Anywhere in the run, evenly, in an order that jumps.
                    let moment = whole.load(Ordering::Relaxed) * u64::from(round * 37 % ROUNDS) / u64::from(ROUNDS);
                    std::thread::sleep(Duration::from_micros(moment));
                    child.kill().unwrap();
                    if !child.wait().unwrap().success() {
                        killed.fetch_add(1, Ordering::Relaxed);
                    } else if empty {
                        whole.fetch_min(moment, Ordering::Relaxed);
                    }
                    empty = false;
                    // Two in three caches are killed again as they are.
                    if round % 3 != worker % 3 {
                        continue;
                    }
                    let ran = home.download(dir.path(), &["-q"]);
                    if ran.code != Some(0) {
                        problems.lock().unwrap().push(format!("round {round}: {ran:?}"));
                    }
                    let differences = differences(&snapshot(&go.cache()), &snapshot(&home.cache()));
                    problems.lock().unwrap().extend(differences);
                    if round % 4 == 0 {
                        let ran = home.go(dir.path(), &["mod", "verify"]);
                        if ran.code != Some(0) {
                            problems.lock().unwrap().push(format!("round {round}: {ran:?}"));
                        }
                    }
                    home.clean();
                    empty = true;
                }
            });
        }
    });
    let problems = problems.into_inner().unwrap();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(killed.into_inner() > ROUNDS / 4, "most runs were over before they were killed");
}

#[test]
fn what_the_go_command_takes_over_after_a_kill() {
    let (universe, dir) = world();
    let server = Server::start(universe.root());
    server.pace(Duration::from_millis(2));
    let home = Home::new(&server.url());
    let mut child = start(&home, &dir);
    server.wait_for(2 << 20);
    child.kill().unwrap();
    child.wait().unwrap();
    home.go_download(dir.path(), &[]).ok();
    home.go(dir.path(), &["mod", "verify"]).ok();
    // Parts of ours that the go command does not know are removed by the next run.
    home.download(dir.path(), &[]).ok();
    let go = Home::new(&universe.url());
    go.go_download(dir.path(), &[]).ok();
    let left: Vec<String> = home.zips().into_iter().filter(|name| name.contains("part")).collect();
    for name in &left {
        fs::remove_file(home.cache().join(name)).unwrap();
    }
    assert_same(&go.cache(), &home.cache(), "after go took over");
    assert_eq!(left, Vec::<String>::new(), "parts of zips that are there");
}
