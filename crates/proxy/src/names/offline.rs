//! Names where no upstream may be asked: those of the versions in the store.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use goferry_fetch::source::Changing;
use goferry_fetch::{FailKind, FetchError};
use goferry_module::{ModulePath, ModuleVersion, Version};
use goferry_net::Party;

use super::{Key, Named, Names, unknown};
use crate::answer::Cache;
use crate::store::{Store, blocking};

const WHY: &str = "not in the store, and this proxy serves what is in its store only (--offline or --frozen)";

impl Names {
    /// A `list` of what is there, so that the go command chooses nothing that is not; the newest of it as `@latest`; of
    /// branches and hashes the last answer that is kept, however old.
    ///
    /// # Errors
    /// [`FailKind::NotFound`] where the store has nothing of it.
    pub(super) async fn offline(self: &Arc<Self>, key: &Key) -> Result<Named, FetchError> {
        if let Changing::Query(_) = key.1 {
            let kept = self.kept(key).await.ok_or_else(|| unknown(key, WHY))?;
            let age = kept.age(Duration::ZERO);
            return Ok(Named { bytes: kept.bytes, cache: Cache::Hit, age });
        }
        let (store, question) = (Arc::clone(&self.store), key.clone());
        let found = blocking(move || match question.1 {
            Changing::List => Ok(list(&store, &question.0)),
            _ => latest(&store, &question.0),
        });
        let bytes = found.await?.ok_or_else(|| unknown(key, WHY))?;
        Ok(Named { bytes, cache: Cache::Hit, age: Duration::ZERO })
    }
}

/// Pseudo-versions are in no list; that there are only these makes an empty one.
fn list(store: &Store, path: &ModulePath) -> Option<Bytes> {
    let versions = store.versions(path);
    let lines = |version: &Version| format!("{version}\n");
    let tagged = versions.iter().filter(|version| version.pseudo().is_none());
    (!versions.is_empty()).then(|| tagged.map(lines).collect::<String>().into())
}

fn latest(store: &Store, path: &ModulePath) -> Result<Option<Bytes>, FetchError> {
    let Some(version) = store.latest(path) else { return Ok(None) };
    let module = ModuleVersion::new(path.clone(), version)
        .map_err(|error| FetchError::new(FailKind::Invalid, Party::Goferry, error.to_string()))?;
    Ok(store.cache().read_info(&module).map(Bytes::from))
}
