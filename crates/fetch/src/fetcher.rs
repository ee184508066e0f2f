//! The files of one version of a module: from wherever GOPROXY says into the cache, judged before they are visible.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use goferry_module::{DirHash, FileKind, ModuleVersion};
use goferry_net::Party;
use tokio::sync::Semaphore;

use crate::cache::{ModCache, Zip};
use crate::error::{FailKind, FetchError};
use crate::source::{Place, Sources};
use crate::sums::Hashed;
use crate::transfer::{Arrived, Context, Progress, Splitter, blocking};
use crate::unpack::Unpacker;
use crate::web::BoxFuture;

/// Threads that write small files at once.
const WRITERS: usize = 4;

/// Says whether a hash is the right one.
pub trait Judge: Send + Sync {
    /// Begins to find out, beside the fetch. What fails here fails again when the verdict is asked for.
    fn ahead<'a>(&'a self, module: &'a ModuleVersion, what: Hashed) -> BoxFuture<'a, ()>;

    /// Whether `hash`, of what came from `source`, is the right one.
    ///
    /// # Errors
    /// [`FailKind::Mismatch`] with both hashes where it is not; whatever kept the judge from knowing.
    fn check<'a>(
        &'a self,
        module: &'a ModuleVersion,
        what: Hashed,
        hash: &'a DirHash,
        source: &'a str,
    ) -> BoxFuture<'a, Result<(), FetchError>>;
}

/// Fetches into a cache. Shared by all fetches of a run; what is asked twice at once is fetched twice, unless the caller
/// joins the two.
pub struct Fetcher {
    /// Where files come from.
    pub sources: Arc<Sources>,
    /// Where they go.
    pub cache: Arc<ModCache>,
    /// Who judges them.
    pub judge: Arc<dyn Judge>,
    /// What hashes and unpacks zips.
    pub unpacker: Arc<Unpacker>,
    /// Whom pieces of large zips may be given to.
    pub splitter: Arc<Splitter>,
    /// Who is told.
    pub progress: Arc<dyn Progress>,
    /// How many zips are hashed and unpacked at once, or wait for it on a thread.
    pub turns: Arc<Semaphore>,
    /// Whether threads that unpack yield to all others of this machine from then on: right where the process ends with
    /// the download.
    pub yields: bool,
}

/// A zip that is in the cache now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its hash.
    pub hash: DirHash,
    /// Bytes that came over the network for it.
    pub bytes: u64,
    /// Whether it was there already.
    pub cached: bool,
}

impl Fetcher {
    /// A `.info`: that of the cache, or fetched into it. Gives what is in the cache then. Of two with different ranks the
    /// higher goes first.
    ///
    /// # Errors
    /// See [`Sources::try_each`] and [`ModCache::write_info`].
    pub async fn info(&self, module: &ModuleVersion, rank: u64) -> Result<Vec<u8>, FetchError> {
        if let Some(cached) = self.cache.read_info(module) {
            return Ok(cached);
        }
        let sent = self.sources.info(module, rank).await?;
        let (cache, module) = (Arc::clone(&self.cache), module.clone());
        write(move || cache.write_info(&module, &sent)).await
    }

    /// A `.mod`: that of the cache, or fetched into it. Judged in either case. Of two with different ranks the higher goes
    /// first.
    ///
    /// # Errors
    /// Whatever kept it from being fetched, verified or written.
    pub async fn go_mod(&self, module: &ModuleVersion, rank: u64) -> Result<(Bytes, DirHash), FetchError> {
        if let Some(cached) = self.cache.read_mod(module) {
            let hash = DirHash::of_go_mod(&cached);
            self.judge.check(module, Hashed::GoMod, &hash, "the module cache").await?;
            return Ok((cached.into(), hash));
        }
        let (bytes, source) = {
            let mut get = pin!(self.sources.go_mod(module, rank));
            let mut ahead = pin!(self.judge.ahead(module, Hashed::GoMod));
            tokio::select! {
                fetched = &mut get => {
                    // What did not come needs no verdict, and the judge may be long in finding that it has none.
                    let fetched = fetched?;
                    ahead.await;
                    fetched
                }
                () = &mut ahead => get.await?,
            }
        };
        let hash = DirHash::of_go_mod(&bytes);
        self.judge.check(module, Hashed::GoMod, &hash, &source).await?;
        let (cache, module, content) = (Arc::clone(&self.cache), module.clone(), bytes.clone());
        write(move || cache.write_mod(&module, &content)).await?;
        Ok((bytes, hash))
    }

    /// A zip: that of the cache, or fetched into it; with `extract` unpacked beside it. Of two with different ranks the
    /// higher goes first.
    ///
    /// # Errors
    /// Whatever kept it from being fetched, verified or written.
    pub async fn zip(
        self: &Arc<Self>,
        module: &ModuleVersion,
        extract: bool,
        rank: u64,
    ) -> Result<Fetched, FetchError> {
        let state = self.cache.state(module);
        if state.has_zip {
            self.cache.discard_pieces(module);
        }
        if let Some(hash) = state.zip()
            && (state.extracted || !extract)
        {
            // The go command trusts the recorded hash, and so do we (modfetch/fetch.go, `downloadZip`, `checkMod`).
            self.judge.check(module, Hashed::Zip, &hash, "the module cache").await?;
            return Ok(Fetched { hash, bytes: 0, cached: true });
        }
        if state.has_zip {
            let hash = self.in_place(module, extract).await?;
            return Ok(Fetched { hash, bytes: 0, cached: true });
        }
        let ahead = {
            let (this, module) = (Arc::clone(self), module.clone());
            tokio::spawn(async move { this.judge.ahead(&module, Hashed::Zip).await })
        };
        let outcome = self.fetch(module, extract, rank).await;
        ahead.abort();
        outcome
    }

    /// Unpacks, or hashes, a zip that is in the cache.
    async fn in_place(self: &Arc<Self>, module: &ModuleVersion, extract: bool) -> Result<DirHash, FetchError> {
        let (this, module) = (Arc::clone(self), module.clone());
        let runtime = tokio::runtime::Handle::current();
        blocking(move || {
            let judge =
                |hash: DirHash| runtime.block_on(this.judge.check(&module, Hashed::Zip, &hash, "the module cache"));
            if extract {
                return Ok(this.cache.extract_cached(&module, judge, &this.unpacker)?.hash);
            }
            if let Some(hash) = this.cache.state(&module).zip() {
                judge(hash)?;
                return Ok(hash);
            }
            Ok(this.cache.hash_cached(&module, judge, &this.unpacker)?.hash)
        })
        .await
    }

    async fn fetch(self: &Arc<Self>, module: &ModuleVersion, extract: bool, rank: u64) -> Result<Fetched, FetchError> {
        self.sources
            .try_each(module.path().as_str(), |place| async move {
                match place {
                    Place::Direct(go) => {
                        let zip = go.download(module).await?;
                        let fetched = self.by_go(module, &zip, extract).await;
                        if zip != self.cache.file(module, FileKind::Zip) {
                            go.discard(module).await;
                        }
                        fetched
                    }
                    Place::Proxy(base) => {
                        let transfer = Context {
                            client: Arc::clone(self.sources.client()),
                            cache: Arc::clone(&self.cache),
                            splitter: Arc::clone(&self.splitter),
                            progress: Arc::clone(&self.progress),
                        };
                        let rest = module.proxy_path(FileKind::Zip);
                        let Arrived { zip, bytes, assembled } = transfer.zip(module, base, &rest, rank, false).await?;
                        match self.install(module, zip, extract, &base.to_string()).await {
                            Ok(hash) => Ok(Fetched { hash, bytes, cached: false }),
                            // Pieces of two answers may not fit together: the whole decides.
                            Err(error) if assembled && matches!(error.kind, FailKind::Invalid | FailKind::Mismatch) => {
                                let again = transfer.zip(module, base, &rest, rank, true).await?;
                                let bytes = bytes + again.bytes;
                                let hash = self.install(module, again.zip, extract, &base.to_string()).await?;
                                Ok(Fetched { hash, bytes, cached: false })
                            }
                            Err(error) => Err(error),
                        }
                    }
                }
            })
            .await
    }

    /// What the go command fetched: into this cache, or into one of its own, from where it is copied.
    async fn by_go(self: &Arc<Self>, module: &ModuleVersion, zip: &Path, extract: bool) -> Result<Fetched, FetchError> {
        let own = self.cache.file(module, FileKind::Zip);
        if zip == own {
            let Some(hash) = self.cache.state(module).zip() else {
                let text = format!("{module}: the go command left no zip at {}", own.display());
                return Err(FetchError::new(FailKind::GoCommand, Party::Client, text));
            };
            self.judge.check(module, Hashed::Zip, &hash, "direct").await?;
            return Ok(Fetched { hash, bytes: 0, cached: false });
        }
        let (this, from, version) = (Arc::clone(self), zip.to_owned(), module.clone());
        let copy = blocking(move || this.cache.copy_in(&version, &from)).await?;
        let hash = self.install(module, copy, extract, "direct").await?;
        Ok(Fetched { hash, bytes: 0, cached: false })
    }

    async fn install(
        self: &Arc<Self>,
        module: &ModuleVersion,
        zip: Zip,
        extract: bool,
        source: &str,
    ) -> Result<DirHash, FetchError> {
        let (this, module, source) = (Arc::clone(self), module.clone(), source.to_owned());
        let runtime = tokio::runtime::Handle::current();
        let _turn = self.turns.acquire().await;
        blocking(move || {
            if this.yields {
                background();
            }
            let judge = |hash: DirHash| runtime.block_on(this.judge.check(&module, Hashed::Zip, &hash, &source));
            Ok(this.cache.install(&module, zip, judge, extract, &this.unpacker)?.hash)
        })
        .await
    }
}

/// Writes a small file where that may take its time: a disk may be slow, and the threads that receive must not wait for it.
async fn write<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FetchError> + Send + 'static,
) -> Result<T, FetchError> {
    static TURNS: Semaphore = Semaphore::const_new(WRITERS);
    let _turn = TURNS.acquire().await;
    blocking(work).await
}

/// Lets the threads that receive go before this one, and those that it starts: a connection whose receiver waits for a
/// core stands still, and what arrived can be unpacked a moment later.
fn background() {
    #[cfg(target_os = "linux")]
    {
        // On Linux the call without a process is about the calling thread (setpriority(2)). A help, not a need.
        let _ = rustix::process::setpriority_process(None, 5);
    }
}
