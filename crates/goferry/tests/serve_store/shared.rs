//! Several processes that use one store, and the store without any.

use std::time::Duration;

use goferry_lab::universe::{VERSION, ZipSize};
use goferry_lab::wait::until;
use goferry_proxy::store::scan::Scan;
use nix::sys::signal::Signal;

use crate::world::World;

#[test]
fn two_servers_and_four_go_commands() {
    let world = World::new(30, ZipSize::Skewed { smallest: 3_000, largest: 600_000 });
    let servers = [world.serve(&[]), world.serve(&[])];
    std::thread::scope(|scope| {
        for client in 0..4 {
            let (world, server) = (&world, &servers[client % 2]);
            scope.spawn(move || {
                let run = world.go(server.url(), &["mod", "download"]);
                assert!(run.succeeded(), "{}{}", run.stderr, server.log());
                assert!(run.gomodcache().join(format!("lab.example.com/m0029@{VERSION}")).is_dir());
            });
        }
    });
    let (code, text) = world.command(&["verify"]);
    assert!(code == 0 && !text.contains("temporary") && !text.contains("partial"), "{text}");
    // One takes a module out; the other one has to fetch it again, and may.
    let (code, text) = world.command(&["forget", "lab.example.com/m0003"]);
    assert!(code == 0 && text.contains("forgotten: lab.example.com/m0003@v1.0.0"), "{text}");
    let run = world.go(servers[1].url(), &["mod", "download"]);
    assert!(run.succeeded(), "{}", run.stderr);
}

#[test]
fn the_store_is_a_proxy_of_files() {
    let world = World::new(12, ZipSize::Fixed(8_000));
    let mut server = world.serve(&[]);
    assert!(world.go(server.url(), &["mod", "download"]).succeeded());
    // Beside the server, and after it.
    until("lists are not written", || Scan::of(&world.store()).unwrap().stale_lists.is_empty());
    let files = format!("file://{}", world.store().display());
    for _ in 0..2 {
        let run = world.go(&files, &["mod", "download"]);
        assert!(run.succeeded(), "{}", run.stderr);
        let run = world.go(&files, &["list", "-m", "-versions", "lab.example.com/m0001"]);
        assert!(run.succeeded() && run.stdout.contains(VERSION), "{}{}", run.stdout, run.stderr);
        let _ = server.signal(Signal::SIGTERM);
        server.wait(Duration::from_secs(40)).unwrap();
    }
}
