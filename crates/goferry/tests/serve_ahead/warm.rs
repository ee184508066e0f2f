//! `goferry warm`, and what a go command waits for after it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use goferry_module::FileKind;
use tempfile::TempDir;

use crate::universe::{Universe, name, path};
use crate::world::{NEWEST, Served, World};

/// `goferry warm ARGS` in `dir`, with `proxy` as GOPROXY.
fn warm(dir: &Path, proxy: &str, args: &[&str]) -> Output {
    let home = TempDir::new().unwrap();
    Command::new(env!("CARGO_BIN_EXE_goferry"))
        .arg("warm")
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("HOME", home.path())
        .env("GOENV", "off")
        .env("GOPROXY", proxy)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn write(dir: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let file = dir.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
}

#[test]
fn then_a_go_command_waits_for_nothing() {
    let requires: Vec<_> = (0..30).map(|number| (name(number), "v1.0.0")).collect();
    let world = World::new(Universe::flat(30), "1.21", &requires);
    let alone = world.alone(NEWEST, 2, &["mod", "download"]);
    let served = Served::start(&world.origin.url(), true);
    let dir = TempDir::new().unwrap();
    write(dir.path(), &[("go.mod", &world.go_mod), ("go.sum", &world.go_sum)]);
    let output = warm(dir.path(), &format!("{},direct", served.url), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("90 of 90 files of 30 modules are there"), "{}", text(&output));
    let given = world.origin.given();
    let paths = |given: &[(String, usize)]| given.iter().map(|(path, _)| path.clone()).collect::<BTreeSet<_>>();
    assert_eq!(paths(&given), paths(&alone.given), "exactly what go mod download asks for");
    // A second time everything is there; credentials in the URL do no harm where nobody asks for any.
    let url = served.url.replace("http://", "http://ci:secret@");
    let output = warm(Path::new("/"), "off", &["--proxy", &url, dir.path().to_str().unwrap()]);
    assert!(text(&output).contains("90 of 90 files of 30 modules are there, 0 B fetched"), "{}", text(&output));
    assert!(!text(&output).contains("secret"));
    assert_eq!(world.go(&served.url, NEWEST, 2, &["mod", "download"]), alone.left);
    assert_eq!(world.origin.given(), []);
}

#[test]
fn a_workspace_and_what_cannot_be_had() {
    let mut universe = Universe::tree(4, "1.21");
    universe.files.remove(&format!("/{}/@v/v1.0.0.zip", path("m0003")));
    let origin = crate::origin::Origin::start(universe.files);
    let served = Served::start(&origin.url(), true);
    let dir = TempDir::new().unwrap();
    let require =
        |names: &[&str]| -> String { names.iter().map(|name| format!("require {} v1.0.0\n", path(name))).collect() };
    let one =
        format!("module example.com/one\ngo 1.21\nrequire example.com/two v1.0.0\n{}", require(&["m0000", "m0003"]));
    let two = format!("module example.com/two\ngo 1.21\n{}", require(&["m0001", "gone"]));
    let work = format!("go 1.21\nuse ./one\nuse ./two\nreplace {} => {} v1.0.0\n", path("gone"), path("m0002"));
    write(dir.path(), &[("go.work", &work), ("one/go.mod", &one), ("two/go.mod", &two)]);
    let output = warm(&dir.path().join("one"), &served.url, &[]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("11 of 12 files of 4 modules are there"), "{said}");
    assert!(said.contains("lab.example.com/m0003@v1.0.0.zip: "), "{said}");
    let module = |name: &str| {
        goferry_module::ModuleVersion::new(path(name).parse().unwrap(), "v1.0.0".parse().unwrap()).unwrap()
    };
    let cache = served.proxy.store().cache();
    assert!(cache.file(&module("m0002"), FileKind::Zip).exists(), "what stands in place of another");
}

#[test]
fn what_it_does_not_do() {
    let dir = TempDir::new().unwrap();
    let output = warm(dir.path(), "https://goproxy.example.com", &[]);
    assert!(output.status.code() != Some(0) && text(&output).contains("no go.mod"), "{}", text(&output));
    write(dir.path(), &[("go.mod", "module example.com/main\ngo 1.21\n")]);
    let output = warm(dir.path(), "direct", &[]);
    assert!(text(&output).contains("GOPROXY names no proxy"), "{}", text(&output));
    // Another module proxy.
    let origin = crate::origin::Origin::start(Universe::flat(1).files);
    let output = warm(dir.path(), &origin.url(), &[]);
    assert!(output.status.code() != Some(0) && text(&output).contains("is it a goferry?"), "{}", text(&output));
}
