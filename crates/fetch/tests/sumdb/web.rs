//! A [`Web`] without a network.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use goferry_fetch::{BoxFuture, FailKind, FetchError, Web};
use goferry_module::ProxyUrl;
use goferry_net::Party;
use tokio::sync::Semaphore;

use super::site::Site;

/// Answers for a [`Site`], whatever the host. A status of 0 stands for a connection that fails.
pub(crate) struct FakeWeb {
    pub(crate) site: Arc<Site>,
    /// Each answer takes one permit.
    gate: Semaphore,
    waiting: AtomicUsize,
}

impl FakeWeb {
    pub(crate) fn new(site: Arc<Site>) -> Arc<Self> {
        Arc::new(Self { site, gate: Semaphore::new(Semaphore::MAX_PERMITS), waiting: AtomicUsize::new(0) })
    }

    /// One that answers only when [`FakeWeb::release`] is called.
    pub(crate) fn gated(site: Arc<Site>) -> Arc<Self> {
        Arc::new(Self { site, gate: Semaphore::new(0), waiting: AtomicUsize::new(0) })
    }

    /// Waits until this many requests wait for their answers at the same time, and answers them.
    pub(crate) async fn release(&self, count: usize) {
        let enough = async {
            while self.waiting.load(Ordering::SeqCst) < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(30), enough).await;
        let waiting = self.waiting.swap(0, Ordering::SeqCst);
        assert!(in_time.is_ok() && waiting == count, "{waiting} requests wait, not {count}");
        self.gate.add_permits(count);
    }
}

impl Web for FakeWeb {
    fn get<'a>(&'a self, base: &'a ProxyUrl, rest: &'a str, limit: usize) -> BoxFuture<'a, Result<Bytes, FetchError>> {
        Box::pin(async move {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            self.gate.acquire().await.unwrap().forget();
            let path = base.request_target(rest);
            let (status, body) = self.site.answer(&path);
            let failed = |kind| Err(FetchError::new(kind, Party::Upstream, format!("reading {path}: {status}")));
            match status {
                0 => Err(FetchError::new(FailKind::Network(None), Party::Network, format!("reading {path}: reset"))),
                404 | 410 => failed(FailKind::NotFound(status)),
                200 if body.len() > limit => Err(FetchError::invalid(format!("reading {path}: over {limit} bytes"))),
                200 => Ok(body.into()),
                _ => failed(FailKind::Status(status)),
            }
        })
    }
}
