//! What is blocked or cannot be verified is not gone around; what is missing is.

use std::fs;

use goferry_module::FileKind;

use crate::VERSIONS;
use crate::serve::Serve;
use crate::server::{Instead, Server};
use crate::world::{Home, Universe, go_mod, module, project};

const BLOCK: &str = "[[rule]]\npattern = \"example.com/leaf\"\nblock = \"use example.com/twig in its place\"\n";

/// A universe with its checksum database, served as the upstream, and again as what go would go around to.
struct World {
    universe: Universe,
    gosumdb: String,
    upstream: Server,
    around: Server,
}

fn world() -> World {
    let universe = Universe::new();
    let gosumdb = universe.publish_sumdb();
    let (upstream, around) = (Server::start(universe.root()), Server::start(universe.root()));
    World { universe, gosumdb, upstream, around }
}

impl World {
    fn serve(&self, settings: &str) -> Serve {
        Serve::start(&self.upstream.url(), &self.gosumdb, settings)
    }

    /// Modules that were asked of the other proxy.
    fn gone_around(&self) -> Vec<String> {
        self.around.asked().into_iter().map(|asked| asked.path).filter(|path| !path.starts_with("/sumdb/")).collect()
    }
}

/// Runs `check` with a go command of each version whose GOPROXY has another entry behind the proxy.
fn each(world: &World, serve: &Serve, check: impl Fn(&Home)) {
    for version in VERSIONS {
        let list = format!("{},{}", serve.url(), world.around.url());
        check(&Home::new(&list).with("GOSUMDB", &world.gosumdb).toolchain(version));
    }
}

#[test]
fn a_blocked_module_is_refused() {
    let world = world();
    let serve = world.serve(BLOCK);
    each(&world, &serve, |home| {
        let dir = project(&[("go.mod", go_mod("1.20", "require example.com/leaf v1.0.0\n"))]);
        let ran = home.go_download(dir.path(), &[]).failed(1);
        let _ = ran.says("403 Forbidden").says("use example.com/twig in its place");
        let ran = home.go(dir.path(), &["get", "example.com/leaf@latest"]).failed(1);
        let _ = ran.says("403 Forbidden").says("use example.com/twig in its place");
        assert_eq!(home.zips(), Vec::<String>::new());
    });
    assert_eq!(world.gone_around(), Vec::<String>::new());
    assert!(!world.upstream.asked().iter().any(|asked| asked.path.contains("leaf")));
}

#[test]
fn a_wrong_zip_is_a_security_error() {
    let world = world();
    let mut other = Universe::empty();
    other.add("leaf@v1.0.0", "1.20", &[], 99);
    let body = fs::read(other.file(&module("leaf@v1.0.0"), FileKind::Zip)).unwrap();
    world.upstream.instead("/leaf/@v/v1.0.0.zip", Instead::Body(body));
    let serve = world.serve("");
    let (right, wrong) = (world.universe.hash("leaf@v1.0.0").to_string(), other.hash("leaf@v1.0.0").to_string());
    each(&world, &serve, |home| {
        let files =
            [("go.mod", go_mod("1.20", "require example.com/leaf v1.0.0\n")), ("go.sum", world.universe.full_go_sum())];
        let dir = project(&files);
        let ran = home.go_download(dir.path(), &[]).failed(1).says("502 Bad Gateway").says("SECURITY ERROR");
        let _ = ran.says(&right).says(&wrong);
        assert_eq!(home.zips(), Vec::<String>::new());
    });
    assert_eq!(world.gone_around(), Vec::<String>::new());
    assert!(!serve.stored("leaf").iter().any(|name| name.contains(".zip")), "{:?}", serve.stored("leaf"));
    // The right one is taken as soon as it comes.
    world.upstream.heal();
    each(&world, &serve, |home| {
        let dir = project(&[("go.mod", go_mod("1.20", "require example.com/leaf v1.0.0\n"))]);
        home.go_download(dir.path(), &[]).ok();
    });
    assert_eq!(world.gone_around(), Vec::<String>::new());
}

#[test]
fn a_wrong_go_mod_is_a_security_error() {
    let world = world();
    let body = b"module example.com/leaf\n\ngo 1.20\n\nrequire example.com/c v1.1.0\n".to_vec();
    world.upstream.instead("/leaf/@v/v1.0.0.mod", Instead::Body(body));
    let serve = world.serve("");
    each(&world, &serve, |home| {
        // Without go.sum, and without a database of its own, go would take anything.
        let dir = project(&[("go.mod", go_mod("1.20", "require example.com/leaf v1.0.0\n"))]);
        let mut command = home.go_command(dir.path(), &["mod", "download"]);
        let ran = crate::world::Ran::of(&command.env("GOSUMDB", "off").output().unwrap()).failed(1);
        let _ = ran.says("502 Bad Gateway").says("SECURITY ERROR");
    });
    assert_eq!(world.gone_around(), Vec::<String>::new());
    assert_eq!(serve.stored("leaf"), Vec::<String>::new());
}

#[test]
fn what_the_database_does_not_know_is_refused() {
    let mut world = world();
    world.universe.add("later@v1.0.0", "1.20", &[], 10);
    let serve = world.serve("");
    each(&world, &serve, |home| {
        let dir = project(&[("go.mod", go_mod("1.20", "require example.com/later v1.0.0\n"))]);
        let mut command = home.go_command(dir.path(), &["mod", "download"]);
        let ran = crate::world::Ran::of(&command.env("GOSUMDB", "off").output().unwrap()).failed(1);
        let _ = ran.says("example.com/later@v1.0.0").says(crate::world::SUMDB);
        assert!(!ran_404(&home.go_download(dir.path(), &[]).err));
    });
    assert_eq!(world.gone_around(), Vec::<String>::new());
    assert_eq!(serve.stored("later"), Vec::<String>::new());
}

fn ran_404(err: &str) -> bool {
    err.contains("v1.0.0.mod: 404") || err.contains("v1.0.0.zip: 404")
}

#[test]
fn what_the_upstream_refuses_is_refused() {
    let world = world();
    for status in [401, 403, 500, 503] {
        world.upstream.heal();
        world.upstream.instead("/leaf/", Instead::Status(status));
        let serve = world.serve("[fetch]\nretries = 0\ntimeout = \"5s\"\n");
        each(&world, &serve, |home| {
            let dir = project(&[("go.mod", go_mod("1.20", "require example.com/leaf v1.0.0\n"))]);
            home.go_download(dir.path(), &[]).failed(1).says(&status.to_string());
        });
        assert_eq!(world.gone_around(), Vec::<String>::new(), "{status}");
    }
}

#[test]
fn what_is_missing_is_looked_for_at_the_next_entry() {
    let world = world();
    for status in [404, 410] {
        world.upstream.heal();
        world.upstream.instead("/leaf/", Instead::Status(status));
        let serve = world.serve("");
        each(&world, &serve, |home| {
            let requires = "require example.com/e v1.0.0\nrequire example.com/leaf v1.0.0\n";
            let dir = project(&[("go.mod", go_mod("1.20", requires))]);
            home.go_download(dir.path(), &[]).ok();
            assert_eq!(home.zips().len(), 2);
        });
        let around = world.gone_around();
        assert!(around.iter().any(|path| path == "/example.com/leaf/@v/v1.0.0.zip"), "{status}: {around:?}");
        assert!(around.iter().all(|path| path.contains("/leaf/")), "{status}: {around:?}");
    }
}

#[test]
fn what_is_missing_is_looked_for_at_its_repository() {
    let world = world();
    let serve = world.serve("");
    for version in VERSIONS {
        // `direct` for a path that names its version control needs no discovery: git is asked at once, and is not allowed.
        let home = Home::new(&format!("{},direct", serve.url())).with("GOSUMDB", &world.gosumdb).toolchain(version);
        let home = home.with("GOVCS", "*:off");
        let missing = project(&[("go.mod", go_mod("1.20", "require example.com/repo.git v1.0.0\n"))]);
        home.go_download(missing.path(), &[]).failed(1).says("GOVCS disallows using git");
        let blocked = world.serve(&BLOCK.replace("example.com/leaf", "example.com/repo.git"));
        let home = Home::new(&format!("{},direct", blocked.url())).toolchain(version).with("GOVCS", "*:off");
        let ran = home.go_download(missing.path(), &[]).failed(1).says("403 Forbidden");
        assert!(!ran.err.contains("GOVCS"), "{}", ran.err);
    }
}
