//! What the arguments of `go mod download` mean: modules, versions, queries and patterns
//! (`cmd/go/internal/modcmd/download.go`, `cmd/go/internal/modload/{list,query}.go` of Go 1.27.3; 1.21.13 chooses the
//! same versions).
//!
//! ```text
//! arguments ─ parse_arguments ─► Argument ─ resolve ─► Resolution
//!                                              │
//!                  Context: sources in the order of GOPROXY, and what the project says
//! ```
//!
//! An argument without a version, `all` and patterns name modules of the build list, replacements applied. An argument
//! with a version or query names what the sources say, whatever the build list selects; replacements only add versions
//! to choose from. A choice (`latest`, `v1`, `>=v1.2.3`) passes over versions that go.mod excludes or that their authors
//! retracted; a version in full, a branch or a commit is taken as it is.
//!
//! | query | answer |
//! |---|---|
//! | `latest` | the highest release, else the highest prerelease, else `@latest` |
//! | `upgrade` | as `latest`, but never lower than what is selected; stays there where nothing is higher |
//! | `patch` | the highest version with the major and minor version of what is selected |
//! | `v1`, `v1.2` | the highest version that begins so |
//! | `<v1.2.3`, `<=v1.2.3` | the highest such version |
//! | `>v1.2.3`, `>=v1.2.3` | the lowest such version |
//! | `v1.2.3`, `main`, `abcdef123456` | what `@v/<query>.info` says |
//!
//! `+incompatible` versions count only where the latest compatible version has no go.mod, where one is selected, or where
//! the query asks for such a major version.

mod argument;
mod choose;
mod error;
mod matcher;
mod pattern;
mod repo;
mod resolve;
mod retract;
mod sources;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use goferry_module::gomod::{Exclude, Replace};
use goferry_module::{ModInfo, ModulePath, ModuleVersion, Version};

use self::retract::Retractions;
use crate::error::FetchError;
use crate::list::VersionList;
use crate::memo::Memo;
use crate::web::BoxFuture;

pub use self::argument::{Argument, UsageError, parse_arguments};
pub use self::resolve::{Resolution, Resolved, resolve, version};

/// Where versions of modules are asked for: one entry of GOPROXY, or the go command for `direct`.
///
/// Answers that are in the module cache may come from there: `.info` and `.mod` of a version in full, nothing else.
pub trait Versions: Send + Sync {
    /// Whether this source is asked for the module at all: not a proxy where GONOPROXY names the path, for example.
    fn serves(&self, _path: &ModulePath) -> bool {
        true
    }

    /// `@v/list`.
    fn list<'a>(&'a self, path: &'a ModulePath) -> BoxFuture<'a, Result<VersionList, FetchError>>;

    /// `@latest`. Not found where the source has no such thing; the list is then looked at, by the caller.
    fn latest<'a>(&'a self, path: &'a ModulePath) -> BoxFuture<'a, Result<ModInfo, FetchError>>;

    /// `@v/<rev>.info` of a version, branch, tag or commit. What comes back for a version in full is checked by the
    /// caller.
    fn info<'a>(&'a self, path: &'a ModulePath, rev: &'a str) -> BoxFuture<'a, Result<ModInfo, FetchError>>;

    /// `@v/<version>.mod`, verified.
    fn go_mod<'a>(&'a self, module: &'a ModuleVersion) -> BoxFuture<'a, Result<Bytes, FetchError>>;
}

/// An entry of GOPROXY.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// Who answers.
    pub versions: &'a dyn Versions,
    /// Whether `|` follows, so that the next source is asked after any error. With `,` it is asked only where this one
    /// says that there is no such thing (404, 410).
    pub fall_back_on_error: bool,
    /// Whether this is `direct`. Its errors tell more than those of proxies, and it takes branch names that have no place
    /// in a URL, such as `feature/x`.
    pub direct: bool,
}

/// What go.mod or go.work says of modules.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// The directory that directories of replacements are relative to: that of go.work, or else of go.mod.
    pub directory: PathBuf,
    /// The paths of the main modules.
    pub main_paths: Vec<String>,
    /// The selected versions without the main modules: of the module graph where an argument
    /// [needs it](Argument::needs_graph), else what go.mod requires.
    pub selected: BTreeMap<String, Version>,
    /// The `exclude` lines of the main modules.
    pub excludes: Vec<Exclude>,
    /// The `replace` lines of the main modules. Directories are relative to [`Project::directory`].
    pub replaces: Vec<Replace>,
    /// The `replace` lines of go.work, which count before those of the modules.
    pub work_replaces: Vec<Replace>,
}

/// All that an argument's meaning depends on, and the answers so far. One context serves all arguments of a command;
/// resolve them at the same time.
pub struct Context<'a> {
    sources: Vec<Source<'a>>,
    project: Option<Project>,
    lists: Memo<(usize, ModulePath), Result<Arc<VersionList>, FetchError>>,
    latest: Memo<(usize, ModulePath), Result<ModInfo, FetchError>>,
    infos: Memo<(usize, ModulePath, String), Result<ModInfo, FetchError>>,
    go_mods: Memo<ModuleVersion, Result<Bytes, FetchError>>,
    /// `None` where retractions cannot be known.
    retractions: Memo<String, Option<Arc<Retractions>>>,
}

impl<'a> Context<'a> {
    /// A context. `sources` are in the order of GOPROXY; `project` is `None` outside a module.
    #[must_use]
    pub fn new(sources: Vec<Source<'a>>, project: Option<Project>) -> Context<'a> {
        Context {
            sources,
            project,
            lists: Memo::default(),
            latest: Memo::default(),
            infos: Memo::default(),
            go_mods: Memo::default(),
            retractions: Memo::default(),
        }
    }

    fn selected(&self, path: &str) -> Option<&Version> {
        self.project.as_ref()?.selected.get(path)
    }

    fn is_main(&self, path: &str) -> bool {
        self.project.as_ref().is_some_and(|project| project.main_paths.iter().any(|main| main == path))
    }
}
