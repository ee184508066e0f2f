//! Several sources, and what is asked of them.

use std::sync::Mutex;

use bytes::Bytes;
use goferry_module::gomod::GoMod;
use goferry_module::{ModInfo, ModulePath, ModuleVersion};
use goferry_net::Party;

use super::*;
use crate::error::FailKind;

/// A source that holds files by name, and notes what it is asked for. A file `!` fails, a file `off` is forbidden.
#[derive(Default)]
struct Fake {
    files: BTreeMap<&'static str, &'static str>,
    asked: Mutex<Vec<String>>,
    private: Option<&'static str>,
}

impl Fake {
    fn new(files: &[(&'static str, &'static str)]) -> Fake {
        Fake { files: files.iter().copied().collect(), ..Fake::default() }
    }

    async fn read(&self, name: String) -> Result<Bytes, FetchError> {
        self.asked.lock().unwrap().push(name.clone());
        // Others get to ask before the answer is there.
        tokio::task::yield_now().await;
        match self.files.get(name.as_str()).or_else(|| self.files.get("*")) {
            None => Err(FetchError::new(FailKind::NotFound(404), Party::Upstream, format!("no {name}"))),
            Some(&"!") => Err(FetchError::new(FailKind::Status(500), Party::Upstream, format!("broken {name}"))),
            Some(&"off") => Err(FetchError::new(FailKind::Forbidden, Party::Client, "GOPROXY=off")),
            Some(text) => Ok(Bytes::from_static(text.as_bytes())),
        }
    }

    async fn read_info(&self, name: String) -> Result<ModInfo, FetchError> {
        ModInfo::parse(&self.read(name).await?).map_err(|error| FetchError::invalid(error.to_string()))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Versions for Fake {
    fn serves(&self, path: &ModulePath) -> bool {
        self.private.is_none_or(|private| path.as_str() != private)
    }

    fn list<'a>(&'a self, _: &'a ModulePath) -> BoxFuture<'a, Result<VersionList, FetchError>> {
        Box::pin(async { VersionList::parse(&self.read("list".to_owned()).await?) })
    }

    fn latest<'a>(&'a self, _: &'a ModulePath) -> BoxFuture<'a, Result<ModInfo, FetchError>> {
        Box::pin(self.read_info("@latest".to_owned()))
    }

    fn info<'a>(&'a self, _: &'a ModulePath, rev: &'a str) -> BoxFuture<'a, Result<ModInfo, FetchError>> {
        Box::pin(self.read_info(format!("{rev}.info")))
    }

    fn go_mod<'a>(&'a self, module: &'a ModuleVersion) -> BoxFuture<'a, Result<Bytes, FetchError>> {
        Box::pin(self.read(format!("{}.mod", module.version())))
    }
}

fn comma(versions: &Fake) -> Source<'_> {
    Source { versions, fall_back_on_error: false, direct: false }
}

fn pipe(versions: &Fake) -> Source<'_> {
    Source { fall_back_on_error: true, ..comma(versions) }
}

fn direct(versions: &Fake) -> Source<'_> {
    Source { direct: true, ..comma(versions) }
}

fn query(query: &str) -> Argument {
    Argument::Query { path: "example.com/m".to_owned(), query: query.to_owned() }
}

/// The version, or the error's text.
async fn ask(sources: &[Source<'_>], text: &str) -> String {
    let context = Context::new(sources.to_vec(), None);
    match resolve(&query(text), &context).await {
        Ok(resolution) => resolution.modules[0].module.version().to_string(),
        Err(error) => error.detail,
    }
}

const V1: (&str, &str) = ("v1.0.0.info", r#"{"Version":"v1.0.0","Time":"2024-01-01T00:00:00Z"}"#);
const MOD: (&str, &str) = ("v1.0.0.mod", "module example.com/m\n\ngo 1.20\n");

fn good() -> Fake {
    Fake::new(&[("list", "v1.0.0\n"), V1, MOD])
}

#[tokio::test]
async fn the_next_source_is_asked_after_not_found_or_after_any_error() {
    let (empty, broken) = (Fake::default(), Fake::new(&[("*", "!")]));
    assert_eq!(ask(&[comma(&empty), comma(&good())], "latest").await, "v1.0.0");
    assert_eq!(ask(&[comma(&broken), comma(&good())], "latest").await, "example.com/m@latest: broken list");
    assert_eq!(ask(&[pipe(&broken), comma(&good())], "latest").await, "v1.0.0");
}

#[tokio::test]
async fn a_source_that_knows_the_module_ends_the_search_even_without_a_match() {
    let other = good();
    let known = Fake::new(&[("list", "v0.1.0\n"), ("v0.1.0.info", r#"{"Version":"v0.1.0"}"#)]);
    let answer = ask(&[comma(&known), comma(&other)], "v1").await;
    assert_eq!(answer, "example.com/m@v1: no matching versions for query \"v1\"");
    assert_eq!(other.asked(), [""; 0]);
    // With "|" this, too, is an error like any other.
    assert_eq!(ask(&[pipe(&known), comma(&other)], "v1").await, "v1.0.0");
}

#[tokio::test]
async fn the_most_telling_error_is_reported() {
    let (empty, broken, off) = (Fake::default(), Fake::new(&[("*", "!")]), Fake::new(&[("*", "off")]));
    let not_found = "example.com/m@v1.0.0: no v1.0.0.info";
    let failed = "example.com/m@v1.0.0: broken v1.0.0.info";
    assert_eq!(ask(&[pipe(&broken), comma(&empty)], "v1.0.0").await, failed);
    assert_eq!(ask(&[pipe(&broken), comma(&off)], "v1.0.0").await, failed);
    assert_eq!(ask(&[pipe(&broken), direct(&empty)], "v1.0.0").await, not_found);
    assert_eq!(ask(&[comma(&empty), comma(&off)], "v1.0.0").await, "example.com/m@v1.0.0: GOPROXY=off");
    assert!(ask(&[], "v1.0.0").await.contains("no entry of GOPROXY serves this module"));
}

#[tokio::test]
async fn a_source_that_does_not_serve_a_path_is_passed_over() {
    let mut proxy = good();
    proxy.private = Some("example.com/m");
    let direct_source = Fake::new(&[("v1.0.0.info", V1.1)]);
    assert_eq!(ask(&[comma(&proxy), direct(&direct_source)], "v1.0.0").await, "v1.0.0");
    assert_eq!(proxy.asked(), [""; 0]);
}

#[tokio::test]
async fn only_direct_takes_branch_names_with_slashes() {
    let source = Fake::new(&[("feature/x.info", r#"{"Version":"v1.0.0"}"#)]);
    assert_eq!(ask(&[direct(&source)], "feature/x").await, "v1.0.0");
    assert!(ask(&[comma(&source)], "feature/x").await.contains("disallowed version string"));
    assert_eq!(source.asked().len(), 1);
}

#[tokio::test]
async fn each_thing_is_asked_for_once() {
    let source = good();
    let context = Context::new(vec![comma(&source)], None);
    let (latest, prefix) = (query("latest"), query("v1"));
    let (a, b) = tokio::join!(resolve(&latest, &context), resolve(&prefix, &context));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(a.modules[0].query.as_deref(), Some("latest"));
    assert_eq!(a.modules[0].info, b.modules[0].info);
    assert_eq!(a.modules[0].info.as_ref().unwrap().to_json(), V1.1);
    let mut asked = source.asked();
    asked.sort();
    assert_eq!(asked, ["list", "v1.0.0.info", "v1.0.0.mod"]);
}

#[tokio::test]
async fn the_answer_of_at_latest_is_not_asked_for_again() {
    let source = Fake::new(&[("list", ""), ("@latest", r#"{"Version":"v0.0.0-20240101000000-abcdefabcdef"}"#)]);
    assert_eq!(ask(&[comma(&source)], "latest").await, "v0.0.0-20240101000000-abcdefabcdef");
    assert_eq!(source.asked(), ["list", "@latest", "v0.0.0-20240101000000-abcdefabcdef.mod"]);
}

#[tokio::test]
async fn failures_say_what_to_do() {
    let retracting = "module example.com/m\n\nretract v1.0.0 // lost\n";
    let source = Fake::new(&[("list", "v1.0.0\n"), V1, ("v1.0.0.mod", retracting)]);
    let go_mod = GoMod::parse("go.mod", b"module example.com/main\n\nrequire example.com/m v1.0.0\n").unwrap();
    let project = Project {
        selected: go_mod.requires.iter().map(|require| (require.path.clone(), require.version.clone())).collect(),
        ..Project::default()
    };
    let context = Context::new(vec![comma(&source)], Some(project));
    let mut told = String::new();
    for text in ["upgrade", "v2", ">v1", "<=x", "none", "a/b"] {
        let error = resolve(&query(text), &context).await.unwrap_err();
        told.push_str(&format!("{error}\n  {}\n", error.advice.as_ref().unwrap()));
    }
    let unknown = resolve(&Argument::Path("example.com/n".to_owned()), &context).await.unwrap_err();
    told.push_str(&format!("{unknown}\n  {}\n", unknown.advice.as_ref().unwrap()));
    assert_eq!(
        told,
        r#"example.com/m@upgrade: example.com/m@v1.0.0: retracted by module author: lost
  to have it all the same, name the version: example.com/m@v1.0.0
example.com/m@v2: no matching versions for query "v2"
  list the versions that there are with: go list -m -versions example.com/m
example.com/m@>v1: ambiguous semantic version "v1" in range ">v1"
  write all three numbers: ">v1.0.0"
example.com/m@<=x: invalid semantic version "x" in range "<=x"
  write a version after the operator, such as ">=v1.2.3", and quote it in the shell
example.com/m@none: no none.info
  `none` removes a requirement in `go get`; there is nothing to download for it
example.com/m@a/b: disallowed version string "a/b": a module proxy cannot be asked for it
  name the commit instead of the branch, or set GOPROXY=direct for this command
example.com/n: not a known dependency
  to download it without requiring it, add a version: example.com/n@latest
"#
    );
}

#[tokio::test]
async fn what_is_not_downloaded_is_noted() {
    let source = Fake::default();
    let project = Project { main_paths: vec!["example.com/m".to_owned()], ..Project::default() };
    let context = Context::new(vec![comma(&source)], Some(project));
    let skipped = resolve(&query("upgrade"), &context).await.unwrap();
    assert_eq!(skipped.notes, ["skipping download of example.com/m@upgrade that resolves to the main module"]);
    let none = resolve(&Argument::Pattern("example.org/...".to_owned()), &context).await.unwrap();
    assert_eq!(none.notes, ["pattern \"example.org/...\" matched no module dependencies"]);
    assert_eq!(resolve(&Argument::All, &context).await.unwrap(), Resolution::default());
    assert_eq!(source.asked(), [""; 0]);
}

#[tokio::test]
async fn a_list_of_many_retracted_versions_takes_no_long_time() {
    let list: String = (0..20_000).map(|n| format!("v1.0.{n}\n")).collect();
    let list: &'static str = list.leak();
    let retracting = "module example.com/m\n\nretract [v1.0.1, v1.1.0]\n";
    let last = r#"{"Version":"v1.0.19999"}"#;
    let source = Fake::new(&[
        ("list", list),
        ("v1.0.0.info", r#"{"Version":"v1.0.0"}"#),
        ("v1.0.19999.info", last),
        ("v1.0.19999.mod", retracting),
    ]);
    assert_eq!(ask(&[comma(&source)], "latest").await, "v1.0.0");
}
