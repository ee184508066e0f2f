//! The version that a query chooses (`cmd/go/internal/modload/query.go`, `queryProxy`).

use goferry_module::{ModulePath, ModuleVersion, Version};

use super::Context;
use super::argument::is_relative_to_selected;
use super::error::QueryError;
use super::matcher::{Matcher, Meaning, meaning};
use super::repo::{Found, Repo};
use crate::list::pseudo_time;

/// The version that `query` means, from the first source that answers. With `check`, versions that are excluded or
/// retracted are passed over.
pub(super) async fn choose(
    context: &Context<'_>,
    path: &str,
    query: &str,
    selected: Option<&Version>,
    check: bool,
) -> Result<Found, QueryError> {
    if path == "std" || path == "cmd" {
        return Err(QueryError::query("the standard library has no versions of its own")
            .with_advice("it comes with the Go toolchain: there is nothing to download"));
    }
    let module = ModulePath::parse(path).ok();
    context
        .try_sources(module.as_ref(), |source| async move {
            let repo = Repo::new(context, source, path)?;
            Query { context, repo, path, query, selected, check }.run().await
        })
        .await
}

/// A query to one source.
struct Query<'c, 'a> {
    context: &'c Context<'a>,
    repo: Repo<'c, 'a>,
    path: &'c str,
    query: &'c str,
    selected: Option<&'c Version>,
    check: bool,
}

impl Query<'_, '_> {
    async fn run(&self) -> Result<Found, QueryError> {
        let matcher = match meaning(self.path, self.query, self.selected)? {
            Meaning::Revision => return self.revision().await,
            Meaning::Choice(matcher) => matcher,
        };
        let list = self.repo.versions().await?;
        let (releases, prereleases) = self.filter(&matcher, list.tagged()).await?;
        let best = |versions: &[&Version]| match matcher.prefer_lower {
            true => versions.first().copied().cloned(),
            false => versions.last().copied().cloned(),
        };
        if let Some(version) = best(&releases).or_else(|| best(&prereleases)) {
            return self.look_up(version.as_str()).await;
        }
        if matcher.may_use_latest {
            match self.repo.latest().await {
                Ok(latest) => {
                    if self.allows_latest(&matcher, &latest.version).await {
                        return self.look_up(&latest.version).await;
                    }
                }
                Err(error) if error.is_not_exist() => {}
                Err(error) => return Err(error),
            }
        }
        match self.selected {
            Some(selected) if is_relative_to_selected(self.query) => {
                self.allowed_or_error(selected).await?;
                self.look_up(selected.as_str()).await
            }
            _ => Err(QueryError::NoMatch),
        }
    }

    /// A revision as it is asked for; `v1.2.3+meta` may be tagged as `v1.2.3`.
    async fn revision(&self) -> Result<Found, QueryError> {
        let error = match self.repo.stat(self.query).await {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        let Some(canonical) =
            Version::parse(self.query).ok().map(|v| v.canonical()).filter(|v| v.as_str() != self.query)
        else {
            return Err(error);
        };
        match self.repo.stat(canonical.as_str()).await {
            Err(other) if other.is_not_exist() => Err(error),
            answer => answer,
        }
    }

    /// The versions that match, releases and prereleases apart, lowest first.
    async fn filter<'v>(
        &self,
        matcher: &Matcher,
        versions: &'v [Version],
    ) -> Result<(Vec<&'v Version>, Vec<&'v Version>), QueryError> {
        let (mut releases, mut prereleases) = (Vec::new(), Vec::new());
        let mut incompatible_too = matcher.prefer_incompatible;
        let mut last_compatible = None;
        for version in versions {
            if !self.allows(matcher, version).await {
                continue;
            }
            if !incompatible_too {
                if !version.as_str().ends_with("+incompatible") {
                    last_compatible = Some(version);
                } else if let Some(compatible) = last_compatible {
                    if self.has_go_mod(compatible).await? {
                        break;
                    }
                    incompatible_too = true;
                }
            }
            if version.prerelease().is_empty() { releases.push(version) } else { prereleases.push(version) }
        }
        Ok((releases, prereleases))
    }

    async fn allows(&self, matcher: &Matcher, version: &Version) -> bool {
        matcher.matches(version) && (!self.check || self.context.disallowed(self.path, version).await.is_none())
    }

    /// As [`Query::allows`], for a version that a proxy made up: one that is none fits where all
    /// do, and is refused in the end.
    async fn allows_latest(&self, matcher: &Matcher, version: &str) -> bool {
        match Version::parse(version) {
            Ok(version) => self.allows(matcher, &version).await,
            Err(_) => matcher.is_open(),
        }
    }

    async fn allowed_or_error(&self, version: &Version) -> Result<(), QueryError> {
        if !self.check {
            return Ok(());
        }
        match self.context.disallowed(self.path, version).await {
            None => Ok(()),
            Some(reason) => Err(QueryError::query(format!("{}@{version}: {reason}", self.path))
                .with_advice(format!("to have it all the same, name the version: {}@{version}", self.path))),
        }
    }

    /// The chosen version. From a pseudo-version, `upgrade` and `patch` never go back in time.
    async fn look_up(&self, version: &str) -> Result<Found, QueryError> {
        let found = self.repo.stat(version).await?;
        if is_relative_to_selected(self.query)
            && let (Some(selected), Some(time)) = (self.selected, found.time)
            && pseudo_time(selected).is_some_and(|selected| time < selected)
        {
            self.allowed_or_error(selected).await?;
            return self.repo.stat(selected.as_str()).await;
        }
        Ok(found)
    }

    /// Whether the go.mod of a version says more than one that the go command makes up where there is none
    /// (`versionHasGoMod`).
    async fn has_go_mod(&self, version: &Version) -> Result<bool, QueryError> {
        let path = ModulePath::parse(self.path).map_err(|error| QueryError::query(error.to_string()))?;
        let module = ModuleVersion::new(path, version.clone()).map_err(|error| QueryError::query(error.to_string()))?;
        let data = self.context.go_mod(&module).await?;
        Ok(data != format!("module {}\n", self.path).as_bytes())
    }
}
