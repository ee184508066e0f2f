//! `/readyz`: whether the proxy can do its work.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use goferry_module::{FallBack, Scheme};

use super::metrics::Metrics;
use crate::config::SourceMode;
use crate::store::Store;
use crate::upstream::Upstream;

/// The store is tried at most so often.
const STORE_EVERY: Duration = Duration::from_secs(5);
/// An upstream that answered so lately is not asked.
pub const LATELY: Duration = Duration::from_secs(30);
/// After a question that failed, the next one comes no earlier.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How long an answer may take.
const BOUND: Duration = Duration::from_secs(3);

/// What is known of the readiness.
#[derive(Default)]
pub struct Ready {
    store: tokio::sync::Mutex<Option<(Instant, Result<(), String>)>>,
    asked: tokio::sync::Mutex<Option<(Instant, Result<(), String>)>>,
    answered: Mutex<Answered>,
}

#[derive(Default)]
struct Answered {
    good: u64,
    at: Option<Instant>,
}

impl Ready {
    /// Why it is not ready; nothing where it is.
    pub async fn reasons(&self, store: &Arc<Store>, upstream: &Upstream, metrics: &Metrics) -> Vec<String> {
        let mut reasons = Vec::new();
        reasons.extend(self.store(store).await.err());
        if store.mode() == SourceMode::Fetch {
            reasons.extend(self.upstream(upstream).await.err());
        }
        metrics.ready.set(i64::from(reasons.is_empty()));
        reasons
    }

    /// Answers with a status below 500 were counted so far.
    pub(super) fn note_good(&self, good: u64) {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if good > answered.good {
            *answered = Answered { good, at: Some(Instant::now()) };
        }
    }

    async fn store(&self, store: &Arc<Store>) -> Result<(), String> {
        let mut known = self.store.lock().await;
        if let Some((at, outcome)) = &*known
            && at.elapsed() < STORE_EVERY
        {
            return outcome.clone();
        }
        let tried = Arc::clone(store);
        let outcome = tokio::task::spawn_blocking(move || match tried.mode() {
            SourceMode::Fetch => writable(tried.own()),
            SourceMode::Offline | SourceMode::Frozen => readable(tried.dir()),
        });
        let outcome = outcome.await.unwrap_or_else(|error| Err(format!("the store: {error}")));
        *known = Some((Instant::now(), outcome.clone()));
        outcome
    }

    async fn upstream(&self, upstream: &Upstream) -> Result<(), String> {
        let proxies = || upstream.list().urls().filter(|(url, _)| url.scheme() != Scheme::File);
        if proxies().next().is_none() {
            return Ok(());
        }
        if self.answered_lately(upstream) {
            return Ok(());
        }
        let mut asked = self.asked.lock().await;
        if let Some((at, outcome)) = &*asked
            && at.elapsed() < ASK_EVERY
        {
            return outcome.clone();
        }
        let mut outcome = Ok(());
        for (url, on) in proxies() {
            let why = match upstream.client().reach(url, BOUND).await {
                Ok(status) if status < 500 => {
                    outcome = Ok(());
                    break;
                }
                Ok(status) => format!("{url} answers {status}"),
                Err(error) => error.to_string(),
            };
            outcome = Err(format!("upstream: {why}"));
            if on != FallBack::AnyError {
                break;
            }
        }
        *asked = Some((Instant::now(), outcome.clone()));
        outcome
    }

    fn answered_lately(&self, upstream: &Upstream) -> bool {
        self.note_good(upstream.client().pools().iter().map(|pool| pool.load().answers.good()).sum());
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.at.is_some_and(|at| at.elapsed() < LATELY)
    }
}

fn writable(folder: &Path) -> Result<(), String> {
    let write = || {
        let mut file = tempfile::Builder::new().prefix(".ready-").tempfile_in(folder)?;
        file.write_all(b"goferry\n")?;
        file.flush()
    };
    write().map_err(|error| format!("the store cannot be written: {}: {error}", folder.display()))
}

fn readable(folder: &Path) -> Result<(), String> {
    fs::read_dir(folder).map(|_| ()).map_err(|error| format!("the store cannot be read: {}: {error}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_takes_no_file_is_not_ready() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(writable(dir.path()), Ok(()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left");
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let why = writable(&file).unwrap_err();
        assert!(why.starts_with("the store cannot be written: "), "{why}");
        assert!(readable(&file).is_err() && readable(dir.path()).is_ok());
    }

    #[test]
    fn answers_that_came_since_count_as_lately() {
        let ready = Ready::default();
        ready.note_good(0);
        assert!(ready.answered.lock().unwrap().at.is_none());
        ready.note_good(3);
        let at = ready.answered.lock().unwrap().at;
        assert!(at.is_some());
        ready.note_good(3);
        assert_eq!(ready.answered.lock().unwrap().at, at);
    }
}
