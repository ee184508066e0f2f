//! What is printed, and the exit codes.

use std::fs;

use goferry_lab::folder::snapshot;

use crate::server::Server;
use crate::world::{Home, Universe, go_mod, project};

const REQUIRES: &str = "require example.com/a v1.0.0\nrequire example.com/b v1.0.0 // indirect\n\
                        require example.com/c v1.0.0 // indirect\n";

fn world() -> (Universe, tempfile::TempDir, Home) {
    let universe = Universe::new();
    let dir = project(&[("go.mod", go_mod("1.20", REQUIRES)), ("go.sum", universe.full_go_sum())]);
    let home = Home::new(&universe.url());
    (universe, dir, home)
}

#[test]
fn a_summary_and_no_progress_in_a_pipe() {
    let (_universe, dir, home) = world();
    let ran = home.download(dir.path(), &[]).ok();
    assert_eq!(ran.err, "");
    assert!(ran.out.starts_with("3 modules fetched, "), "{}", ran.out);
    assert!(
        !ran.out.contains('\x1b') && !ran.out.contains('\r') && !ran.out.contains("go mod download"),
        "{}",
        ran.out
    );
    let again = home.download(dir.path(), &[]).ok();
    assert!(again.out.starts_with("3 modules in the module cache already; "), "{}", again.out);
    assert_eq!((again.out.lines().count(), again.err.as_str()), (1, ""), "{}", again.out);
}

#[test]
fn quiet_says_nothing_but_failures() {
    let (_universe, dir, home) = world();
    let ran = home.download(dir.path(), &["-q"]).ok();
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    let ran = home.download(dir.path(), &["-q", "example.com/a@v9.9.9"]).failed(1);
    assert!(ran.out.is_empty() && ran.err.contains("goferry: error: example.com/a@v9.9.9"), "{ran:?}");
}

#[test]
fn folders() {
    let (_universe, dir, home) = world();
    fs::create_dir(dir.path().join("sub")).unwrap();
    let elsewhere = project(&[]);
    let name = dir.path().to_str().unwrap();
    let again = "3 modules in the module cache already";
    home.download(elsewhere.path(), &[name]).ok().says("3 modules fetched");
    home.download(elsewhere.path(), &["-C", name]).ok().says(again);
    home.download(dir.path(), &["./sub"]).ok().says(again);
    home.download(&dir.path().join("sub"), &[".."]).ok().says(again);
    home.download(elsewhere.path(), &["-C", name, "example.com/a"]).ok().says("1 module in the module cache already");
    home.download(dir.path(), &["./nowhere"]).failed(2).says("nowhere: No such file");
    home.download(dir.path(), &["./go.mod"]).failed(2).says("is not a folder");
    home.download(dir.path(), &[".", "example.com/a"]).failed(2).says("name the folder with -C");
}

#[test]
fn usage() {
    let (_universe, dir, home) = world();
    for args in [&["--nonsense"][..], &["--connections", "0"], &["--connections", "65"], &["--retries", "x"]] {
        home.download(dir.path(), args).failed(2);
    }
    home.download(dir.path(), &["--timeout", "0"]).failed(2).says("from 1 to 86400");
    home.download(dir.path(), &["a\nb@v1"]).failed(1);
    home.download(dir.path(), &["/nowhere", "example.com/a"]).failed(2);
    let nowhere = project(&[]);
    home.download(nowhere.path(), &[]).failed(1).says("goferry: error: ").says("goferry: hint: ");
}

#[test]
fn nothing_to_download() {
    let home = Home::new("off");
    let dir = project(&[("go.mod", go_mod("1.20", ""))]);
    let ran = home.download(dir.path(), &[]).ok();
    // As the go command says it, on standard error (cmd/go/internal/modcmd/download.go).
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", "goferry: no module dependencies to download\n"));
    home.go_download(dir.path(), &[]).ok().says("go: no module dependencies to download");
}

#[test]
fn a_dry_run_changes_nothing() {
    let universe = Universe::new();
    let dir = project(&[("go.mod", go_mod("1.20", REQUIRES))]);
    let home = Home::new(&universe.url());
    let before = snapshot(dir.path());
    let all = "example.com/a@v1.0.0\nexample.com/b@v1.0.0\nexample.com/c@v1.0.0\n";
    for args in [&["--dry-run"][..], &["-n"]] {
        let ran = home.download(dir.path(), args).ok();
        assert_eq!((ran.out.as_str(), ran.err.as_str()), (all, ""));
        assert_eq!(snapshot(dir.path()), before);
        assert_eq!(home.zips(), Vec::<String>::new());
    }
    let json = home.download(dir.path(), &["-n", "--json"]).ok();
    let first = serde_json::Deserializer::from_str(&json.out).into_iter::<serde_json::Value>().next().unwrap().unwrap();
    assert_eq!(first, serde_json::json!({ "Path": "example.com/a", "Version": "v1.0.0" }));
    home.download(dir.path(), &["example.com/c@v1.0.0"]).ok();
    let ran = home.download(dir.path(), &["-n"]).ok();
    assert_eq!(ran.out, "example.com/a@v1.0.0\nexample.com/b@v1.0.0\n");
    home.download(dir.path(), &[]).ok();
    home.download(dir.path(), &["-n"]).ok().says("all is in the module cache");
}

#[test]
fn zips_only() {
    let (_universe, dir, home) = world();
    home.download(dir.path(), &["--no-extract"]).ok();
    assert_eq!(home.zips().len(), 3);
    assert!(!home.cache().join("example.com").exists());
    home.download(dir.path(), &["--no-extract", "-n"]).ok().says("all is in the module cache");
    // The go command unpacks what is there.
    let home = home.with("GOPROXY", "off");
    home.go(dir.path(), &["mod", "verify"]).ok().says("all modules verified");
    home.go_download(dir.path(), &[]).ok();
    assert!(home.cache().join("example.com/a@v1.0.0/x.go").exists());
}

#[test]
fn what_go_sum_lacks_is_said() {
    let universe = Universe::new();
    let dir = project(&[("go.mod", go_mod("1.20", REQUIRES))]);
    let home = Home::new(&universe.url());
    let ran = home.download(dir.path(), &[]).ok();
    assert!(ran.out.contains("go.sum: 3 lines added"), "{}", ran.out);
    assert!(ran.out.contains("go.sum lacks the zip hashes of example.com/a@v1.0.0"), "{}", ran.out);
    home.download(dir.path(), &[]).ok().says("go.sum lacks the zip hashes");
}

#[test]
fn two_hundred_modules_from_the_cache_without_a_network() {
    let mut universe = Universe::empty();
    let names: Vec<String> = (0..200).map(|number| format!("many/m{number}@v1.0.0")).collect();
    let mut requires = String::new();
    for name in &names {
        universe.add(name, "1.20", &[], 10);
        requires.push_str(&format!("require example.com/{}\n", name.replace('@', " ")));
    }
    let dir = project(&[("go.mod", go_mod("1.20", &requires)), ("go.sum", universe.full_go_sum())]);
    let home = Home::new(&universe.url());
    home.download(dir.path(), &[]).ok().says("200 modules fetched");
    let before = (snapshot(dir.path()), snapshot(&home.cache()));
    let home = home.with("GOPROXY", "off");
    home.download(dir.path(), &[]).ok().says("200 modules in the module cache already");
    assert!((snapshot(dir.path()), snapshot(&home.cache())) == before, "the second run changed something");
    home.go(dir.path(), &["mod", "verify"]).ok();
}

#[test]
fn the_timeline_is_of_its_schema() {
    let (universe, dir, _) = world();
    let server = Server::start(universe.root());
    let home = Home::new(&server.url());
    let file = home.path().join("timeline.json");
    home.download(dir.path(), &["--timeline", file.to_str().unwrap()]).ok();
    let value: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let schema = include_str!("../../../../docs/schema/timeline-1.json");
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{value:#}");
    let requests = server.asked().len();
    assert_eq!(value["pools"][0]["requests"], requests);
    let connections = value["origins"][0]["connections"].as_array().unwrap();
    let sum: u64 = connections.iter().map(|one| one["requests"].as_u64().unwrap()).sum();
    assert_eq!(sum, requests as u64);
    home.clean();
    let nowhere = home.path().join("nowhere/timeline.json");
    home.download(dir.path(), &["--timeline", nowhere.to_str().unwrap()]).failed(2).says("No such file");
    assert_eq!(server.asked().len(), 0);
}

#[test]
fn the_help_fits_a_terminal() {
    let (_universe, dir, home) = world();
    let ran = home.download(dir.path(), &["--help"]).ok();
    let wide: Vec<&str> = ran.out.lines().filter(|line| line.chars().count() > 80).collect();
    assert_eq!((wide, ran.err.as_str()), (Vec::new(), ""));
    for flag in ["--json", "--dry-run", "--no-extract", "--connections", "--toolchain", "--retries", "--timeout"] {
        assert!(ran.out.contains(flag), "{flag}");
    }
}
