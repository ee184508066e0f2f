//! One module: `.info`, `.mod` and zip, side by side; what is in the cache is not fetched again.

use std::sync::Arc;

use goferry_module::{DirHash, FileKind, ModuleVersion};
use goferry_net::Party;

use super::Shop;
use super::report::ModuleReport;
use crate::cache::CacheState;
use crate::error::{FailKind, FetchError};
use crate::source::Place;
use crate::sums::Hashed;
use crate::transfer::{Arrived, Context, blocking};

/// What is wanted of a module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    pub(super) extract: bool,
    /// Toolchains: the zip only, never `.info` or `.mod`.
    pub(super) zip_only: bool,
    /// The higher goes first.
    pub(super) rank: u64,
}

/// Downloads one module and reports.
pub(super) async fn download(shop: Arc<Shop>, module: ModuleVersion, want: Want) -> ModuleReport {
    let mut report = ModuleReport::new(&module);
    let state = shop.cache.state(&module);
    let info = async {
        if !state.has_info || shop.cache.read_info(&module).is_none() {
            let sent = shop.sources.info(&module).await?;
            let (shop, module) = (Arc::clone(&shop), module.clone());
            shop.cache.write_info(&module, &sent)?;
        }
        Ok::<_, FetchError>(shop.cache.file(&module, FileKind::Info))
    };
    let go_mod = shop.go_mod(&module);
    let zip = zip(&shop, &module, state, want);
    let (info, go_mod, zip) = if want.zip_only {
        (None, None, zip.await)
    } else {
        let (info, go_mod, zip) = tokio::join!(info, go_mod, zip);
        (Some(info), Some(go_mod), zip)
    };
    let mut errors = Vec::new();
    match info {
        Some(Ok(file)) => report.info = Some(file),
        Some(Err(error)) => errors.push(error),
        None => {}
    }
    match go_mod {
        Some(Ok(hash)) => {
            report.go_mod = Some(shop.cache.file(&module, FileKind::Mod));
            report.go_mod_sum = Some(hash);
        }
        Some(Err(error)) => errors.push(error),
        None => {}
    }
    match zip {
        Ok(done) => {
            report.zip = Some(shop.cache.file(&module, FileKind::Zip));
            report.dir = want.extract.then(|| shop.cache.dir(&module));
            report.sum = Some(done.hash);
            report.bytes = done.bytes;
            report.cached = done.cached && state.has_info && state.has_mod;
        }
        Err(error) => errors.push(error),
    }
    // One cause is enough: a mismatch says most, "not found" of several files is one fact.
    errors.sort_by_key(|error| match error.kind {
        FailKind::Mismatch => 0,
        FailKind::Local(_) => 1,
        FailKind::NotFound(_) => 3,
        _ => 2,
    });
    report.error = errors.into_iter().next();
    report
}

struct Done {
    hash: DirHash,
    bytes: u64,
    cached: bool,
}

async fn zip(shop: &Arc<Shop>, module: &ModuleVersion, state: CacheState, want: Want) -> Result<Done, FetchError> {
    if state.has_zip {
        shop.cache.discard_pieces(module);
    }
    if let Some(hash) = state.zip()
        && (state.extracted || !want.extract)
    {
        // The go command trusts the recorded hash, and so do we (modfetch/fetch.go, `downloadZip`, `checkMod`).
        shop.verifier.check(module, Hashed::Zip, &hash, "the module cache").await?;
        return Ok(Done { hash, bytes: 0, cached: true });
    }
    if state.has_zip {
        let installed = in_place(shop, module, want.extract).await?;
        return Ok(Done { hash: installed, bytes: 0, cached: true });
    }
    let ahead = {
        let (shop, module) = (Arc::clone(shop), module.clone());
        tokio::spawn(async move { shop.verifier.ahead(&module, Hashed::Zip).await })
    };
    let outcome = fetch(shop, module, want).await;
    ahead.abort();
    outcome
}

/// Unpacks, or hashes, a zip that is in the cache.
async fn in_place(shop: &Arc<Shop>, module: &ModuleVersion, extract: bool) -> Result<DirHash, FetchError> {
    let (shop, module) = (Arc::clone(shop), module.clone());
    let runtime = tokio::runtime::Handle::current();
    blocking(move || {
        let judge =
            |hash: DirHash| runtime.block_on(shop.verifier.check(&module, Hashed::Zip, &hash, "the module cache"));
        if !extract && let Some(hash) = shop.cache.state(&module).zip() {
            judge(hash)?;
            return Ok(hash);
        }
        Ok(shop.cache.extract_cached(&module, judge, &shop.unpacker)?.hash)
    })
    .await
}

async fn fetch(shop: &Arc<Shop>, module: &ModuleVersion, want: Want) -> Result<Done, FetchError> {
    shop.sources
        .try_each(module.path().as_str(), |place| async move {
            match place {
                Place::Direct(go) => {
                    go.download(module).await?;
                    let state = shop.cache.state(module);
                    let Some(hash) = state.zip() else {
                        let text = format!("{module}: the go command left no zip in {}", shop.cache.root().display());
                        return Err(FetchError::new(FailKind::GoCommand, Party::Client, text));
                    };
                    shop.verifier.check(module, Hashed::Zip, &hash, "direct").await?;
                    Ok(Done { hash, bytes: 0, cached: false })
                }
                Place::Proxy(base) => {
                    let transfer = Context {
                        client: Arc::clone(shop.sources.client()),
                        cache: Arc::clone(&shop.cache),
                        splitter: Arc::clone(&shop.splitter),
                        progress: Arc::clone(&shop.progress),
                    };
                    let rest = module.proxy_path(FileKind::Zip);
                    let arrived = transfer.zip(module, base, &rest, want.rank, false).await?;
                    let (bytes, assembled) = (arrived.bytes, arrived.assembled);
                    match install(shop, module, arrived, want.extract, &base.to_string()).await {
                        Ok(hash) => Ok(Done { hash, bytes, cached: false }),
                        // Pieces of two answers may not fit together: the whole decides.
                        Err(error) if assembled && matches!(error.kind, FailKind::Invalid | FailKind::Mismatch) => {
                            let again = transfer.zip(module, base, &rest, want.rank, true).await?;
                            let bytes = bytes + again.bytes;
                            let hash = install(shop, module, again, want.extract, &base.to_string()).await?;
                            Ok(Done { hash, bytes, cached: false })
                        }
                        Err(error) => Err(error),
                    }
                }
            }
        })
        .await
}

async fn install(
    shop: &Arc<Shop>,
    module: &ModuleVersion,
    arrived: Arrived,
    extract: bool,
    source: &str,
) -> Result<DirHash, FetchError> {
    let (shop, module, source) = (Arc::clone(shop), module.clone(), source.to_owned());
    let runtime = tokio::runtime::Handle::current();
    blocking(move || {
        background();
        let judge = |hash: DirHash| runtime.block_on(shop.verifier.check(&module, Hashed::Zip, &hash, &source));
        Ok(shop.cache.install(&module, arrived.zip, judge, extract, &shop.unpacker)?.hash)
    })
    .await
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
