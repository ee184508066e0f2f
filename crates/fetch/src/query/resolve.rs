//! From an argument to module versions (`cmd/go/internal/modload/list.go`, `listModules`;
//! `cmd/go/internal/modcmd/download.go`).

use goferry_module::gomod::Replacement;
use goferry_module::{ModInfo, ModulePath, ModuleVersion, Version};
use goferry_net::Party;

use super::argument::{Argument, is_relative_to_selected, is_toolchain};
use super::choose::choose;
use super::error::QueryError;
use super::matcher::is_revision;
use super::{Context, pattern};
use crate::error::{FailKind, FetchError};

/// What an argument means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// What is to be downloaded, in the order of the build list. Two arguments may mean the same module version.
    pub modules: Vec<Resolved>,
    /// What to tell the user: why there is nothing to download, where that is no error.
    pub notes: Vec<String>,
}

/// A module version to download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// What to download.
    pub module: ModuleVersion,
    /// The query that it answers; `None` where the version itself was named, or none.
    pub query: Option<String>,
    /// What the source said of the version; `None` where it has not been asked.
    pub info: Option<ModInfo>,
    /// The module of the build list that it replaces.
    pub replaces: Option<(String, Version)>,
}

/// Finds out what an argument means.
///
/// # Errors
/// Where it means nothing that can be downloaded. Other arguments are not affected by that: the go command downloads what
/// they mean, and fails in the end.
pub async fn resolve(argument: &Argument, context: &Context<'_>) -> Result<Resolution, FetchError> {
    let toolchain = match argument {
        Argument::Path(path) | Argument::Query { path, .. } => is_toolchain(path),
        Argument::All | Argument::Pattern(_) => false,
    };
    if toolchain {
        return Err(failure(format!("{}: the Go toolchain is not a module that can be named so", argument.text()))
            .with_advice("toolchains are versions of the module golang.org/toolchain; goferry download --toolchain fetches the one that the project needs"));
    }
    match argument {
        Argument::All => matching(argument, context, |_| true),
        Argument::Pattern(pattern) => matching(argument, context, |path| pattern::matches(pattern, path)),
        Argument::Path(path) => selected(path, context),
        Argument::Query { path, query } => Box::pin(query_argument(path, query, context)).await,
    }
}

/// What a version in the go.mod of a main module means, such as `master` or `v1.2` (`fixVersion` of
/// `cmd/go/internal/modload/init.go`): versions that are excluded or retracted count.
///
/// # Errors
/// Where no source knows.
pub async fn version(path: &str, query: &str, context: &Context<'_>) -> Result<Version, FetchError> {
    let found = Box::pin(choose(context, path, query, None, false)).await;
    found
        .and_then(|found| {
            Version::parse(&found.version)
                .map_err(|error| QueryError::query(format!("the source says that this is {error}")))
        })
        .map_err(|error| error.about(path, query, None))
}

async fn query_argument(path: &str, query: &str, context: &Context<'_>) -> Result<Resolution, FetchError> {
    if context.is_main(path) && is_relative_to_selected(query) {
        return Ok(main_module(&format!("{path}@{query}")));
    }
    let current = context.selected(path);
    let found = choose(context, path, query, current, !is_revision(query)).await;
    let resolved = found.and_then(|found| {
        let module = ModulePath::parse(path).map_err(|error| QueryError::query(error.to_string()))?;
        let version = Version::parse(&found.version)
            .and_then(|version| ModuleVersion::new(module, version))
            .map_err(|error| QueryError::query(format!("the source says that this is {error}")))?;
        let query = (found.version != query).then(|| query.to_owned());
        Ok(Resolved { module: version, query, info: found.info, replaces: None })
    });
    match resolved {
        Ok(resolved) => Ok(Resolution { modules: vec![resolved], notes: Vec::new() }),
        Err(error) => Err(error.about(path, query, current.map(Version::as_str))),
    }
}

/// A path without a version: what the build list selects.
fn selected(path: &str, context: &Context<'_>) -> Result<Resolution, FetchError> {
    if context.is_main(path) {
        return Ok(main_module(path));
    }
    let Some(version) = context.selected(path) else {
        return Err(failure(format!("{path}: not a known dependency"))
            .with_advice(format!("to download it without requiring it, add a version: {path}@latest")));
    };
    let modules = replaced(path, version, context)?.into_iter().collect();
    Ok(Resolution { modules, notes: Vec::new() })
}

fn matching(
    argument: &Argument,
    context: &Context<'_>,
    matches: impl Fn(&str) -> bool,
) -> Result<Resolution, FetchError> {
    let Some(project) = &context.project else {
        return Err(failure(format!("{}: no go.mod here or above", argument.text()))
            .with_advice("change to the directory of a module"));
    };
    let mut resolution = Resolution::default();
    let mut any = project.main_paths.iter().any(|path| matches(path));
    for (path, version) in project.selected.iter().filter(|(path, _)| !is_toolchain(path) && matches(path)) {
        any = true;
        resolution.modules.extend(replaced(path, version, context)?);
    }
    if !any {
        resolution.notes.push(format!("pattern {:?} matched no module dependencies", argument.text()));
    }
    Ok(resolution)
}

/// A module of the build list or what replaces it; `None` where that is a directory.
fn replaced(path: &str, version: &Version, context: &Context<'_>) -> Result<Option<Resolved>, FetchError> {
    let line = context.project.as_ref().and_then(|project| project.replacement(path, Some(version)));
    let (new_path, new_version) = match line.map(|line| &line.new) {
        Some(Replacement::Directory(_)) => return Ok(None),
        Some(Replacement::Module { path, version }) => (path.as_str(), version),
        None => (path, version),
    };
    let module = ModulePath::parse(new_path)
        .map_err(|error| failure(format!("{path}@{version}: {error}")))
        .and_then(|module| {
            ModuleVersion::new(module, new_version.clone())
                .map_err(|error| failure(format!("{new_path}@{new_version}: {error}")))
        })
        .map_err(|error| error.with_advice("correct the line in go.mod or go.work"))?;
    let replaces = line.map(|_| (path.to_owned(), version.clone()));
    Ok(Some(Resolved { module, query: None, info: None, replaces }))
}

fn main_module(argument: &str) -> Resolution {
    let note = format!("skipping download of {argument} that resolves to the main module");
    Resolution { modules: Vec::new(), notes: vec![note] }
}

fn failure(detail: String) -> FetchError {
    FetchError::new(FailKind::Invalid, Party::Client, detail)
}
