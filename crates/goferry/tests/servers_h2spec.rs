//! `goferry serve` with TLS against h2spec, which plays a client that goes to the limits of RFC 9113 and RFC 7541, and
//! beyond. docs/operations.md tells how that went.
//!
//! `cargo xtask provision` installs it, or `GOFERRY_H2SPEC` names one.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use goferry_lab::made;
use goferry_lab::serve::ServeProcess;
use goferry_lab::universe::noise;
use tempfile::TempDir;

const INSTALL: &str =
    "GOBIN=$PWD/target/goferry-h2spec go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible";
/// How many cases there are: with h2spec 2.2.1, and with 2.6.0.
const CASES: [usize; 2] = [145, 146];
/// And with `--strict`.
const STRICT_CASES: [usize; 2] = [146, 147];
/// Cases that goferry does not pass, with `PACKAGE: CASE` as h2spec names them.
const EXCEPTIONS: [&str; 0] = [];
/// How large the file is whose content stays under way: more than a client's first window.
const LARGE: usize = 1 << 20;

#[test]
fn every_case_is_passed() {
    let program = h2spec();
    let folder = TempDir::with_prefix("goferry-h2spec-").unwrap();
    publish(&folder.path().join("store"));
    let served = serve(folder.path());
    let port = served.authority().rsplit_once(':').unwrap().1.to_owned();
    // A small answer, a large one, one that is an error: streams end soon, late, and with another status.
    for path in ["/example.com/m/@v/v1.0.0.mod", "/example.com/m/@v/v1.0.0.zip", "/nothing"] {
        for (strict, cases) in [(false, CASES), (true, STRICT_CASES)] {
            let report = folder.path().join("report.xml");
            let mut command = Command::new(&program);
            command.args(["-t", "-k", "-h", "127.0.0.1", "-p", &port, "-P", path]).arg("-j").arg(&report);
            command.args(strict.then_some("--strict")).stdin(Stdio::null());
            let output = command.output().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
            let said = String::from_utf8_lossy(&output.stdout);
            let report = fs::read_to_string(&report).unwrap_or_else(|error| panic!("h2spec: {error}:\n{said}"));
            let (passed, others) = read(&report);
            assert_eq!(others, EXCEPTIONS, "{path}, strict: {strict}:\n{said}");
            assert!(cases.contains(&(passed + others.len())), "{path}, strict: {strict}: {passed} passed:\n{said}");
        }
    }
}

/// How many cases were passed, and the names of the others: failed ones, and those that had nothing to test.
fn read(report: &str) -> (usize, Vec<String>) {
    let mut passed = 0;
    let mut others = Vec::new();
    for case in report.lines().filter_map(|line| line.trim().strip_prefix("<testcase ")) {
        if case.ends_with("\"></testcase>") {
            passed += 1;
        } else {
            let words: Vec<&str> = case.split('"').collect();
            let word = |at: usize| words.get(at).copied().unwrap_or_default();
            others.push(format!("{}: {}", word(1), word(3)));
        }
    }
    (passed, others)
}

#[test]
fn what_is_not_passed_is_found_in_a_report() {
    let report = r#"<testsuites>
  <testsuite name="3.1. DATA" package="generic/3.1" id="3.1" tests="3" skipped="1" failures="0" errors="1">
    <testcase package="generic/3.1" classname="Sends a DATA frame" time="0.0303"></testcase>
    <testcase package="generic/3.1" classname="Sends multiple DATA frames" time="2.0001">
      <failure>Timeout</failure>
    </testcase>
    <testcase package="generic/3.1" classname="Sends padding" time="0.0285"><skipped></skipped></testcase>
  </testsuite>
</testsuites>"#;
    let others = ["generic/3.1: Sends multiple DATA frames", "generic/3.1: Sends padding"].map(str::to_owned);
    assert_eq!(read(report), (1, others.to_vec()));
}

fn serve(folder: &Path) -> ServeProcess {
    let mut command = Command::new(env!("CARGO_BIN_EXE_goferry"));
    command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default()).current_dir(folder);
    command.env("HOME", folder).env("GOENV", "off").env("GOPROXY", "off").env("GOSUMDB", "off");
    command.args(["serve", "--listen", "127.0.0.1:0", "--store", "store", "--frozen", "--tls-self-signed"]);
    ServeProcess::start(&mut command, &folder.join("log")).unwrap()
}

/// Puts `example.com/m@v1.0.0` into a store.
fn publish(store: &Path) {
    let module = made::module("example.com/m@v1.0.0");
    let go_mod = made::go_mod(&module, "1.21", None);
    made::Made::new(module, go_mod, &[("noise.bin", &noise(LARGE, 1))]).store(store).unwrap();
}

/// Where h2spec is: `GOFERRY_H2SPEC`, PATH, or where `cargo xtask provision` puts it, below the target folder of this build.
fn h2spec() -> PathBuf {
    let told = env::var_os("GOFERRY_H2SPEC").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join("h2spec"));
    let binary = Path::new(env!("CARGO_BIN_EXE_goferry"));
    let built = binary.ancestors().map(|folder| folder.join("goferry-h2spec/h2spec"));
    let mut places = told.into_iter().chain(found).chain(built);
    places.find(|file| file.is_file()).unwrap_or_else(|| {
        panic!("h2spec is not installed: `cargo xtask provision`, or {INSTALL}, or name it in GOFERRY_H2SPEC")
    })
}
