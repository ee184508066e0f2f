//! One module as one source and the replacements show it (`cmd/go/internal/modload/query.go`, `lookupRepo` and
//! `replacementRepo`; `cmd/go/internal/modfetch/proxy.go`, `proxyRepo.Stat` and `proxyRepo.Latest`).

use std::sync::Arc;

use goferry_module::escape::escape_version;
use goferry_module::gomod::Replace;
use goferry_module::path::{PathError, split_path_version};
use goferry_module::{ModInfo, ModulePath, ModuleVersion, Version};
use goferry_net::Party;
use jiff::Timestamp;

use super::error::QueryError;
use super::matcher::{major_fits, precedence};
use super::{Context, Project, Source};
use crate::error::{FailKind, FetchError};
use crate::list::{VersionList, go_zero_time, pseudo_time};

/// A version that was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) version: String,
    /// When it was made; `None` where that is not known.
    pub(super) time: Option<Timestamp>,
    /// What the source said; `None` where only a replacement knows of this version.
    pub(super) info: Option<ModInfo>,
}

/// One module at one source.
pub(super) struct Repo<'c, 'a> {
    context: &'c Context<'a>,
    source: usize,
    path: &'c str,
    /// An error where only a replacement can provide the module.
    module: Result<ModulePath, PathError>,
    /// What the replacements add, where there are any of this module.
    replaced: Option<Replaced<'c>>,
}

struct Replaced<'c> {
    project: &'c Project,
    /// The highest version that has a replacement; `None` where every version has the same.
    highest: Option<&'c Version>,
}

impl<'c, 'a> Repo<'c, 'a> {
    /// Looks the module up.
    ///
    /// # Errors
    /// Where the path is not one of a module, and nothing replaces it.
    pub(super) fn new(context: &'c Context<'a>, source: usize, path: &'c str) -> Result<Repo<'c, 'a>, QueryError> {
        let module = ModulePath::parse(path);
        let replaced = context.project.as_ref().and_then(|project| {
            let mut lines = project.work_replaces.iter().chain(&project.replaces).filter(|line| line.old_path == path);
            let first = lines.next()?.old_version.as_ref();
            let highest = lines.map(|line| line.old_version.as_ref()).fold(first, |high, version| {
                if version.map(precedence) > high.map(precedence) { version } else { high }
            });
            Some(Replaced { project, highest })
        });
        match (module, replaced) {
            (Err(error), None) => Err(bad_path(&error)),
            (module, replaced) => Ok(Repo { context, source, path, module, replaced }),
        }
    }

    /// The tagged versions, lowest first.
    pub(super) async fn versions(&self) -> Result<Arc<VersionList>, QueryError> {
        let listed = match &self.module {
            Ok(module) => self.context.list(self.source, module).await,
            Err(_) => Ok(Arc::default()),
        };
        let Some(replaced) = &self.replaced else { return listed };
        let listed = match listed {
            Err(error) if error.is_not_exist() => Arc::default(),
            other => other?,
        };
        let added: Vec<&Version> = (replaced.project.replaces.iter())
            .filter(|line| line.old_path == self.path)
            .filter_map(|line| line.old_version.as_ref())
            .filter(|version| version.pseudo().is_none())
            .collect();
        if added.is_empty() {
            return Ok(listed);
        }
        Ok(Arc::new(VersionList::from_versions(listed.tagged().iter().chain(added).cloned())))
    }

    /// The version that a revision is.
    pub(super) async fn stat(&self, rev: &str) -> Result<Found, QueryError> {
        let found = match &self.module {
            Ok(module) => self.context.info(self.source, module, rev).await.map(Found::from),
            Err(error) => Err(bad_path(error)),
        };
        let error = match found {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        match self.replaced_version(rev) {
            Some(version) => Ok(Found::replaced(&version)),
            None => Err(error),
        }
    }

    /// The latest version, tagged or not.
    pub(super) async fn latest(&self) -> Result<Found, QueryError> {
        let found = match &self.module {
            Ok(module) => self.context.latest(self.source, module).await.map(Found::from),
            Err(error) => Err(bad_path(error)),
        };
        let Some(replaced) = &self.replaced else { return found };
        let zero;
        let version = match replaced.highest {
            Some(version) => version,
            None => {
                zero = zero_version(self.path);
                &zero
            }
        };
        let later = match &found {
            Err(_) => true,
            Ok(found) => Version::parse(&found.version).map_or(true, |v| precedence(version) > precedence(&v)),
        };
        if later { Ok(Found::replaced(version)) } else { found }
    }

    /// The version in full that `rev` is, if go.mod has a replacement for it.
    fn replaced_version(&self, rev: &str) -> Option<Version> {
        let replaced = self.replaced.as_ref()?;
        if replaced.project.replaces.is_empty() {
            return None;
        }
        let mut version = Version::parse(rev).ok().filter(Version::is_canonical)?;
        let unversioned = split_path_version(self.path).is_some_and(|(_, major)| major.is_empty());
        if unversioned && !major_fits(self.path, &version) && version.build().is_empty() {
            version = Version::parse(&format!("{version}+incompatible")).ok()?;
        }
        replaced.project.replacement(self.path, Some(&version)).map(|_| version)
    }
}

impl Project {
    /// The line that replaces a version of a module, or with `None` all versions of it (`modload.Replacement`).
    pub(super) fn replacement(&self, path: &str, version: Option<&Version>) -> Option<&Replace> {
        if version.is_none() && self.main_paths.iter().any(|main| main == path) {
            return None;
        }
        [&self.work_replaces, &self.replaces].into_iter().find_map(|lines| {
            let of_path = || lines.iter().rev().filter(|line| line.old_path == path);
            version
                .and_then(|version| of_path().find(|line| line.old_version.as_ref() == Some(version)))
                .or_else(|| of_path().find(|line| line.old_version.is_none()))
        })
    }
}

impl Context<'_> {
    async fn list(&self, source: usize, path: &ModulePath) -> Result<Arc<VersionList>, QueryError> {
        let ask = async || self.sources[source].versions.list(path).await.map(Arc::new);
        Ok(self.lists.get((source, path.clone()), ask).await?)
    }

    async fn info(&self, source: usize, path: &ModulePath, rev: &str) -> Result<ModInfo, QueryError> {
        let Source { versions, direct, .. } = self.sources[source];
        if !direct && escape_version(rev).is_err() {
            return Err(QueryError::query(format!(
                "disallowed version string {rev:?}: a module proxy cannot be asked for it"
            ))
            .with_advice("name the commit instead of the branch, or set GOPROXY=direct for this command"));
        }
        let ask = async || {
            let info = versions.info(path, rev).await?;
            let whole = Version::parse(rev).ok().and_then(|version| ModuleVersion::new(path.clone(), version).ok());
            if whole.is_some() && info.version != rev {
                let other: String = info.version.chars().take(128).collect();
                return Err(FetchError::invalid(format!(
                    "the .info of version {rev} is that of version {other}: the module proxy gave something else than was asked for"
                )));
            }
            Ok(info)
        };
        let info = self.infos.get((source, path.clone(), rev.to_owned()), ask).await?;
        if info.version != rev {
            self.infos.put((source, path.clone(), info.version.clone()), Ok(info.clone()));
        }
        Ok(info)
    }

    async fn latest(&self, source: usize, path: &ModulePath) -> Result<ModInfo, QueryError> {
        let ask = async || self.sources[source].versions.latest(path).await;
        let info = match self.latest.get((source, path.clone()), ask).await {
            Ok(info) => info,
            Err(error) if error.is_not_found() => {
                let list = self.list(source, path).await?;
                let Some(newest) = list.newest() else {
                    let detail = format!("{path} has no versions: {error}");
                    return Err(FetchError::new(FailKind::NotFound(404), Party::Upstream, detail).into());
                };
                return self.info(source, path, newest.as_str()).await;
            }
            Err(error) => return Err(error.into()),
        };
        self.infos.put((source, path.clone(), info.version.clone()), Ok(info.clone()));
        Ok(info)
    }
}

impl Found {
    fn replaced(version: &Version) -> Found {
        Found { version: version.as_str().to_owned(), time: pseudo_time(version), info: None }
    }
}

impl From<ModInfo> for Found {
    fn from(info: ModInfo) -> Found {
        let time = info.time.filter(|time| *time != go_zero_time());
        Found { version: info.version.clone(), time, info: Some(info) }
    }
}

fn bad_path(error: &PathError) -> QueryError {
    QueryError::query(error.to_string()).with_advice("a module path begins with a domain name, such as example.com/m")
}

/// A pseudo-version below every real one, for a module of which every version is replaced.
fn zero_version(path: &str) -> Version {
    let major = split_path_version(path).map_or("", |(_, major)| major).trim_start_matches(['/', '.']);
    let major = major.strip_suffix("-unstable").unwrap_or(major);
    let major = if major.is_empty() { "v0" } else { major };
    Version::parse(&format!("{major}.0.0-00010101000000-000000000000")).expect("a major version is a number")
}
