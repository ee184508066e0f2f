//! What a developer of goferry runs: all tests, the checks that no test does, the evidence tables, the figures.
//!
//! `cargo xtask` prints what there is.
#![forbid(unsafe_code)]

mod bench;
mod check;
mod client;
mod evidence;
mod measure;
mod oracle;
mod provision;
mod say;
mod scratch;
mod served;
mod steps;
mod upstream;
mod workspace;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bench::{BenchError, download, serve};
use oracle::{Options, OracleError};
use say::say;
use steps::Step;
use workspace::Workspace;

const USAGE: &str = "\
usage:
  cargo xtask test [--fail-fast] [STEP…]   everything, or some steps:
                                           provision fmt clippy build unit servers faults oracle docs check deny
  cargo xtask check                        no orphans, no dead links, no stray files
  cargo xtask evidence [NAME…] [--out DIR] docs/evidence: prediction faults servers download-faults serve-faults (root)
  cargo xtask oracle [--small] [--binary FILE | --with-go VERSION] [--place DIR] [PROJECT…]
                                           the cache of goferry download against that of the real go command;
                                           VERSION (go1.21.13, or same): a go command in goferry's place
  cargo xtask bench download [--quick | --runs N] [--long-once] [--only go|goferry] [--binary FILE]
                             [--tmpfs DIR] [--disk DIR] [--out DIR] [[--rows] WORD[,WORD…]]…
                                           docs/evidence/download.md: go, goferry and the limit (root);
                                           with rows, such as synthetic,50ms,0%,cubic: printed only
  cargo xtask bench serve [--quick | --runs N] [--long-once] [--update] [--binary FILE] [--goproxy FILE]
                          [--tmpfs DIR] [--disk DIR] [--out DIR] [[--rows] WORD[,WORD…]]…
                                           docs/evidence/serve.md: the go command behind goferry and others,
                                           goferry beside nginx under load (root); rows such as go,tree,50ms,0%
  cargo xtask measure [--binary FILE]      size, start, memory and time of the release binary (root)
  cargo xtask provision                    what the tests need beyond Rust and Go
";

/// Ends with 0 where all went well, 1 where something failed, 2 for wrong arguments.
fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some((command, rest)) = arguments.split_first() else {
        say!("{USAGE}");
        return ExitCode::from(2);
    };
    let workspace = match Workspace::find() {
        Ok(workspace) => workspace,
        Err(error) => return failed(&error),
    };
    match command.as_str() {
        "test" => test(&workspace, rest),
        "check" if rest.is_empty() => outcome(check::run(&workspace)),
        "provision" if rest.is_empty() => outcome(provision::run(&workspace).map(drop)),
        "measure" => match rest {
            [] => outcome(measure::run(&workspace, None)),
            [option, binary] if option == "--binary" => outcome(measure::run(&workspace, Some(Path::new(binary)))),
            _ => {
                say!("xtask: error: measure takes --binary FILE and nothing else");
                ExitCode::from(2)
            }
        },
        "oracle" => compare(&workspace, rest),
        "bench" if rest.first().is_some_and(|what| what == "download") => {
            measured(download::Options::parse(&rest[1..]).and_then(|options| download::run(&workspace, &options)))
        }
        "bench" if rest.first().is_some_and(|what| what == "serve") => {
            measured(serve::Options::parse(&rest[1..]).and_then(|options| serve::run(&workspace, &options)))
        }
        "evidence" => gather(&workspace, rest),
        "help" | "--help" | "-h" => {
            say!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            say!("xtask: error: unknown: {}\n\n{USAGE}", arguments.join(" "));
            ExitCode::from(2)
        }
    }
}

fn test(workspace: &Workspace, arguments: &[String]) -> ExitCode {
    let mut fail_fast = false;
    let mut wanted = Vec::new();
    for argument in arguments {
        match (argument.as_str(), Step::parse(argument)) {
            ("--fail-fast", _) => fail_fast = true,
            (_, Some(step)) => wanted.push(step),
            (_, None) => {
                say!("xtask: error: there is no step {argument:?}\n\n{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    if steps::run(workspace, &wanted, fail_fast) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn compare(workspace: &Workspace, arguments: &[String]) -> ExitCode {
    match Options::parse(arguments).and_then(|options| oracle::run(workspace, &options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ OracleError::Usage(_)) => {
            failed(&error);
            ExitCode::from(2)
        }
        Err(error) => failed(&error),
    }
}

fn measured(result: Result<(), BenchError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ BenchError::Usage(_)) => {
            failed(&error);
            ExitCode::from(2)
        }
        Err(error) => failed(&error),
    }
}

fn gather(workspace: &Workspace, arguments: &[String]) -> ExitCode {
    let mut out = workspace.root.join("docs/evidence");
    let mut names = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--out" => match arguments.next() {
                Some(folder) => out = PathBuf::from(folder),
                None => {
                    say!("xtask: error: --out needs a folder");
                    return ExitCode::from(2);
                }
            },
            name => names.push(name.to_owned()),
        }
    }
    if let Some(unknown) = names.iter().find(|name| !evidence::NAMES.contains(&name.as_str())) {
        let known = evidence::NAMES.join(", ");
        say!("xtask: error: there is no evidence {unknown:?}; there is: {known}");
        return ExitCode::from(2);
    }
    outcome(evidence::run(&names, &out))
}

fn outcome<E: std::fmt::Display>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    say!("xtask: error: {error}");
    ExitCode::FAILURE
}
