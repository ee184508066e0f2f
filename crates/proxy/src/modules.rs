//! The files of versions: from the store, or fetched into it, once for all who ask.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use goferry_fetch::{FailKind, FetchError};
use goferry_module::{FileKind, ModuleVersion};
use goferry_net::Party;
use quick_cache::sync::Cache as Recent;

use crate::answer::{Cache, Entity};
use crate::config::SourceMode;
use crate::flight::Flights;
use crate::store::Store;
use crate::upstream::Upstream;
use crate::waited;

/// What someone waits for goes before what is fetched ahead.
const DEMANDED: u64 = 1 << 32;
/// Answers "not found" that are remembered.
const ABSENT: usize = 50_000;
/// Files that were fetched ahead and not asked for yet, of which account is kept.
const AHEAD: usize = 200_000;

/// A file of a version.
type Key = (ModuleVersion, FileKind);

/// The files of versions.
pub struct Modules {
    store: Arc<Store>,
    upstream: Arc<Upstream>,
    not_found: Duration,
    flights: Flights<Key, Result<Done, FetchError>>,
    absent: Recent<Key, (Instant, FetchError)>,
    /// What was fetched ahead, or is being, and nobody has asked for.
    unused: Mutex<HashSet<Key>>,
    unused_count: AtomicUsize,
    ahead: Ahead,
    mismatches: AtomicU64,
}

/// What was fetched ahead, in figures.
#[derive(Debug, Default)]
pub struct Ahead {
    /// Files begun.
    pub begun: AtomicU64,
    /// Files that were then asked for.
    pub used: AtomicU64,
    /// Files that failed.
    pub failed: AtomicU64,
}

/// What a flight brought.
#[derive(Clone, Copy, Debug)]
struct Done {
    took: Duration,
    healed: bool,
}

/// A file, and how it was had.
#[derive(Clone, Debug)]
pub struct Served {
    /// The file.
    pub entity: Entity,
    /// Where it came from.
    pub cache: Cache,
    /// How long the upstream was waited for.
    pub upstream: Option<Duration>,
    /// Whether the upstream's answer had to be mended.
    pub healed: bool,
}

impl Modules {
    /// Files of `store`, and of `upstream` what it does not have.
    #[must_use]
    pub fn new(store: Arc<Store>, upstream: Arc<Upstream>, not_found: Duration) -> Modules {
        Modules {
            store,
            upstream,
            not_found,
            flights: Flights::default(),
            absent: Recent::new(ABSENT),
            unused: Mutex::default(),
            unused_count: AtomicUsize::new(0),
            ahead: Ahead::default(),
            mismatches: AtomicU64::new(0),
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// What was fetched ahead, in figures.
    #[must_use]
    pub fn ahead(&self) -> &Ahead {
        &self.ahead
    }

    /// Files that were fetched and were not what they should be.
    #[must_use]
    pub fn mismatches(&self) -> u64 {
        self.mismatches.load(Ordering::Relaxed)
    }

    /// How much is being fetched now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// A file, verified. Without `fetch` only what the store has.
    ///
    /// # Errors
    /// Whatever kept it from being fetched, verified or stored. "Not found" is remembered for a short while.
    pub async fn file(
        self: &Arc<Self>,
        module: &ModuleVersion,
        kind: FileKind,
        fetch: bool,
    ) -> Result<Served, FetchError> {
        let ahead = self.take_unused(module, kind);
        if let Some(entity) = self.store.get(module, kind, self.upstream.judge()).await? {
            let cache = if ahead { Cache::Ahead } else { Cache::Hit };
            return Ok(Served { entity, cache, upstream: None, healed: false });
        }
        // What is seldom done must not make the answer to every request larger: it is moved about.
        Box::pin(self.fetched(module, kind, fetch)).await
    }

    /// A file that the store does not have.
    async fn fetched(
        self: &Arc<Self>,
        module: &ModuleVersion,
        kind: FileKind,
        fetch: bool,
    ) -> Result<Served, FetchError> {
        if !fetch {
            let text = format!("{module}: the .{} is not in the store", kind.extension());
            return Err(FetchError::new(FailKind::NotFound(404), Party::Client, text));
        }
        let key = (module.clone(), kind);
        self.may_fetch(&key)?;
        let began = Instant::now();
        let landed = waited::upstream(self.flights.join(&key, || Arc::clone(self).fetch(key.clone(), DEMANDED))).await;
        let Some(landed) = landed else {
            let text = format!("{module}: the task that fetched it ended early");
            return Err(FetchError::new(FailKind::Invalid, Party::Goferry, text));
        };
        let done = landed.value?;
        let entity = self.store.get(module, kind, self.upstream.judge()).await?.ok_or_else(|| {
            let text = format!("{module}: the .{} was stored and is gone again", kind.extension());
            FetchError::new(FailKind::Local(None), Party::Client, text)
        })?;
        let cache = if landed.joined { Cache::Joined } else { Cache::Miss };
        Ok(Served { entity, cache, upstream: Some(began.elapsed().min(done.took)), healed: done.healed })
    }

    /// Fetches a file that nobody has asked for yet. False where it is there, on its way, or known not to be anywhere.
    pub fn fetch_ahead(self: &Arc<Self>, module: &ModuleVersion, kind: FileKind) -> bool {
        let key = (module.clone(), kind);
        if self.store.cache().file(module, kind).exists() || self.may_fetch(&key).is_err() {
            return false;
        }
        self.flights.start(&key, || {
            // Before it can be over.
            self.begun_ahead(&key);
            let (this, key) = (Arc::clone(self), key.clone());
            async move {
                let outcome = Arc::clone(&this).fetch(key.clone(), 0).await;
                if let Err(error) = &outcome {
                    tracing::debug!(module = %key.0, kind = key.1.extension(), %error, "fetching ahead failed");
                    this.failed_ahead(&key);
                }
                outcome
            }
        })
    }

    /// The same, until it is there.
    ///
    /// # Errors
    /// As [`Modules::file`].
    pub async fn ensure(self: &Arc<Self>, module: &ModuleVersion, kind: FileKind) -> Result<(), FetchError> {
        if self.store.get(module, kind, self.upstream.judge()).await?.is_some() {
            return Ok(());
        }
        let key = (module.clone(), kind);
        self.may_fetch(&key)?;
        match self.flights.join(&key, || Arc::clone(self).fetch(key.clone(), 0)).await {
            Some(landed) => landed.value.map(|_| ()),
            None => Err(FetchError::new(FailKind::Invalid, Party::Goferry, format!("{module}: a task ended early"))),
        }
    }

    fn may_fetch(&self, key: &Key) -> Result<(), FetchError> {
        if self.store.mode() != SourceMode::Fetch {
            let text = format!(
                "{}: the .{} is not in the store, and this proxy serves what is in its store only (--offline or --frozen); \
                 whoever runs it can add it",
                key.0,
                key.1.extension()
            );
            return Err(FetchError::new(FailKind::NotFound(404), Party::Client, text));
        }
        match self.absent.get(key) {
            Some((since, error)) if since.elapsed() < self.not_found => Err(error),
            _ => Ok(()),
        }
    }

    async fn fetch(self: Arc<Self>, key: Key, rank: u64) -> Result<Done, FetchError> {
        let began = Instant::now();
        let (module, kind) = &key;
        let fetcher = self.upstream.fetcher(module.path());
        let (outcome, healed) = goferry_fetch::client::heeding(async {
            match kind {
                FileKind::Info => {
                    let bytes = fetcher.info(module, rank).await?;
                    self.store.stored_small(module, *kind, bytes.into());
                }
                FileKind::Mod => {
                    let (bytes, _) = fetcher.go_mod(module, rank).await?;
                    self.store.stored_small(module, *kind, bytes);
                }
                FileKind::Zip => {
                    let fetched = fetcher.zip(module, false, rank).await?;
                    self.store.stored(module, fetched.hash);
                }
            }
            Ok::<(), FetchError>(())
        })
        .await;
        if outcome.as_ref().is_err_and(|error| error.kind == FailKind::Mismatch) {
            self.mismatches.fetch_add(1, Ordering::Relaxed);
        }
        if let Err(error) = &outcome
            && error.absence().is_some()
        {
            self.absent.insert(key.clone(), (Instant::now(), error.clone()));
        }
        outcome.map(|()| Done { took: began.elapsed(), healed })
    }

    fn begun_ahead(&self, key: &Key) {
        self.ahead.begun.fetch_add(1, Ordering::Relaxed);
        let mut unused = self.unused();
        if unused.len() < AHEAD {
            unused.insert(key.clone());
            self.unused_count.store(unused.len(), Ordering::Relaxed);
        }
    }

    /// One that was asked for meanwhile was of use: whoever asked is told that it failed.
    fn failed_ahead(&self, key: &Key) {
        if self.remove_unused(key) {
            self.ahead.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether it was fetched ahead and is asked for now for the first time.
    fn take_unused(&self, module: &ModuleVersion, kind: FileKind) -> bool {
        let was = !self.nothing_unused() && self.remove_unused(&(module.clone(), kind));
        if was {
            self.ahead.used.fetch_add(1, Ordering::Relaxed);
        }
        was
    }

    fn remove_unused(&self, key: &Key) -> bool {
        if self.nothing_unused() {
            return false;
        }
        let mut unused = self.unused();
        let was = unused.remove(key);
        self.unused_count.store(unused.len(), Ordering::Relaxed);
        was
    }

    fn nothing_unused(&self) -> bool {
        self.unused_count.load(Ordering::Relaxed) == 0
    }

    fn unused(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.unused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
