//! The small rules: paths, escaping, versions, patterns, GOPROXY, go.sum, GOSUMDB, `.info`.

use goferry_module::escape::{escape_version, unescape_version};
use goferry_module::gosum::{GoSumError, SumCounts};
use goferry_module::path::{check_file_path, split_path_version};
use goferry_module::pattern::{malformed_pattern, match_prefix_patterns, path_match};
use goferry_module::proxy_list::ModuleRoute;
use goferry_module::{
    EscapedPath, FallBack, FileKind, GoSum, GoVersion, ModInfo, ModulePath, ModuleVersion, ProxyList, ProxyTarget,
    Scheme, SumDb, Toolchain, Version,
};

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

fn module(path: &str, version: &str) -> Result<ModuleVersion, String> {
    let path = ModulePath::parse(path).map_err(|e| e.to_string())?;
    ModuleVersion::new(path, Version::parse(version).map_err(|e| e.to_string())?).map_err(|e| e.to_string())
}

#[test]
fn module_paths() {
    for path in [
        "example.com",
        "example.com/m",
        "example.com/M/v2",
        "gopkg.in/yaml.v3",
        "gopkg.in/x.v0",
        "gopkg.in/x.v2-unstable",
        "a.b/c~d/e_f/g-h",
        "a.b/v",
        "a.b/xv1",
        "a.b/c/v10",
        "1.2/x",
        "a.b/c~x1",
    ] {
        assert!(ModulePath::parse(path).is_ok(), "{path}");
    }
    for (path, reason) in [
        ("", "empty string"),
        ("-a.b/c", "leading dash"),
        ("a.b//c", "double slash"),
        ("a.b/c/", "trailing slash"),
        ("/a.b/c", "empty path element"),
        ("nodot/c", "missing dot in first path element"),
        ("A.b/c", "invalid char 'A' in first path element"),
        ("a.b/c/v1", "invalid version"),
        ("a.b/c/v0", "invalid version"),
        ("a.b/c/v02", "invalid version"),
        ("a.b/c/v1.2", "invalid version"),
        ("gopkg.in/yaml", "invalid version"),
        ("a.b/.c", "leading dot in path element"),
        ("a.b/c.", "trailing dot in path element"),
        ("a.b/..", "invalid path element"),
        ("a.b/c d", "invalid char ' '"),
        ("a.b/c+d", "invalid char '+'"),
        ("a.b/\u{e9}", "invalid char"),
        ("a.b/CON", "disallowed as path element component on Windows"),
        ("a.b/com1.x", "disallowed"),
        ("a.b/c~1", "trailing tilde and digits"),
    ] {
        let error = ModulePath::parse(path).unwrap_err().to_string();
        assert!(error.contains(reason), "{path}: {error}");
    }
    assert_eq!(split_path_version("example.com/m/v2"), Some(("example.com/m", "/v2")));
    assert_eq!(split_path_version("gopkg.in/x.v2-unstable"), Some(("gopkg.in/x", ".v2-unstable")));
    assert!(check_file_path("a/\u{e9} [x].go").is_ok() && check_file_path("-dash").is_ok());
    assert!(check_file_path("a/\u{2603}").is_err() && check_file_path("a:b").is_err());
}

#[test]
fn versions_belong_to_their_major_path() {
    for (path, version) in [
        ("a.b/c", "v0.1.0"),
        ("a.b/c", "v2.0.0+incompatible"),
        ("a.b/c/v2", "v2.0.0"),
        ("gopkg.in/x.v1", "v1.0.0"),
        ("gopkg.in/x.v1", "v0.0.0-20161208181325-20d25e280405"),
        ("gopkg.in/x.v2-unstable", "v2.0.0"),
    ] {
        assert!(module(path, version).is_ok(), "{path} {version}");
    }
    for (path, version, reason) in [
        ("a.b/c", "v2.0.0", "should be v0 or v1, not v2"),
        ("a.b/c/v2", "v1.0.0", "should be v2, not v1"),
        ("a.b/c", "v1", "not canonical, should be v1.0.0"),
        ("a.b/c", "v1.0.0+meta", "not canonical"),
        ("a.b/c", "1.0.0", "must be of the form v1.2.3"),
        ("a.b/c", "v1.02.0", "must be of the form"),
    ] {
        let error = module(path, version).unwrap_err();
        assert!(error.contains(reason), "{path} {version}: {error}");
    }
}

#[test]
fn escaping() {
    let burnt = module("github.com/BurntSushi/toml", "v1.2.3-RC1").unwrap();
    assert_eq!(burnt.proxy_path(FileKind::Zip), "/github.com/!burnt!sushi/toml/@v/v1.2.3-!r!c1.zip");
    assert_eq!(burnt.path().list_path(), "/github.com/!burnt!sushi/toml/@v/list");
    assert_eq!(burnt.path().latest_path(), "/github.com/!burnt!sushi/toml/@latest");
    assert_eq!(EscapedPath::parse("github.com/!burnt!sushi/toml").unwrap().unescape(), *burnt.path());
    for bad in [
        "github.com/Burnt",
        "github.com/!",
        "github.com/!B",
        "github.com/!1",
        "!github.com/x",
        "github.com/\u{e9}",
        "x",
    ] {
        assert!(EscapedPath::parse(bad).is_err(), "{bad}");
    }
    assert_eq!(escape_version("master").unwrap(), "master");
    assert_eq!(unescape_version("v1.0.0-!a").unwrap(), "v1.0.0-A");
    for bad in ["", "a/b", "a!", "\u{e9}", "..", "a\nb"] {
        assert!(escape_version(bad).is_err(), "{bad}");
    }
    assert!(unescape_version("a/b").is_err() && unescape_version("A").is_err());
}

#[test]
fn versions_order_and_canonical_forms() {
    let ordered = [
        "v0.0.0-20240102030405-abcdefabcdef",
        "v0.0.0",
        "v1.0.0-alpha",
        "v1.0.0-alpha.1",
        "v1.0.0-alpha.beta",
        "v1.0.0-beta",
        "v1.0.0-beta.2",
        "v1.0.0-beta.11",
        "v1.0.0-rc.1",
        "v1.0.0",
        "v1.2.0",
        "v1.10.0",
        "v2.0.0+incompatible",
        "v100000000000000000000.0.0",
    ];
    for pair in ordered.windows(2) {
        assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
    }
    assert_eq!(version("v1").canonical().as_str(), "v1.0.0");
    assert_eq!(version("v1.2").canonical().as_str(), "v1.2.0");
    assert_eq!(version("v1.2.3+meta").canonical().as_str(), "v1.2.3");
    assert_eq!(version("v2.0.0+incompatible").canonical().as_str(), "v2.0.0+incompatible");
    for bad in [
        "",
        "v",
        "1.0.0",
        "v01",
        "v1.",
        "v1.2-pre",
        "v1.2.3-",
        "v1.2.3-01",
        "v1.2.3-a..b",
        "v1.2.3+",
        "v1.2.3 ",
        "v1.2.3-\u{e9}",
    ] {
        assert!(Version::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn pseudo_versions() {
    for (text, base, timestamp, rev) in [
        ("v0.0.0-20240102030405-abcdefabcdef", None, "20240102030405", "abcdefabcdef"),
        ("v1.2.4-0.20240102030405-abcdefabcdef", Some("v1.2.3"), "20240102030405", "abcdefabcdef"),
        ("v1.2.10-0.20240102030405-abcdefabcdef", Some("v1.2.9"), "20240102030405", "abcdefabcdef"),
        ("v1.2.3-pre.0.20240102030405-abc", Some("v1.2.3-pre"), "20240102030405", "abc"),
        ("v2.0.1-0.20240102030405-abc+incompatible", Some("v2.0.0+incompatible"), "20240102030405", "abc"),
    ] {
        let version = version(text);
        let pseudo = version.pseudo().expect(text);
        assert_eq!((pseudo.timestamp, pseudo.rev), (timestamp, rev));
        assert_eq!(pseudo.base().map(|v| v.to_string()).as_deref(), base, "{text}");
    }
    for text in ["v1.2.3", "v1.2.3-pre", "v1.2.3-20240102030405-abc", "v0.0.0-2024-abc", "v1.2.4-1.20240102030405-abc"]
    {
        assert!(version(text).pseudo().is_none(), "{text}");
    }
    let toolchain = version("v0.0.1-go1.21.13.linux-amd64");
    assert!(toolchain.pseudo().is_none());
    let parts = toolchain.toolchain().unwrap();
    assert_eq!((parts.go, parts.os, parts.arch), ("1.21.13", "linux", "amd64"));
    assert!(version("v0.0.1").toolchain().is_none());
}

#[test]
fn go_versions() {
    let ordered = [
        "1.4rc1",
        "1.4",
        "1.20rc1",
        "1.20",
        "1.20.1",
        "1.21",
        "1.21alpha1",
        "1.21beta1",
        "1.21rc1",
        "1.21rc2",
        "1.21.0",
        "1.21.3",
        "1.22",
        "2",
    ];
    // Before 1.21 a release without a patch is .0, which comes after its release candidates.
    for pair in ordered.windows(2) {
        let (a, b) = (GoVersion::parse(pair[0]).unwrap(), GoVersion::parse(pair[1]).unwrap());
        assert!(a < b, "{pair:?}");
    }
    assert_eq!(GoVersion::parse("1.20").unwrap(), GoVersion::parse("1.20.0").unwrap());
    assert_ne!(GoVersion::parse("1.21").unwrap(), GoVersion::parse("1.21.0").unwrap());
    assert_eq!(GoVersion::parse("1.21rc1").unwrap().language(), "1.21");
    for bad in ["", "go1.21", "1.", "1.021", "1.21.3rc1", "1.21-x", "v1.21"] {
        assert!(GoVersion::parse(bad).is_err(), "{bad}");
    }
    assert_eq!(Toolchain::parse("go1.21.13-custom").unwrap().version().as_str(), "1.21.13");
    assert!(Toolchain::parse("default").is_err() && Toolchain::parse("go1.21/x").is_err());
}

#[test]
fn patterns() {
    for (globs, target, matches) in [
        ("*.corp.example.com", "git.corp.example.com/x/y", true),
        ("example.com/private", "example.com/private/x", true),
        ("example.com/private", "example.com/privateer", false),
        ("example.com/*/x", "example.com/a/x/y", true),
        ("example.com/*/x", "example.com/a", false),
        (",,example.com/,", "example.com/a", true),
        ("", "example.com", false),
        ("[", "example.com", false),
        ("[,example.com", "example.com/x", true),
        ("ex?mple.com", "example.com", true),
        ("[a-e]xample.com", "example.com", true),
        ("[^a-d]xample.com", "example.com", true),
        ("\\e*", "example.com/x", true),
        ("*", "anything/at/all", true),
        (" example.com", "example.com", false),
    ] {
        assert_eq!(match_prefix_patterns(globs, target), matches, "{globs:?} {target:?}");
    }
    for (pattern, name, matches) in [
        ("a*b*c", "axxbyyc", true),
        ("a*b*c", "ab/c", false),
        ("a*/b", "a/c/b", false),
        ("[]a]", "]", false),
        ("[\\]]", "]", true),
        ("[-]", "-", false),
        ("[x-]", "x", false),
        ("a[", "a", false),
        ("a[", "ab", false),
        ("*x", "xxx", true),
        ("[*]", "*", true),
        ("\\", "a", false),
        ("[a-b-c]", "a", false),
        ("*[\\-x]", "zx", true),
        ("", "", true),
    ] {
        assert_eq!(path_match(pattern, name), matches, "{pattern:?} {name:?}");
    }
}

#[test]
fn malformed_globs_are_found() {
    assert_eq!(malformed_pattern("example.com/*,,[a-z]x/?,\\*"), None);
    for (list, bad) in [("a,[", "["), ("[]a]", "[]a]"), ("x\\", "x\\"), ("a/[-x],[", "a/[-x]"), ("[a-]", "[a-]")] {
        assert_eq!(malformed_pattern(list), Some(bad), "{list}");
        assert!(!path_match(bad, bad));
    }
}

#[test]
fn proxy_lists() {
    let list = ProxyList::parse(
        "https://user:secret@goproxy.example.com/go/?token=t|mirror.example.com,direct|https://u:p@never.example.com",
    )
    .unwrap();
    let entries = list.entries();
    assert_eq!(entries.len(), 3);
    assert_eq!(
        entries.iter().map(|e| e.on).collect::<Vec<_>>(),
        [FallBack::AnyError, FallBack::NotFound, FallBack::AnyError]
    );
    assert_eq!(entries[2].target, ProxyTarget::Direct);
    let shown = "https://xxxxx@goproxy.example.com/go/?xxxxx|https://mirror.example.com,direct";
    assert_eq!(list.to_string(), shown);
    assert_eq!(list.unreachable(), ["https://xxxxx@never.example.com"]);
    assert!(!format!("{list:?}").contains("secret") && !format!("{list:?}").contains("token"));
    let (url, _) = list.urls().next().unwrap();
    assert_eq!((url.scheme(), url.host(), url.port_or_default()), (Scheme::Https, "goproxy.example.com", 443));
    assert_eq!(url.credentials(), Some(("user", Some("secret"))));
    assert_eq!(url.request_target("/a.b/@v/list"), "/go/a.b/@v/list?token=t");

    let local = ProxyList::parse("http://[::1]:8080,file:///tmp/a%20b").unwrap();
    let urls: Vec<_> = local.urls().map(|(url, _)| url).collect();
    assert_eq!((urls[0].host(), urls[0].port(), urls[0].authority().as_str()), ("::1", Some(8080), "[::1]:8080"));
    assert_eq!(urls[1].directory().as_deref(), Some("/tmp/a b"));
    assert_eq!(local.route("*.corp", "x.corp/y"), ModuleRoute::NoProxy);
    assert_eq!(local.route("*.corp", "x.com/y"), ModuleRoute::List(local.entries()));

    for bad in [
        "https://user:se cret@goproxy.example.com",
        "https://user:secret@goproxy.example.com:port",
        "ftp://user:secret@x.y/?k=secret",
    ] {
        let error = ProxyList::parse(bad).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("cret"), "{error:?}");
    }
}

#[test]
fn go_sums() {
    let text = "a.b/c v1.0.0 h1:aaa=\na.b/c v1.0.0/go.mod h1:bbb=\r\n\n  a.b/d v1.0.0/go.mod\th1:ccc=\n\
                a.b/c v1.0.0 h1:aaa=\na.b/e v1.0.0 h1:one=\na.b/e v1.0.0 h1:two=\na.b/f v1.0.0 h2:zzz=\n\
                a.b/g v1.0.0/go.mod h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=\n";
    let sum = GoSum::parse("go.sum", text.as_bytes()).unwrap();
    let counts =
        SumCounts { zip: 3, go_mod: 2, go_mod_only: 1, several_hashes: 1, duplicates: 1, unknown_algorithm: 1 };
    assert_eq!(sum.counts(), counts);
    assert_eq!(sum.zip_hashes("a.b/e", "v1.0.0"), ["h1:one=", "h1:two="]);
    let has = |path| {
        let m = module(path, "v1.0.0").unwrap();
        (sum.has_zip(&m), sum.has_go_mod(&m))
    };
    assert_eq!(has("a.b/c"), (true, true));
    assert_eq!(has("a.b/d"), (false, true));
    assert_eq!(has("a.b/f"), (false, false));
    assert_eq!(has("a.b/g"), (false, false));

    let error = GoSum::parse("go.sum", b"a b c\n\na b\n").unwrap_err();
    assert_eq!(error, GoSumError::Malformed { file: "go.sum".to_owned(), line: 3, fields: 2 });
    let many: String = (0..100).map(|i| format!("a.b/c v1.0.0 h1:{i}\n")).collect();
    assert!(GoSum::parse("go.sum", many.as_bytes()).unwrap_err().to_string().contains("go.sum:65"));
}

#[test]
fn checksum_databases() {
    let SumDb::On(db) = SumDb::parse("sum.golang.org").unwrap() else { panic!("the default is on") };
    assert_eq!((db.name.as_str(), db.url.as_ref()), ("sum.golang.org", None));
    assert_eq!(db.supported_path(), "/sumdb/sum.golang.org/supported");
    assert_eq!(SumDb::parse(&db.key).unwrap(), SumDb::On(db.clone()));
    let SumDb::On(alias) = SumDb::parse("sum.golang.google.cn").unwrap() else { panic!("the alias is on") };
    assert_eq!(alias.name, "sum.golang.org");
    assert_eq!(alias.direct_url().host(), "sum.golang.google.cn");
    assert_eq!(SumDb::parse("off").unwrap(), SumDb::Off);
    for (bad, reason) in [
        (" ", "missing GOSUMDB"),
        ("a b c", "too many fields"),
        ("other.example.com", "malformed verifier id"),
        ("sum.golang.org+033de0af+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", "invalid verifier hash"),
        ("sum.golang.org nothing", "missing scheme"),
    ] {
        let error = SumDb::parse(bad).unwrap_err().to_string();
        assert!(error.contains(reason), "{bad}: {error}");
    }
    let on = SumDb::On(db);
    assert!(on.applies("", "direct", "a.b/c") && !on.applies("a.b/*", "direct", "a.b/c"));
    assert!(
        SumDb::Off.applies("", "direct", "golang.org/toolchain")
            && !SumDb::Off.applies("", "file:///x", "golang.org/toolchain")
    );
    assert!(!SumDb::Off.applies("", "direct", "a.b/c"));
}

#[test]
fn info_files() {
    let info =
        ModInfo::parse(b"{\"Version\":\"v1.0.0\",\"Time\":\"2024-01-02T03:04:05Z\",\"Origin\":{\"VCS\":\"git\"}}")
            .unwrap();
    assert_eq!(info.to_json(), "{\"Version\":\"v1.0.0\",\"Time\":\"2024-01-02T03:04:05Z\"}");
    assert_eq!(ModInfo::parse(b"{\"Version\":\"v1.0.0\"}").unwrap().time, None);
    for bad in ["", "{}", "[]", "{\"Version\":1}", "{\"Version\":\"v1.0.0\",\"Time\":\"yesterday\"}"] {
        assert!(ModInfo::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}
