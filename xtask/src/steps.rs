//! `cargo xtask test`: the steps, in an order in which the cheap and telling ones come first.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::check;
use crate::oracle;
use crate::provision::{self, Provided};
use crate::say::say;
use crate::scratch;
use crate::workspace::{self, TestTarget, Workspace, shown};

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// What the tests need beyond Rust and Go.
    Provision,
    /// rustfmt.
    Fmt,
    /// clippy, where a warning is an error.
    Clippy,
    /// All tests, compiled.
    Build,
    /// Unit, property and snapshot tests, and every integration test that is not in the next two.
    Unit,
    /// Tests against servers that nobody here wrote.
    Servers,
    /// The real go command, and the diagnosis, through every fault of the lab.
    Faults,
    /// The cache of `goferry download` against that of the real go command, for a few small projects.
    Oracle,
    /// rustdoc, where a warning is an error, and the examples in it.
    Docs,
    /// What [`check`] looks at.
    Check,
    /// cargo-deny, where it is installed.
    Deny,
}

const ALL: [(Step, &str); 11] = [
    (Step::Provision, "provision"),
    (Step::Fmt, "fmt"),
    (Step::Clippy, "clippy"),
    (Step::Check, "check"),
    (Step::Build, "build"),
    (Step::Unit, "unit"),
    (Step::Docs, "docs"),
    (Step::Servers, "servers"),
    (Step::Faults, "faults"),
    (Step::Oracle, "oracle"),
    (Step::Deny, "deny"),
];

impl Step {
    /// The step of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        ALL.iter().find(|known| known.1 == name).map(|known| known.0)
    }

    fn name(self) -> &'static str {
        ALL.iter().find(|known| known.0 == self).map_or("", |known| known.1)
    }

    /// Whether it runs programs that [`provision`] sees to.
    fn needs_parts(self) -> bool {
        matches!(self, Self::Unit | Self::Servers | Self::Faults | Self::Oracle)
    }
}

/// How a step ended.
enum Ended {
    Passed,
    Failed(String),
    /// It has nothing to do here; why.
    Skipped(&'static str),
}

/// Runs the steps, all of them where none is named, and says how each ended. Whether none failed.
pub(crate) fn run(workspace: &Workspace, wanted: &[Step], fail_fast: bool) -> bool {
    let start = Instant::now();
    let mut wanted: Vec<Step> =
        ALL.map(|known| known.0).into_iter().filter(|step| wanted.is_empty() || wanted.contains(step)).collect();
    if wanted.iter().any(|step| step.needs_parts()) && !wanted.contains(&Step::Provision) {
        wanted.insert(0, Step::Provision);
    }
    let mut provided = Provided::default();
    let mut done: Vec<(Step, Duration, Ended)> = Vec::new();
    for step in wanted {
        say!("\n==> {}", step.name());
        let begun = Instant::now();
        let ended = one(step, workspace, &mut provided);
        let took = begun.elapsed();
        say!("{}", line(step, took, &ended));
        let stop = match (&ended, step) {
            (Ended::Failed(_), Step::Provision) => true,
            (Ended::Failed(_), _) => fail_fast,
            _ => false,
        };
        done.push((step, took, ended));
        if stop {
            break;
        }
    }
    say!("\n==> summary ({})", time(start.elapsed()));
    for (step, took, ended) in &done {
        say!("{}", line(*step, *took, ended));
    }
    let failed = done.iter().filter(|step| matches!(step.2, Ended::Failed(_))).count();
    say!(
        "{}",
        if failed == 0 { "all steps passed".to_owned() } else { format!("{failed} of {} steps failed", done.len()) }
    );
    failed == 0
}

fn line(step: Step, took: Duration, ended: &Ended) -> String {
    let (word, why) = match ended {
        Ended::Passed => ("passed", ""),
        Ended::Failed(why) => ("FAILED", why.as_str()),
        Ended::Skipped(why) => ("skipped", *why),
    };
    let text = format!("    {:10} {word:8} {:>8}  {why}", step.name(), time(took));
    text.trim_end().to_owned()
}

fn time(took: Duration) -> String {
    let seconds = took.as_secs();
    if seconds < 60 {
        format!("{:.1} s", took.as_secs_f64())
    } else {
        format!("{} m {:02} s", seconds / 60, seconds % 60)
    }
}

fn one(step: Step, workspace: &Workspace, provided: &mut Provided) -> Ended {
    let cargo = || {
        let mut command = workspace::cargo();
        command.current_dir(&workspace.root).stdin(Stdio::null());
        command
    };
    let mut command = cargo();
    match step {
        Step::Provision => {
            return match provision::run(workspace) {
                Ok(parts) => {
                    *provided = parts;
                    Ended::Passed
                }
                Err(error) => Ended::Failed(error.to_string()),
            };
        }
        Step::Check => {
            return match check::run(workspace) {
                Ok(()) => Ended::Passed,
                Err(error) => Ended::Failed(error.to_string()),
            };
        }
        Step::Oracle => {
            let small = oracle::Options { small: true, ..oracle::Options::default() };
            return match oracle::run(workspace, &small) {
                Ok(()) => Ended::Passed,
                Err(error) => Ended::Failed(error.to_string()),
            };
        }
        Step::Fmt => command.args(["fmt", "--all", "--check", "--", "-l"]),
        Step::Clippy => {
            command.args(["clippy", "--workspace", "--all-targets", "--locked", "--keep-going", "--", "-D", "warnings"])
        }
        Step::Build => command.args(["test", "--workspace", "--locked", "--no-run"]),
        Step::Unit => {
            let tests = named(workspace, |test| !is_servers(test) && !is_faults(test));
            command.args(["test", "--workspace", "--locked", "--no-fail-fast", "--lib", "--bins"]).args(tests)
        }
        Step::Servers | Step::Faults => {
            let tests = named(workspace, if step == Step::Servers { is_servers } else { is_faults });
            if tests.is_empty() {
                return Ended::Failed("no test binary has such a name".to_owned());
            }
            command.args(["test", "--workspace", "--locked", "--no-fail-fast"]).args(tests)
        }
        Step::Docs => {
            let mut rustdoc = cargo();
            rustdoc.args(["doc", "--workspace", "--locked", "--no-deps", "--keep-going", "--document-private-items"]);
            if let Ended::Failed(why) = status(rustdoc.env("RUSTDOCFLAGS", "-D warnings")) {
                return Ended::Failed(why);
            }
            command.args(["test", "--workspace", "--locked", "--doc", "--no-fail-fast"])
        }
        Step::Deny => {
            let asked = cargo().args(["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
            if !asked.is_ok_and(|status| status.success()) {
                return Ended::Skipped("cargo-deny is not installed (cargo install cargo-deny --locked)");
            }
            // Advisories are in a database of their own, which takes a network.
            command.args(["deny", "--workspace", "check", "bans", "licenses", "sources"])
        }
    };
    if let Some(envoy) = &provided.envoy {
        command.env("GOFERRY_ENVOY", envoy);
    }
    if let Some(h2spec) = &provided.h2spec {
        command.env("GOFERRY_H2SPEC", h2spec);
    }
    let runs_tests = matches!(step, Step::Unit | Step::Servers | Step::Faults);
    let folder = runs_tests.then(scratch::in_memory).flatten();
    if let Some(folder) = &folder {
        command.env("TMPDIR", folder.path());
    }
    // A snapshot that differs is a failure, never a file to look at later.
    command.env("INSTA_UPDATE", "no");
    status(&mut command)
}

fn status(command: &mut Command) -> Ended {
    say!("    {}", shown(command));
    match command.status() {
        Ok(status) if status.success() => Ended::Passed,
        Ok(status) => Ended::Failed(status.to_string()),
        Err(error) => Ended::Failed(format!("cannot run it: {error}")),
    }
}

/// Tests against programs that are installed here have it in their names.
fn is_servers(test: &TestTarget) -> bool {
    test.name.starts_with("servers") || test.name.ends_with("_real")
}

fn is_faults(test: &TestTarget) -> bool {
    test.name.starts_with("faults")
}

/// `--test NAME` for each test binary that is wanted.
fn named(workspace: &Workspace, wanted: impl Fn(&TestTarget) -> bool) -> Vec<String> {
    let mut names: Vec<&str> =
        workspace.tests.iter().filter(|test| wanted(test)).map(|test| test.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().flat_map(|name| ["--test".to_owned(), name.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_found_by_its_name() {
        for (step, name) in ALL {
            assert_eq!(Step::parse(name), Some(step));
            assert_eq!(step.name(), name);
        }
        assert_eq!(Step::parse("everything"), None);
    }

    #[test]
    fn every_test_binary_belongs_to_exactly_one_step() {
        for (name, servers, faults) in [
            ("link", false, false),
            ("servers_nginx", true, false),
            ("remedies_real", true, false),
            ("faults_go", false, true),
        ] {
            let test = TestTarget { package: "goferry-lab".to_owned(), name: name.to_owned() };
            assert_eq!((is_servers(&test), is_faults(&test)), (servers, faults), "{name}");
        }
    }

    #[test]
    fn a_step_is_one_line() {
        let failed = Ended::Failed("exit status: 1".to_owned());
        assert_eq!(
            line(Step::Fmt, Duration::from_millis(340), &failed),
            "    fmt        FAILED      0.3 s  exit status: 1"
        );
        assert_eq!(line(Step::Unit, Duration::from_secs(125), &Ended::Passed), "    unit       passed   2 m 05 s");
    }
}
