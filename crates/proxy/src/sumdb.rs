//! The checksum database through this proxy (<https://go.dev/design/25530-sumdb>, "Proxying a checksum database").
//!
//! | asked for | answered with | kept |
//! |---|---|---|
//! | `supported` | 200 for the database that this proxy verifies with, else 404: clients go to the database themselves then | |
//! | `latest` | the tree head, of the same log as all before; an older one where the database fails | for `fresh` |
//! | `lookup/M@V` | the record, proven to be in the log; 404 where the database says so | for ever; 404 for `not-found` |
//! | `tile/…` | the hashes, proven where the log has them | complete ones for ever |
//!
//! A database that shows two histories, or a record or tile that is not in the log, is 502 with the words SECURITY ERROR:
//! never 404, and nothing of it is kept. Modules that the database is not asked about (GONOSUMDB, GOPRIVATE, rules) are 403:
//! their names must not leave the house, and a go command that asks has not been told.
//!
//! Where nothing may be fetched there is what is kept: without an upstream (`--offline`, `--frozen`), where `supported` is
//! 200 if there is any, and for a request with `Disable-Module-Fetch: true`. It is looked at before it is given
//! ([`goferry_fetch::sumdb::kept`]): what is damaged is 502. What nothing that is kept proves is given as it is, since a go
//! command proves it too.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use goferry_fetch::client::heeding;
use goferry_fetch::sumdb::kept::Verdict;
use goferry_fetch::sums::Exempt;
use goferry_fetch::{FailKind, FetchError, SumDbClient};
use goferry_module::ModuleVersion;
use goferry_module::sumdb::Tile;
use goferry_net::Party;
use http::StatusCode;
use quick_cache::Weighter;
use quick_cache::sync::Cache as Recent;

use crate::answer::{Answer, Cache, FOR_EVER, Request};
use crate::config::{Freshness, SourceMode};
use crate::flight::Flights;
use crate::route::SumDbRoute;
use crate::store::{Store, small};
use crate::upstream::Upstream;
use crate::waited;

/// Records that are known not to be there.
const ABSENT: usize = 10_000;
/// Bytes of incomplete tiles in memory.
const MEMORY: u64 = 4 << 20;
/// How long an incomplete tile stays there. It never changes; one that was wrong is to be forgotten.
const EDGE: Duration = Duration::from_secs(60);
/// How long what is kept is not looked at again, though a file of it is another one.
const LOOK: Duration = Duration::from_secs(30);
/// How much the times of files may be behind the clock: they are of the system's last tick.
const TICK: Duration = Duration::from_millis(10);
/// What to do about a damaged file.
const NOTHING_FETCHED: &str =
    "nothing is fetched in its place (--offline, --frozen or Disable-Module-Fetch): mend or remove the file";
const TEXT: &str = "text/plain; charset=utf-8";

/// Answers of the checksum database, verified where they can be and kept.
pub struct SumDb {
    upstream: Arc<Upstream>,
    fetch: bool,
    freshness: Freshness,
    /// With whether what came had to be mended.
    flights: Flights<Key, (Result<Bytes, FetchError>, bool)>,
    latest: Arc<Mutex<Option<(Instant, Bytes)>>>,
    absent: Recent<ModuleVersion, (Instant, FetchError)>,
    edge: Recent<Tile, (Instant, Bytes), Octets>,
    looked: tokio::sync::Mutex<Option<Looked>>,
}

/// What looking at what is kept has shown.
struct Looked {
    at: Instant,
    /// By the clock that files have.
    time: SystemTime,
    seen: BTreeMap<PathBuf, Verdict>,
}

impl Looked {
    /// Why a file is not to be given.
    fn refuses(&self, file: &Path) -> Option<&str> {
        match self.seen.get(file)? {
            Verdict::Damaged(reason) => Some(reason),
            Verdict::Contradicts => Some("SECURITY ERROR: its signed tree head contradicts the others that are kept"),
            Verdict::Proven | Verdict::Unproven => None,
        }
    }
}

/// What is on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Latest,
    Lookup(ModuleVersion),
    Tile(Tile),
}

/// Weighs tiles.
#[derive(Clone)]
struct Octets;

impl Weighter<Tile, (Instant, Bytes)> for Octets {
    fn weight(&self, _tile: &Tile, kept: &(Instant, Bytes)) -> u64 {
        kept.1.len() as u64 + 100
    }
}

impl SumDb {
    /// Those of the database that `upstream` verifies with, kept in `store`.
    #[must_use]
    pub fn new(store: &Store, upstream: Arc<Upstream>, freshness: Freshness) -> SumDb {
        SumDb {
            upstream,
            fetch: store.mode() == SourceMode::Fetch,
            freshness,
            flights: Flights::default(),
            latest: Arc::default(),
            absent: Recent::new(ABSENT),
            edge: Recent::with_weighter(1024, MEMORY, Octets),
            looked: tokio::sync::Mutex::default(),
        }
    }

    /// The answer to a request. Without `fetch` only what is kept.
    pub async fn answer(&self, name: &str, what: &SumDbRoute, request: &Request, fetch: bool) -> Answer {
        let Some(database) = self.upstream.database().filter(|database| database.name() == name) else {
            let text = format!("this proxy does not answer for the checksum database {name}: ask it itself");
            return Answer::text(StatusCode::NOT_FOUND, text);
        };
        let fetch = fetch && self.fetch;
        let (outcome, kind, keep) = match what {
            SumDbRoute::Supported => {
                if !self.fetch && !database.folder().is_dir() {
                    let text = format!("this proxy has nothing of the checksum database {name}: ask it itself");
                    return Answer::text(StatusCode::NOT_FOUND, text);
                }
                (Ok((Bytes::from_static(b"supported\n"), Cache::None)), TEXT, "public, max-age=3600")
            }
            SumDbRoute::Latest => (self.latest(database, fetch).await, TEXT, "public, max-age=60"),
            SumDbRoute::Lookup(module) => {
                if let Some(exempt) = self.upstream.database_use().exempt(module.path()) {
                    return refused(module, exempt);
                }
                (self.lookup(database, module, fetch).await, TEXT, "public, max-age=3600")
            }
            SumDbRoute::Tile(tile) => {
                let keep = if tile.is_complete() { FOR_EVER } else { "public, max-age=60" };
                (self.tile(database, *tile, fetch).await, "application/octet-stream", keep)
            }
        };
        match outcome {
            Ok((bytes, cache)) => {
                let mut answer = Answer::entity(&small(bytes, kind, keep), &request.method, &request.headers);
                answer.note.cache = cache;
                answer
            }
            Err(error) => Answer::failed(&passed_on(error)),
        }
    }

    async fn latest(&self, database: &Arc<SumDbClient>, fetch: bool) -> Result<(Bytes, Cache), FetchError> {
        if !fetch {
            self.refuse_damaged(database, &[database.latest_file()]).await?;
        }
        let known = self.lock().clone();
        if let Some((_, note)) = known.as_ref().filter(|(since, _)| since.elapsed() < self.freshness.fresh) {
            return Ok((note.clone(), Cache::Hit));
        }
        let kept = match known {
            Some((_, note)) => Some(note),
            None => database.kept_latest().await,
        };
        if !fetch {
            return kept.map(|note| (note, Cache::Stale)).ok_or_else(|| not_kept("the latest tree head"));
        }
        let (client, latest) = (Arc::clone(database), Arc::clone(&self.latest));
        let work = async move {
            let note = client.latest().await?;
            *latest.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), note.clone()));
            Ok(note)
        };
        match (waited::upstream(self.join(&Key::Latest, || work)).await, kept) {
            (Err(error), Some(kept)) if !matches!(error.kind, FailKind::Mismatch | FailKind::Invalid) => {
                tracing::warn!(%error, "the checksum database failed");
                Ok((kept, Cache::Stale))
            }
            (outcome, _) => outcome,
        }
    }

    async fn lookup(
        &self,
        database: &Arc<SumDbClient>,
        module: &ModuleVersion,
        fetch: bool,
    ) -> Result<(Bytes, Cache), FetchError> {
        if !fetch {
            self.refuse_damaged(database, &[database.record_file(module)]).await?;
            let kept = database.kept_record(module).await;
            return kept.map(|record| (record, Cache::Hit)).ok_or_else(|| not_kept(&format!("the record of {module}")));
        }
        match self.absent.get(module) {
            Some((since, error)) if since.elapsed() < self.freshness.not_found => return Err(error),
            _ => {}
        }
        let known = database.kept_record(module).await.is_some();
        let (client, version) = (Arc::clone(database), module.clone());
        let key = Key::Lookup(module.clone());
        let asking = self.join(&key, || async move { client.record(&version).await });
        let outcome = if known { asking.await } else { waited::upstream(asking).await };
        match outcome {
            Ok((record, _)) if known => Ok((record, Cache::Hit)),
            Err(error) => {
                if matches!(error.kind, FailKind::Status(404 | 410)) {
                    self.absent.insert(module.clone(), (Instant::now(), error.clone()));
                }
                Err(error)
            }
            fetched => fetched,
        }
    }

    async fn tile(&self, database: &Arc<SumDbClient>, tile: Tile, fetch: bool) -> Result<(Bytes, Cache), FetchError> {
        if !fetch {
            let file = |tile: Tile| database.folder().join(tile.to_string());
            self.refuse_damaged(database, &[file(tile), file(tile.complete())]).await?;
        }
        let kept = database.kept_tile(tile).await;
        if !fetch {
            return kept.map(|kept| (kept, Cache::Hit)).ok_or_else(|| not_kept(&tile.to_string()));
        }
        if let Some((_, kept)) = self.edge.get(&tile).filter(|(since, _)| since.elapsed() < EDGE) {
            return Ok((kept, Cache::Hit));
        }
        let client = Arc::clone(database);
        let key = Key::Tile(tile);
        let asking = self.join(&key, || async move { client.tile(tile).await });
        if kept.is_some() {
            return asking.await.map(|(bytes, _)| (bytes, Cache::Hit));
        }
        let (bytes, cache) = waited::upstream(asking).await?;
        if !tile.is_complete() {
            self.edge.insert(tile, (Instant::now(), bytes.clone()));
        }
        Ok((bytes, cache))
    }

    /// Refuses the first of the files that is there, where it is damaged; nobody may be asked for another then. Looks at all
    /// that is kept, once, and again where that file is another one since: at once where it was damaged.
    async fn refuse_damaged(&self, database: &Arc<SumDbClient>, files: &[PathBuf]) -> Result<(), FetchError> {
        let Some((file, changed)) = files.iter().find_map(|file| Some((file, changed(file)?))) else { return Ok(()) };
        let mut looked = self.looked.lock().await;
        let due = |looked: &Looked| looked.at.elapsed() >= LOOK || looked.refuses(file).is_some();
        if looked.as_ref().is_none_or(|looked| changed >= looked.time && due(looked)) {
            let (at, time) = (Instant::now(), SystemTime::now() - TICK);
            match database.look().await {
                Ok(seen) => *looked = Some(Looked { at, time, seen }),
                Err(error) => tracing::warn!(%error, "what is kept of the checksum database cannot be looked at"),
            }
        }
        let Some(reason) = looked.as_ref().and_then(|looked| looked.refuses(file)) else { return Ok(()) };
        let text = format!("{}: {reason}", file.display());
        tracing::error!("a file of the store is damaged: {text}");
        let error = FetchError::new(FailKind::Invalid, Party::Client, text);
        Err(error.with_advice(NOTHING_FETCHED))
    }

    async fn join<F>(&self, key: &Key, work: impl FnOnce() -> F) -> Result<(Bytes, Cache), FetchError>
    where
        F: Future<Output = Result<Bytes, FetchError>> + Send + 'static,
    {
        let Some(landed) = self.flights.join(key, || heeding(work())).await else {
            let text = "the task that asked the checksum database ended early";
            return Err(FetchError::new(FailKind::Invalid, Party::Goferry, text));
        };
        let (outcome, cache) = waited::landed(landed);
        outcome.map(|bytes| (bytes, cache))
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, Bytes)>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a file was changed last; `None` where it is not there.
fn changed(file: &Path) -> Option<SystemTime> {
    let meta = std::fs::symlink_metadata(file).ok()?;
    let (seconds, nanoseconds) = (u64::try_from(meta.ctime()).ok()?, u32::try_from(meta.ctime_nsec()).ok()?);
    Some(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds))
}

/// That the database does not know the module is an answer.
fn passed_on(mut error: FetchError) -> FetchError {
    if let FailKind::Status(status @ (404 | 410)) = error.kind {
        error.kind = FailKind::NotFound(status);
    }
    error
}

fn not_kept(what: &str) -> FetchError {
    let text = format!("{what}: not kept here, and nothing is fetched for it");
    FetchError::new(FailKind::NotFound(404), Party::Client, text)
}

fn refused(module: &ModuleVersion, exempt: Exempt) -> Answer {
    let text = format!(
        "{module}: this proxy does not ask the checksum database about it: {exempt}\n\
         tell the go command too: go env -w GONOSUMDB={}",
        module.path()
    );
    Answer::error(StatusCode::FORBIDDEN, text)
}
