//! What the arguments of `go mod download` mean: the real go command, 1.27.3 and 1.21.13, against `goferry_fetch::query`,
//! both reading the same made-up module proxies from disk. These tests need a `go` on PATH.

mod cases;
mod go;
mod universe;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use goferry_fetch::query::{Argument, Context, Project, Resolution, Source, parse_arguments, resolve};
use goferry_module::{GoMod, GoWork};

use crate::cases::{FILES, OLD_DIFFERS, PLACES, Place};
use crate::universe::{Double, Universe, selected};

/// Kinds of failure, by a part of the message: the go command's and goferry's.
const KINDS: &[(&str, &[&str])] = &[
    (
        "usage",
        &["go: cannot match ", "never use backslash", "go: cannot use relative path", "go: invalid module version"],
    ),
    ("no match", &["no matching versions for query"]),
    ("ambiguous", &["ambiguous semantic version"]),
    ("range", &[" in range "]),
    ("version string", &["disallowed version string"]),
    ("path", &["malformed module path"]),
    ("standard library", &["standard-library module", "the standard library has no versions"]),
    ("toolchain", &["operation on toolchain module", "golang.org/toolchain", "the Go toolchain is not a module"]),
    ("retracted", &["retracted by module author"]),
    ("no base", &["no existing version is required", "starts from the version that is required, and none is"]),
    ("unknown", &["not a known dependency"]),
    ("other version", &["instead of requested version", "something else than was asked for"]),
    ("not json", &["invalid response from proxy", "invalid .info file"]),
    ("major", &["should be v"]),
    ("no version", &["must be of the form v1.2.3", "unexpected invalid semantic version"]),
    ("not found", &["o such file or directory", "has no versions"]),
];

pub(crate) fn kind(message: &str) -> String {
    let found = KINDS.iter().find(|(_, parts)| parts.iter().any(|part| message.contains(part)));
    found.map_or_else(|| format!("!{message}"), |(kind, _)| format!("!{kind}"))
}

#[test]
fn arguments_mean_what_they_mean_to_the_go_command() {
    let universe = Universe::make();
    let all: Vec<(&Place, &str, &str)> = PLACES
        .iter()
        .flat_map(|place| place.cases.iter().map(move |(argument, want)| (place, *argument, *want)))
        .collect();
    assert!(all.len() > 120);
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = all
            .chunks(all.len().div_ceil(2))
            .map(|part| scope.spawn(|| part.iter().flat_map(|case| check(&universe, case)).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is not as it should be about a case.
fn check(universe: &Universe, (place, argument, want): &(&Place, &str, &str)) -> Vec<String> {
    let wanted = expected(argument, want);
    let mut wrong = Vec::new();
    for toolchain in go::TOOLCHAINS {
        let dir = directory(place);
        let theirs = go::download(toolchain, universe, place, argument, dir.path());
        let differs = OLD_DIFFERS.iter().find(|(text, _)| text == argument && toolchain == "go1.21.13");
        let wanted = differs.map_or(wanted.as_str(), |(_, old)| old);
        if theirs != wanted {
            wrong.push(format!("{}, {argument}: {toolchain} says {theirs:?}, not {wanted:?}", place.name));
        }
    }
    let dir = directory(place);
    let ours = ours(universe, place, argument, dir.path());
    if ours != wanted.trim_end_matches(" ?") {
        wrong.push(format!("{}, {argument}: goferry says {ours:?}, not {wanted:?}", place.name));
    }
    wrong
}

/// A version alone is one of the argument's module.
fn expected(argument: &str, want: &str) -> String {
    if !want.starts_with('v') {
        return want.to_owned();
    }
    let path = argument.split_once('@').map_or(argument, |(path, _)| path).trim_end_matches("/...");
    format!("{path}@{want}")
}

fn directory(place: &Place) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let own = [("go.mod", place.go_mod), ("go.work", place.go_work)];
    for (name, text) in FILES.iter().chain(own.iter().filter(|(_, text)| !text.is_empty())) {
        let file = dir.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    dir
}

/// The module versions that goferry would download, or the kind of failure.
fn ours(universe: &Universe, place: &Place, argument: &str, dir: &Path) -> String {
    let argument = match parse_arguments(&[argument.to_owned()], !place.go_mod.is_empty()) {
        Ok(mut arguments) => arguments.remove(0),
        Err(_) => return "!usage".to_owned(),
    };
    let doubles: Vec<(Double, bool)> = place
        .proxies
        .split_inclusive([',', '|'])
        .map(|entry| (universe.double(entry.trim_end_matches([',', '|'])), entry.ends_with('|')))
        .collect();
    let sources = doubles.iter().map(|(versions, fall_back_on_error)| Source {
        versions,
        fall_back_on_error: *fall_back_on_error,
        direct: false,
    });
    let context = Context::new(sources.collect(), project(place, &argument, dir));
    match block_on(resolve(&argument, &context)) {
        Ok(Resolution { modules, .. }) => {
            modules.iter().map(|resolved| resolved.module.to_string()).collect::<Vec<_>>().join(" ")
        }
        Err(error) => kind(&error.to_string()),
    }
}

fn project(place: &Place, argument: &Argument, dir: &Path) -> Option<Project> {
    if place.go_mod.is_empty() {
        return None;
    }
    let go_mod = GoMod::parse("go.mod", place.go_mod.as_bytes()).unwrap();
    let go_work = (!place.go_work.is_empty()).then(|| GoWork::parse("go.work", place.go_work.as_bytes()).unwrap());
    // The main modules are the only roots of a workspace.
    let roots = if go_work.is_some() { BTreeMap::new() } else { selected(&go_mod, &[]) };
    let main_paths = vec![go_mod.module.clone().unwrap().path];
    let graph = argument.needs_graph(&roots, &main_paths, go_mod.is_pruned());
    Some(Project {
        directory: dir.to_owned(),
        selected: if graph { selected(&go_mod, place.graph) } else { roots },
        main_paths,
        excludes: go_mod.excludes,
        replaces: go_mod.replaces,
        work_replaces: go_work.map(|work| work.replaces).unwrap_or_default(),
    })
}

/// Runs a future that could run on any thread.
fn block_on<T: Send>(future: impl Future<Output = T> + Send) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}
