use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::gomod::{GoMod, GoWork};

/// The go.mod files that a proxy would have, by `path@version`, and those in directories.
type Files<'a> = HashMap<&'a str, String>;

fn main_module(dir: &str, text: &str) -> MainModule {
    MainModule { dir: PathBuf::from(dir), go_mod: GoMod::parse("go.mod", text.as_bytes()).unwrap() }
}

fn workspace(text: &str) -> Workspace {
    Workspace { dir: PathBuf::from("/w"), go_work: GoWork::parse("go.work", text.as_bytes()).unwrap() }
}

fn files<'a>(list: &[(&'a str, &str)]) -> Files<'a> {
    let file = |name: &str, rest: &str| match name.split_once('@') {
        Some((path, _)) => format!("module {path}\n{rest}"),
        None => rest.to_owned(),
    };
    list.iter().map(|(name, rest)| (*name, file(name, rest))).collect()
}

fn load(mut loader: GraphLoader, files: &Files<'_>) -> Result<ModuleGraph, GraphError> {
    let mut pending = loader.needs();
    while let Some(need) = pending.pop() {
        let file = files.get(need.to_string().as_str()).unwrap_or_else(|| panic!("{need} is not to be read"));
        loader.provide(&need, file.as_bytes())?;
        pending.extend(loader.needs());
    }
    assert!(loader.is_complete());
    loader.finish()
}

fn single(go_mod: &str, list: &[(&str, &str)]) -> ModuleGraph {
    load(GraphLoader::new(vec![main_module("/m", go_mod)], None).unwrap(), &files(list)).unwrap()
}

fn list(graph: &ModuleGraph) -> String {
    let list: Vec<String> = graph.build_list().iter().map(|s| format!("{}@{}", s.path, s.version)).collect();
    list.join(" ")
}

fn read(graph: &ModuleGraph) -> String {
    graph.go_mods_read().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn downloads(graph: &ModuleGraph) -> String {
    graph.download_default().modules.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_pruned_graph_stops_below_the_roots() {
    let graph =
        single("module x.y/m\ngo 1.20\nrequire x.y/a v1.0.0\n", &[("x.y/a@v1.0.0", "go 1.17\nrequire x.y/b v1.0.0")]);
    assert_eq!(list(&graph), "x.y/a@v1.0.0 x.y/b@v1.0.0");
    assert_eq!(read(&graph), "x.y/a@v1.0.0");
    assert_eq!(downloads(&graph), "x.y/a@v1.0.0");
    assert!(!graph.requirements().unwrap().changed);
}

#[test]
fn below_a_root_without_pruning_all_is_read() {
    let graph = single(
        "module x.y/m\ngo 1.20\nrequire x.y/a v1.0.0\n",
        &[
            ("x.y/a@v1.0.0", "go 1.16\nrequire x.y/b v1.0.0"),
            ("x.y/b@v1.0.0", "go 1.20\nrequire (\n x.y/c v1.0.0\n x.y/m v1.0.0\n)"),
            ("x.y/c@v1.0.0", "go 1.20\nrequire x.y/b v1.1.0"),
            ("x.y/b@v1.1.0", "go 1.20"),
            ("x.y/m@v1.0.0", "go 1.20"),
        ],
    );
    assert_eq!(list(&graph), "x.y/a@v1.0.0 x.y/b@v1.1.0 x.y/c@v1.0.0");
    assert_eq!(read(&graph), "x.y/a@v1.0.0 x.y/b@v1.0.0 x.y/b@v1.1.0 x.y/c@v1.0.0 x.y/m@v1.0.0");
    assert_eq!(downloads(&graph), "x.y/a@v1.0.0");
}

#[test]
fn an_old_main_module_downloads_the_whole_build_list() {
    let files = [("x.y/a@v1.0.0", "go 1.20\nrequire x.y/b v1.0.0"), ("x.y/b@v1.0.0", "")];
    let graph = single("module x.y/m\ngo 1.16\nrequire x.y/a v1.0.0\n", &files);
    assert_eq!(downloads(&graph), "x.y/a@v1.0.0 x.y/b@v1.0.0");
    // Without a go line the command adds one first, and all that is selected becomes a requirement.
    let graph = single("module x.y/m\nrequire x.y/a v1.0.0\n", &files);
    assert_eq!(downloads(&graph), "x.y/a@v1.0.0");
    let requirements = graph.requirements().unwrap();
    assert!(requirements.changed && requirements.go.is_none());
    assert_eq!(
        requirements.requires.iter().map(|r| (r.path.as_str(), r.indirect)).collect::<Vec<_>>(),
        [("x.y/a", false), ("x.y/b", true)]
    );
}

#[test]
fn a_root_that_is_not_selected_moves_and_the_graph_is_read_again() {
    let graph = single(
        "module x.y/m\ngo 1.20\ntoolchain go1.21.1\nrequire (\n x.y/a v1.0.0\n x.y/b v1.0.0\n)\n",
        &[
            ("x.y/a@v1.0.0", "go 1.22.1\nrequire x.y/b v1.1.0"),
            ("x.y/b@v1.0.0", "go 1.20\nrequire x.y/old v1.0.0"),
            ("x.y/b@v1.1.0", "go 1.20\nrequire x.y/new v1.0.0"),
        ],
    );
    assert_eq!(list(&graph), "x.y/a@v1.0.0 x.y/b@v1.1.0 x.y/new@v1.0.0");
    assert_eq!(read(&graph), "x.y/a@v1.0.0 x.y/b@v1.0.0 x.y/b@v1.1.0");
    assert_eq!(graph.go_mods_in_graph().count(), 2);
    assert_eq!(downloads(&graph), "x.y/a@v1.0.0 x.y/b@v1.1.0");
    let requirements = graph.requirements().unwrap();
    assert!(requirements.changed);
    assert_eq!((requirements.go.as_deref(), requirements.toolchain.as_deref()), (Some("1.22.1"), None));
    let max = graph.max_go().unwrap();
    assert_eq!((max.text.as_str(), max.module.as_str()), ("1.22.1", "x.y/a@v1.0.0"));
}

#[test]
fn excluded_versions_are_as_if_nobody_required_them() {
    let graph = single(
        "module x.y/m\ngo 1.20\nrequire (\n x.y/a v1.0.0\n x.y/b v1.0.0\n x.y/gone v1.0.0\n)\nexclude (\n x.y/b v1.1.0\n x.y/gone v1.0.0\n)\n",
        &[("x.y/a@v1.0.0", "go 1.20\nrequire x.y/b v1.1.0"), ("x.y/b@v1.0.0", "go 1.20")],
    );
    assert_eq!(list(&graph), "x.y/a@v1.0.0 x.y/b@v1.0.0");
    assert_eq!(graph.download_default().refused[0].to_string(), "module x.y/gone: not a known dependency");
    assert_eq!(graph.requirements().unwrap().requires.len(), 2);
}

#[test]
fn replacements_are_read_instead_and_directories_are_not_downloaded() {
    let graph = single(
        "module x.y/m\ngo 1.20\nrequire (\n x.y/a v1.0.0\n x.y/b v1.0.0\n foo v1.0.0\n)\nreplace (\n x.y/a => ./sub/../a\n x.y/b v1.0.0 => x.y/fork v1.2.3\n foo => x.y/fork v1.2.3\n)\n",
        &[
            ("/m/a", "module any.thing/goes\ngo 1.16\nrequire x.y/b v1.1.0\n"),
            ("x.y/b@v1.1.0", "go 1.20"),
            ("x.y/fork@v1.2.3", "go 1.20"),
        ],
    );
    assert_eq!(list(&graph), "foo@v1.0.0 x.y/a@v1.0.0 x.y/b@v1.1.0");
    assert_eq!(downloads(&graph), "x.y/b@v1.1.0 x.y/fork@v1.2.3");
    let directory = Replaced::Directory { path: "./sub/../a".to_owned(), dir: PathBuf::from("/m/a") };
    assert_eq!(graph.selected("x.y/a").unwrap().replacement, Some(directory));
    assert_eq!(graph.selected("x.y/none"), None);
}

#[test]
fn a_workspace_reads_what_was_selected_newer_as_if_it_were_a_main_module() {
    let main = vec![
        main_module("/w/a", "module x.y/a\ngo 1.20\nrequire x.y/d v1.0.0\nreplace x.y/l => ../../l\n"),
        main_module("/w/b", "module x.y/b\ngo 1.20\nrequire (\n x.y/e v1.0.0\n x.y/a v1.5.0\n x.y/l v1.0.0\n)\n"),
    ];
    let loader =
        GraphLoader::new(main, Some(workspace("go 1.20\nuse (\n ./a\n ./b\n)\nreplace x.y/g => ./g\n"))).unwrap();
    let graph = load(
        loader,
        &files(&[
            ("x.y/d@v1.0.0", "go 1.20"),
            ("x.y/d@v1.1.0", "go 1.20\nrequire x.y/f v1.0.0"),
            ("x.y/e@v1.0.0", "go 1.20\nrequire x.y/d v1.1.0"),
            ("x.y/f@v1.0.0", "go 1.20\nrequire x.y/g v1.0.0"),
            ("x.y/a@v1.5.0", "go 1.20\nrequire x.y/never v1.0.0"),
            ("/l", ""),
        ]),
    )
    .unwrap();
    assert_eq!(list(&graph), "x.y/d@v1.1.0 x.y/e@v1.0.0 x.y/f@v1.0.0 x.y/g@v1.0.0 x.y/l@v1.0.0 x.y/never@v1.0.0");
    assert_eq!(downloads(&graph), "x.y/d@v1.1.0 x.y/e@v1.0.0 x.y/f@v1.0.0 x.y/never@v1.0.0");
    let path = |module: &str| match graph.selected(module).unwrap().replacement.as_ref().unwrap() {
        Replaced::Directory { path, dir } => (path.clone(), dir.clone()),
        Replaced::Module { .. } => panic!("a directory"),
    };
    assert_eq!(path("x.y/l"), ("../l".to_owned(), PathBuf::from("/l")));
    assert_eq!(path("x.y/g"), ("./g".to_owned(), PathBuf::from("/w/g")));
    assert_eq!(graph.requirements(), None);
}

#[test]
fn workspaces_that_go_refuses_are_refused() {
    let refused = |mods: &[(&str, &str)], work: &str| {
        let main = mods.iter().map(|(dir, text)| main_module(dir, text)).collect();
        GraphLoader::new(main, Some(workspace(work))).unwrap_err().to_string()
    };
    let a = ("/w/a", "module x.y/a\ngo 1.22\nreplace x.y/z => ../z\n");
    let b = ("/w/b", "module x.y/b\nreplace x.y/z => ./z\n");
    assert_eq!(
        refused(&[a, b], "go 1.22\n"),
        "conflicting replacements for x.y/z:\n\t/w/z\n\t/w/b/z\nuse \"go work edit -replace x.y/z=[override]\" to resolve"
    );
    assert!(refused(&[a], "go 1.21\n").contains("requires go >= 1.22, but go.work has go 1.21"));
    assert!(refused(&[b, b], "go 1.22\n").contains("module x.y/b appears multiple times"));
    assert!(refused(&[a], "go 1.22\nuse ./a\nuse a\n").contains("go.work:3: path a appears multiple times"));
    assert!(refused(&[a], "go 1.22\nreplace x.y/a => ./z\n").contains("is replaced at all versions"));
    assert!(refused(&[], "go 1.22\n").contains("no modules were found"));
    assert!(refused(&[("/w/c", "go 1.20\n")], "").contains("missing module declaration"));
    let two = vec![main_module("/w/b", b.1), main_module("/w/b", b.1)];
    assert_eq!(GraphLoader::new(two, None).unwrap_err(), GraphError::SeveralMainModules(2));
}

#[test]
fn errors_say_who_requires_the_module() {
    let main = "module x.y/m\ngo 1.16\nrequire x.y/a v1.0.0\n";
    let error = |b: &str| {
        let mut files = files(&[("x.y/a@v1.0.0", "require x.y/b v1.0.0")]);
        files.insert("x.y/b@v1.0.0", b.to_owned());
        load(GraphLoader::new(vec![main_module("/m", main)], None).unwrap(), &files).unwrap_err().to_string()
    };
    assert_eq!(
        error("module x.y/c\n"),
        "x.y/a@v1.0.0 requires\n\tx.y/b@v1.0.0: parsing go.mod:\n\tmodule declares its path as: x.y/c\n\t        but was \
         required as: x.y/b"
    );
    assert_eq!(error(""), "x.y/a@v1.0.0 requires\n\tx.y/b@v1.0.0: parsing go.mod: missing module line");
    assert_eq!(
        error("module x.y/b\nrequire x.y/c master\n"),
        "x.y/a@v1.0.0 requires\n\tx.y/b@v1.0.0: parsing go.mod: go.mod:2:1: require x.y/c: version \"master\" invalid: \
         must be of the form v1.2.3"
    );
    assert_eq!(
        error("module x.y/b\nrequire nodot v1.0.0\n"),
        "x.y/a@v1.0.0 requires\n\tx.y/b@v1.0.0 requires\n\tnodot@v1.0.0: malformed module path \"nodot\": missing dot in \
         first path element"
    );
}

#[test]
fn the_loader_takes_only_what_it_asked_for() {
    let main = main_module("/m", "module x.y/m\ngo 1.20\nrequire (\n x.y/a v1.0.0\n x.y/b v1.0.0\n)\n");
    let mut loader = GraphLoader::new(vec![main], None).unwrap();
    let needs = loader.needs();
    assert_eq!(needs.iter().map(ToString::to_string).collect::<Vec<_>>(), ["x.y/a@v1.0.0", "x.y/b@v1.0.0"]);
    assert_eq!(loader.needs(), []);
    assert_eq!(loader.required_by(&needs[0]), [""; 0]);
    loader.provide(&needs[1], b"module x.y/b\n").unwrap();
    assert_eq!(loader.provide(&needs[1], b"module x.y/b\n"), Err(GraphError::NotNeeded(needs[1].clone())));
    assert!(!loader.is_complete());
    assert_eq!(loader.finish().unwrap_err(), GraphError::Incomplete(1));
}

#[test]
fn hostile_graphs_end() {
    let main = |text: &str| vec![main_module("/m", text)];
    let limits = Limits { modules: 50, versions: 500, requirements: 500, text: 1_000_000, depth: 40, rounds: 10 };
    let endless = |limits: Limits, go: &str, answer: &dyn Fn(usize) -> String| {
        let main = main(&format!("module x.y/m\n{go}require x.y/a v1.0.0\n"));
        let mut loader = GraphLoader::with_limits(main, None, limits).unwrap();
        for n in 1.. {
            let Some(need) = loader.needs().pop() else { panic!("complete: {}", loader.is_complete()) };
            if let Err(error) = loader.provide(&need, format!("module x.y/a\n{}", answer(n)).as_bytes()) {
                return error.to_string();
            }
        }
        unreachable!()
    };
    let chain = |n: usize| format!("require x.y/a v1.{n}.0\n");
    assert_eq!(endless(limits, "", &chain), "module graph too large: more than 40 requirements in a row");
    assert_eq!(
        endless(Limits { depth: 99, ..limits }, "", &chain),
        "module graph too large: more than 50 go.mod files"
    );
    let moving = |n: usize| format!("go 1.17\nrequire x.y/a v1.{n}.0\n");
    assert_eq!(endless(limits, "go 1.17\n", &moving), "module graph too large: more than 10 rounds of moving roots");
    let wide = |_| (0..600).map(|n| format!("require x.y/b{n} v1.0.0\n")).collect();
    assert_eq!(endless(limits, "go 1.17\n", &wide), "module graph too large: more than 500 require lines");
    let lines = Limits { requirements: 9_999, ..limits };
    assert_eq!(endless(lines, "go 1.17\n", &wide), "module graph too large: more than 500 module versions");
    let long = |_| format!("require x.y/{} v1.0.0\n", "a".repeat(1_000_000));
    assert_eq!(endless(limits, "", &long), "module graph too large: more than 1000000 bytes of paths and versions");
}

#[test]
fn deep_chains_and_cycles_take_no_stack() {
    let text = "module x.y/m\ngo 1.16\nrequire (\n x.y/a v1.0.0\n x.y/a v1.0.1\n)\n";
    let limits = Limits { depth: 20_000, ..Limits::default() };
    let mut loader = GraphLoader::with_limits(vec![main_module("/m", text)], None, limits).unwrap();
    let mut pending = loader.needs();
    while let Some(need) = pending.pop() {
        let Need::Module(module) = &need else { panic!("{need}") };
        let next = module.version().as_str()[3..].replace('.', "").parse::<u32>().unwrap_or(0) % 5_000 + 1;
        let go_mod = format!("module x.y/a\nrequire x.y/a v1.{next}.0\n");
        loader.provide(&need, go_mod.as_bytes()).unwrap();
        pending.extend(loader.needs());
    }
    assert!(loader.finish().unwrap().build_list().len() == 1);
}

#[test]
fn directories_are_compared_by_name() {
    assert!(Path::new("/w/a").is_absolute());
    let shown = |dir: &str, path: &str| {
        let main = main_module(dir, &format!("module x.y/m\nrequire x.y/z v1.0.0\nreplace x.y/z => {path}\n"));
        let mut loader = GraphLoader::new(vec![main], Some(workspace("go 1.20\n"))).unwrap();
        let need = loader.needs().pop().unwrap();
        loader.provide(&need, b"").unwrap();
        loader.finish().unwrap().selected("x.y/z").unwrap().replacement.clone().unwrap()
    };
    let directory = |path: &str, dir: &str| Replaced::Directory { path: path.to_owned(), dir: PathBuf::from(dir) };
    assert_eq!(shown("/w/m", "./z"), directory("./m/z", "/w/m/z"));
    assert_eq!(shown("/w/m", "../../../z"), directory("../z", "/z"));
    assert_eq!(shown("/w/m", "/abs/z"), directory("/abs/z", "/abs/z"));
    assert_eq!(shown("/w/m", ".."), directory(".", "/w"));
}
