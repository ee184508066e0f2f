//! What `go mod download` writes into go.sum and go.work.sum, byte by byte: the real go command, 1.27.3 and 1.21.13,
//! against [`Sums`] driven through the checks that the go command makes. These tests need a `go` on PATH.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use goferry_fetch::sums::{DatabaseUse, Exempt, Hashed, Keep, SumFiles, Sums, Verdict};
use goferry_module::zip::create_module_zip;
use goferry_module::{DirHash, ModulePath, ModuleVersion, Version};

const TOOLCHAINS: [&str; 2] = ["go1.27.3", "go1.21.13"];

/// name@version and its requires; all are at go 1.20. `no zip`: the proxy has none.
const UNIVERSE: &[(&str, &str)] = &[
    ("a@v1.0.0", "b@v1.0.0"),
    ("a@v1.1.0", "b@v1.1.0"),
    ("b@v1.0.0", "c@v1.0.0"),
    ("b@v1.1.0", "c@v1.0.0"),
    ("c@v1.0.0", ""),
    ("c@v1.1.0", ""),
    ("d@v1.0.0", "no zip"),
];

/// `{a@v1.0.0}` stands for a zip's hash, `{a@v1.0.0/go.mod}` for a go.mod's.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    args: &'static [&'static str],
    goflags: &'static str,
    /// The go.mod files that are read, and the zips that are fetched: the go command's cache must hold just these.
    mods: &'static [&'static str],
    zips: &'static [&'static str],
    graph: &'static [&'static str],
    selected: &'static [&'static str],
    /// The file that is written, or would be.
    main: &'static str,
    rewrites_go_mod: bool,
    fails: bool,
}

const GO_MOD: (&str, &str) =
    ("go.mod", "module m\n\ngo 1.20\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/b v1.0.0 // indirect\n)\n");
const OLD: (&str, &str) = ("go.mod", "module m\n\ngo 1.16\n\nrequire example.com/a v1.0.0\n");
const WORK: (&str, &str) = ("go.work", "go 1.20\n\nuse ./one\nuse ./two\n");
const ONE: (&str, &str) = (
    "one/go.mod",
    "module one\n\ngo 1.20\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/b v1.0.0 // indirect\n)\n",
);
const TWO: (&str, &str) = (
    "two/go.mod",
    "module two\n\ngo 1.20\n\nrequire (\n\texample.com/b v1.1.0\n\texample.com/c v1.0.0 // indirect\n)\n",
);

/// go.mod requires a and b; only `example.com/a` is asked for, the graph is not loaded.
const ONLY_A: Case = Case {
    name: "a required module by path",
    files: &[GO_MOD],
    args: &["example.com/a"],
    goflags: "",
    mods: &["a@v1.0.0"],
    zips: &["a@v1.0.0"],
    graph: &[],
    selected: &["a@v1.0.0", "b@v1.0.0"],
    main: "go.sum",
    rewrites_go_mod: false,
    fails: false,
};

const WORKSPACE: Case = Case {
    name: "a workspace",
    files: &[WORK, ONE, TWO],
    args: &[],
    mods: &["a@v1.0.0", "b@v1.0.0", "b@v1.1.0", "c@v1.0.0"],
    zips: &["a@v1.0.0", "b@v1.1.0", "c@v1.0.0"],
    graph: &["a@v1.0.0", "b@v1.0.0", "b@v1.1.0", "c@v1.0.0"],
    selected: &["a@v1.0.0", "b@v1.1.0", "c@v1.0.0"],
    main: "go.work.sum",
    ..ONLY_A
};

const ALL: Case = Case {
    name: "all, where the pruned graph reaches further than go.mod",
    args: &["all"],
    mods: &["a@v1.0.0", "b@v1.0.0", "c@v1.0.0"],
    zips: &["a@v1.0.0", "b@v1.0.0", "c@v1.0.0"],
    graph: &["a@v1.0.0", "b@v1.0.0"],
    selected: &["a@v1.0.0", "b@v1.0.0", "c@v1.0.0"],
    ..ONLY_A
};

const CASES: &[Case] = &[
    ONLY_A,
    ALL,
    WORKSPACE,
    Case {
        name: "no arguments: hashes of go.mod files only",
        args: &[],
        mods: &["a@v1.0.0", "b@v1.0.0"],
        zips: &["a@v1.0.0", "b@v1.0.0"],
        graph: &["a@v1.0.0", "b@v1.0.0"],
        ..ALL
    },
    Case {
        name: "no arguments, a go.sum of which half is there",
        files: &[
            GO_MOD,
            ("go.sum", "example.com/b v1.0.0 {b@v1.0.0}\nexample.com/a v1.0.0/go.mod {a@v1.0.0/go.mod}\n"),
        ],
        args: &[],
        mods: &["a@v1.0.0", "b@v1.0.0"],
        zips: &["a@v1.0.0", "b@v1.0.0"],
        ..ALL
    },
    Case {
        name: "no arguments, nothing to add: not even sorted",
        files: &[
            GO_MOD,
            (
                "go.sum",
                "example.com/b v1.0.0/go.mod {b@v1.0.0/go.mod}\r\n\nexample.com/a v1.0.0/go.mod {a@v1.0.0/go.mod}",
            ),
        ],
        args: &[],
        mods: &["a@v1.0.0", "b@v1.0.0"],
        zips: &["a@v1.0.0", "b@v1.0.0"],
        ..ALL
    },
    Case { name: "m@v as required", args: &["example.com/a@v1.0.0"], ..ONLY_A },
    Case {
        name: "m@v of other versions: nothing is kept",
        args: &["example.com/a@v1.1.0", "example.com/c@v1.0.0"],
        mods: &["a@v1.1.0", "c@v1.0.0"],
        zips: &["a@v1.1.0", "c@v1.0.0"],
        ..ONLY_A
    },
    Case {
        name: "m@v of other versions beside a required one",
        args: &["example.com/b@v1.0.0", "example.com/c@v1.1.0"],
        mods: &["b@v1.0.0", "c@v1.1.0"],
        zips: &["b@v1.0.0", "c@v1.1.0"],
        ..ONLY_A
    },
    Case {
        name: "m@latest is not what is required",
        args: &["example.com/a@latest"],
        mods: &["a@v1.1.0"],
        zips: &["a@v1.1.0"],
        ..ONLY_A
    },
    Case { name: "a module that is not required, by path", args: &["example.com/c"], zips: &["c@v1.0.0"], ..ALL },
    Case {
        name: "a pattern",
        args: &["example.com/b..."],
        mods: &["a@v1.0.0", "b@v1.0.0"],
        zips: &["b@v1.0.0"],
        ..ALL
    },
    Case {
        name: "go 1.16, no arguments",
        files: &[OLD],
        args: &[],
        graph: &["a@v1.0.0", "b@v1.0.0", "c@v1.0.0"],
        ..ALL
    },
    Case { name: "go 1.16, all", files: &[OLD], graph: &["a@v1.0.0", "b@v1.0.0", "c@v1.0.0"], ..ALL },
    Case { name: "go 1.16, m@v", files: &[OLD], args: &["example.com/a@v1.0.0"], selected: &["a@v1.0.0"], ..ONLY_A },
    Case {
        name: "a require below what the graph selects: go.mod is corrected",
        files: &[(
            "go.mod",
            "module m\n\ngo 1.20\n\nrequire (\n\texample.com/a v1.1.0\n\texample.com/b v1.0.0 // indirect\n)\n",
        )],
        args: &[],
        mods: &["a@v1.1.0", "b@v1.0.0", "b@v1.1.0"],
        zips: &["a@v1.1.0", "b@v1.1.0"],
        graph: &["a@v1.1.0", "b@v1.1.0"],
        selected: &["a@v1.1.0", "b@v1.1.0", "c@v1.0.0"],
        rewrites_go_mod: true,
        ..ONLY_A
    },
    Case {
        name: "a require twice: go.mod is corrected",
        files: &[(
            "go.mod",
            "module m\n\ngo 1.20\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/a v1.1.0\n\texample.com/b v1.1.0 // indirect\n)\n",
        )],
        mods: &["a@v1.1.0", "b@v1.1.0"],
        zips: &["a@v1.1.0"],
        graph: &["a@v1.1.0", "b@v1.1.0"],
        selected: &["a@v1.1.0", "b@v1.1.0", "c@v1.0.0"],
        rewrites_go_mod: true,
        ..ONLY_A
    },
    Case {
        name: "replaced modules: hashes of what replaces them",
        files: &[
            (
                "go.mod",
                "module m\n\ngo 1.20\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/b v1.1.0 // indirect\n)\n\n\
             replace example.com/a => example.com/a v1.1.0\nreplace example.com/c => ./c\n",
            ),
            ("c/go.mod", "module example.com/c\n\ngo 1.20\n"),
        ],
        mods: &["a@v1.1.0", "b@v1.1.0"],
        zips: &["a@v1.1.0", "b@v1.1.0"],
        graph: &["a@v1.1.0", "b@v1.1.0"],
        selected: &["a@v1.1.0", "b@v1.1.0"],
        ..ALL
    },
    Case {
        name: "CRLF, doubles, disorder, an old mistake, versions and algorithms of all kinds",
        files: &[
            GO_MOD,
            (
                "go.sum",
                "zz.example.com/q v1.0.0 h1:abc\r\nexample.com/a v1.0.0 {a@v1.0.0}\r\n\r\nexample.com/a v1.0.0 {a@v1.0.0}\n\
             \tbb.example.com/x   v1.10.0 h2:q\nbb.example.com/x v1.9.0 h1:q\nbb.example.com/x v1.9.0 h1:a\n\
             bb.example.com/x v1.10.0-rc1 h1:a\nbb.example.com/x not-a-version h1:a\nbb.example.com/x v1.9.0/go.mod h1:a\n\
             bb.example.com/e v1.9.0/go.mod h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=",
            ),
        ],
        ..ONLY_A
    },
    Case {
        name: "hashes of algorithms that are not known",
        files: &[GO_MOD, ("go.sum", "example.com/a v1.0.0 h2:zzz\nexample.com/a v1.0.0/go.mod h9:zzz\n")],
        ..ONLY_A
    },
    Case {
        name: "the right hash before a wrong one",
        files: &[GO_MOD, ("go.sum", "example.com/a v1.0.0 {a@v1.0.0}\nexample.com/a v1.0.0 {c@v1.0.0}\n")],
        ..ONLY_A
    },
    Case {
        name: "a wrong hash before the right one",
        files: &[GO_MOD, ("go.sum", "example.com/a v1.0.0 {c@v1.0.0}\nexample.com/a v1.0.0 {a@v1.0.0}\n")],
        fails: true,
        ..ONLY_A
    },
    Case {
        name: "a wrong hash of a go.mod",
        files: &[GO_MOD, ("go.sum", "example.com/a v1.0.0/go.mod {c@v1.0.0}\n")],
        zips: &[],
        fails: true,
        ..ONLY_A
    },
    Case { name: "-mod=readonly means nothing here", goflags: "-mod=readonly", ..ONLY_A },
    Case {
        name: "-mod=vendor and a vendor directory mean nothing here",
        files: &[GO_MOD, ("vendor/modules.txt", "# example.com/a v1.0.0\n## explicit; go 1.20\n")],
        goflags: "-mod=vendor",
        ..ONLY_A
    },
    Case {
        name: "-modfile",
        files: &[GO_MOD, ("alt.mod", GO_MOD.1), ("go.sum", "example.com/a v1.0.0 h1:untouched\n")],
        goflags: "-modfile=alt.mod",
        main: "alt.sum",
        ..ONLY_A
    },
    Case { name: "no module", files: &[("readme", "")], args: &["example.com/a@v1.0.0"], main: "", ..ONLY_A },
    Case {
        name: "a workspace, m@v: nothing is kept",
        args: &["example.com/a@v1.0.0"],
        mods: &["a@v1.0.0"],
        zips: &["a@v1.0.0"],
        graph: &[],
        selected: &[],
        ..WORKSPACE
    },
    Case {
        name: "a workspace: what a module's go.sum has is not in go.work.sum",
        files: &[
            WORK,
            ONE,
            TWO,
            ("one/go.sum", "example.com/a v1.0.0 {a@v1.0.0}\n"),
            (
                "go.work.sum",
                "zz.example.com/x v1.0.0 h1:a\nexample.com/a v1.0.0 {a@v1.0.0}\nexample.com/a v1.0.0/go.mod {a@v1.0.0/go.mod}\n",
            ),
        ],
        ..WORKSPACE
    },
    Case {
        name: "a workspace: right in go.work.sum, wrong in a module's go.sum",
        files: &[
            WORK,
            ONE,
            TWO,
            ("two/go.sum", "example.com/a v1.0.0 {c@v1.0.0}\n"),
            ("go.work.sum", "example.com/a v1.0.0 {a@v1.0.0}\n"),
        ],
        ..WORKSPACE
    },
    Case {
        name: "a workspace: right in one go.sum, wrong in another",
        files: &[
            WORK,
            ONE,
            TWO,
            ("one/go.sum", "example.com/a v1.0.0 {a@v1.0.0}\n"),
            ("two/go.sum", "example.com/a v1.0.0 {c@v1.0.0}\n"),
        ],
        fails: true,
        ..WORKSPACE
    },
    Case {
        name: "a workspace: wrong in go.work.sum",
        files: &[WORK, ONE, TWO, ("go.work.sum", "example.com/a v1.0.0 {c@v1.0.0}\n")],
        fails: true,
        ..WORKSPACE
    },
    Case {
        name: "a workspace: another algorithm in a module's go.sum keeps the hash out of go.work.sum",
        files: &[WORK, ONE, TWO, ("two/go.sum", "example.com/a v1.0.0 h2:zzz\n")],
        ..WORKSPACE
    },
    Case {
        name: "a workspace: only such hashes leave an empty go.work.sum behind",
        files: &[
            WORK,
            ONE,
            TWO,
            (
                "two/go.sum",
                "example.com/a v1.0.0 h2:zzz\nexample.com/a v1.0.0/go.mod {a@v1.0.0/go.mod}\n\
              example.com/b v1.0.0/go.mod {b@v1.0.0/go.mod}\nexample.com/b v1.1.0/go.mod {b@v1.1.0/go.mod}\n\
              example.com/b v1.1.0 {b@v1.1.0}\nexample.com/c v1.0.0/go.mod {c@v1.0.0/go.mod}\nexample.com/c v1.0.0 {c@v1.0.0}\n",
            ),
        ],
        ..WORKSPACE
    },
];

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
            let (theirs, ours) = (tree(theirs.path()), tree(ours.path()));
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
            assert_eq!(tree(ours.path()), tree(theirs.path()), "{toolchain} {json}");
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
    let case = Case { files: &[GO_MOD, ("go.sum", "\nexample.com/a v1.0.0\n")], ..ONLY_A };
    let dir = world.project(&case);
    let run = world.go("go1.27.3", &case, dir.path());
    let stderr = String::from_utf8_lossy(&run.output.stderr).into_owned();
    assert!(!run.output.status.success() && stderr.contains("go.sum:2: wrong number of fields 2"), "{stderr}");
    let files = SumFiles { main: Some(dir.path().join("go.sum")), workspace: Vec::new() };
    let error = Sums::load(files, off()).unwrap_err();
    assert!(error.detail.contains("go.sum:2: wrong number of fields 2"), "{error}");
}

fn off() -> DatabaseUse {
    DatabaseUse { off: true, ..DatabaseUse::default() }
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

fn module(name: &str) -> ModuleVersion {
    let (path, version) = name.split_once('@').unwrap();
    let path = ModulePath::parse(&format!("example.com/{path}")).unwrap();
    ModuleVersion::new(path, Version::parse(version).unwrap()).unwrap()
}

/// The content of every file, by its name from the directory.
fn tree(dir: &Path) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(at).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                out.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    out
}

/// A module proxy in a directory.
struct World {
    dir: tempfile::TempDir,
    hashes: BTreeMap<String, DirHash>,
}

struct Run {
    output: Output,
    mods: Vec<String>,
    zips: Vec<String>,
}

impl World {
    fn make() -> World {
        let dir = tempfile::tempdir().unwrap();
        let mut hashes = BTreeMap::new();
        for (name, requires) in UNIVERSE {
            let m = module(name);
            let (path, version) = name.split_once('@').unwrap();
            let mut go_mod = format!("module example.com/{path}\n\ngo 1.20\n");
            if let Some((path, version)) = requires.split_once('@') {
                go_mod.push_str(&format!("\nrequire example.com/{path} {version}\n"));
            }
            let zip = create_module_zip(&m, [("go.mod", go_mod.as_bytes()), ("x.go", b"package x\n")]).unwrap();
            hashes.insert((*name).to_owned(), DirHash::of_zip(std::io::Cursor::new(&zip)).unwrap());
            hashes.insert(format!("{name}/go.mod"), DirHash::of_go_mod(go_mod.as_bytes()));
            let at = dir.path().join(format!("proxy/example.com/{path}/@v"));
            fs::create_dir_all(&at).unwrap();
            fs::write(at.join(format!("{version}.mod")), go_mod).unwrap();
            if *requires != "no zip" {
                fs::write(at.join(format!("{version}.zip")), zip).unwrap();
            }
            let info = format!(r#"{{"Version":"{version}","Time":"2024-01-01T00:00:00Z"}}"#);
            fs::write(at.join(format!("{version}.info")), info).unwrap();
            let list = fs::read_to_string(at.join("list")).unwrap_or_default();
            fs::write(at.join("list"), format!("{list}{version}\n")).unwrap();
        }
        World { dir, hashes }
    }

    fn project(&self, case: &Case) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in case.files {
            let mut text = (*text).to_owned();
            for (module, hash) in &self.hashes {
                text = text.replace(&format!("{{{module}}}"), &hash.to_string());
            }
            assert!(!text.contains('{'), "{text}");
            let file = dir.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        dir
    }

    fn go(&self, toolchain: &str, case: &Case, dir: &Path) -> Run {
        let cache = tempfile::tempdir().unwrap();
        self.go_with(toolchain, case, dir, cache.path())
    }

    fn go_with(&self, toolchain: &str, case: &Case, dir: &Path, cache: &Path) -> Run {
        let output = Command::new(goroot(toolchain).join("bin/go"))
            .args(["mod", "download"])
            .args(case.args)
            .current_dir(dir)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", cache)
            .env("GOENV", "off")
            .env("GOTOOLCHAIN", "local")
            .env("GOPROXY", format!("file://{}", self.dir.path().join("proxy").display()))
            .env("GOSUMDB", "off")
            .env("GOFLAGS", format!("-modcacherw {}", case.goflags))
            .env("GOMODCACHE", cache.join("mod"))
            .output()
            .unwrap();
        let (mut mods, mut zips) = (Vec::new(), Vec::new());
        for (name, _) in UNIVERSE {
            let (path, version) = name.split_once('@').unwrap();
            let at = cache.join(format!("mod/cache/download/example.com/{path}/@v/{version}"));
            if at.with_file_name(format!("{version}.mod")).exists() {
                mods.push((*name).to_owned());
            }
            if at.with_file_name(format!("{version}.zip")).exists() {
                zips.push((*name).to_owned());
            }
        }
        Run { output, mods, zips }
    }

    /// Checks, adds and writes as `go mod download` does; gives the message of a mismatch.
    fn drive(&self, case: &Case, dir: &Path) -> Option<String> {
        let workspace = ["one", "two"].map(|m| dir.join(m)).into_iter().filter(|m| m.exists());
        let files = SumFiles {
            main: (!case.main.is_empty()).then(|| dir.join(case.main)),
            workspace: workspace.map(|m| m.join("go.sum")).collect(),
        };
        let sums = Sums::load(files, off()).unwrap();
        let mut keep = Keep::nothing();
        case.graph.iter().for_each(|m| keep.in_graph(&module(m)));
        case.selected.iter().for_each(|m| keep.selected(&module(m)));
        let cache = tempfile::tempdir().unwrap();
        let lock = cache.path().join("cache/lock");
        let check = |names: &[&str], what: Hashed| {
            names.iter().find_map(|name| {
                let hash = match what {
                    Hashed::Zip => self.hashes[*name],
                    Hashed::GoMod => self.hashes[&format!("{name}/go.mod")],
                };
                match sums.check(&module(name), what, &hash, "https://goproxy.example.com") {
                    Verdict::Mismatch(e) => return Some(e.detail),
                    Verdict::NotChecked { why: Exempt::GosumdbOff } => {
                        sums.add(&module(name), what, &hash, "https://goproxy.example.com").unwrap();
                    }
                    Verdict::Verified => {}
                    other => panic!("{other:?}"),
                }
                None
            })
        };
        if let Some(mismatch) = check(case.mods, Hashed::GoMod) {
            return Some(mismatch);
        }
        let before_zips = case.args.is_empty() && case.main != "go.work.sum";
        if before_zips {
            sums.write(&keep, &lock).unwrap();
        }
        if let Some(mismatch) = check(case.zips, Hashed::Zip) {
            return Some(mismatch);
        }
        if !before_zips {
            sums.write(&keep, &lock).unwrap();
        }
        None
    }
}

fn goroot(toolchain: &str) -> PathBuf {
    static KNOWN: OnceLock<BTreeMap<&str, PathBuf>> = OnceLock::new();
    let ask = |name: &'static str| {
        let dir = tempfile::tempdir().unwrap();
        let mut go = Command::new("go");
        go.args(["env", "GOROOT"]).current_dir(&dir).env("GOTOOLCHAIN", name).env_remove("GOROOT");
        let out = go.output().expect("a go on PATH");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        (name, PathBuf::from(String::from_utf8(out.stdout).unwrap().trim()))
    };
    KNOWN.get_or_init(|| TOOLCHAINS.into_iter().map(ask).collect())[toolchain].clone()
}
