//! Modules that only a go command can fetch: git repositories.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use goferry_lab::git;

use crate::upstream::Upstream;
use crate::world::{TOOLCHAINS, World, client, files, get, go, goroot, ok, project};

const REPO: &str = "private.example.com/repo.git";
const SETTINGS: &str = "direct = \"private.example.com\"\nno-sumdb = \"private.example.com\"\n";

/// A repository with tags, a branch and a module below its root, and what git needs to find it.
fn repository(world: &World) {
    let script = r#"
        printf 'module private.example.com/repo.git\n\ngo 1.20\n' > go.mod
        printf 'package repo\n' > x.go
        mkdir sub && printf 'package sub\n' > sub/x.go
        git add . && git commit -q -m one && git tag v1.0.0
        printf 'package repo // two\n' > x.go
        printf 'module private.example.com/repo.git\n\ngo 1.20\n\nretract v1.1.0\n' > go.mod
        git add . && git commit -q -m two && git tag v1.1.0 && git tag v1.2.0
        printf 'package repo // three\n' > x.go
        git add . && git commit -q -m three && git branch topic
    "#;
    git::repository(world.dir.path(), "repo.git", script).unwrap();
    let dead = "[url \"http://user:secret@127.0.0.1:1/\"]\n\tinsteadOf = https://private.example.com/dead\n";
    let config = git::config(world.dir.path(), "private.example.com") + dead;
    fs::write(world.home().join(".gitconfig"), config).unwrap();
}

#[test]
fn a_private_module_comes_through_the_proxy() {
    for toolchain in TOOLCHAINS {
        let (upstream, world) = (Upstream::start(), World::with(toolchain));
        repository(&world);
        let serve = world.serve(&upstream.url(), SETTINGS, &[]);
        let run = |dir: &Path, args: &[&str]| {
            let client = client(toolchain, serve.url(), dir, args);
            ok(client.env("GOPRIVATE", "private.example.com").env("GONOPROXY", "none").run().unwrap())
        };
        let dir = project(&[]);
        let list = run(dir.path(), &["list", "-m", "-versions", "-retracted", REPO]);
        assert_eq!(list, format!("{REPO} v1.0.0 v1.1.0 v1.2.0\n"), "retracted ones are for the client to leave out");
        assert_eq!(run(dir.path(), &["list", "-m", "-versions", REPO]), format!("{REPO} v1.0.0 v1.2.0\n"));
        assert_eq!(run(dir.path(), &["list", "-m", &format!("{REPO}@latest")]), format!("{REPO} v1.2.0\n"));
        assert!(run(dir.path(), &["list", "-m", &format!("{REPO}@topic")]).contains("v1.2.1-0."));
        // A package below the root: the longer paths are asked for too, and are none.
        run(dir.path(), &["get", &format!("{REPO}/sub@v1.0.0")]);
        assert!(fs::read_to_string(dir.path().join("go.mod")).unwrap().contains(&format!("{REPO} v1.0.0")));
        run(dir.path(), &["mod", "download", &format!("{REPO}@v1.2.0")]);

        let direct = world.store().join(".goferry/direct");
        assert_eq!(files(&direct, ".zip"), [""; 0]);
        assert_eq!(files(&direct.join("private.example.com"), ""), [""; 0], "nothing stays unpacked");
        assert!(!files(&direct.join("cache/vcs"), "").is_empty(), "but the clone");
        assert_eq!(files(&world.store().join("private.example.com"), ".zip").len(), 2);
        assert!(upstream.asked().iter().all(|path| !path.contains("private")), "no upstream hears of it");

        // The repository is gone: versions stay.
        fs::rename(world.dir.path().join("repo.git"), world.dir.path().join("gone")).unwrap();
        run(dir.path(), &["mod", "download", &format!("{REPO}@v1.0.0")]);
        assert_eq!(run(dir.path(), &["list", "-m", "-versions", REPO]), format!("{REPO} v1.0.0 v1.2.0\n"));
    }
}

#[test]
fn only_what_is_not_there_is_not_found() {
    for toolchain in TOOLCHAINS {
        let (upstream, world) = (Upstream::start(), World::with(toolchain));
        repository(&world);
        let serve = world.serve(&upstream.url(), SETTINGS, &[]);
        for (path, status, word) in [
            ("repo.git/@v/v1.9.9.info", 404, "unknown revision v1.9.9"),
            ("repo.git/@v/v1.9.9.zip", 404, "unknown revision v1.9.9"),
            ("repo.git/@v/nobranch.info", 404, "unknown revision nobranch"),
            ("repo.git/sub/@latest", 404, "no matching versions"),
            // It could be that it is not there, and it could be that git may not see it.
            ("dead.git/@v/list", 502, "no secure protocol found for repository"),
            ("dead.git/@v/v1.0.0.zip", 502, "credential"),
        ] {
            let got = get(&serve, &format!("/private.example.com/{path}"));
            assert!(got.status == status && got.body.contains(word), "{path}: {got:?}");
            assert!(!got.body.contains("secret") && got.body.lines().count() < 12, "{got:?}");
            assert!(!got.body.contains(world.dir.path().to_str().unwrap()), "{got:?}");
        }
    }
}

/// A package's path is asked for as a module's too. Its host may be out of reach of the proxy: the go command alone takes it
/// that there is no such module, and finds the one that has the package.
#[test]
fn a_host_out_of_reach_hides_no_module() {
    let upstream = Upstream::start();
    upstream.publish("far.invalid/m@v1.0.0", &[]);
    let list = format!("{},direct", upstream.url());
    let package = "/far.invalid/m/sub/@v/v1.0.0.info";
    for toolchain in TOOLCHAINS {
        let (world, dir) = (World::with(toolchain), project(&[]));
        let serve = world.serve(&list, "", &["--sumdb", "off"]);
        let got = get(&serve, package);
        assert!(got.status == 404 && got.body.contains("unrecognized import path"), "{got:?}");
        let ran = go(toolchain, serve.url(), dir.path(), &["get", "far.invalid/m/sub@v1.0.0"]);
        assert!(ran.stderr.contains("far.invalid/m@v1.0.0 found"), "{}", ran.stderr);
        // Where nobody has said that it is not there.
        let serve = world.serve("direct", "", &["--sumdb", "off"]);
        assert_eq!(get(&serve, package).status, 502);
        upstream.content().failing = Some(500);
        let serve = world.serve(&list, "", &["--sumdb", "off"]);
        assert_eq!(get(&serve, package).status, 502);
        upstream.content().failing = None;
    }
    let empty = tempfile::TempDir::new().unwrap();
    let world = World::new().programs(empty.path());
    let serve = world.serve(&list, "", &["--sumdb", "off"]);
    let got = get(&serve, package);
    assert!(got.status == 404 && got.body.contains("there is none in PATH"), "{got:?}");
}

#[test]
fn who_asks_at_the_same_time_shares_a_go_command() {
    let (upstream, world) = (Upstream::start(), World::new());
    repository(&world);
    // A go command that says that it was called. Written by another process: nobody holds it open for writing.
    let programs = world.dir.path().join("programs");
    let (log, real) = (world.dir.path().join("calls"), goroot(TOOLCHAINS[0]).join("bin/go"));
    let script = format!(
        "mkdir {0} && printf '#!/bin/sh\\necho \"$*\" >> {1}\\nsleep 0.3\\nexec {2} \"$@\"\\n' > {0}/go && chmod 755 {0}/go",
        programs.display(),
        log.display(),
        real.display()
    );
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    let world = world.programs(&programs);
    let serve = world.serve(&upstream.url(), SETTINGS, &[]);
    thread::scope(|scope| {
        for kind in ["info", "mod", "info", "mod", "zip", "zip"] {
            let serve = &serve;
            scope.spawn(move || {
                let got = get(serve, &format!("/{REPO}/@v/v1.0.0.{kind}"));
                assert_eq!(got.status, 200, "{got:?}");
            });
        }
    });
    let calls = fs::read_to_string(log).unwrap();
    for asked in ["list -m -json", "mod download -json"] {
        let line = format!("{asked} {REPO}@v1.0.0");
        assert_eq!(calls.lines().filter(|call| **call == *line).count(), 1, "{calls}");
    }
}
