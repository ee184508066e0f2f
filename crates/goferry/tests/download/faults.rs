//! Modules that are missing, refused or wrong; sources in a list; disks that take nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use goferry_lab::folder::snapshot;
use goferry_module::FileKind;
use tempfile::TempDir;

use crate::server::{Instead, Server};
use crate::world::{Home, Ran, Universe, go_mod, module, project};

const REQUIRES: &str = "require example.com/a v1.0.0\nrequire example.com/b v1.0.0 // indirect\n\
                        require example.com/c v1.0.0 // indirect\nrequire example.com/leaf v1.0.0\n";

fn world() -> (Universe, TempDir) {
    let universe = Universe::new();
    let dir = project(&[("go.mod", go_mod("1.20", REQUIRES)), ("go.sum", universe.full_go_sum())]);
    (universe, dir)
}

/// A proxy that has nothing.
fn nothing() -> TempDir {
    TempDir::new().unwrap()
}

#[test]
fn a_missing_zip_is_named_and_the_others_are_finished() {
    let (universe, dir) = world();
    for (status, words) in [(404, "404 Not Found"), (410, "410 Gone"), (403, "403 Forbidden"), (418, "418")] {
        let server = Server::start(universe.root());
        server.instead("/leaf/@v/v1.0.0.zip", Instead::Status(status));
        let home = Home::new(&server.url());
        let ran = home.download(dir.path(), &[]).failed(1).says(words).says("the server's own words");
        let ran = ran.says("goferry: error: example.com/leaf@v1.0.0: ").says("[the module proxy]").says("1 failed");
        assert_eq!(ran.err.matches("goferry: error:").count(), 1, "{}", ran.err);
        assert_eq!(home.zips().len(), 3, "{:?}", home.zips());
        server.heal();
        server.asked();
        home.download(dir.path(), &[]).ok().says("1 module fetched");
        let asked: Vec<String> = server.asked().into_iter().map(|asked| asked.path).collect();
        assert_eq!(asked, ["/example.com/leaf/@v/v1.0.0.zip"]);
    }
}

#[test]
fn a_missing_go_mod_is_named_with_who_requires_it() {
    let (universe, dir) = world();
    fs::remove_file(universe.file(&module("c@v1.0.0"), FileKind::Mod)).unwrap();
    let home = Home::new(&universe.url());
    home.download(dir.path(), &[]).failed(1).says("example.com/c@v1.0.0").says("[the module proxy]");
}

#[test]
fn a_wrong_zip_leaves_nothing() {
    let (universe, dir) = world();
    let right = universe.hash("leaf@v1.0.0").to_string();
    let mut other = Universe::empty();
    other.add("leaf@v1.0.0", "1.20", &[], 99);
    let wrong = other.hash("leaf@v1.0.0").to_string();
    let server = Server::start(universe.root());
    let body = fs::read(other.file(&module("leaf@v1.0.0"), FileKind::Zip)).unwrap();
    server.instead("/leaf/@v/v1.0.0.zip", Instead::Body(body));
    let before = snapshot(dir.path());
    for args in [&[][..], &["--json"], &["--no-extract"], &["example.com/leaf@v1.0.0"]] {
        let home = Home::new(&server.url());
        let ran = home.download(dir.path(), args).failed(1).says("SECURITY ERROR").says(&right).says(&wrong);
        let _ = ran.says("go.sum:").says("checksum mismatch");
        let left: Vec<String> = snapshot(&home.cache()).into_keys().filter(|name| name.contains("leaf")).collect();
        assert!(!left.iter().any(|name| name.contains(".zip") || name.contains("leaf@")), "{left:?}");
        assert!(snapshot(dir.path()) == before, "go.sum changed");
    }
}

#[test]
fn what_is_no_zip_leaves_nothing() {
    let (universe, dir) = world();
    let server = Server::start(universe.root());
    for body in [b"<html>".to_vec(), Vec::new()] {
        server.heal();
        server.instead("/leaf/@v/v1.0.0.zip", Instead::Body(body));
        let home = Home::new(&server.url());
        home.download(dir.path(), &[]).failed(1).says("example.com/leaf@v1.0.0").says("[the module proxy]");
        assert_eq!(home.zips().len(), 3);
    }
}

#[test]
fn the_list_of_proxies() {
    let (universe, dir) = world();
    let (server, empty) = (Server::start(universe.root()), nothing());
    let empty_url = format!("file://{}", empty.path().display());
    let refusing = Server::start(universe.root());
    refusing.instead("/", Instead::Status(403));
    let dead = "http://127.0.0.1:1";
    let works = [
        format!("{empty_url},{}", server.url()),
        format!("{empty_url}|{}", server.url()),
        format!("{}|{}", refusing.url(), server.url()),
        format!("{},{}", server.url(), dead),
        format!("{},off", server.url()),
    ];
    for list in works {
        let home = Home::new(&list);
        home.download(dir.path(), &["--retries", "0"]).ok();
        let go = Home::new(&list);
        go.go_download(dir.path(), &[]).ok();
    }
    let fails = [
        (format!("{},{}", refusing.url(), server.url()), "403"),
        (format!("{empty_url},off"), "GOPROXY"),
        ("off".to_owned(), "GOPROXY=off"),
        (format!("{dead},{}", server.url()), "127.0.0.1:1"),
    ];
    for (list, words) in fails {
        let home = Home::new(&list);
        home.download(dir.path(), &["--retries", "0"]).failed(1).says(words);
        let go = Home::new(&list);
        assert_ne!(go.go_download(dir.path(), &[]).code, Some(0), "{list}");
    }
}

#[test]
fn off_takes_what_is_in_the_cache() {
    let (universe, dir) = world();
    let home = Home::new(&universe.url());
    home.go_download(dir.path(), &[]).ok();
    let home = home.with("GOPROXY", "off");
    home.download(dir.path(), &[]).ok().says("4 modules in the module cache already");
    home.clean();
    home.download(dir.path(), &[]).failed(1).says("GOPROXY=off").says("[this machine or its settings]");
}

#[test]
fn the_checksum_database_is_asked_for_what_go_sum_lacks() {
    let universe = Universe::new();
    let dir = project(&[("go.mod", go_mod("1.20", "require example.com/leaf v1.0.0\n"))]);
    // A database that is not there, whose key is known.
    let database = "sum.golang.org http://127.0.0.1:1";
    let home = Home::new(&universe.url()).with("GOSUMDB", database);
    home.download(dir.path(), &["--retries", "0"]).failed(1).says("127.0.0.1:1");
    assert_eq!(home.zips(), Vec::<String>::new());
    assert!(!dir.path().join("go.sum").exists());
    for (name, value) in [("GONOSUMDB", "example.com"), ("GONOSUMCHECK", "1"), ("GOSUMDB", "off")] {
        let home = Home::new(&universe.url()).with("GOSUMDB", database).with(name, value);
        let ran = home.download(dir.path(), &["--retries", "0"]);
        // GONOSUMCHECK is no setting of the go command.
        let expected = if name == "GONOSUMCHECK" { Some(1) } else { Some(0) };
        assert_eq!(ran.code, expected, "{name}: {ran:?}");
    }
    let listed = project(&[
        ("go.mod", go_mod("1.20", "require example.com/leaf v1.0.0\n")),
        ("go.sum", universe.go_sum(&["leaf@v1.0.0"])),
    ]);
    Home::new(&universe.url()).with("GOSUMDB", database).download(listed.path(), &[]).ok();
}

#[test]
fn a_toolchain_that_the_go_command_would_fetch() {
    let mut universe = Universe::new();
    let name = format!("golang.org/toolchain@v0.0.1-go1.99.0.{}-{}", os(), arch());
    universe.add(&name, "", &[], 100);
    let text = go_mod("1.99.0", "require example.com/leaf v1.0.0\n");
    let dir = project(&[("go.mod", text), ("go.sum", universe.go_sum(&["leaf@v1.0.0"]))]);
    let home = Home::new(&universe.url()).with("GOTOOLCHAIN", "auto");
    home.download(dir.path(), &["-n"]).ok().says(&name);
    assert_eq!(home.zips(), Vec::<String>::new());
    home.download(dir.path(), &["--toolchain=never"]).ok();
    assert_eq!(home.zips().len(), 1);
    let ran = home.download(dir.path(), &[]).ok();
    assert!(home.cache().join(&name).join("x.go").exists(), "{ran:?}");
    // The zip and nothing else, as the go command does.
    let files: Vec<String> =
        snapshot(&home.cache()).into_keys().filter(|name| name.contains("toolchain/@v/")).collect();
    assert!(!files.iter().any(|name| name.ends_with(".info") || name.ends_with(".mod")), "{files:?}");
    home.download(dir.path(), &["-n"]).ok().says("all is in the module cache");
    let other = project(&[("go.mod", go_mod("1.20", "require example.com/leaf v1.0.0\n"))]);
    home.download(other.path(), &["--toolchain"]).ok().says("no toolchain to fetch");
    let home = home.with("GOTOOLCHAIN", "local");
    home.download(dir.path(), &[]).says("the go command will fail here");
}

fn os() -> &'static str {
    std::env::consts::OS
}

fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[test]
fn a_cache_that_cannot_be_written() {
    let (universe, dir) = world();
    let home = Home::new(&universe.url());
    fs::write(home.path().join("file"), "").unwrap();
    let below = home.path().join("file/mod");
    let home = home.with("GOMODCACHE", below.to_str().unwrap());
    home.download(dir.path(), &[]).failed(1).says("Not a directory").says("[this machine or its settings]");
    home.with("GOMODCACHE", "relative").download(dir.path(), &[]).failed(1).says("must be an absolute path");
}

/// Runs goferry with a file system of its own as module cache, in a user and mount namespace.
fn on_a_file_system(home: &Home, dir: &TempDir, setup: &str) -> Ran {
    let mut inner = home.goferry(dir.path(), &[]);
    inner.env("ROOT", home.cache());
    fs::create_dir_all(home.cache()).unwrap();
    let script = format!(
        "set -e; {setup}; set +e; \"$@\"; code=$?; echo; find \"$ROOT\" -name '*@v*' ! -path '*/cache/*' -o -name '*.zip'; exit $code"
    );
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"]).arg(inner.get_program());
    command.args(inner.get_args()).current_dir(dir.path()).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ran::of(&command.output().expect("unshare must be on PATH for this test"))
}

#[test]
fn a_full_disk() {
    let mut universe = Universe::new();
    universe.add("large@v1.0.0", "1.20", &[], 3 << 20);
    let dir = project(&[
        ("go.mod", go_mod("1.20", "require example.com/large v1.0.0\n")),
        ("go.sum", universe.full_go_sum()),
    ]);
    let server = Server::start(universe.root());
    // Too small for the zip; for the zip, and not for what is in it.
    for size in ["2m", "5m"] {
        for proxy in [universe.url(), server.url()] {
            let home = Home::new(&proxy);
            let mount = format!("mount -t tmpfs -o size={size} tmpfs \"$ROOT\"");
            let ran = on_a_file_system(&home, &dir, &mount).failed(1).says("No space left on device");
            let ran = ran.says("example.com/large@v1.0.0").says("[this machine or its settings]");
            assert!(!ran.out.contains("large@v1.0.0\n"), "{}", ran.out);
        }
    }
    let home = Home::new(&universe.url());
    let mount = "mount -t tmpfs tmpfs \"$ROOT\"; mount -o remount,ro \"$ROOT\"";
    on_a_file_system(&home, &dir, mount).failed(1).says("Read-only file system");
    let mount = "mount -t tmpfs -o size=64m tmpfs \"$ROOT\"";
    on_a_file_system(&home, &dir, mount).ok().says("large@v1.0.0\n");
}

#[test]
fn permissions_of_the_cache() {
    let (universe, dir) = world();
    let home = Home::new(&universe.url()).with("GOFLAGS", "-modcacherw");
    home.download(dir.path(), &[]).ok();
    let mode =
        |home: &Home| fs::metadata(home.cache().join("example.com/a@v1.0.0")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home), 0o755);
    let home = Home::new(&universe.url());
    home.download(dir.path(), &[]).ok();
    assert_eq!(mode(&home), 0o555);
}
