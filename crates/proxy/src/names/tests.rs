use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use goferry_env::{Environment, Inputs};
use goferry_fetch::ClientConfig;
use goferry_lab::plain::{PlainServer, Response};
use goferry_module::ProxyList;
use tempfile::TempDir;

use super::*;
use crate::{Proxy, ProxyConfig};

const LIST: &str = "/example.com/m/@v/list";

/// A module proxy whose answers are set by hand.
struct Origin {
    server: PlainServer,
    answers: Arc<Mutex<BTreeMap<String, Response>>>,
}

impl Origin {
    fn start() -> Origin {
        let answers = Arc::<Mutex<BTreeMap<String, Response>>>::default();
        let set = Arc::clone(&answers);
        let server = PlainServer::start(move |request| {
            let answer = set.lock().unwrap().get(&request.path).cloned();
            answer.unwrap_or_else(|| Response::refused(404, "not here\n"))
        });
        Origin { server: server.unwrap(), answers }
    }

    fn set(&self, path: &str, status: u16, body: &str) {
        self.answers.lock().unwrap().insert(path.to_owned(), Response::refused(status, body));
    }

    fn slow(&self, delay: Duration) {
        self.server.delay(delay);
    }

    /// How often it was asked since the last call.
    fn asked(&self) -> usize {
        self.server.asked().len()
    }
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const HOUR: Duration = Duration::from_secs(3600);
const FRESH: Freshness = Freshness { fresh: HOUR, revalidate: HOUR, if_error: HOUR, not_found: HOUR };

/// Within a runtime.
fn open(origin: &str, store: &Path, source: SourceMode, freshness: Freshness) -> Proxy {
    let config = ProxyConfig {
        store: store.to_owned(),
        source,
        upstream: Some(ProxyList::parse(origin).unwrap()),
        sumdb: Some("off".to_owned()),
        freshness,
        client: ClientConfig { retries: 0, timeout: ms(300), ..ClientConfig::default() },
        ..ProxyConfig::default()
    };
    let inputs = Inputs::empty(store, store).with_env("GOPROXY", "off");
    Proxy::open(config, &inputs, &Environment::resolve(&inputs).unwrap()).unwrap()
}

fn path() -> ModulePath {
    ModulePath::parse("example.com/m").unwrap()
}

async fn list(proxy: &Proxy) -> (Cache, String) {
    let named = proxy.names().get(&path(), &Changing::List, true).await.unwrap();
    (named.cache, String::from_utf8(named.bytes.to_vec()).unwrap())
}

fn old(store: &Path, age: Duration) {
    let file = fs::File::options().write(true).open(store.join(".goferry/names").join(&LIST[1..])).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

/// Waits until nothing is on its way.
async fn landed(proxy: &Proxy) {
    for _ in 0..1000 {
        if proxy.names().flights.is_empty() {
            return;
        }
        tokio::time::sleep(ms(5)).await;
    }
    panic!("a flight does not end");
}

#[tokio::test]
async fn fresh_answers_are_asked_for_once_and_outlive_a_restart() {
    let (origin, store) = (Origin::start(), TempDir::new().unwrap());
    origin.set(LIST, 200, "v1.0.0\n");
    let proxy = open(&origin.server.url(), store.path(), SourceMode::Fetch, FRESH);
    assert_eq!(list(&proxy).await, (Cache::Miss, "v1.0.0\n".into()));
    assert_eq!(list(&proxy).await, (Cache::Hit, "v1.0.0\n".into()));
    drop(proxy);
    origin.set(LIST, 200, "v1.0.0\nv1.1.0\n");
    let proxy = open(&origin.server.url(), store.path(), SourceMode::Fetch, FRESH);
    assert_eq!(list(&proxy).await, (Cache::Hit, "v1.0.0\n".into()));
    assert_eq!(origin.asked(), 1);
}

#[tokio::test]
async fn many_askers_one_request() {
    let (origin, store) = (Origin::start(), TempDir::new().unwrap());
    origin.set(LIST, 200, "v1.0.0\n");
    origin.slow(ms(50));
    let proxy = open(&origin.server.url(), store.path(), SourceMode::Fetch, FRESH);
    let (a, b, c) = tokio::join!(list(&proxy), list(&proxy), list(&proxy));
    let misses = [a, b, c].iter().filter(|(cache, _)| *cache == Cache::Miss).count();
    assert_eq!(misses, 1, "the others joined");
    assert_eq!(origin.asked(), 1);
}

#[tokio::test]
async fn an_old_answer_is_given_at_once_and_renewed() {
    let (origin, store) = (Origin::start(), TempDir::new().unwrap());
    origin.set(LIST, 200, "v1.0.0\n");
    list(&open(&origin.server.url(), store.path(), SourceMode::Fetch, FRESH)).await;
    old(store.path(), HOUR + ms(60_000));
    origin.set(LIST, 200, "v1.0.0\nv1.1.0\n");
    origin.slow(ms(100));
    let proxy = open(&origin.server.url(), store.path(), SourceMode::Fetch, FRESH);
    let began = Instant::now();
    for _ in 0..3 {
        assert_eq!(list(&proxy).await, (Cache::Stale, "v1.0.0\n".into()));
    }
    assert!(began.elapsed() < ms(100), "nobody waits");
    landed(&proxy).await;
    assert_eq!(list(&proxy).await, (Cache::Hit, "v1.0.0\nv1.1.0\n".into()));
    assert_eq!(origin.asked(), 2);
}

#[tokio::test]
async fn a_failing_upstream_leaves_what_is_kept_for_a_while() {
    let (origin, store) = (Origin::start(), TempDir::new().unwrap());
    origin.set(LIST, 200, "v1.0.0\n");
    list(&open(&origin.server.url(), store.path(), SourceMode::Fetch, FRESH)).await;
    for status in [500, 503, 403, 401, 429] {
        old(store.path(), HOUR * 2 + ms(60_000));
        origin.set(LIST, status, "x\n");
        let proxy = open(&origin.server.url(), store.path(), SourceMode::Fetch, FRESH);
        origin.asked();
        assert_eq!(list(&proxy).await, (Cache::Stale, "v1.0.0\n".into()), "{status}");
        assert!(origin.asked() > 0, "it is asked first");
        assert_eq!(list(&proxy).await, (Cache::Stale, "v1.0.0\n".into()), "{status}");
        assert_eq!(origin.asked(), 0, "and then left alone");
    }
    old(store.path(), HOUR * 3 + ms(60_000));
    let proxy = open(&origin.server.url(), store.path(), SourceMode::Fetch, FRESH);
    let error = proxy.names().get(&path(), &Changing::List, true).await.unwrap_err();
    assert!(matches!(error.kind, FailKind::Status(429)), "{error}");
    origin.set(LIST, 200, "v1.1.0\n");
    assert_eq!(list(&proxy).await, (Cache::Miss, "v1.1.0\n".into()));
}

#[tokio::test]
async fn an_upstream_that_is_gone_is_a_failure_too_and_its_return_is_seen() {
    let (origin, store) = (Origin::start(), TempDir::new().unwrap());
    origin.set(LIST, 200, "v1.0.0\n");
    let freshness = Freshness { fresh: ms(50), revalidate: Duration::ZERO, ..FRESH };
    let proxy = open(&origin.server.url(), store.path(), SourceMode::Fetch, freshness);
    list(&proxy).await;
    origin.set(LIST, 502, "");
    tokio::time::sleep(ms(60)).await;
    assert_eq!(list(&proxy).await.0, Cache::Stale);
    origin.set(LIST, 200, "v1.1.0\n");
    tokio::time::sleep(ms(60)).await;
    assert_eq!(list(&proxy).await, (Cache::Miss, "v1.1.0\n".into()));
    old(store.path(), HOUR / 2);
    let proxy = open("http://127.0.0.1:1", store.path(), SourceMode::Fetch, freshness);
    assert_eq!(list(&proxy).await, (Cache::Stale, "v1.1.0\n".into()));
}

#[tokio::test]
async fn not_found_replaces_what_is_kept_and_is_remembered_for_a_while() {
    let (origin, store) = (Origin::start(), TempDir::new().unwrap());
    origin.set(LIST, 200, "v1.0.0\n");
    let freshness = Freshness { fresh: ms(1), revalidate: Duration::ZERO, not_found: ms(200), ..FRESH };
    let proxy = open(&origin.server.url(), store.path(), SourceMode::Fetch, freshness);
    list(&proxy).await;
    tokio::time::sleep(ms(5)).await;
    origin.set(LIST, 410, "withdrawn\n");
    origin.asked();
    for _ in 0..3 {
        let error = proxy.names().get(&path(), &Changing::List, true).await.unwrap_err();
        assert_eq!(error.kind, FailKind::NotFound(410));
        assert!(error.detail.contains("withdrawn"), "{error}");
    }
    assert_eq!(origin.asked(), 1);
    assert!(!store.path().join(".goferry/names").join(&LIST[1..]).exists());
    origin.set(LIST, 200, "v1.1.0\n");
    tokio::time::sleep(ms(210)).await;
    assert_eq!(list(&proxy).await, (Cache::Miss, "v1.1.0\n".into()));
}

#[tokio::test]
async fn without_fetching_there_is_what_is_kept() {
    let (origin, store) = (Origin::start(), TempDir::new().unwrap());
    origin.set(LIST, 200, "");
    let freshness = Freshness { fresh: ms(1), revalidate: ms(1), if_error: ms(1), not_found: ms(1) };
    let proxy = open(&origin.server.url(), store.path(), SourceMode::Fetch, freshness);
    let error = proxy.names().get(&path(), &Changing::List, false).await.unwrap_err();
    assert_eq!(error.kind, FailKind::NotFound(404));
    assert_eq!(origin.asked(), 0);
    list(&proxy).await;
    tokio::time::sleep(ms(20)).await;
    let named = proxy.names().get(&path(), &Changing::List, false).await.unwrap();
    assert_eq!((named.cache, named.bytes.len()), (Cache::Stale, 0), "an empty list is a list");
    assert_eq!(origin.asked(), 1);
}

#[tokio::test]
async fn what_a_name_means_is_kept_as_the_versions_info() {
    let (origin, store) = (Origin::start(), TempDir::new().unwrap());
    let info = r#"{"Version":"v1.2.3","Time":"2024-01-02T03:04:05Z"}"#;
    origin.set("/example.com/m/@latest", 200, info);
    origin.set("/example.com/m/@v/main.info", 200, &info.replace("v1.2.3", "v1.2.4"));
    let proxy = open(&origin.server.url(), store.path(), SourceMode::Fetch, FRESH);
    proxy.names().get(&path(), &Changing::Latest, true).await.unwrap();
    proxy.names().get(&path(), &Changing::Query("main".into()), true).await.unwrap();
    for version in ["v1.2.3", "v1.2.4"] {
        assert!(store.path().join(format!("example.com/m/@v/{version}.info")).is_file(), "{version}");
    }
    // What is no .info is no answer.
    origin.set("/example.com/m/@v/other.info", 200, "<html>");
    assert!(proxy.names().get(&path(), &Changing::Query("other".into()), true).await.is_err());
    assert_eq!(origin.asked(), 3);
}

#[tokio::test]
async fn offline_the_store_is_all_there_is() {
    let (origin, store) = (Origin::start(), TempDir::new().unwrap());
    origin.set("/example.com/m/@v/main.info", 200, r#"{"Version":"v1.0.0"}"#);
    origin.set(LIST, 200, "v1.0.0\nv1.1.0\nv9.0.0\n");
    let main = Changing::Query("main".into());
    let proxy = open(&origin.server.url(), store.path(), SourceMode::Fetch, FRESH);
    list(&proxy).await;
    proxy.names().get(&path(), &main, true).await.unwrap();
    drop(proxy);
    origin.asked();
    let folder = store.path().join("example.com/m/@v");
    fs::create_dir_all(&folder).unwrap();
    for version in ["v1.0.0", "v1.1.0", "v1.2.0-rc.1", "v0.0.0-20240102030405-abcdefabcdef"] {
        for kind in ["info", "mod", "zip"] {
            fs::write(folder.join(format!("{version}.{kind}")), format!(r#"{{"Version":"{version}"}}"#)).unwrap();
        }
    }
    for mode in [SourceMode::Offline, SourceMode::Frozen] {
        let proxy = open(&origin.server.url(), store.path(), mode, FRESH);
        assert_eq!(list(&proxy).await, (Cache::Hit, "v1.0.0\nv1.1.0\nv1.2.0-rc.1\n".into()));
        let latest = proxy.names().get(&path(), &Changing::Latest, true).await.unwrap();
        assert!(String::from_utf8_lossy(&latest.bytes).contains("v1.1.0"));
        assert!(proxy.names().get(&path(), &main, true).await.is_ok());
        let nothing = ModulePath::parse("example.com/nothing").unwrap();
        for what in [Changing::List, Changing::Latest, main.clone()] {
            let error = proxy.names().get(&nothing, &what, true).await.unwrap_err();
            assert_eq!(error.kind, FailKind::NotFound(404));
        }
    }
    assert_eq!(origin.asked(), 0);
}
