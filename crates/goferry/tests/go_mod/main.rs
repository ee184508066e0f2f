//! What `goferry download` leaves in go.mod and go.sum, byte by byte, against `go mod download` of go 1.27.3 and 1.21.13
//! with a `file://` proxy. These tests need a `go` on PATH that can switch to those two.

mod world;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use goferry_lab::folder::texts;

use world::{TOOLCHAINS, World};

/// Files of the project, and the arguments of each run; `""` stands for none.
struct Case {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    runs: &'static [&'static str],
    goflags: &'static str,
}

const fn case(
    name: &'static str,
    go_mod: &'static [(&'static str, &'static str)],
    runs: &'static [&'static str],
) -> Case {
    Case { name, files: go_mod, runs, goflags: "" }
}

const ALL_RUNS: &[&str] = &["", "all", "example.com/a", "example.com/a@v1.0.0", "example.com/c@v1.1.0 example.com/b"];

const CASES: &[Case] = &[
    case("no go line", &[("go.mod", "module m\n\n// why\nrequire example.com/a v1.0.0 // note\n")], ALL_RUNS),
    case(
        "no go line, and the build list is not all that is read",
        &[("go.mod", "module m\nrequire example.com/a v1.0.0\nrequire example.com/b v1.1.0 // indirect; x\n")],
        ALL_RUNS,
    ),
    case(
        "no go line, a toolchain line",
        &[("go.mod", "module m\ntoolchain go1.21.1\nrequire example.com/c v1.0.0\n")],
        ALL_RUNS,
    ),
    case("no go line, nothing required", &[("go.mod", "module m\n")], &["", "all", "example.com/a@v1.0.0"]),
    case(
        "no go line, all that is required is excluded",
        &[("go.mod", "module m\nrequire example.com/a v1.0.0\nexclude example.com/a v1.0.0\n")],
        &["", "all", "example.com/c@v1.0.0"],
    ),
    case(
        "a require twice",
        &[(
            "go.mod",
            "module m\n\ngo 1.20\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/a v1.1.0\n\texample.com/b v1.1.0 // indirect\n)\n",
        )],
        ALL_RUNS,
    ),
    case(
        "a require twice, go 1.16",
        &[("go.mod", "module m\n\ngo 1.16\n\nrequire (\n\texample.com/a v1.0.0\n\n\texample.com/a v1.1.0 // x\n)\n")],
        ALL_RUNS,
    ),
    case(
        "the same require twice",
        &[("go.mod", "module m\ngo 1.20\nrequire example.com/c v1.0.0\nrequire example.com/c v1.0.0 // indirect\n")],
        ALL_RUNS,
    ),
    case(
        "the same require twice among others",
        &[(
            "go.mod",
            "module m\ngo 1.20\nrequire example.com/b v1.0.0 // indirect\nrequire example.com/b v1.0.0\nrequire example.com/a v1.1.0\n",
        )],
        ALL_RUNS,
    ),
    case(
        "the same require twice, go 1.16",
        &[("go.mod", "module m\ngo 1.16\nrequire example.com/a v1.0.0\nrequire example.com/a v1.0.0 // indirect\n")],
        ALL_RUNS,
    ),
    case(
        "the main module requires itself, go 1.16",
        &[(
            "go.mod",
            "module example.com/b\n\ngo 1.16\n\nrequire example.com/a v1.0.0\nrequire example.com/b v1.0.0\n",
        )],
        ALL_RUNS,
    ),
    case(
        "the main module requires itself, and more",
        &[(
            "go.mod",
            "module example.com/c\n\ngo 1.20\n\nrequire example.com/b v1.0.0\nrequire example.com/c v1.0.0\nrequire example.com/d v1.0.0\n",
        )],
        ALL_RUNS,
    ),
    case(
        "a require below what the graph selects",
        &[(
            "go.mod",
            "module m\n\ngo 1.20\n\nrequire (\n\texample.com/a v1.1.0\n\texample.com/b v1.0.0 // indirect\n)\n",
        )],
        ALL_RUNS,
    ),
    case(
        "the same with comments, CRLF and odd style",
        &[(
            "go.mod",
            "// head\r\nmodule   \"m\"\r\ngo 1.20\r\n\r\n// one\r\nrequire (\r\n\r\n  // a\r\n  example.com/a v1.1.0 // b\r\n  // c\r\n)\r\nrequire (example.com/d v1.0.0)\r\nrequire example.com/b v1.0.0 //indirect\r\n",
        )],
        &["example.com/a@v1.0.0"],
    ),
    case(
        "an excluded require",
        &[(
            "go.mod",
            "module m\n\ngo 1.20\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/c v1.0.0\n)\n\nexclude example.com/c v1.0.0\n",
        )],
        &["", "all", "example.com/a", "example.com/a@v1.0.0", "example.com/c", "example.com/c@v1.0.0"],
    ),
    case(
        "the main module requires itself",
        &[(
            "go.mod",
            "module example.com/c\n\ngo 1.20\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/c v1.0.0\n)\n",
        )],
        ALL_RUNS,
    ),
    case(
        "a toolchain line that says nothing",
        &[("go.mod", "module m\ngo 1.21.3\ntoolchain go1.21.3\nrequire example.com/c v1.0.0\n")],
        ALL_RUNS,
    ),
    case(
        "toolchain default",
        &[("go.mod", "module m\ngo 1.20\ntoolchain default\nrequire example.com/c v1.0.0\n")],
        ALL_RUNS,
    ),
    case(
        "a module of a newer go",
        &[("go.mod", "module m\n\ngo 1.20\n\nrequire example.com/n v1.0.0\n")],
        &["", "all", "example.com/n", "example.com/n@v1.0.0"],
    ),
    case("go 1.17rc1", &[("go.mod", "module m\n\ngo 1.17rc1\n\nrequire example.com/a v1.0.0\n")], ALL_RUNS),
    case(
        "nothing to change, bad style",
        &[("go.mod", "module \"m\"\n\n\ngo  1.20\nrequire (\n\n example.com/c   v1.0.0\n)")],
        ALL_RUNS,
    ),
    case(
        "replaced modules",
        &[
            (
                "go.mod",
                "module m\nrequire example.com/a v1.0.0\nreplace example.com/a => example.com/a v1.1.0\nreplace example.com/c => ./c\n",
            ),
            ("c/go.mod", "module example.com/c\n\ngo 1.20\n"),
        ],
        &["", "all", "example.com/a", "example.com/c@v1.1.0"],
    ),
    case(
        "a version prefix",
        &[(
            "go.mod",
            "module m\n\ngo 1.20\n\nrequire example.com/a v1 // short\nrequire example.com/c v1.0 // indirect\n",
        )],
        ALL_RUNS,
    ),
    case("a branch", &[("go.mod", "module m\n\ngo 1.20\n\nrequire example.com/c main\n")], ALL_RUNS),
    case("build metadata", &[("go.mod", "module m\n\ngo 1.20\n\nrequire example.com/c v1.0.0+meta\n")], ALL_RUNS),
    case(
        "a branch that is not there",
        &[("go.mod", "module m\n\ngo 1.20\n\nrequire example.com/c nowhere\n")],
        ALL_RUNS,
    ),
    case(
        "versions to resolve in other lines",
        &[(
            "go.mod",
            "module m\n\ngo 1.20\n\nrequire example.com/c v1.0.0\nexclude example.com/a v1.0\nexclude example.com/b latest\nreplace example.com/c v1.1 => example.com/c main\n",
        )],
        ALL_RUNS,
    ),
    case(
        "latest, which is retracted and excluded",
        &[("go.mod", "module m\n\ngo 1.20\n\nrequire example.com/r latest\nexclude example.com/r v1.0.1\n")],
        &["", "example.com/c@v1.0.0"],
    ),
    case(
        "the same, not excluded",
        &[("go.mod", "module m\n\ngo 1.20\n\nrequire example.com/r latest\n")],
        &["", "example.com/c@v1.0.0"],
    ),
    case(
        "one module has no zip",
        &[("go.mod", "module m\n\nrequire (\n\texample.com/c v1.0.0\n\texample.com/z v1.0.0\n)\n")],
        &["", "all", "-json", "-json all", "example.com/z", "-json example.com/z example.com/c"],
    ),
    case(
        "a module that is not there",
        &[("go.mod", "module m\n\nrequire example.com/nowhere v1.0.0\n")],
        &["", "example.com/c@v1.0.0"],
    ),
    Case {
        name: "-modfile",
        files: &[("go.mod", "module m\n"), ("alt.mod", "module m\nrequire example.com/a v1.0.0\n")],
        runs: ALL_RUNS,
        goflags: "-modfile=alt.mod",
    },
    Case {
        name: "-mod=readonly means nothing here",
        files: &[("go.mod", "module m\nrequire example.com/a v1.0.0\n")],
        runs: &["", "all"],
        goflags: "-mod=readonly",
    },
    case(
        "a workspace",
        &[
            ("go.work", "go 1.20\n\nuse ./one\nuse ./two\n"),
            // go 1.21 takes v1 for v1.0.0 in a workspace, and only there.
            ("one/go.mod", "module one\n\nrequire example.com/a v1.1\n"),
            ("two/go.mod", "module two\n\ngo 1.20\n\nrequire (\n\texample.com/b v1.0.0\n\texample.com/b v1.1.0\n)\n"),
        ],
        &["", "all", "example.com/a@v1.0.0"],
    ),
];

#[test]
fn go_mod_and_go_sum_are_what_the_go_command_leaves() {
    let world = World::make();
    let mut wrong = Vec::new();
    for case in CASES {
        for toolchain in TOOLCHAINS {
            for run in case.runs {
                let (theirs, ours) = (world.project(case.files), world.project(case.files));
                let go = world.go(toolchain, case.goflags, run, theirs.path());
                let goferry = world.goferry(toolchain, case.goflags, run, ours.path());
                let name = format!("{} ({toolchain} {run:?})", case.name);
                let said = format!("go: {}\ngoferry: {}", stderr(&go), stderr(&goferry));
                if go.status.success() != goferry.status.success() {
                    wrong.push(format!("{name}: one fails\n{said}"));
                }
                let (theirs, ours) = (texts(theirs.path()), texts(ours.path()));
                for file in theirs.keys().chain(ours.keys().filter(|file| !theirs.contains_key(*file))) {
                    let (theirs, ours) = (theirs.get(file), ours.get(file));
                    if theirs != ours {
                        let [theirs, ours] = [theirs, ours].map(|text| text.map_or("no file", |text| text));
                        wrong.push(format!("{name}: {file}\n--- go\n{theirs}--- goferry\n{ours}{said}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n\n"));
}

const NO_GO_LINE: &[(&str, &str)] = &[("go.mod", "module m\nrequire example.com/a v1.0.0\n")];

#[test]
fn mode_and_links_stay() {
    let world = World::make();
    for mode in [0o640, 0o666] {
        let dir = world.project(&[]);
        fs::create_dir(dir.path().join("real")).unwrap();
        let (link, real) = (dir.path().join("go.mod"), dir.path().join("real/other.mod"));
        fs::write(&real, NO_GO_LINE[0].1).unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(mode)).unwrap();
        std::os::unix::fs::symlink("real/other.mod", &link).unwrap();
        let ran = world.goferry(TOOLCHAINS[0], "", "", dir.path());
        assert!(ran.status.success(), "{}", stderr(&ran));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().mode() & 0o777, mode);
        assert!(fs::read_to_string(&real).unwrap().contains("go 1.27.3"));
        assert_eq!(fs::read_dir(dir.path().join("real")).unwrap().count(), 1, "something is left behind");
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let world = World::make();
    let dir = world.project(NO_GO_LINE);
    let ran = world.goferry(TOOLCHAINS[0], "", "--dry-run", dir.path());
    assert!(ran.status.success(), "{}", stderr(&ran));
    assert_eq!(texts(dir.path())["go.mod"], NO_GO_LINE[0].1);
}

#[test]
fn a_second_run_changes_nothing_and_asks_for_nothing() {
    let world = World::make();
    for toolchain in TOOLCHAINS {
        let dir = world.project(NO_GO_LINE);
        assert!(world.goferry(toolchain, "", "all", dir.path()).status.success());
        let before = (texts(dir.path()), fs::metadata(dir.path().join("go.mod")).unwrap().ino());
        let again = world.goferry(toolchain, "", "all", dir.path());
        assert!(again.status.success(), "{}", stderr(&again));
        assert_eq!((texts(dir.path()), fs::metadata(dir.path().join("go.mod")).unwrap().ino()), before);
        let go = world.go(toolchain, "-mod=readonly", "all", dir.path());
        assert!(go.status.success(), "{}", stderr(&go));
        assert_eq!(texts(dir.path()), before.0);
    }
}

#[test]
fn a_go_mod_that_cannot_be_written_is_said() {
    let world = World::make();
    let dir = world.project(NO_GO_LINE);
    let file = dir.path().join("go.mod");
    // Root may write whatever the mode says: a device that takes nothing instead.
    let target = "/dev/full";
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(target, &file).unwrap();
    let ran = world.goferry(TOOLCHAINS[0], "", "", dir.path());
    assert!(!ran.status.success());
    assert!(stderr(&ran).contains("go.mod"), "{}", stderr(&ran));
}

#[test]
fn a_version_without_an_answer_says_what_to_do() {
    let world = World::make();
    let dir = world.project(&[("go.mod", "module m\n\ngo 1.20\n\nrequire example.com/c nowhere\n")]);
    let ran = world.goferry(TOOLCHAINS[0], "", "", dir.path());
    assert!(!ran.status.success());
    let said = stderr(&ran);
    assert!(said.contains("go.mod: example.com/c@nowhere") && said.contains("go get example.com/c@latest"), "{said}");
}

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
