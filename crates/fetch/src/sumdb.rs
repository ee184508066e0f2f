//! The client of the checksum database (`golang.org/x/mod/sumdb`, `client.go`; `cmd/go/internal/modfetch`, `sumdb.go`).
//!
//! It shares its files with the go command: what one has looked up, the other finds. All that is read is verified: the
//! signature of the tree head, that the log only ever grew since the last tree head seen, and that the record is in it.
//!
//! ```text
//! lookup ─┬─ lookup file or GET /lookup/M@V ─┐
//!         └─ `latest` file and its tiles ────┴─┬─ merge: is it the same log? ─┬─ is the record in it? ── keep, answer
//!                                              └─ GET tiles of the record ────┘
//! ```
//!
//! Any number of look-ups run at once. Every file is asked for once, whoever needs it, and a look-up waits for at most
//! three round trips: which server to ask (once), the record, and all tiles together, where the go command waits for
//! those of `latest`, of the new tree and of the record one after another.
//!
//! Where go 1.21.13 differs from 1.27.3, this follows 1.27.3: the older one takes lines of the whole answer for lines
//! of the record, does not check every tile against the one above it, and has another hash for the empty log.
//! Both keep the same files.

mod disk;
pub mod kept;
mod remote;
mod security;
mod tiles;
mod timeline;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use goferry_module::sumdb::tlog::stored_hash_index;
use goferry_module::sumdb::{Database, Lookup, Tile, TilePlan, lookup, note, tile};
use goferry_module::{DirHash, ModuleVersion, ProxyList};
use goferry_net::Party;
use tokio::sync::OnceCell;

use self::disk::Disk;
use self::kept::Verdict;
use self::remote::Remote;
use self::tiles::Tiles;
use self::timeline::{Origin, Timeline};
use crate::error::{FailKind, FetchError};
use crate::memo::Memo;
use crate::web::Web;

/// How many look-ups a lasting client does before it forgets what it has in memory: see [`Tiles`].
const LOOKUPS: u64 = 4096;
/// How long what proves a tile that is kept is waited for.
const PROOF: Duration = Duration::from_secs(5);

/// A checksum database, asked through module proxies or itself.
pub struct SumDbClient {
    name: String,
    /// Makes a log that has read nothing yet; of files that are doubted or not.
    make: Box<dyn Fn(bool) -> Log + Send + Sync>,
    log: Mutex<Arc<Log>>,
    lasting: bool,
}

/// What is known of the log.
struct Log {
    name: String,
    asked: AtomicU64,
    disk: Arc<Disk>,
    remote: Arc<Remote>,
    tiles: Arc<Tiles>,
    timeline: Timeline,
    ready: OnceCell<Result<(), FetchError>>,
    records: Memo<ModuleVersion, Result<SumLines, FetchError>>,
}

/// What the checksum database says about a module at a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumLines {
    /// The module.
    pub module: ModuleVersion,
    /// The name of the database.
    pub database: String,
    /// The hashes of the module's zip as in go.sum, `h1:…`.
    pub zip: Vec<String>,
    /// The hashes of its go.mod.
    pub go_mod: Vec<String>,
}

impl SumDbClient {
    /// A client that has asked nothing yet. Neither directory needs to exist.
    ///
    /// `proxies` is GOPROXY, whose entries are asked whether they answer for the database when something is first
    /// needed that is not in a file. `cache_dir` is `$GOMODCACHE/cache/download/sumdb`, `config_dir` is
    /// `$GOPATH/pkg/sumdb`.
    #[must_use]
    pub fn new(db: Database, proxies: ProxyList, web: Arc<dyn Web>, cache_dir: PathBuf, config_dir: PathBuf) -> Self {
        let name = db.name.clone();
        let make = Box::new(move |doubted| {
            let disk = Disk::new(&db.name, &cache_dir, &config_dir);
            let disk = Arc::new(if doubted { disk.doubted() } else { disk });
            let remote = Arc::new(Remote::new(&db, proxies.clone(), Arc::clone(&web)));
            let tiles = Arc::new(Tiles::new(disk.clone(), remote.clone()));
            let timeline = Timeline::new(db.verifier(), disk.clone(), tiles.clone());
            let (ready, records) = (OnceCell::new(), Memo::default());
            Log { name: db.name.clone(), asked: AtomicU64::new(0), disk, remote, tiles, timeline, ready, records }
        });
        let log = Mutex::new(Arc::new(make(false)));
        Self { name, make, log, lasting: false }
    }

    /// For a process that lives long: an error is forgotten once it was told, memory is bounded, and where a file may be
    /// damaged the server is asked in place of the files. What the log was seen to be stays on disk.
    #[must_use]
    pub fn lasting(mut self) -> Self {
        self.lasting = true;
        self
    }

    /// The name of the database.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The verified go.sum lines of a module at a version: those of its zip and of its go.mod.
    ///
    /// What is in the caches of the go command is verified too, but nothing is requested for it if the tiles that this
    /// takes are there.
    ///
    /// # Errors
    /// - [`FailKind::Mismatch`]: the database shows two histories, a signature is wrong, or the record or a tile is not
    ///   in the signed log. After the first of these every look-up of this client fails, as the go command exits.
    /// - [`FailKind::Invalid`]: an answer or a file is malformed, too long or too short. Like the go command, this does
    ///   not ask again for what is damaged on disk, except [`SumDbClient::lasting`].
    /// - [`FailKind::Status`], also with 404 and 410 where the database does not know the module: the go command does
    ///   not go on to the next proxy then.
    /// - [`FailKind::Network`] and others as [`Web`] reports them, [`FailKind::Local`] for the `latest` file.
    ///
    /// An error stays: a second look-up of the same module fails in the same way without a request, except
    /// [`SumDbClient::lasting`].
    pub async fn lookup(&self, module: &ModuleVersion) -> Result<SumLines, FetchError> {
        self.ask(|log| async move { log.lookup(module).await }).await
    }

    /// The answer to `/lookup/` that [`SumDbClient::lookup`] verified, as the database sent it.
    ///
    /// # Errors
    /// As [`SumDbClient::lookup`], and [`FailKind::Local`] where it could not be kept.
    pub async fn record(&self, module: &ModuleVersion) -> Result<Bytes, FetchError> {
        for _ in 0..2 {
            self.lookup(module).await?;
            let log = self.log();
            if let Some(answer) = log.disk.read_cache(&lookup_path(module), lookup::MAX_SIZE).await {
                return Ok(answer);
            }
            // What was verified earlier was removed since, by whoever tidies the folder.
            self.renew(&log, true);
        }
        let file = self.log().disk.cached(&lookup_path(module));
        let text = format!("{} could not be kept", file.display());
        Err(FetchError::new(FailKind::Local(None), Party::Client, text))
    }

    /// A tile, verified and kept where the log is known to have it: then it is the beginning of that which the latest
    /// tree head has at its place. Else as the server gives it.
    ///
    /// # Errors
    /// As [`SumDbClient::lookup`].
    pub async fn tile(&self, tile: Tile) -> Result<Bytes, FetchError> {
        self.ask(|log| async move { log.tile(tile).await }).await
    }

    /// The latest tree head as the server signs it, of the same log as the last one seen.
    ///
    /// # Errors
    /// As [`SumDbClient::lookup`].
    pub async fn latest(&self) -> Result<Bytes, FetchError> {
        self.ask(|log| async move { log.head().await }).await
    }

    /// The record that was kept, if one was. Not verified again: whoever asked for it does that.
    pub async fn kept_record(&self, module: &ModuleVersion) -> Option<Bytes> {
        let kept = self.log().disk.read_cache(&lookup_path(module), lookup::MAX_SIZE).await?;
        Lookup::parse(&kept).is_ok().then_some(kept)
    }

    /// The tile that was kept, or the beginning of the complete one at its place. Not verified again.
    pub async fn kept_tile(&self, tile: Tile) -> Option<Bytes> {
        self.log().tiles.kept(tile).await
    }

    /// The last tree head that was seen, signed, if one was.
    pub async fn kept_latest(&self) -> Option<Bytes> {
        let log = self.log();
        let note = log.disk.read_latest().await.ok().filter(|note| !note.is_empty())?;
        log.timeline.open(&note, &Origin::File(log.disk.latest().to_owned())).is_ok().then_some(note)
    }

    /// Looks at all that is kept of this database; nobody is asked. Where all of it is in memory, a large folder takes
    /// seconds.
    ///
    /// # Errors
    /// [`FailKind::Local`] where it cannot be read.
    pub async fn look(&self) -> Result<BTreeMap<PathBuf, Verdict>, FetchError> {
        let log = self.log();
        let outcome = disk::blocking(move || {
            kept::look(log.disk.cache(), log.disk.latest(), Some(log.timeline.verifier()))
                .map_err(|error| FetchError::local(format_args!("reading {}", log.disk.cache().display()), &error))
        });
        outcome.await
    }

    /// The file of the last tree head that was seen.
    #[must_use]
    pub fn latest_file(&self) -> PathBuf {
        self.log().disk.latest().to_owned()
    }

    /// The file of a record or a tile that is kept.
    #[must_use]
    pub fn record_file(&self, module: &ModuleVersion) -> PathBuf {
        self.log().disk.cached(&lookup_path(module))
    }

    /// The folder of what is kept of this database.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.log().disk.cache().to_owned()
    }

    fn log(&self) -> Arc<Log> {
        Arc::clone(&self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the log; once more without the files where these may be damaged, and then what came is in their place.
    async fn ask<T, F>(&self, question: impl Fn(Arc<Log>) -> F) -> Result<T, FetchError>
    where
        F: Future<Output = Result<T, FetchError>>,
    {
        let log = self.log();
        let outcome = question(Arc::clone(&log)).await;
        self.renew(&log, outcome.is_err());
        let Some(anew) = self.doubted(&log, outcome.as_ref().err()) else { return outcome };
        let outcome = question(Arc::new(anew)).await;
        if outcome.is_ok() {
            // What was read meanwhile may be from the damaged files.
            self.renew(&self.log(), true);
        }
        outcome
    }

    /// What is asked again without the files, where the error may be one of a damaged file. What of `latest` the database
    /// has signed counts all the same, so that two histories stay an error; that they are two is proven by what is sound.
    fn doubted(&self, log: &Log, error: Option<&FetchError>) -> Option<Log> {
        let error = error.filter(|error| matches!(error.kind, FailKind::Mismatch | FailKind::Invalid))?;
        if !self.lasting || !log.disk.was_read() || log.timeline.misbehavior().is_some() {
            return None;
        }
        tracing::warn!(database = self.name, %error, "what is kept of the checksum database may be damaged: asked again");
        Some((self.make)(true))
    }

    /// Begins anew, where `old` is what is in use.
    fn renew(&self, old: &Arc<Log>, failed: bool) {
        if !self.lasting || (!failed && old.asked.fetch_add(1, Ordering::Relaxed) < LOOKUPS) {
            return;
        }
        let mut current = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, old) {
            *current = Arc::new((self.make)(false));
        }
    }
}

impl Log {
    async fn lookup(&self, module: &ModuleVersion) -> Result<SumLines, FetchError> {
        let outcome = match self.timeline.misbehavior() {
            None => self.records.get(module.clone(), || self.fetch(module)).await,
            Some(error) => Err(error),
        };
        // One fork, found by whatever look-up, and nothing that this server says is worth anything.
        let outcome = self.timeline.misbehavior().map_or(outcome, Err);
        outcome.map_err(|mut error| {
            error.detail = format!("{module}: {}", error.detail);
            error
        })
    }

    async fn fetch(&self, module: &ModuleVersion) -> Result<SumLines, FetchError> {
        let path = lookup_path(module);
        let (ready, answer) = tokio::join!(self.ready(), self.read(&path));
        ready?;
        let (answer, from_disk) = answer?;
        let origin = if from_disk { Origin::File(self.disk.cached(&path)) } else { Origin::Server };

        let lookup = Lookup::parse(&answer).map_err(|error| origin.invalid(&error.to_string(), &answer))?;
        let signed = self.timeline.open(lookup.signed_tree, &origin)?;
        let tree = self.timeline.later(signed.tree);
        let (merged, ()) = tokio::join!(self.timeline.merge(signed), self.tiles.warm(tree, lookup.id));
        merged?;
        self.check_record(&lookup, &origin).await?;
        if !from_disk {
            self.disk.write_cache(&path, answer.clone()).await;
        }

        let hashes = |version: &str| {
            let prefix = module.path().as_str().len() + version.len() + 2;
            lookup.lines(module.path().as_str(), version).map(|line| line[prefix..].to_owned()).collect()
        };
        let version = module.version().as_str();
        Ok(SumLines {
            module: module.clone(),
            database: self.name.clone(),
            zip: hashes(version),
            go_mod: hashes(&format!("{version}/go.mod")),
        })
    }

    /// Begins with the last tree head that this machine has seen.
    async fn ready(&self) -> Result<(), FetchError> {
        let begin = async || {
            let known = self.timeline.begin().await;
            known.map_err(|mut error| {
                error.detail = format!("the last tree head seen: {}", error.detail);
                error
            })
        };
        self.ready.get_or_init(begin).await.clone()
    }

    /// The answer, and whether it came from the disk.
    async fn read(&self, path: &str) -> Result<(Bytes, bool), FetchError> {
        if let Some(answer) = self.disk.read_cache(path, lookup::MAX_SIZE).await {
            return Ok((answer, true));
        }
        Ok((self.remote.get(path, lookup::MAX_SIZE).await?, false))
    }

    async fn tile(&self, tile: Tile) -> Result<Bytes, FetchError> {
        let kept = self.tiles.kept(tile).await;
        if let Some(kept) = kept.as_ref().filter(|_| self.tiles.is_proven(tile)) {
            return Ok(kept.clone());
        }
        let proven = async {
            self.ready().await?;
            let tree = self.timeline.latest();
            let bytes = self.tiles.one(tile, tree).await?;
            self.tiles.settle(tree).await;
            Ok(bytes)
        };
        let Some(kept) = kept else { return proven.await };
        match tokio::time::timeout(PROOF, proven).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) if matches!(error.kind, FailKind::Mismatch | FailKind::Invalid) => Err(error),
            // Whoever asked for it proves it too.
            Ok(Err(_)) | Err(_) => Ok(kept),
        }
    }

    async fn head(&self) -> Result<Bytes, FetchError> {
        let (ready, note) = tokio::join!(self.ready(), self.remote.get("/latest", note::MAX_SIZE));
        ready?;
        let note = note?;
        let signed = self.timeline.open(&note, &Origin::Server)?;
        self.timeline.merge(signed).await?;
        Ok(note)
    }

    async fn check_record(&self, lookup: &Lookup<'_>, origin: &Origin) -> Result<(), FetchError> {
        let tree = self.timeline.latest();
        if lookup.id >= tree.size {
            let what = format!("cannot validate record {} in tree of size {}", lookup.id, tree.size);
            return Err(origin.mismatch(&what));
        }
        let plan = TilePlan::new(tile::HEIGHT, tree, &[stored_hash_index(0, lookup.id)]);
        let plan = plan.map_err(|error| origin.invalid(&error.to_string(), lookup.text.as_bytes()))?;
        if self.tiles.hashes(&plan).await? == [lookup.record_hash()] {
            self.tiles.settle(tree).await;
            return Ok(());
        }
        Err(origin.mismatch(&format!("cannot authenticate record data: it is not record {} of the log", lookup.id)))
    }
}

fn lookup_path(module: &ModuleVersion) -> String {
    format!("/lookup/{}@{}", module.path().escape(), module.escaped_version())
}

impl SumLines {
    /// Checks the hash of the module's zip (`cmd/go/internal/modfetch`, `fetch.go`, `checkSumDB`).
    ///
    /// # Errors
    /// [`FailKind::Mismatch`] when the database has another one or none.
    pub fn check_zip(&self, hash: &DirHash) -> Result<(), FetchError> {
        self.check("module", &self.zip, hash)
    }

    /// Checks the hash of the module's go.mod.
    ///
    /// # Errors
    /// [`FailKind::Mismatch`] when the database has another one or none.
    pub fn check_go_mod(&self, hash: &DirHash) -> Result<(), FetchError> {
        self.check("go.mod", &self.go_mod, hash)
    }

    fn check(&self, noun: &str, known: &[String], hash: &DirHash) -> Result<(), FetchError> {
        let (hash, Self { module, database, .. }) = (hash.to_string(), self);
        let detail = match known.iter().find(|known| known.starts_with("h1:")) {
            Some(known) if *known == hash => return Ok(()),
            // Lines of other algorithms may precede it, never another of this one.
            Some(known) => security::not_the_same(noun, module, &hash, database, known),
            None => security::not_there(noun, module, database),
        };
        Err(FetchError::new(FailKind::Mismatch, Party::Upstream, detail))
    }
}
