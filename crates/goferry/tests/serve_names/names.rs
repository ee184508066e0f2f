//! `list`, `@latest` and branches.

use std::thread::sleep;
use std::time::Duration;

use goferry_lab::wait::until;

use crate::upstream::Upstream;
use crate::world::{TOOLCHAINS, World, ask, get, go, ok, project};

const M: &str = "example.com/m";
const PSEUDO: &str = "v1.1.1-0.20240102030405-abcdefabcdef";
/// Nothing is fresh for long.
const BRIEF: &str = "[freshness]\nfresh = \"300ms\"\nrevalidate = \"0s\"\nif-error = \"1h\"\nnot-found = \"500ms\"\n";

fn published() -> Upstream {
    let upstream = Upstream::start();
    for name in ["example.com/m@v1.0.0", "example.com/m@v1.1.0", "example.com/m@v1.2.0-rc.1"] {
        upstream.publish(name, &[]);
    }
    upstream.publish(&format!("{M}@{PSEUDO}"), &[]);
    upstream.publish("example.com/n@v0.1.0", &["example.com/m@v1.0.0"]);
    upstream.branch(M, "main", PSEUDO);
    upstream
}

/// What go commands say about the modules, through a proxy.
fn said(toolchain: &str, goproxy: &str) -> Vec<String> {
    let dir = project(&["example.com/n@v0.1.0", "example.com/m@v1.0.0"]);
    let latest = format!("{M}@latest");
    let mut all: Vec<String> =
        [vec!["list", "-m", "-versions", M], vec!["list", "-m", &latest], vec!["list", "-mod=mod", "-m", "-u", "all"]]
            .into_iter()
            .map(|args| ok(go(toolchain, goproxy, dir.path(), &args)))
            .collect();
    ok(go(toolchain, goproxy, dir.path(), &["get", &format!("{M}@main")]));
    all.push(std::fs::read_to_string(dir.path().join("go.mod")).unwrap());
    all
}

#[test]
fn go_commands_see_what_the_upstream_says() {
    let upstream = published();
    for toolchain in TOOLCHAINS {
        let world = World::new();
        let serve = world.serve(&upstream.url(), "", &["--sumdb", "off"]);
        let through = said(toolchain, serve.url());
        assert_eq!(through, said(toolchain, &upstream.url()), "{toolchain}");
        assert!(through[0].ends_with("v1.0.0 v1.1.0 v1.2.0-rc.1\n"), "{through:?}");
        assert!(through[1].contains("v1.1.0") && through[2].contains("v1.0.0 [v1.1.0]"), "{through:?}");
        assert!(through[3].contains(PSEUDO), "{through:?}");
    }
}

/// `m@v2.0.0` of a module without go.mod is asked for so (`modload/query.go`), and becomes `v2.0.0+incompatible`.
#[test]
fn a_version_of_another_major_is_a_question() {
    let upstream = Upstream::start();
    upstream.publish("example.com/old@v2.0.0+incompatible", &[]);
    upstream.branch("example.com/old", "v2.0.0", "v2.0.0+incompatible");
    let (world, dir) = (World::new(), project(&[]));
    let serve = world.serve(&upstream.url(), "", &["--sumdb", "off"]);
    for toolchain in TOOLCHAINS {
        let said = ok(go(toolchain, serve.url(), dir.path(), &["list", "-m", "example.com/old@v2.0.0"]));
        assert_eq!(said, "example.com/old v2.0.0+incompatible\n", "{toolchain}");
    }
    assert_eq!(get(&serve, "/example.com/old/@v/v3.0.0.info").status, 404);
}

#[test]
fn an_upstream_that_fails_or_is_gone_is_not_noticed() {
    let (upstream, world) = (published(), World::new());
    let url = upstream.url();
    let serve = world.serve(&url, BRIEF, &["--sumdb", "off"]);
    let before = said(TOOLCHAINS[0], serve.url());
    // No cache on the way is to keep for longer what is fresh for less than a second here.
    let head = get(&serve, "/example.com/m/@v/list").head;
    assert!(head.contains("cache-control: public, max-age=0\r\n"), "{head}");
    upstream.content().failing = Some(500);
    sleep(Duration::from_millis(350));
    upstream.asked();
    for toolchain in TOOLCHAINS {
        assert_eq!(said(toolchain, serve.url()), before, "{toolchain}");
    }
    assert!(upstream.asked().iter().any(|path| path.ends_with("/@v/list")), "it is asked, and fails");
    drop(serve);
    drop(upstream);
    let serve = world.serve(&url, BRIEF, &["--sumdb", "off"]);
    assert_eq!(said(TOOLCHAINS[1], serve.url()), before, "after a restart, and without an upstream");
    let got = get(&serve, "/example.com/other/@v/list");
    assert_eq!(got.status, 502, "what is not kept is not said to be not there: {got:?}");
}

#[test]
fn what_is_published_later_is_seen() {
    let (upstream, world) = (published(), World::new());
    let serve = world.serve(&upstream.url(), BRIEF, &["--sumdb", "off"]);
    let (dir, late) = (project(&[]), "example.com/late");
    let args = ["list", "-m", "example.com/late@latest"];
    for toolchain in TOOLCHAINS {
        let run = go(toolchain, serve.url(), dir.path(), &args);
        assert!(!run.succeeded() && run.stderr.contains("the upstream has no such thing"), "{}", run.stderr);
    }
    assert_eq!(get(&serve, &format!("/{late}/@v/list")).status, 404);
    upstream.publish("example.com/late@v1.0.0", &[]);
    sleep(Duration::from_millis(550));
    for toolchain in TOOLCHAINS {
        assert!(ok(go(toolchain, serve.url(), dir.path(), &args)).contains("v1.0.0"));
    }
    // A new version of a known module.
    assert!(!ok(go(TOOLCHAINS[0], serve.url(), dir.path(), &["list", "-m", "-versions", M])).contains("v1.3.0"));
    upstream.publish("example.com/m@v1.3.0", &[]);
    sleep(Duration::from_millis(350));
    assert!(ok(go(TOOLCHAINS[0], serve.url(), dir.path(), &["list", "-m", "-versions", M])).contains("v1.3.0"));
}

#[test]
fn what_clients_may_ask_for() {
    let (upstream, world) = (published(), World::new());
    let serve = world.serve(&upstream.url(), "", &["--sumdb", "off"]);
    let list = "/example.com/m/@v/list";
    assert_eq!(ask(&serve, "GET", list, "Disable-Module-Fetch: true\r\n").status, 404);
    assert_eq!(upstream.asked(), [""; 0]);
    let got = get(&serve, list);
    assert_eq!((got.status, got.body.as_str()), (200, "v1.0.0\nv1.1.0\nv1.2.0-rc.1\n"));
    assert!(got.head.contains("content-type: text/plain; charset=utf-8") && got.head.contains("\r\nage: 0"), "{got:?}");
    assert!(got.head.contains("cache-control: public, max-age=60\r\n"), "{got:?}");
    let etag = got.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
    let head = ask(&serve, "HEAD", list, "");
    assert!(head.status == 200 && head.body.is_empty() && head.head.contains(&etag), "{head:?}");
    assert_eq!(ask(&serve, "GET", list, "Disable-Module-Fetch: true\r\n").body, got.body);
    let latest = get(&serve, "/example.com/m/@latest");
    assert!(latest.status == 200 && latest.head.contains("content-type: application/json"), "{latest:?}");
    assert_eq!(upstream.asked(), [list, "/example.com/m/@latest"]);
    let got = ask(&serve, "GET", list, "If-None-Match: *\r\n");
    assert_eq!((got.status, got.body.as_str()), (304, ""));
    // Only pseudo-versions: a list without lines is a list.
    upstream.publish("example.com/young@v0.0.0-20240102030405-abcdefabcdef", &[]);
    let got = get(&serve, "/example.com/young/@v/list");
    assert_eq!((got.status, got.body.as_str()), (200, ""));
}

#[test]
fn offline_there_is_what_was_stored() {
    let (upstream, world) = (published(), World::new());
    let dir = project(&["example.com/m@v1.0.0"]);
    let serve = world.serve(&upstream.url(), "", &["--sumdb", "off"]);
    ok(go(TOOLCHAINS[0], serve.url(), dir.path(), &["mod", "download", "example.com/m@v1.0.0"]));
    ok(go(TOOLCHAINS[0], serve.url(), dir.path(), &["list", "-m", "-versions", M]));
    ok(go(TOOLCHAINS[0], serve.url(), dir.path(), &["mod", "download", "example.com/m@main"]));
    drop(serve);
    upstream.asked();
    for mode in ["--offline", "--frozen"] {
        let serve = world.serve(&upstream.url(), "", &["--sumdb", "off", mode]);
        for toolchain in TOOLCHAINS {
            let list = ok(go(toolchain, serve.url(), dir.path(), &["list", "-m", "-versions", M]));
            assert_eq!(list, format!("{M} v1.0.0\n"), "{mode}");
            let latest = ok(go(toolchain, serve.url(), dir.path(), &["list", "-m", &format!("{M}@latest")]));
            assert_eq!(latest, format!("{M} v1.0.0\n"), "{mode}");
            ok(go(toolchain, serve.url(), dir.path(), &["mod", "download", "example.com/m@main"]));
        }
        assert_eq!(get(&serve, "/example.com/n/@v/list").status, 404);
        assert_eq!(get(&serve, "/example.com/m/@v/other.info").status, 404);
    }
    assert_eq!(upstream.asked(), [""; 0]);
}

/// The page of a login, say, with status 200.
#[test]
fn what_is_of_no_form_is_told_with_the_url_it_came_from() {
    let (upstream, world) = (published(), World::new());
    let paths = ["@v/v1.0.0.info", "@latest", "@v/main.info"].map(|name| format!("/{M}/{name}"));
    paths.iter().for_each(|path| upstream.gives(path, "<html>log \"in\"</html>"));
    upstream.gives(&format!("/{M}/@v/v1.1.0.info"), r#"{"Version":"v1.0.0"}"#);
    let serve = world.serve(&upstream.url(), "", &["--sumdb", "off", "--no-ahead", "--log-format", "json"]);
    let begins = r#"expected value at line 1 column 1; it begins "<html>log \"in\"</html>""#;
    let other = "it is for version v1.0.0 instead of the requested version; it begins";
    let last = format!("/{M}/@v/v1.1.0.info");
    for (path, wrong) in paths.iter().map(|path| (path, begins)).chain([(&last, other)]) {
        let got = get(&serve, path);
        let asked = format!("GET {}{path}: ", upstream.url());
        let line = got.body.lines().find(|line| line.starts_with(&asked)).unwrap_or_else(|| panic!("{got:?}"));
        // What is expected in its place stands between the two.
        assert!(got.status == 502 && wrong.split("; ").all(|part| line.contains(part)), "{got:?}");
        let is_told = |line: &str| line.contains("\"kind\":\"request\"") && line.contains(&asked);
        until("it is not logged", || serve.log().lines().any(is_told));
    }
}
