//! What `go mod download` writes into go.sum and go.work.sum, byte by byte: the real go command, 1.27.3 and 1.21.13,
//! against [`Sums`] driven through the checks that the go command makes. These tests need a `go` on PATH.

mod cases;
mod world;

use std::collections::BTreeMap;
use std::fs;

use goferry_fetch::sums::{Hashed, Keep, SumFiles, Sums};
use goferry_lab::folder::texts;
use goferry_module::{DirHash, ModulePath, ModuleVersion, Version};

use cases::{CASES, Case, ONLY_A};
use world::{TOOLCHAINS, World, names, off};

#[test]
fn the_files_are_what_the_go_command_leaves() {
    let world = World::make();
    for case in CASES {
        for toolchain in TOOLCHAINS {
            let name = format!("{} ({toolchain})", case.name);
            let theirs = world.project(case);
            let ours = world.project(case);
            let run = world.go(toolchain, case, theirs.path());
            let stderr = String::from_utf8_lossy(&run.output.stderr).into_owned();
            assert_eq!(run.output.status.success(), !case.fails, "{name}: {stderr}");
            let mismatch = world.drive(case, ours.path());
            assert_eq!(mismatch.is_some(), case.fails, "{name}: {mismatch:?}");
            match mismatch {
                Some(text) => {
                    // Name, downloaded and recorded hash, in the same words; the file is named by its own path.
                    let theirs = stderr.replace(&theirs.path().display().to_string(), "DIR");
                    let ours = text.replace(&ours.path().display().to_string(), "DIR");
                    let head = |text: &str| text.lines().take(3).map(str::to_owned).collect::<Vec<_>>();
                    assert_eq!(head(&ours), head(&theirs), "{name}");
                    assert!(ours.contains("SECURITY ERROR") && theirs.contains("SECURITY ERROR"), "{name}");
                }
                None => assert_eq!((run.mods, run.zips), (names(case.mods), names(case.zips)), "{name}"),
            }
            let (theirs, ours) = (texts(theirs.path()), texts(ours.path()));
            let rewritten = theirs.get("go.mod") != ours.get("go.mod");
            assert_eq!(rewritten, case.rewrites_go_mod, "{name}: {:?}", theirs.get("go.mod"));
            let sums = |tree: &BTreeMap<String, String>| {
                tree.iter().filter(|(n, _)| *n != "go.mod").map(|(n, t)| (n.clone(), t.clone())).collect::<Vec<_>>()
            };
            assert_eq!(sums(&ours), sums(&theirs), "{name}");
        }
    }
}

/// Where one module fails, the go command writes the hashes of the others with `-json` only.
#[test]
fn a_failed_download() {
    let world = World::make();
    const GO_MOD: (&str, &str) =
        ("go.mod", "module m\n\ngo 1.20\n\nrequire (\n\texample.com/c v1.0.0\n\texample.com/d v1.0.0\n)\n");
    for json in [true, false] {
        let case = Case {
            files: &[GO_MOD],
            args: if json { &["-json", "example.com/c", "example.com/d"] } else { &["example.com/c", "example.com/d"] },
            mods: &["c@v1.0.0", "d@v1.0.0"],
            zips: &["c@v1.0.0"],
            selected: &["c@v1.0.0", "d@v1.0.0"],
            ..ONLY_A
        };
        for toolchain in TOOLCHAINS {
            let (theirs, ours) = (world.project(&case), world.project(&case));
            let run = world.go(toolchain, &case, theirs.path());
            assert!(!run.output.status.success());
            assert_eq!((run.mods, run.zips), (names(case.mods), names(case.zips)));
            if json {
                assert_eq!(world.drive(&case, ours.path()), None);
            }
            assert_eq!(texts(ours.path()), texts(theirs.path()), "{toolchain} {json}");
        }
    }
}

/// Both write one go.sum at the same time and share `cache/lock`, or it cannot be had: no line is lost.
#[test]
fn beside_a_go_command() {
    let world = World::make();
    for round in 0..12_u64 {
        let lock = if round % 3 == 0 { "/dev/null/lock" } else { "mod/cache/lock" };
        let dir = world.project(&ONLY_A);
        let cache = tempfile::tempdir().unwrap();
        let added: Vec<String> = std::thread::scope(|scope| {
            let go = scope.spawn(|| world.go_with(TOOLCHAINS[0], &ONLY_A, dir.path(), cache.path()));
            let write = |n: u64| {
                // Spread over the time that the go command takes.
                std::thread::sleep(std::time::Duration::from_millis((n * 7 + round * 3) % 40));
                let files = SumFiles { main: Some(dir.path().join("go.sum")), workspace: Vec::new() };
                let sums = Sums::load(files, off()).unwrap();
                let path = ModulePath::parse(&format!("example.com/n{n}")).unwrap();
                let m = ModuleVersion::new(path, Version::parse("v1.0.0").unwrap()).unwrap();
                sums.add(&m, Hashed::Zip, &self_hash(n), "x").unwrap();
                let mut keep = Keep::nothing();
                keep.selected(&m);
                let written = sums.write(&keep, &cache.path().join(lock)).unwrap().unwrap();
                written.added
            };
            let threads: Vec<_> = (0..6).map(|n| scope.spawn(move || write(n))).collect();
            let added = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
            assert!(go.join().unwrap().output.status.success());
            added
        });
        let text = fs::read_to_string(dir.path().join("go.sum")).unwrap();
        assert_eq!((added.len(), text.lines().count()), (6, 8), "{text}");
        assert!(added.iter().all(|line| text.lines().any(|l| l == line)), "{text}");
        assert!(
            text.contains("example.com/a v1.0.0 h1:") && text.contains("example.com/a v1.0.0/go.mod h1:"),
            "{text}"
        );
    }
}

fn self_hash(n: u64) -> DirHash {
    DirHash::of_go_mod(n.to_string().as_bytes())
}

/// 1.21.13 reads on without the line, and with nothing of what follows it.
#[test]
fn a_malformed_go_sum_stops_both() {
    let world = World::make();
    let case = Case { files: &[cases::GO_MOD, ("go.sum", "\nexample.com/a v1.0.0\n")], ..ONLY_A };
    let dir = world.project(&case);
    let run = world.go("go1.27.3", &case, dir.path());
    let stderr = String::from_utf8_lossy(&run.output.stderr).into_owned();
    assert!(!run.output.status.success() && stderr.contains("go.sum:2: wrong number of fields 2"), "{stderr}");
    let files = SumFiles { main: Some(dir.path().join("go.sum")), workspace: Vec::new() };
    let error = Sums::load(files, off()).unwrap_err();
    assert!(error.detail.contains("go.sum:2: wrong number of fields 2"), "{error}");
}
