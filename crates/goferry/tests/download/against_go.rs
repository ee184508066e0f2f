//! The same cache, go.mod, go.sum, go.work.sum, objects and success as `go mod download`.

use std::collections::BTreeMap;

use goferry_lab::folder::{Entry, differences, snapshot};

use crate::world::{Home, Ran, Universe, go_mod, project};

/// Two projects of the same files, one for each command.
struct Case {
    name: &'static str,
    files: Vec<(&'static str, String)>,
    /// Where the commands run, below the project.
    dir: &'static str,
    args: &'static [&'static str],
    env: Vec<(&'static str, String)>,
    /// A part of what goferry says, and that both fail.
    fails: Option<&'static str>,
    /// Files that the go command keeps in the cache although it only looked at them.
    looked_at: &'static [&'static str],
}

impl Case {
    fn new(name: &'static str, files: Vec<(&'static str, String)>) -> Case {
        Case { name, files, dir: "", args: &[], env: Vec::new(), fails: None, looked_at: &[] }
    }

    fn args(mut self, args: &'static [&'static str]) -> Case {
        self.args = args;
        self
    }

    fn dir(mut self, dir: &'static str) -> Case {
        self.dir = dir;
        self
    }

    fn env(mut self, name: &'static str, value: &str) -> Case {
        self.env.push((name, value.to_owned()));
        self
    }

    fn looked_at(mut self, files: &'static [&'static str]) -> Case {
        self.looked_at = files;
        self
    }

    fn fails(mut self, saying: &'static str) -> Case {
        self.fails = Some(saying);
        self
    }
}

const REQUIRES: &str = "require example.com/a v1.0.0\nrequire example.com/b v1.0.0 // indirect\n\
                        require example.com/c v1.0.0 // indirect\n";

const RETRACTIONS: &[&str] = &["example.com/a/@v/v1.1.0.", "example.com/a/@v/list"];

fn main_mod(rest: &str) -> (&'static str, String) {
    ("go.mod", go_mod("1.20", &format!("{REQUIRES}{rest}")))
}

fn sum(universe: &Universe) -> (&'static str, String) {
    ("go.sum", universe.full_go_sum())
}

fn workspace(universe: &Universe) -> Vec<(&'static str, String)> {
    let one = "module example.com/one\n\ngo 1.20\n\nrequire example.com/a v1.0.0\nrequire example.com/b v1.0.0 // indirect\nrequire example.com/c v1.0.0 // indirect\n";
    let two = "module example.com/two\n\ngo 1.20\n\nrequire example.com/a v1.1.0\nrequire example.com/leaf v1.0.0\nrequire example.com/b v1.1.0 // indirect\nrequire example.com/c v1.1.0 // indirect\nrequire example.com/d v1.0.0 // indirect\nrequire example.com/e v1.0.0 // indirect\n";
    vec![
        ("go.work", "go 1.20\n\nuse ./one\nuse ./two\n".to_owned()),
        ("one/go.mod", one.to_owned()),
        ("one/go.sum", universe.go_sum(&["a@v1.0.0", "b@v1.0.0", "c@v1.0.0"])),
        ("two/go.mod", two.to_owned()),
    ]
}

fn cases(universe: &Universe) -> Vec<Case> {
    let one = |name, rest: &str| Case::new(name, vec![main_mod(rest), sum(universe)]);
    let bare = |name| Case::new(name, vec![main_mod("")]);
    let work = |name| Case::new(name, workspace(universe));
    let none = |name| Case::new(name, Vec::new());
    vec![
        one("module", ""),
        bare("no go.sum"),
        Case::new("half a go.sum", vec![main_mod(""), ("go.sum", universe.go_sum(&["a@v1.0.0"]))]),
        Case::new("below", vec![main_mod(""), sum(universe), ("sub/x.go", "package sub\n".to_owned())]).dir("sub"),
        Case::new("go 1.16", vec![("go.mod", go_mod("1.16", "require example.com/a v1.1.0\n"))]),
        Case::new(
            "all kinds of paths",
            vec![(
                "go.mod",
                go_mod(
                    "1.20",
                    "require (\n\texample.com/Upper/Case v1.0.0\n\texample.com/a v0.0.0-20240102030405-abcdefabcdef\n\texample.com/major/v2 v2.3.4\n\texample.com/old v3.0.0+incompatible\n)\n",
                ),
            )],
        ),
        Case::new(
            "replace",
            vec![
                (
                    "go.mod",
                    go_mod(
                        "1.20",
                        "require example.com/a v1.0.0\nrequire example.com/b v1.0.0 // indirect\nrequire example.com/c v1.1.0 // indirect\nrequire example.com/d v1.0.0 // indirect\nrequire example.com/e v1.0.0 // indirect\nreplace example.com/b => example.com/b v1.1.0\n",
                    ),
                ),
                sum(universe),
            ],
        ),
        one("replaced by another", "replace example.com/c v1.0.0 => example.com/leaf v1.0.0\n"),
        Case::new(
            "local replace",
            vec![
                main_mod("replace example.com/b => ./b\n"),
                ("b/go.mod", "module example.com/b\n\ngo 1.20\n\nrequire example.com/leaf v1.0.0\n".to_owned()),
            ],
        ),
        one("exclude", "exclude example.com/c v1.1.0\n"),
        Case::new("modfile", vec![main_mod(""), ("other.mod", go_mod("1.20", "require example.com/leaf v1.0.0\n"))])
            .env("GOFLAGS", "-modfile=other.mod"),
        Case::new(
            "modfile by version",
            vec![main_mod(""), ("other.mod", go_mod("1.20", "require example.com/leaf v1.0.0\n"))],
        )
        .env("GOFLAGS", "-modfile=other.mod")
        .args(&["example.com/leaf@v1.0.0"]),
        Case::new("modcacherw", vec![main_mod("")]).env("GOFLAGS", "-modcacherw"),
        Case::new("mod=readonly", vec![main_mod("")]).env("GOFLAGS", "-mod=readonly"),
        work("workspace"),
        work("workspace, from a module of it").dir("one"),
        work("workspace, all").args(&["all"]),
        work("workspace, a version").args(&["example.com/leaf@v1.0.0"]),
        work("a module of a workspace without it").dir("one").env("GOWORK", "off"),
        work("workspace, a pattern").args(&["example.com/l..."]),
        bare("by version").args(&["example.com/a@v1.0.0"]),
        bare("a version that is not required").args(&["example.com/a@v1.1.0"]),
        bare("several").args(&["example.com/a@v1.0.0", "example.com/leaf@v1.0.0", "example.com/b"]),
        bare("latest").args(&["example.com/a@latest"]),
        bare("a prefix").args(&["example.com/a@v1"]),
        bare("upgrade").args(&["example.com/a@upgrade"]),
        bare("patch").args(&["example.com/a@patch"]).looked_at(RETRACTIONS),
        bare("less").args(&["example.com/a@<v1.1.0"]).looked_at(RETRACTIONS),
        bare("a path").args(&["example.com/a"]),
        bare("all").args(&["all"]),
        bare("a pattern").args(&["example.com/..."]),
        bare("a pattern that matches nothing").args(&["example.net/..."]),
        one("a module twice", "").args(&["example.com/a@v1.0.0", "example.com/a@latest", "example.com/a@v1.0.0"]),
        none("outside, by version").args(&["example.com/a@v1.0.0"]),
        none("outside, latest").args(&["example.com/old@latest", "example.com/major/v2@latest"]),
        none("outside, nothing").fails("no go.mod"),
        none("outside, all").args(&["all"]).fails("no go.mod"),
        none("outside, a path").args(&["example.com/a"]).fails("no go.mod"),
        Case::new("nothing to download", vec![("go.mod", go_mod("1.20", ""))]),
        bare("a version that is not there").args(&["example.com/a@v9.9.9"]).fails("v9.9.9"),
        bare("a query that nothing matches").args(&["example.com/a@v7"]).fails("v7"),
        bare("one of two is not there").args(&["example.com/a@v9.9.9", "example.com/leaf@v1.0.0"]).fails("v9.9.9"),
        bare("no such module").args(&["example.com/nothing@latest"]).fails("example.com/nothing"),
        Case::new(
            "a requirement that is not there",
            vec![("go.mod", go_mod("1.20", "require example.com/a v1.0.0\nrequire example.com/gone v1.0.0\n"))],
        )
        .fails("example.com/gone"),
        bare("off").env("GOPROXY", "off").fails("GOPROXY=off"),
        bare("bad argument").args(&["./sub"]).fails("sub"),
        Case::new("a go.mod that is none", vec![("go.mod", "modul example.com/main\n".to_owned())]).fails("go.mod"),
        Case::new("a wrong hash of a zip", vec![main_mod(""), ("go.sum", wrong(universe, false))])
            .fails("SECURITY ERROR"),
        Case::new("a wrong hash of a go.mod", vec![main_mod(""), ("go.sum", wrong(universe, true))])
            .fails("SECURITY ERROR"),
    ]
}

/// A full go.sum in which that of `c` is wrong, for the zip or the go.mod.
fn wrong(universe: &Universe, of_go_mod: bool) -> String {
    let (right, wrong) = if of_go_mod {
        (universe.hash("c@v1.0.0/go.mod"), universe.hash("c@v1.1.0/go.mod"))
    } else {
        (universe.hash("c@v1.0.0"), universe.hash("c@v1.1.0"))
    };
    universe.full_go_sum().replace(&right.to_string(), &wrong.to_string())
}

struct Left {
    ran: Ran,
    cache: BTreeMap<String, Entry>,
    files: BTreeMap<String, Entry>,
    home: Home,
}

fn leave(universe: &Universe, case: &Case, json: bool, ours: bool) -> Left {
    let files = project(&case.files);
    let mut home = Home::new(&universe.url());
    for (name, value) in &case.env {
        home.set(name, value);
    }
    let dir = files.path().join(case.dir);
    let mut args = case.args.to_vec();
    let ran = if ours {
        if json {
            args.insert(0, "--json");
        }
        home.download(&dir, &args)
    } else {
        if json {
            args.insert(0, "-json");
        }
        home.go_download(&dir, &args)
    };
    Left { ran, cache: snapshot(&home.cache()), files: snapshot(files.path()), home }
}

/// Runs `check` for all cases, two at a time, and fails with what any of them says.
fn each(cases: &[Case], check: impl Fn(&Case) -> Vec<String> + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let said = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    let found = check(case);
                    said.lock().unwrap().extend(found.into_iter().map(|text| format!("== {}: {text}", case.name)));
                }
            });
        }
    });
    let said = said.into_inner().unwrap();
    assert!(said.is_empty(), "{}", said.join("\n"));
}

#[test]
fn the_same_cache_and_files() {
    let universe = Universe::new();
    each(&cases(&universe), |case| {
        let (go, ours) = (leave(&universe, case, false, false), leave(&universe, case, false, true));
        let mut found = Vec::new();
        let fails = case.fails.is_some();
        if (go.ran.code != Some(0)) != fails {
            found.push(format!("the go command ended with {:?}: {}", go.ran.code, go.ran.err));
        }
        if (ours.ran.code != Some(0)) != fails {
            found.push(format!("goferry ended with {:?}: {}{}", ours.ran.code, ours.ran.out, ours.ran.err));
        }
        if let Some(saying) = case.fails
            && !ours.ran.err.contains(saying)
        {
            found.push(format!("{saying:?} is not in {}", ours.ran.err));
        }
        found.extend(differences(&go.files, &ours.files).into_iter().map(|text| format!("project: {text}")));
        // After a failure the one may have come further than the other; what is there must be the same.
        let (mut theirs, mut here) = (go.cache, ours.cache);
        if fails {
            theirs.retain(|name, _| here.contains_key(name) || case.fails == Some("SECURITY ERROR"));
            // A go command that stops at once leaves what it received, and modules half unpacked; a list that it was
            // about to write is empty or zeros (`rewriteVersionList`, cmd/go/internal/modfetch/cache.go).
            theirs.retain(|name, (_, content)| {
                let cut_off = name.ends_with("/@v/list") && content.iter().flatten().all(|byte| *byte == 0);
                name.starts_with("cache/download/")
                    && !name.ends_with(".tmp")
                    && !name.ends_with(".partial")
                    && !cut_off
            });
            here.retain(|name, _| theirs.contains_key(name));
        }
        // What is only read to learn of retractions is not kept.
        theirs.retain(|name, _| !case.looked_at.iter().any(|part| name.contains(part)));
        here.retain(|name, _| !case.looked_at.iter().any(|part| name.contains(part)));
        found.extend(differences(&theirs, &here).into_iter().map(|text| format!("cache: {text}")));
        found
    });
}

/// The objects, by path and query; the cache's own place is left out.
fn objects(left: &Left) -> Vec<serde_json::Value> {
    let place = left.home.path().display().to_string();
    serde_json::Deserializer::from_str(&left.ran.out.replace(&place, "HOME")).into_iter().map(Result::unwrap).collect()
}

#[test]
fn the_same_objects() {
    let universe = Universe::new();
    each(&cases(&universe), |case| {
        let (go, ours) = (leave(&universe, case, true, false), leave(&universe, case, true, true));
        let (mut theirs, mut here) = (objects(&go), objects(&ours));
        for objects in [&mut theirs, &mut here] {
            for object in objects.iter_mut() {
                // The words differ: ours say whose fault it is.
                if let Some(error) = object.get_mut("Error") {
                    *error = serde_json::Value::Bool(!error.as_str().unwrap_or_default().is_empty());
                }
            }
            // Where the go command ends before it downloads anything, it prints no object for it.
            objects
                .retain(|object| case.fails.is_none() || object.get("Error").is_none() || object.get("Sum").is_some());
        }
        let mut found = Vec::new();
        if case.fails.is_none() && theirs != here {
            found.push(format!("go: {}\nours: {}", go.ran.out, ours.ran.out));
        }
        if case.fails.is_some() && ours.ran.code == Some(0) {
            found.push("goferry did not fail".to_owned());
        }
        found.extend(differences(&go.files, &ours.files).into_iter().map(|text| format!("project: {text}")));
        found
    });
}
