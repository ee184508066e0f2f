//! The same files, go.mod, go.sum, output and success as without the proxy.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use goferry_lab::folder::{Entry, differences, snapshot};

use crate::VERSIONS;
use crate::serve::Serve;
use crate::server::Server;
use crate::world::{Home, Ran, Universe, go_mod, project};

/// A project, and what is done in it.
struct Case {
    name: &'static str,
    files: Vec<(&'static str, String)>,
    /// Below the project.
    dir: &'static str,
    /// go commands, one after another.
    go: &'static [&'static [&'static str]],
    env: &'static [(&'static str, &'static str)],
    /// The last command fails, saying this.
    fails: Option<&'static str>,
}

const REQUIRES: &str = "require example.com/a v1.0.0\nrequire example.com/b v1.0.0 // indirect\n\
                        require example.com/c v1.0.0 // indirect\n";
const KINDS: &str = "require (\n\texample.com/Upper/Case v1.0.0\n\texample.com/a v0.0.0-20240102030405-abcdefabcdef\n\
                     \texample.com/major/v2 v2.3.4\n\texample.com/old v3.0.0+incompatible\n)\n";
const IMPORTS: &str = "package main\n\nimport (\n\t_ \"example.com/a\"\n\t_ \"example.com/leaf\"\n)\n";
const IMPORTS_KINDS: &str = "package main\n\nimport (\n\t_ \"example.com/Upper/Case\"\n\t_ \"example.com/a\"\n\
                             \t_ \"example.com/major/v2\"\n\t_ \"example.com/old\"\n)\n";

fn cases(universe: &Universe) -> Vec<Case> {
    let text = str::to_owned;
    let case = |name, go: &'static [&'static [&'static str]], files: &[(&'static str, String)]| Case {
        name,
        files: files.to_vec(),
        dir: "",
        go,
        env: &[],
        fails: None,
    };
    let main = |rest: &str| ("go.mod", go_mod("1.20", rest));
    let sum = ("go.sum", universe.full_go_sum());
    let leaf = format!("{REQUIRES}require example.com/leaf v1.0.0\n");
    let code = ("x.go", text(IMPORTS).replace("package main", "package x"));
    let kinds = ("x.go", text(IMPORTS_KINDS).replace("package main", "package x"));
    let one = "module example.com/one\n\ngo 1.20\n\nrequire example.com/leaf v1.0.0\n";
    let two = "module example.com/two\n\ngo 1.20\n\nrequire example.com/a v1.0.0\nrequire example.com/b v1.0.0 // indirect\nrequire example.com/c v1.0.0 // indirect\n";
    let work = [
        ("go.work", text("go 1.20\n\nuse ./one\nuse ./two\n")),
        ("one/go.mod", text(one)),
        ("one/x.go", text("package x\n\nimport _ \"example.com/leaf\"\n")),
        ("two/go.mod", text(two)),
    ];
    vec![
        case("download", &[&["mod", "download"]], &[main(REQUIRES), sum.clone()]),
        case("download without go.sum", &[&["mod", "download"], &["mod", "verify"]], &[main(REQUIRES)]),
        case(
            "download, half a go.sum",
            &[&["mod", "download"]],
            &[main(REQUIRES), ("go.sum", universe.go_sum(&["a@v1.0.0"]))],
        ),
        case("download all", &[&["mod", "download", "-json", "all"]], &[main(REQUIRES), sum.clone()]),
        case(
            "download by version",
            &[&["mod", "download", "example.com/a@v1.1.0", "example.com/leaf@latest"]],
            &[main(REQUIRES)],
        ),
        case(
            "the whole graph",
            &[&["mod", "download"]],
            &[("go.mod", go_mod("1.16", "require example.com/a v1.1.0\n"))],
        ),
        case("build", &[&["build", "./..."]], &[main(&leaf), sum.clone(), code.clone()]),
        Case {
            env: &[("GOFLAGS", "-mod=mod")],
            ..case("build, -mod=mod and nothing known", &[&["build", "./..."]], &[main(""), code.clone()])
        },
        Case {
            fails: Some("missing go.sum entry"),
            ..case("build without go.sum", &[&["build", "./..."]], &[main(&leaf), code.clone()])
        },
        case("tidy", &[&["mod", "tidy"], &["build", "./..."]], &[main(""), code.clone()]),
        case("tidy, go.sum complete", &[&["mod", "tidy"]], &[main(&leaf), sum.clone(), code.clone()]),
        case("get a version", &[&["get", "example.com/a@v1.1.0"]], &[main(REQUIRES), sum.clone(), code.clone()]),
        case("get the latest", &[&["get", "example.com/leaf", "example.com/major/v2@latest"]], &[main("")]),
        case("get an upgrade", &[&["get", "-u", "example.com/a"]], &[main(REQUIRES)]),
        case("get a prefix", &[&["get", "example.com/a@v1.0"]], &[main("")]),
        case(
            "list",
            &[
                &["list", "-m", "-versions", "example.com/a"],
                &["list", "-m", "all"],
                &["list", "-m", "-u", "-json", "all"],
                &["list", "-m", "example.com/Upper/Case@latest"],
            ],
            &[main(REQUIRES)],
        ),
        case(
            "replace",
            &[&["mod", "download"], &["list", "-m", "all"]],
            &[main(&format!(
                "{REQUIRES}replace example.com/b => example.com/b v1.1.0\nreplace example.com/c v1.1.0 => example.com/leaf v1.0.0\n"
            ))],
        ),
        case("all kinds of paths", &[&["mod", "download"]], &[main(KINDS)]),
        case("all kinds of paths, build", &[&["build", "./..."]], &[main(KINDS), sum.clone(), kinds]),
        case("workspace", &[&["mod", "download"], &["build", "./one/..."]], &work),
        Case { dir: "one", ..case("from a module of a workspace", &[&["mod", "download"]], &work) },
        Case { env: &[("GONOSUMDB", "example.com")], ..case("GONOSUMDB", &[&["mod", "download"]], &[main(REQUIRES)]) },
        Case { env: &[("GOSUMDB", "off")], ..case("GOSUMDB=off", &[&["mod", "tidy"]], &[main(""), code.clone()]) },
        Case {
            fails: Some("404 Not Found"),
            ..case("no such version", &[&["mod", "download", "example.com/a@v9.9.9"]], &[main(REQUIRES)])
        },
        Case {
            fails: Some("404 Not Found"),
            ..case("no such module", &[&["get", "example.com/nothing@v1.0.0"]], &[main(REQUIRES)])
        },
        Case {
            fails: Some("SECURITY ERROR"),
            ..case(
                "a wrong go.sum",
                &[&["mod", "download"]],
                &[main("require example.com/leaf v1.0.0\n"), ("go.sum", wrong(universe))],
            )
        },
    ]
}

/// A go.sum in which the hash of `leaf` is that of another module.
fn wrong(universe: &Universe) -> String {
    let (right, wrong) = (universe.hash("leaf@v1.0.0").to_string(), universe.hash("c@v1.1.0").to_string());
    universe.full_go_sum().replace(&right, &wrong)
}

struct Left {
    ran: Vec<Ran>,
    files: BTreeMap<String, Entry>,
    /// GOPATH/pkg: the module cache, and what is known of the checksum database.
    cache: BTreeMap<String, Entry>,
}

fn leave(case: &Case, version: &str, goproxy: &str, gosumdb: &str) -> Left {
    let files = project(&case.files);
    let mut home = Home::new(goproxy).with("GOSUMDB", gosumdb).toolchain(version);
    for (name, value) in case.env {
        home.set(name, value);
    }
    let (places, dir) =
        ([home.path().display().to_string(), files.path().display().to_string()], files.path().join(case.dir));
    let plain = |text: String| {
        let text = text.replace(goproxy, "PROXY");
        places.iter().fold(text, |text, place| text.replace(place, "PLACE"))
    };
    let ran = case.go.iter().map(|args| {
        let Ran { code, out, err } = home.go(&dir, args);
        Ran { code, out: plain(out), err: plain(err) }
    });
    let ran = ran.collect();
    Left { ran, files: snapshot(files.path()), cache: snapshot(&home.path().join("go/pkg")) }
}

fn compare(case: &Case, version: &str, upstream: &Server, gosumdb: &str) -> Vec<String> {
    let alone = leave(case, version, &upstream.url(), gosumdb);
    let serve = Serve::start(&upstream.url(), gosumdb, "");
    let behind = leave(case, version, serve.url(), gosumdb);
    let mut found = Vec::new();
    for (args, (alone, behind)) in case.go.iter().zip(alone.ran.iter().zip(&behind.ran)) {
        if alone.code != behind.code || alone.out != behind.out {
            found.push(format!("go {}:\nalone: {alone:?}\nbehind: {behind:?}", args.join(" ")));
        }
    }
    let (last, fails) = (behind.ran.last().unwrap(), case.fails);
    if (last.code == Some(0)) == fails.is_some() || fails.is_some_and(|words| !last.err.contains(words)) {
        found.push(format!("not as expected: {last:?}"));
    }
    found.extend(differences(&alone.files, &behind.files).into_iter().map(|text| format!("project: {text}")));
    let (mut theirs, mut ours) = (alone.cache, behind.cache);
    if fails.is_none() && !theirs.keys().any(|name| name.ends_with(".mod")) {
        found.push("nothing was fetched".to_owned());
    }
    if fails.is_some() {
        // A go command that stops at once leaves some of what was under way, and not the same each time.
        theirs.retain(|name, _| ours.contains_key(name));
        ours.retain(|name, _| theirs.contains_key(name));
    }
    found.extend(differences(&theirs, &ours).into_iter().map(|text| format!("cache: {text}")));
    found.into_iter().map(|text| format!("== {}, {version}: {text}", case.name)).collect()
}

#[test]
fn the_same_files_output_and_success() {
    let universe = Universe::new();
    let gosumdb = universe.publish_sumdb();
    let upstream = Server::start(universe.root());
    let cases = cases(&universe);
    let only = std::env::var("GOFERRY_CASE").unwrap_or_default();
    let runs: Vec<(&Case, &str)> = cases
        .iter()
        .filter(|case| case.name.starts_with(&only))
        .flat_map(|case| VERSIONS.map(|version| (case, version)))
        .collect();
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some((case, version)) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let differences = compare(case, version, &upstream, &gosumdb);
                    found.lock().unwrap().extend(differences);
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
