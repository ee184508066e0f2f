//! What may be another thing tomorrow: `list`, `@latest`, branches.

use std::sync::Arc;

use bytes::Bytes;
use goferry_fetch::source::Changing;
use goferry_fetch::{FailKind, FetchError};
use goferry_module::ModulePath;
use goferry_net::Party;

use crate::answer::Cache;
use crate::config::Freshness;
use crate::store::Store;
use crate::upstream::Upstream;

/// Answers that may change.
pub struct Names {
    upstream: Arc<Upstream>,
}

/// An answer, and how it was had.
#[derive(Clone, Debug)]
pub struct Named {
    /// The answer as the upstream sent it.
    pub bytes: Bytes,
    /// Where it came from.
    pub cache: Cache,
}

impl Names {
    /// Answers of `upstream`, kept in `store`.
    #[must_use]
    pub fn new(_store: Arc<Store>, upstream: Arc<Upstream>, _freshness: Freshness) -> Names {
        Names { upstream }
    }

    /// An answer. Without `fetch` only what is kept.
    ///
    /// # Errors
    /// Whatever kept the upstream from giving it.
    pub async fn get(self: &Arc<Self>, path: &ModulePath, what: &Changing, fetch: bool) -> Result<Named, FetchError> {
        if !fetch {
            let text = format!("{path}: nothing is kept of it");
            return Err(FetchError::new(FailKind::NotFound(404), Party::Client, text));
        }
        let bytes = self.upstream.fetcher(path).sources.changing(path, what).await?;
        Ok(Named { bytes, cache: Cache::Miss })
    }
}
