//! Beside other commands on the same cache, and twice.

use std::process::Stdio;
use std::time::Duration;

use goferry_lab::folder::snapshot;

use crate::server::Server;
use crate::world::{Home, Ran, Universe, assert_same, go_mod, project};

fn world() -> (Universe, tempfile::TempDir) {
    let mut universe = Universe::empty();
    let mut requires = String::new();
    for number in 0..30 {
        let name = format!("m{number}@v1.0.0");
        universe.add(&name, "1.20", &[], if number % 10 == 0 { 2 << 20 } else { 30_000 });
        requires.push_str(&format!("require example.com/m{number} v1.0.0\n"));
    }
    // The go.sum is written by both.
    let dir = project(&[("go.mod", go_mod("1.20", &requires))]);
    (universe, dir)
}

#[test]
fn the_second_run_asks_for_nothing() {
    let (universe, dir) = world();
    let server = Server::start(universe.root());
    let home = Home::new(&server.url());
    home.download(dir.path(), &[]).ok().says("30 modules fetched");
    let before = (snapshot(dir.path()), snapshot(&home.cache()));
    // Large zips may be asked for in parts.
    let mut asked: Vec<String> = server.asked().into_iter().map(|asked| asked.path).collect();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 90);
    home.download(dir.path(), &[]).ok().says("30 modules in the module cache already");
    assert!(server.asked().is_empty());
    assert!((snapshot(dir.path()), snapshot(&home.cache())) == before);
    // The go command finds everything, too.
    home.go_download(dir.path(), &[]).ok();
    assert!(server.asked().is_empty());
}

#[test]
fn beside_a_go_command_and_beside_another_goferry() {
    let (universe, dir) = world();
    let alone = Home::new(&universe.url());
    alone.go_download(dir.path(), &[]).ok();
    let go_sum = std::fs::read(dir.path().join("go.sum")).unwrap();
    for (round, first_goes) in [(true, true), (true, false), (false, true), (false, false)].into_iter().enumerate() {
        let (with_go, we_first) = first_goes;
        std::fs::remove_file(dir.path().join("go.sum")).unwrap();
        let server = Server::start(universe.root());
        server.delay(Duration::from_millis(3));
        server.pace(Duration::from_micros(300));
        let home = Home::new(&server.url());
        let ours = || home.goferry(dir.path(), &[]);
        let other = || if with_go { home.go_command(dir.path(), &["mod", "download"]) } else { ours() };
        let mut commands = if we_first { [ours(), other()] } else { [other(), ours()] };
        let children = commands.each_mut().map(|command| {
            let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            server.wait_for(1);
            child
        });
        for child in children {
            Ran::of(&child.wait_with_output().unwrap()).ok();
        }
        assert_same(&alone.cache(), &home.cache(), &format!("round {round}"));
        assert_eq!(std::fs::read(dir.path().join("go.sum")).unwrap(), go_sum, "round {round}");
    }
}
