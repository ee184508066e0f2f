//! Files fetched into a cache, and the judge beside them.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use goferry_env::Inputs;
use goferry_env::http_proxy::ProxySettings;
use goferry_fetch::client::{Anonymous, Client, ClientConfig};
use goferry_fetch::source::{GoDirect, Sources};
use goferry_fetch::sums::Hashed;
use goferry_fetch::transfer::{Progress, Splitter};
use goferry_fetch::{BoxFuture, FailKind, FetchError, Fetcher, Judge, ModCache, Unpacker};
use goferry_module::{DirHash, FileKind, ModulePath, ModuleVersion, ProxyList, Version};
use goferry_net::tls::Roots;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

struct Nobody;

impl Progress for Nobody {
    fn bytes(&self, _count: u64) {}
    fn expected(&self, _count: u64) {}
}

/// Finds out after a while, or never.
struct Slow {
    after: Option<Duration>,
    found_out: AtomicBool,
}

impl Judge for Slow {
    fn ahead<'a>(&'a self, _module: &'a ModuleVersion, _what: Hashed) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            match self.after {
                Some(after) => sleep(after).await,
                None => std::future::pending().await,
            }
            self.found_out.store(true, Ordering::Relaxed);
        })
    }

    fn check<'a>(
        &'a self,
        _module: &'a ModuleVersion,
        _what: Hashed,
        _hash: &'a DirHash,
        _source: &'a str,
    ) -> BoxFuture<'a, Result<(), FetchError>> {
        assert!(self.found_out.load(Ordering::Relaxed), "the verdict is asked for before it can be known");
        Box::pin(async { Ok(()) })
    }
}

fn module() -> ModuleVersion {
    ModuleVersion::new(ModulePath::parse("example.com/m").unwrap(), Version::parse("v1.0.0").unwrap()).unwrap()
}

/// Fetches from a folder into another one.
fn fetcher(proxy: &Path, cache: &Path, judge: &Arc<Slow>) -> Fetcher {
    from(&format!("file://{}", proxy.display()), cache, judge)
}

/// Fetches from the entries of a GOPROXY.
fn from(list: &str, cache: &Path, judge: &Arc<Slow>) -> Fetcher {
    let settings = ProxySettings::from_inputs(&Inputs::empty("/", "/"));
    let client = Arc::new(Client::new(settings, Roots::new(Vec::new()), Arc::new(Anonymous), ClientConfig::default()));
    let cache = Arc::new(ModCache::of_downloads(cache));
    let list = ProxyList::parse(list).unwrap();
    let direct = GoDirect::new(None, Vec::new(), 1, Duration::from_secs(1));
    Fetcher {
        sources: Arc::new(Sources::new(client, Arc::clone(&cache), list, String::new(), direct)),
        cache,
        judge: Arc::clone(judge) as Arc<dyn Judge>,
        unpacker: Arc::new(Unpacker::default()),
        splitter: Arc::new(Splitter::default()),
        progress: Arc::new(Nobody),
        turns: Arc::new(Semaphore::new(1)),
        yields: false,
    }
}

#[tokio::test]
async fn what_does_not_come_is_told_before_the_judge_has_found_out() {
    let (proxy, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let judge = Arc::new(Slow { after: None, found_out: AtomicBool::new(false) });
    let fetcher = Arc::new(fetcher(proxy.path(), cache.path(), &judge));
    let wait = Duration::from_secs(20);
    let go_mod = timeout(wait, fetcher.go_mod(&module(), 0)).await.expect("nothing is waited for");
    assert!(matches!(go_mod.unwrap_err().kind, FailKind::NotFound(_)));
    let zip = timeout(wait, fetcher.zip(&module(), false, 0)).await.expect("nothing is waited for");
    assert!(matches!(zip.unwrap_err().kind, FailKind::NotFound(_)));
}

#[tokio::test]
async fn what_comes_waits_for_the_judge() {
    let (proxy, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let file = proxy.path().join(module().proxy_path(FileKind::Mod).trim_start_matches('/'));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, "module example.com/m\n").unwrap();
    let judge = Arc::new(Slow { after: Some(Duration::from_millis(100)), found_out: AtomicBool::new(false) });
    let (bytes, hash) = fetcher(proxy.path(), cache.path(), &judge).go_mod(&module(), 0).await.unwrap();
    assert_eq!(bytes, "module example.com/m\n");
    assert_eq!(hash, DirHash::of_go_mod(b"module example.com/m\n"));
}

#[tokio::test]
async fn an_info_of_no_form_is_named_and_only_a_bar_leads_on() {
    let (bad, good, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let name = module().proxy_path(FileKind::Info);
    for (proxy, content) in [(&bad, "<html>log in</html>"), (&good, r#"{"Version":"v1.0.0"}"#)] {
        let file = proxy.path().join(name.trim_start_matches('/'));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    let judge = Arc::new(Slow { after: None, found_out: AtomicBool::new(false) });
    let of = |separator: &str| {
        let list = format!("file://{}{separator}file://{}", bad.path().display(), good.path().display());
        from(&list, cache.path(), &judge)
    };
    let error = of(",").info(&module(), 0).await.unwrap_err();
    let url = format!("GET file://{}{name}: ", bad.path().display());
    let wrong = "expected value at line 1 column 1; it begins \"<html>log in</html>\"";
    assert!(error.detail.starts_with(&url) && error.detail.ends_with(wrong), "{error}");
    assert_eq!((error.kind, error.asked.is_some()), (FailKind::Invalid, true));
    // As in the go command.
    assert!(of("|").info(&module(), 0).await.is_ok());
}
