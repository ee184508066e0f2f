//! What may be another thing tomorrow: `list`, `@latest`, branches.
//!
//! | age of what is kept | what is answered ([`Freshness`]) |
//! |---|---|
//! | below `fresh` | what is kept |
//! | then, for `revalidate` | what is kept, at once, while the upstream is asked |
//! | then, for `if_error` | what the upstream says; what is kept where it fails or keeps one waiting |
//! | older, or nothing | what the upstream says |
//!
//! "Not found" is an answer: it takes the place of what is kept, and is itself remembered for `not_found`. Whatever else
//! goes wrong (no connection, 5xx, 401, 403, an answer of no form) says nothing about the module, so it counts as a
//! failure of the upstream, which is then left alone for a while. An answer that is older than `fresh` is
//! [`Cache::Stale`] in the log and in the metrics, and clients read its age in `Age` (RFC 9111 section 5.1).
//!
//! Answers are kept in memory and on disk, so that they outlive a restart. Without an upstream (`--offline`,
//! `--frozen`) names are those of the versions in the store.

mod disk;
mod offline;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use goferry_fetch::client::heeding;
use goferry_fetch::source::Changing;
use goferry_fetch::{FailKind, FetchError};
use goferry_module::{ModInfo, ModulePath, ModuleVersion, Version};
use goferry_net::Party;
use quick_cache::Weighter;
use quick_cache::sync::Cache as Recent;

use self::disk::Disk;
use crate::answer::Cache;
use crate::config::{Freshness, SourceMode};
use crate::flight::Flights;
use crate::store::{Store, blocking};
use crate::upstream::Upstream;
use crate::waited;

/// Bytes of answers in memory.
const MEMORY: u64 = 16 << 20;
/// Answers "not found", and failures, that are remembered.
const REMEMBERED: usize = 20_000;
/// How long the upstream is left alone after it failed, where there is something to answer with; as long as an answer is
/// fresh where that is shorter.
pub const AGAIN: Duration = Duration::from_secs(10);
/// How long the upstream is waited for where there is something to answer with.
pub const WAIT: Duration = Duration::from_secs(5);

/// A question.
type Key = (ModulePath, Changing);

/// Answers that may change.
pub struct Names {
    store: Arc<Store>,
    upstream: Arc<Upstream>,
    freshness: Freshness,
    /// With whether what came had to be mended.
    flights: Flights<Key, (Result<Bytes, FetchError>, bool)>,
    memory: Recent<Key, Kept, Octets>,
    absent: Recent<Key, (Instant, FetchError)>,
    failed: Recent<Key, Instant>,
    disk: Arc<Disk>,
}

/// An answer, and how it was had.
#[derive(Clone, Debug)]
pub struct Named {
    /// The answer as the upstream sent it.
    pub bytes: Bytes,
    /// Where it came from.
    pub cache: Cache,
    /// How long ago the upstream gave it.
    pub age: Duration,
}

/// An answer that is kept, and when it was given.
#[derive(Clone, Debug)]
struct Kept {
    bytes: Bytes,
    fetched: SystemTime,
}

/// Weighs what is in memory.
#[derive(Clone)]
struct Octets;

impl Weighter<Key, Kept> for Octets {
    fn weight(&self, key: &Key, kept: &Kept) -> u64 {
        let query = if let Changing::Query(query) = &key.1 { query.len() } else { 0 };
        (kept.bytes.len() + key.0.as_str().len() + query + 200) as u64
    }
}

impl Kept {
    /// How old it is. A time to come, after the clock was set back, is none: `unknown` then.
    fn age(&self, unknown: Duration) -> Duration {
        self.fetched.elapsed().unwrap_or(unknown)
    }
}

impl Names {
    /// Answers of `upstream`, kept in `store`. Within a tokio runtime.
    #[must_use]
    pub fn new(store: Arc<Store>, upstream: Arc<Upstream>, freshness: Freshness) -> Names {
        let disk = Arc::new(Disk::new(&store.own().join("names")));
        if store.mode() == SourceMode::Fetch {
            let disk = Arc::clone(&disk);
            // What an earlier process left may be too much.
            drop(tokio::task::spawn_blocking(move || disk.prune()));
        }
        Names {
            store,
            upstream,
            freshness,
            flights: Flights::default(),
            memory: Recent::with_weighter(16_384, MEMORY, Octets),
            absent: Recent::new(REMEMBERED),
            failed: Recent::new(REMEMBERED),
            disk,
        }
    }

    /// An answer. Without `fetch` only what is kept, however old.
    ///
    /// # Errors
    /// [`FailKind::NotFound`] where there is no such thing, or nothing of it is kept and nothing may be fetched;
    /// whatever kept the upstream from giving it where nothing that may be given is kept.
    pub async fn get(self: &Arc<Self>, path: &ModulePath, what: &Changing, fetch: bool) -> Result<Named, FetchError> {
        let key = (path.clone(), what.clone());
        if self.store.mode() != SourceMode::Fetch {
            return self.offline(&key).await;
        }
        let kept = self.kept(&key).await.map(|kept| {
            let age = kept.age(self.freshness.fresh);
            Named { bytes: kept.bytes, cache: Cache::Stale, age }
        });
        let stale = match kept {
            Some(kept) if kept.age < self.freshness.fresh => return Ok(Named { cache: Cache::Hit, ..kept }),
            Some(kept) if !fetch => return Ok(kept),
            None if !fetch => return Err(unknown(&key, "nothing is kept of it, and nothing is to be fetched")),
            kept => kept.filter(|kept| kept.age < self.usable()),
        };
        let Some(stale) = stale else {
            return match self.absent.get(&key) {
                Some((since, error)) if since.elapsed() < self.freshness.not_found => Err(error),
                _ => self.fetch(&key).await,
            };
        };
        if self.failed.get(&key).is_some_and(|since| since.elapsed() < AGAIN.min(self.freshness.fresh)) {
            return Ok(stale);
        }
        if stale.age < self.freshness.fresh.saturating_add(self.freshness.revalidate) {
            self.flights.start(&key, || Arc::clone(self).ask(key.clone()));
            return Ok(stale);
        }
        match tokio::time::timeout(WAIT, self.fetch(&key)).await {
            Ok(Ok(named)) => Ok(named),
            Ok(Err(error)) if error.is_not_found() => Err(error),
            Ok(Err(_)) | Err(_) => Ok(stale),
        }
    }

    /// For how long an answer may be given at all.
    fn usable(&self) -> Duration {
        let Freshness { fresh, revalidate, if_error, .. } = self.freshness;
        fresh.saturating_add(revalidate).saturating_add(if_error)
    }

    async fn fetch(self: &Arc<Self>, key: &Key) -> Result<Named, FetchError> {
        let asking = self.flights.join(key, || Arc::clone(self).ask(key.clone()));
        let Some(landed) = waited::upstream(asking).await else {
            let text = format!("{}: the task that asked for it ended early", key.0);
            return Err(FetchError::new(FailKind::Invalid, Party::Goferry, text));
        };
        let (outcome, cache) = waited::landed(landed);
        outcome.map(|bytes| Named { bytes, cache, age: Duration::ZERO })
    }

    /// Asks the upstream, and keeps what it says.
    async fn ask(self: Arc<Self>, key: Key) -> (Result<Bytes, FetchError>, bool) {
        let (path, what) = &key;
        let asked = SystemTime::now();
        let fetcher = self.upstream.fetcher(path);
        let (outcome, healed) = heeding(fetcher.sources.changing(path, what)).await;
        match &outcome {
            Ok(bytes) => {
                self.failed.remove(&key);
                self.absent.remove(&key);
                self.keep(&key, Kept { bytes: bytes.clone(), fetched: asked }).await;
            }
            Err(error) if error.is_not_found() => {
                self.failed.remove(&key);
                self.absent.insert(key.clone(), (Instant::now(), error.clone()));
                self.memory.remove(&key);
                let (disk, key) = (Arc::clone(&self.disk), key.clone());
                let _ = blocking(move || disk.remove(&key)).await;
            }
            Err(error) => {
                match error.absent {
                    // Where nothing is kept that is the answer; what is kept it does not replace.
                    Some(_) => self.absent.insert(key.clone(), (Instant::now(), error.clone())),
                    None => tracing::warn!(module = %path, what = word(what), %error, "the upstream failed"),
                }
                self.failed.insert(key.clone(), Instant::now());
            }
        }
        (outcome, healed)
    }

    /// In memory and on disk. That the disk is full is no reason not to answer.
    async fn keep(&self, key: &Key, kept: Kept) {
        self.memory.insert(key.clone(), kept.clone());
        let (disk, store, key) = (Arc::clone(&self.disk), Arc::clone(&self.store), key.clone());
        let _ = blocking(move || {
            disk.write(&key, &kept);
            if key.1 != Changing::List {
                keep_info(&store, &key.0, &kept.bytes);
            }
            Ok(())
        })
        .await;
    }

    async fn kept(&self, key: &Key) -> Option<Kept> {
        if let Some(kept) = self.memory.get(key) {
            return Some(kept);
        }
        let (disk, question) = (Arc::clone(&self.disk), key.clone());
        let kept = blocking(move || Ok(disk.read(&question))).await.ok().flatten()?;
        self.memory.insert(key.clone(), kept.clone());
        Some(kept)
    }
}

/// `@latest` and queries say what `V.info` says: the go command keeps it as that (`cachingRepo.Stat` and `Latest` in
/// modfetch/cache.go), and asks for it next.
fn keep_info(store: &Store, path: &ModulePath, bytes: &[u8]) {
    let version = ModInfo::parse(bytes).ok().and_then(|info| Version::parse(&info.version).ok());
    let Some(version) = version.filter(Version::is_canonical) else { return };
    let Ok(module) = ModuleVersion::new(path.clone(), version) else { return };
    if store.cache().read_info(&module).is_none()
        && let Err(error) = store.cache().write_info(&module, bytes)
    {
        tracing::debug!(%module, %error, "the .info could not be kept");
    }
}

/// A question in a word.
fn word(what: &Changing) -> &str {
    match what {
        Changing::List => "@v/list",
        Changing::Latest => "@latest",
        Changing::Query(query) => query,
    }
}

fn unknown((path, what): &Key, why: &str) -> FetchError {
    let text = match what {
        Changing::Query(query) => format!("{path}@{query}: {why}"),
        _ => format!("{path} {}: {why}", word(what)),
    };
    FetchError::new(FailKind::NotFound(404), Party::Client, text)
}

#[cfg(test)]
mod tests;
