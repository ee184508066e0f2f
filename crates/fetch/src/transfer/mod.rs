//! One zip from one proxy to disk: resumed where it broke, in several pieces at once where one flow is slow.
//!
//! Small zips stay in memory until they are unpacked. Larger ones stream into pieces that survive a kill
//! ([`crate::cache::PartialZip`]). When the pool has more than one connection and one of them runs out of work, the
//! piece with the most left gives its second half away ([`Splitter`]).
//!
//! What broke off is asked for from where it stopped, with `If-Range` where the server gave a validator. An answer that
//! is not the rest of the same file makes the transfer begin anew. What was put together of several answers is marked so
//! ([`Arrived::assembled`]): a wrong hash may be the fault of that, and then the whole is fetched once more.

mod piece;
mod range;
mod splitter;
mod whole;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use goferry_module::zip::MAX_ZIP_FILE;
use goferry_module::{FileKind, ModuleVersion, ProxyUrl, Scheme};
use goferry_net::Party;

use crate::cache::{ModCache, Origin, PartialZip, Zip};
use crate::client::standing::Standing;
use crate::client::{Client, Next, Patience, Trouble, local, shown};
use crate::error::{FailKind, FetchError};
pub use splitter::Splitter;
use whole::Transfer;

/// Zips up to this size stay in memory.
const IN_MEMORY: u64 = 1 << 20;
/// How long another process that is at the same zip is waited for.
const OTHER_PROCESS: Duration = Duration::from_secs(60);

/// Told of every byte that arrives.
pub trait Progress: Send + Sync {
    /// So many bytes of a zip arrived.
    fn bytes(&self, count: u64);
    /// A zip that has begun to arrive has so many bytes; what is on disk already included.
    fn expected(&self, count: u64);
}

/// What a transfer needs beside its URL.
#[derive(Clone)]
pub struct Context {
    /// Who asks.
    pub client: Arc<Client>,
    /// Where pieces are kept.
    pub cache: Arc<ModCache>,
    /// Whom pieces may be given to.
    pub splitter: Arc<Splitter>,
    /// Who is told.
    pub progress: Arc<dyn Progress>,
}

/// A zip that arrived.
pub struct Arrived {
    /// The zip, not judged yet.
    pub zip: Zip,
    /// Bytes that came over the network for it.
    pub bytes: u64,
    /// Whether it was put together from more than one answer, so that a wrong hash may be the fault of that.
    pub assembled: bool,
}

/// One zip, as it is asked for again and again.
struct Job {
    client: Arc<Client>,
    progress: Arc<dyn Progress>,
    base: ProxyUrl,
    rest: String,
    /// How whoever is asked stands.
    standing: Arc<Standing>,
    /// Both, as messages show them.
    url: String,
    rank: u64,
    /// Nothing is used that a validator does not vouch for.
    strict: bool,
    tally: Mutex<Tally>,
}

/// How far a transfer is, and what was told of that.
#[derive(Default)]
struct Tally {
    /// Bytes that are here, those of an earlier run included.
    have: u64,
    /// Bytes of them that were told: what comes a second time is not told again.
    told: u64,
    expected: bool,
    /// Bytes that arrived in all.
    received: u64,
    /// Whether an answer broke off and was gone on with.
    healed: bool,
}

impl Job {
    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expect(&self, total: u64) {
        if !std::mem::replace(&mut self.tally().expected, true) {
            self.progress.expected(total);
        }
    }

    /// So many bytes are here now; how many of them are more than ever were.
    fn have(&self, bytes: u64) -> u64 {
        let new = {
            let mut tally = self.tally();
            tally.have = bytes;
            let new = bytes.saturating_sub(tally.told);
            tally.told += new;
            new
        };
        if new > 0 {
            self.progress.bytes(new);
        }
        new
    }

    /// What to do after a try that failed.
    fn after(&self, patience: &mut Patience, trouble: Trouble) -> Next {
        self.client.after(patience, &self.standing, trouble, (&self.base, &self.rest))
    }

    /// So many more bytes arrived; how many of them had not arrived before.
    fn received(&self, bytes: u64) -> u64 {
        let have = {
            let mut tally = self.tally();
            tally.received += bytes;
            tally.have + bytes
        };
        self.standing.good();
        self.have(have)
    }
}

impl Context {
    /// Gives connections to `base` that have no work halves of what others are at; ends when dropped.
    ///
    /// # Errors
    /// Where there can be no connection to `base`: see [`Client`]. Else it does not end by itself.
    pub async fn split(&self, base: &ProxyUrl) -> Result<(), FetchError> {
        self.splitter.run(&self.client, base).await
    }

    /// Fetches the zip of `module` from `base` + `rest`. With `afresh` nothing that is on disk is used, nothing is split,
    /// and nothing is put together without a validator. Of two with different ranks the higher goes first.
    ///
    /// # Errors
    /// Network and status as the server or [`Client`] leave them, [`FailKind::Invalid`] past 500 MiB,
    /// [`FailKind::Local`] where pieces cannot be kept. What has come by then stays for the next run.
    pub async fn zip(
        &self,
        module: &ModuleVersion,
        base: &ProxyUrl,
        rest: &str,
        rank: u64,
        afresh: bool,
    ) -> Result<Arrived, FetchError> {
        if base.scheme() == Scheme::File {
            return self.local(module, base, rest).await;
        }
        let job = Job {
            client: Arc::clone(&self.client),
            progress: Arc::clone(&self.progress),
            base: base.clone(),
            rest: rest.to_owned(),
            standing: self.client.standing(base),
            url: shown(base, rest),
            rank,
            strict: afresh,
            tally: Mutex::default(),
        };
        Transfer::begin(self, module, Arc::new(job)).await?.run().await
    }

    /// What arrived of the zip in an earlier run, if anything did.
    async fn earlier(&self, module: &ModuleVersion) -> Result<Option<PartialZip>, FetchError> {
        let mut description = self.cache.file(module, FileKind::Zip).into_os_string();
        description.push(".goferry-part.json");
        if std::path::Path::new(&description).exists() { self.parts(module).await.map(Some) } else { Ok(None) }
    }

    async fn parts(&self, module: &ModuleVersion) -> Result<PartialZip, FetchError> {
        let (cache, module) = (Arc::clone(&self.cache), module.clone());
        blocking(move || cache.partial_zip(&module, OTHER_PROCESS)).await
    }

    /// A zip of a `file://` proxy.
    async fn local(&self, module: &ModuleVersion, base: &ProxyUrl, rest: &str) -> Result<Arrived, FetchError> {
        let path = local::path(base, rest)?;
        let (cache, module) = (Arc::clone(&self.cache), module.clone());
        let arrived = blocking(move || {
            let fail = |error: std::io::Error| local::not_found_or(&path, &error);
            let mut file = std::fs::File::open(&path).map_err(fail)?;
            let size = file.metadata().map_err(fail)?.len();
            if size > MAX_ZIP_FILE {
                return Err(FetchError::invalid(format!("{}: more than 500 MiB", path.display())));
            }
            let zip = if size <= IN_MEMORY {
                let mut data = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
                std::io::Read::read_to_end(&mut std::io::Read::take(&mut file, IN_MEMORY), &mut data).map_err(fail)?;
                Zip::of_bytes(data.into())
            } else {
                let mut parts = cache.partial_zip(&module, OTHER_PROCESS)?;
                let url = format!("file://{}", path.display());
                restart(&mut parts, Origin { url, total: Some(size), ..Origin::default() })?;
                let mut writer = parts.segment(0, size)?;
                std::io::copy(&mut file, &mut writer).map_err(fail)?;
                parts.join(size)?
            };
            Ok(Arrived { zip, bytes: size, assembled: false })
        })
        .await?;
        self.progress.expected(arrived.bytes);
        self.progress.bytes(arrived.bytes);
        Ok(arrived)
    }
}

/// Empties what is there, whosever bytes they were.
fn restart(parts: &mut PartialZip, origin: Origin) -> Result<(), FetchError> {
    parts.set_origin(Origin::default())?;
    parts.set_origin(origin)
}

/// Runs what blocks where that is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FetchError> + Send + 'static,
) -> Result<T, FetchError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(FetchError::new(FailKind::Invalid, Party::Goferry, format!("a task ended: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use goferry_env::Inputs;
    use goferry_env::http_proxy::ProxySettings;
    use goferry_lab::plain::{PlainServer, Response};
    use goferry_lab::universe::noise;
    use goferry_module::{ModulePath, Version};
    use goferry_net::tls::Roots;

    use super::*;
    use crate::client::{Anonymous, ClientConfig};

    struct Nobody;

    impl Progress for Nobody {
        fn bytes(&self, _count: u64) {}
        fn expected(&self, _count: u64) {}
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_half_that_nobody_takes_is_asked_for_again() {
        let content = noise(6 << 20, 7);
        let sent = content.clone();
        let server = PlainServer::start(move |request| Response::file(sent.clone(), request)).unwrap();
        server.pace(Duration::from_millis(1));
        let dir = tempfile::tempdir().unwrap();
        let settings = ProxySettings::from_inputs(&Inputs::empty("/", "/"));
        let client = Client::new(settings, Roots::new(Vec::new()), Arc::new(Anonymous), ClientConfig::default());
        let context = Context {
            client: Arc::new(client),
            cache: Arc::new(ModCache::of_downloads(dir.path())),
            splitter: Arc::default(),
            progress: Arc::new(Nobody),
        };
        let module =
            ModuleVersion::new(ModulePath::parse("example.com/m").unwrap(), Version::parse("v1.0.0").unwrap()).unwrap();
        let base = ProxyUrl::parse(&server.url()).unwrap();
        let losing = async {
            while !context.splitter.lose_half() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            server.pace(Duration::ZERO);
        };
        let (arrived, ()) = tokio::join!(context.zip(&module, &base, "/example.com/m/@v/v1.0.0.zip", 0, false), losing);
        assert_eq!(arrived.unwrap().bytes, content.len() as u64);
        let ranges: Vec<_> = server.asked().iter().map(|request| request.field("range").map(str::to_owned)).collect();
        assert_eq!((ranges.len(), &ranges[0], ranges[1].is_some()), (2, &None, true), "{ranges:?}");
    }
}
