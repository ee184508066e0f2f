//! Module graphs against the real go command, in made-up universes of modules behind a `file://` proxy.
//!
//! Compared are the build list (`go list -m all`), what `go mod download` fetches, which `.mod` files each leaves in an
//! empty cache, the `/go.mod` lines of go.sum, and go.mod afterwards. `GOFERRY_GRAPH_SEEDS=100..900` tries others.

mod graph_universe;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use goferry_module::gomod::{ResolvedVersions, update};
use goferry_module::graph::{GraphLoader, MainModule, ModuleGraph, Need, Replaced, Requirement, Selected, Workspace};
use goferry_module::{EscapedPath, FileKind, GoMod, GoVersion, GoWork};
use graph_universe::{DIRS, Random, Universe};
use serde_json::Value;

/// How long a go command may take.
const TIME_LIMIT: Duration = Duration::from_secs(30);

#[test]
fn go_selects_the_same_and_reads_the_same() {
    let local = local_go();
    let seeds = seeds();
    let mut seen = Seen::default();
    let total = seeds.end - seeds.start;
    for seed in seeds {
        Case::new(seed, &local).compare(&mut seen);
    }
    // The universes are worth something only where most are sound, and where they are not all alike.
    assert!(seen.sound * 2 > total, "{seen:?}");
    assert!(seen.workspaces > 0 && seen.pruned_away > 0 && seen.changed > 0 && seen.refused > 0, "{seen:?}");
}

/// What the universes had in them.
#[derive(Debug, Default)]
struct Seen {
    sound: u64,
    workspaces: u64,
    /// The graph does not read all that is selected.
    pruned_away: u64,
    /// go.mod is rewritten.
    changed: u64,
    /// The go command fails, and we know it.
    refused: u64,
}

struct Case {
    seed: u64,
    dir: tempfile::TempDir,
    universe: Universe,
    local: GoVersion,
}

impl Case {
    fn new(seed: u64, local: &GoVersion) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let universe = Universe::new(seed, local);
        universe.publish(&dir.path().join("proxy"));
        Self { seed, dir, universe, local: local.clone() }
    }

    fn compare(&self, seen: &mut Seen) {
        let graph = self.load();
        let list = self.go(
            "list",
            &[
                "list",
                "-m",
                "-f",
                "{{.Main}}\t{{.Path}}\t{{.Version}}\t{{with .Replace}}{{.Path}}\t{{.Version}}{{end}}",
                "all",
            ],
        );
        let download = self.go("download", &["mod", "download", "-json"]);
        let graph = match graph {
            Ok(graph) => graph,
            Err(error) => {
                assert!(!list.status.success(), "{self}\nwe say: {error}\ngo says: {}", list.stdout);
                assert!(!download.status.success(), "{self}\nwe say: {error}\ngo says: {}", download.stdout);
                seen.refused += 1;
                return;
            }
        };
        let read: BTreeSet<String> = graph.go_mods_read().map(ToString::to_string).collect();

        let fetched = graph.build_list().iter().map(Selected::module_version).collect::<Result<Vec<_>, _>>();
        assert_eq!(list.status.success(), fetched.is_ok(), "{self}\nwe say: {fetched:?}\ngo says: {}", list.stderr);
        if let Ok(fetched) = fetched {
            let go: Vec<&str> = list.stdout.lines().filter_map(|line| line.strip_prefix("false\t")).collect();
            // Older ones leave out the first "./" of a directory that a module of a workspace names.
            let old = self.universe.workspace && !self.local.at_least(25);
            let plain = |line: &str| if old { line.replace("\t./", "\t") } else { line.to_owned() };
            let ours: Vec<String> = graph.build_list().iter().map(|selected| plain(&show(selected))).collect();
            let go: Vec<String> = go.into_iter().map(plain).collect();
            assert_eq!(ours, go, "{self}");
            let all: BTreeSet<String> = fetched.iter().flatten().map(ToString::to_string).chain(read.clone()).collect();
            assert_eq!(all, list.go_mods, "{self}\n.mod files that go list -m all reads");
            seen.pruned_away += u64::from(all.len() > read.len());
        }

        let ours = graph.download_default();
        let refused = ours.refused.is_empty();
        assert_eq!(download.status.success(), refused, "{self}\nwe say: {ours:?}\ngo says: {}", download.stderr);
        if !refused {
            seen.refused += 1;
            return;
        }
        let downloads: BTreeSet<String> = ours.modules.iter().map(ToString::to_string).collect();
        let values = serde_json::Deserializer::from_str(&download.stdout).into_iter::<Value>();
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let go = values.map(Result::unwrap).map(|m| format!("{}@{}", text(&m, "Path"), text(&m, "Version")));
        assert_eq!(downloads, go.collect(), "{self}\nwhat go mod download fetches");
        let all: BTreeSet<String> = downloads.union(&read).cloned().collect();
        assert_eq!(all, download.go_mods, "{self}\n.mod files that go mod download reads");
        self.compare_sums(&graph, &all);
        self.compare_go_mod(&graph, seen);
        seen.sound += 1;
        seen.workspaces += u64::from(self.universe.workspace);
    }

    /// go.sum keeps the hashes of what counts in the graph, and of the build list as far as they are known.
    fn compare_sums(&self, graph: &ModuleGraph, known: &BTreeSet<String>) {
        let name = if self.universe.workspace { "go.work.sum" } else { "go.sum" };
        let text = fs::read_to_string(self.project("download").join(name)).unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.split_once("/go.mod ")).map(|(name, _)| name.replace(' ', "@"));
        let list = graph.build_list().iter().flat_map(|selected| selected.module_version().unwrap_or_default());
        let kept = list.chain(graph.go_mods_in_graph().cloned()).map(|module| module.to_string());
        let ours: BTreeSet<String> = kept.filter(|name| known.contains(name)).collect();
        assert_eq!(ours, lines.collect(), "{self}\n/go.mod lines of {name}");
    }

    fn compare_go_mod(&self, graph: &ModuleGraph, seen: &mut Seen) {
        let Some(ours) = graph.requirements() else { return };
        let before = self.universe.files.iter().find(|(name, _)| name == "go.mod").unwrap();
        let after = fs::read_to_string(self.project("download").join("go.mod")).unwrap();
        let changed =
            GoMod::parse("go.mod", after.as_bytes()).unwrap() != GoMod::parse("go.mod", before.1.as_bytes()).unwrap();
        assert_eq!(ours.changed, changed, "{self}\nwe say: {ours:?}\ngo.mod afterwards: {after}");
        if !changed {
            return;
        }
        seen.changed += 1;
        let written = update("go.mod", before.1.as_bytes(), ours, &self.local, &ResolvedVersions::default()).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), after, "{self}");
        let after = GoMod::parse("go.mod", after.as_bytes()).unwrap();
        let mut requires: Vec<Requirement> = after
            .requires
            .iter()
            .map(|line| Requirement { path: line.path.clone(), version: line.version.clone(), indirect: line.indirect })
            .collect();
        requires.sort();
        assert_eq!(ours.requires, requires, "{self}");
        let go = ours.go.clone().unwrap_or_else(|| self.local.as_str().to_owned());
        assert_eq!(Some(&go), after.go.as_ref().map(|line| &line.version), "{self}");
        // Older ones add their own name.
        if self.local.at_least(25) {
            assert_eq!(ours.toolchain, after.toolchain.map(|line| line.name), "{self}");
        }
    }

    /// Our graph, its go.mod files given in any order.
    fn load(&self) -> Result<ModuleGraph, String> {
        let project = self.project("ours");
        self.universe.write_project(&project);
        let go_mod = |dir: &Path| {
            let data = fs::read(dir.join("go.mod")).unwrap();
            MainModule { dir: dir.to_owned(), go_mod: GoMod::parse("go.mod", &data).unwrap() }
        };
        let (main, work) = match fs::read(project.join("go.work")) {
            Ok(data) => {
                let go_work = GoWork::parse("go.work", &data).unwrap();
                let dirs = DIRS.iter().take(go_work.uses.len());
                let main = dirs.map(|dir| go_mod(&project.join(dir))).collect();
                (main, Some(Workspace { dir: project.clone(), go_work }))
            }
            Err(_) => (vec![go_mod(&project)], None),
        };
        let mut random = Random::new(self.seed);
        let mut loader = GraphLoader::new(main, work).map_err(|e| e.to_string())?;
        let mut pending = loader.needs();
        while !pending.is_empty() {
            let need = pending.swap_remove(random.below(pending.len()));
            let file = match &need {
                Need::Directory(dir) => dir.join("go.mod"),
                Need::Module(module) => {
                    self.dir.path().join("proxy").join(module.proxy_path(FileKind::Mod).trim_start_matches('/'))
                }
            };
            loader.provide(&need, &fs::read(file).unwrap()).map_err(|e| e.to_string())?;
            pending.extend(loader.needs());
        }
        assert!(loader.is_complete(), "{self}");
        loader.finish().map_err(|e| e.to_string())
    }

    fn project(&self, name: &str) -> PathBuf {
        self.dir.path().join(name).join("project")
    }

    /// Runs the go command in a project and a cache of its own.
    fn go(&self, name: &str, arguments: &[&str]) -> Ran {
        let (base, project) = (self.dir.path().join(name), self.project(name));
        self.universe.write_project(&project);
        let mode = if self.universe.workspace || name == "download" { "" } else { "-mod=mod" };
        let mut command = go_command(arguments);
        command
            .current_dir(&project)
            .env("GOPROXY", format!("file://{}", self.dir.path().join("proxy").display()))
            .env("GOMODCACHE", base.join("cache"))
            .env("GOFLAGS", format!("{mode} -modcacherw"))
            .stdout(File::create(base.join("stdout")).unwrap())
            .stderr(File::create(base.join("stderr")).unwrap());
        let status = wait(command.spawn().expect("the go command must be on PATH for this test"), arguments);
        let text = |name: &str| fs::read_to_string(base.join(name)).unwrap();
        let mut go_mods = BTreeSet::new();
        find_go_mods(&base.join("cache/cache/download"), "", &mut go_mods);
        Ran { status, stdout: text("stdout"), stderr: text("stderr"), go_mods }
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        for (name, content) in &self.universe.files {
            writeln!(f, "-- {name} --\n{content}")?;
        }
        for (module, go_mod) in &self.universe.go_mods {
            writeln!(f, "-- {module} --\n{go_mod}")?;
        }
        Ok(())
    }
}

/// What a go command did.
struct Ran {
    status: ExitStatus,
    stdout: String,
    stderr: String,
    /// The module versions whose `.mod` is in its cache.
    go_mods: BTreeSet<String>,
}

/// As the template of `go list` prints it.
fn show(selected: &Selected) -> String {
    let replacement = match &selected.replacement {
        None => String::new(),
        Some(Replaced::Directory { path, .. }) => format!("{path}\t"),
        Some(Replaced::Module { path, version }) => format!("{path}\t{version}"),
    };
    format!("{}\t{}\t{replacement}", selected.path, selected.version)
}

fn find_go_mods(dir: &Path, prefix: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            find_go_mods(&entry.path(), &format!("{prefix}{name}/"), found);
        } else if let Some(version) = name.strip_suffix(".mod") {
            let path = prefix.strip_suffix("/@v/").unwrap();
            found.insert(format!("{}@{version}", unescape(path)));
        }
    }
}

fn unescape(path: &str) -> String {
    let path = EscapedPath::parse(path).unwrap().unescape();
    path.to_string()
}

fn seeds() -> Range<u64> {
    let Ok(range) = std::env::var("GOFERRY_GRAPH_SEEDS") else { return 0..40 };
    let (from, to) = range.split_once("..").expect("GOFERRY_GRAPH_SEEDS is FROM..TO");
    from.parse().unwrap()..to.parse().unwrap()
}

fn local_go() -> GoVersion {
    let output = go_command(&["env", "GOVERSION"]).output().expect("the go command must be on PATH for this test");
    let version = String::from_utf8(output.stdout).unwrap();
    GoVersion::parse(version.trim().trim_start_matches("go")).unwrap()
}

fn go_command(arguments: &[&str]) -> Command {
    let mut command = Command::new("go");
    command.args(arguments).env("GOTOOLCHAIN", "local").env("GOENV", "off").env("GOSUMDB", "off");
    for name in ["GOWORK", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOFLAGS"] {
        command.env_remove(name);
    }
    command
}

fn wait(mut child: Child, arguments: &[&str]) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > TIME_LIMIT {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("go {} took more than {TIME_LIMIT:?}", arguments.join(" "));
        }
        sleep(Duration::from_millis(2));
    }
}
