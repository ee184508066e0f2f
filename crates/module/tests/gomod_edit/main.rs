//! What is written into go.mod, byte by byte, against the real go command: `go mod edit -fmt`, and `go mod download` of
//! go 1.27.3 and 1.21.13 with a `file://` proxy. These tests need a `go` on PATH that can switch to those two.
//! `PROPTEST_CASES=5000` tries more.

mod files;
mod world;

use files::{Dialect, go_mod};
use goferry_module::gomod::{ResolvedVersions, format, update};
use goferry_module::{GoMod, GoVersion};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use world::World;

const NEW: Dialect = Dialect {
    go_lines: &[
        "1.11", "1.16", "1.17rc1", "1.17", "1.20", "1.21", "1.21rc2", "1.21.0", "1.25.1", "1.27rc1", "1.27", "1.27.1",
    ],
    new_directives: true,
};
const OLD: Dialect = Dialect {
    go_lines: &["1.11", "1.16", "1.17rc1", "1.17", "1.20", "1.21", "1.21rc2", "1.21.0", "1.21.13"],
    new_directives: false,
};

const SAMPLES: &[&[u8]] = &[
    b"",
    b"\n",
    b"// only a comment",
    b"module m",
    b"// head\n\n\n// Deprecated: no\nmodule m // tail\n// foot",
    b"module m\r\n\r\nrequire (\r\n\ta.b/c v1.0.0 // x\r\n\r\n)\r\n",
    b"module \"a b\"\n",
    b"module \"a\\x2eb/c\\u0064\"\n",
    b"module m\n// old \xff\xfe comment\nrequire a.b/c v1.0.0 // \xe9\n",
    b"\xef\xbb\xbfmodule m\n",
    b"module m\nrequire a.b/c v1\nrequire a.b/d v1.2+meta //indirect\nretract v1\n",
    b"module m\nreplace a.b/c => \"./with space\"\nreplace a.b/c => ./other\nreplace a.b/d v1.0 => \"d.e/f\" v1\n",
    b"module m\nrequire ( // open\n a.b/c v1.0.0\n) // close\nrequire () // empty\nexclude (\n)\n",
    b"module m\nrequire (\n a.b/c v1.0.0\n // last\n)\n",
    b"module m\nrequire (\n // c\n\n\n // d\n\n a.b/c v1.0.0\n\n\n a.b/a v1.0.0\n\n)\n",
    b"module m\nretract [ v1.0.0 , v1.1.0 ]\nretract (v1.2.0)\n",
    b"module m\ngo 1.20\nexclude (\n a.b/c v1.10.0\n a.b/c v1.9.0\n a.b/c v1.9.0\n)\n",
    b"module m\ngo 1.21\nexclude (\n a.b/c v1.10.0\n a.b/c v1.9.0\n a.b/c v1.9.0\n)\n",
    b"module m\ngo 1.22rc1\nexclude (\n a.b/c v1.10.0\n a.b/c v1.9.0\n)\n",
    b"module m\nretract (\n v1.0.0\n [v1.0.0, v1.9.0]\n [v1.0.0, v1.10.0]\n v2.0.0\n)\n",
    b"module m\nignore \"a,b\"\nignore \",\"\nignore \"tab\\tand\\u200b\\u00e9\\\"q\\\\\"\nignore (\n b\n a\n a\n)\n",
    b"\tmodule\tm\n  // indented\n  go 1.21  // x\n\n\n\ngo-what\n",
    b"module m //\ngo 1.21 // a // b\ntoolchain default\n",
];

#[test]
fn files_are_formatted_as_by_go_mod_edit() {
    let world = World::make();
    let check = |data: &[u8]| {
        let ours = format("go.mod", data).map_err(|errors| errors.to_string());
        match (ours, world.go_mod_edit_fmt(data)) {
            (Ok(ours), Ok(theirs)) => {
                assert_eq!(text(&ours), text(&theirs), "{}", text(data));
                // Sorting may bring an empty line to the top of a block, where the next run drops it.
                let twice = format("go.mod", &ours).unwrap();
                assert_eq!(text(&format("go.mod", &twice).unwrap()), text(&twice), "not stable");
                assert_eq!(text(&twice), text(&world.go_mod_edit_fmt(&ours).unwrap()), "{}", text(&ours));
            }
            (Err(_), Err(_)) => {}
            (ours, theirs) => panic!("{}\nours: {ours:?}\ntheirs: {theirs:?}", text(data)),
        }
    };
    SAMPLES.iter().for_each(|sample| check(sample));
    run(go_mod(NEW), 150, |data| check(data.as_bytes()));
}

#[test]
fn go_1_27_3_writes_the_same() {
    go_writes_the_same("go1.27.3", NEW);
}

#[test]
fn go_1_21_13_writes_the_same() {
    go_writes_the_same("go1.21.13", OLD);
}

fn go_writes_the_same(toolchain: &str, dialect: Dialect) {
    let world = World::make();
    let local = GoVersion::parse(&toolchain[2..]).unwrap();
    let (mut changed, mut refused) = (0, 0);
    run(go_mod(dialect), 200, |before| {
        let theirs = match world.go_mod_download(toolchain, &before) {
            Ok(theirs) => theirs,
            Err(_) => {
                refused += 1;
                return;
            }
        };
        let graph = world.graph(&before).unwrap_or_else(|error| panic!("go reads what we refuse: {error}\n{before}"));
        let requirements = graph.requirements().unwrap();
        let ours = match requirements.changed {
            true => update("go.mod", before.as_bytes(), requirements, &local, &ResolvedVersions::default()).unwrap(),
            false => before.clone().into_bytes(),
        };
        assert_eq!(text(&ours), theirs, "before:\n{before}\n{requirements:?}");
        if requirements.changed {
            changed += 1;
            let after = GoMod::parse("go.mod", &ours).unwrap();
            assert_eq!(after.requires.len(), requirements.requires.len());
            let again = world.graph(text(&ours).as_str()).unwrap();
            assert!(!again.requirements().unwrap().changed, "{before}\n{}", text(&ours));
        }
    });
    assert!(changed > 50 && refused * 3 < changed, "{changed} changed, {refused} refused");
}

proptest! {
    #[test]
    fn formatting_is_stable_and_says_the_same(before in go_mod(NEW)) {
        let once = format("go.mod", before.as_bytes()).unwrap();
        let twice = format("go.mod", &once).unwrap();
        prop_assert_eq!(text(&twice), text(&format("go.mod", &twice).unwrap()));
        let (mut was, mut is) =
            (GoMod::parse("go.mod", before.as_bytes()).unwrap(), GoMod::parse("go.mod", &once).unwrap());
        for says in [&mut was, &mut is] {
            says.requires.sort_by_key(|line| (line.path.clone(), line.version.clone(), line.indirect));
            says.requires.iter_mut().for_each(|line| line.line = 0);
        }
        prop_assert_eq!(was.requires, is.requires);
        prop_assert_eq!(was.go.map(|line| line.version), is.go.map(|line| line.version));
    }

    #[test]
    fn no_file_makes_it_panic(data in prop::collection::vec(any::<u8>(), 0..80), text in "(require|module|go|[(),\\[\\]/ \\n\"a.v1]){0,60}") {
        for data in [&data[..], text.as_bytes()] {
            if let Ok(once) = format("go.mod", data) {
                let twice = format("go.mod", &once).unwrap();
                prop_assert_eq!(format("go.mod", &twice).unwrap(), twice);
            }
        }
    }
}

fn run(strategy: impl Strategy<Value = String>, cases: u32, mut check: impl FnMut(String)) {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(cases);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    for _ in 0..cases {
        let value = strategy.new_tree(&mut runner).unwrap().current();
        check(value);
    }
}

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}
