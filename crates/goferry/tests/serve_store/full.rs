//! A disk without room, and a store that cannot be written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use goferry_lab::serve::ServeProcess;
use goferry_lab::universe::ZipSize;

use crate::world::{Client, World, path, start};

/// `goferry serve` in a user and mount namespace, after `setup` made a file system at `$ROOT`.
fn on_a_file_system(world: &World, setup: &str) -> Command {
    fs::create_dir_all(world.store()).unwrap();
    let inner = world.serving(&world.store(), &[]);
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &format!("set -e; {setup}; exec \"$@\""), "sh"]);
    command.arg(inner.get_program()).args(inner.get_args()).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", std::env::var_os("PATH").unwrap()).env("ROOT", world.store());
    command
}

/// The store as the server sees it.
fn seen(server: &ServeProcess, store: &Path) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root{}", server.pid(), store.display()))
}

#[test]
fn a_full_disk_is_said_and_passes() {
    let world = World::new(6, ZipSize::Fixed(300_000));
    let mut command = on_a_file_system(&world, "mount -t tmpfs -o size=2m tmpfs \"$ROOT\"");
    let server = start(&mut command, world.home.path());
    let store = seen(&server, &world.store());
    let mut client = Client::of(&server);
    assert_eq!(client.get(&path(0, "zip"), &[]).unwrap(), (200, world.right(&path(0, "zip"))));
    fs::write(store.join("filler"), vec![1; 1_550_000]).unwrap();
    for _ in 0..2 {
        let (status, body) = client.get(&path(1, "zip"), &[]).unwrap();
        let text = String::from_utf8(body).unwrap();
        assert!(status == 507 && text.contains("No space left on device"), "{status}: {text}");
    }
    assert!(!store.join(&path(1, "zip")[1..]).exists(), "nothing is half visible");
    // What is there is served.
    assert_eq!(client.get(&path(0, "zip"), &[]).unwrap(), (200, world.right(&path(0, "zip"))));
    fs::remove_file(store.join("filler")).unwrap();
    assert_eq!(client.get(&path(1, "zip"), &[]).unwrap(), (200, world.right(&path(1, "zip"))));
}

#[test]
fn a_store_that_cannot_be_written() {
    let world = World::new(1, ZipSize::Fixed(2_000));
    fs::write(world.home.path().join("file"), b"").unwrap();
    let ran = world.serving(&world.home.path().join("file/store"), &[]).output().unwrap();
    let text = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.code() == Some(3) && text.contains("cannot be written"), "{text}");
    let mount = "mount -t tmpfs tmpfs \"$ROOT\"; mkdir \"$ROOT/.goferry\"; mount -o remount,ro \"$ROOT\"";
    let ran = on_a_file_system(&world, mount).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.code() == Some(3) && text.contains("cannot be written"), "{text}");
    // There must be one to be served as it is.
    let ran = world.serving(&world.home.path().join("none"), &["--frozen"]).output().unwrap();
    let text = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.code() == Some(3) && text.contains("there is no store"), "{text}");
}
