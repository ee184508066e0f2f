//! One module: `.info`, `.mod` and zip, side by side; what is in the cache is not fetched again.

use std::sync::Arc;

use goferry_module::{FileKind, ModuleVersion};

use super::Shop;
use super::report::ModuleReport;
use crate::error::{FailKind, FetchError};

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
        shop.fetcher.info(&module, 0).await?;
        Ok::<_, FetchError>(shop.cache.file(&module, FileKind::Info))
    };
    let go_mod = shop.go_mod(&module);
    let zip = shop.fetcher.zip(&module, want.extract, want.rank);
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
