//! The order of GOPROXY (`cmd/go/internal/modfetch/proxy.go`, `TryProxies`).

use std::future::Future;

use bytes::Bytes;
use goferry_module::{ModulePath, ModuleVersion};
use goferry_net::Party;

use super::Context;
use super::error::QueryError;
use crate::error::{FailKind, FetchError};

/// How much an error tells: the most telling one is reported.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    NotExist,
    Proxy,
    Direct,
}

impl Context<'_> {
    /// Asks each source in turn, by its index, until one answers or fails in a way that ends the search.
    pub(super) async fn try_sources<T, F>(
        &self,
        path: Option<&ModulePath>,
        ask: impl Fn(usize) -> F,
    ) -> Result<T, QueryError>
    where
        F: Future<Output = Result<T, QueryError>>,
    {
        let mut best: Option<(Rank, QueryError)> = None;
        for (index, source) in self.sources.iter().enumerate() {
            if path.is_some_and(|path| !source.versions.serves(path)) {
                continue;
            }
            let error = match ask(index).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let ends = !source.fall_back_on_error && !error.is_not_exist();
            let rank = match (source.direct, error.is_not_exist()) {
                (true, _) => Rank::Direct,
                (false, false) => Rank::Proxy,
                (false, true) => Rank::NotExist,
            };
            if best.as_ref().is_none_or(|(best, _)| rank >= *best) {
                best = Some((rank, error));
            }
            if ends {
                break;
            }
        }
        Err(best.map_or_else(
            || {
                QueryError::Fetch(
                    FetchError::new(FailKind::Forbidden, Party::Client, "no entry of GOPROXY serves this module")
                        .with_advice("compare GOPROXY and GONOPROXY with: go env GOPROXY GONOPROXY GOPRIVATE"),
                )
            },
            |(_, error)| error,
        ))
    }

    /// The go.mod of a version, from the first source that has it.
    pub(super) async fn go_mod(&self, module: &ModuleVersion) -> Result<Bytes, QueryError> {
        let ask = async || {
            let found = self
                .try_sources(Some(module.path()), async |index| Ok(self.sources[index].versions.go_mod(module).await?))
                .await;
            found.map_err(|error| match error {
                QueryError::Fetch(error) => error,
                other => other.about(module.path().as_str(), module.version().as_str(), None),
            })
        };
        Ok(self.go_mods.get(module.clone(), ask).await?)
    }
}
