//! go.mod as the go command leaves it (`commitRequirements` of `cmd/go/internal/modload/init.go`), and what its versions
//! mean (`fixVersion`).

use std::path::{Path, PathBuf};

use goferry_env::{Environment, ProjectFiles};
use goferry_module::gomod::{MAX_GO_MOD, ResolvedVersions, update};
use goferry_module::graph::Requirements;
use goferry_module::{FallBack, GoMod, GoVersion, Toolchain};
use goferry_net::Party;

use super::Shop;
use crate::edit::{Edit, side_lock};
use crate::error::{FailKind, FetchError};
use crate::memo::all;
use crate::query::{self, Source};

/// The go command on this machine: its version goes into a go.mod without a `go` line, and decides the style.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocalGo {
    /// `None` where there is none, or a development version that says nothing.
    version: Option<GoVersion>,
    /// Whether it may become a newer one, where a `go` line asks for that (GOTOOLCHAIN).
    switches: bool,
}

impl LocalGo {
    pub(super) fn of(env: &Environment) -> LocalGo {
        let version = env.go.as_ref().and_then(|go| Toolchain::parse(&go.version).ok());
        let setting = env.value("GOTOOLCHAIN");
        let switches =
            ["", "auto", "path"].contains(&setting) || setting.ends_with("+auto") || setting.ends_with("+path");
        LocalGo { version: version.map(|toolchain| toolchain.version().clone()), switches }
    }

    /// The version of the go command that would write the `go` line.
    fn writes(&self, line: Option<&str>) -> Result<GoVersion, FetchError> {
        let Some(local) = &self.version else {
            return Err(failure(
                "it has to be changed, and how depends on the version of the go command, which is not known",
            )
            .with_advice("put a go command on PATH, or write a go line into go.mod and run go mod tidy"));
        };
        match line.and_then(|line| GoVersion::parse(line).ok()) {
            Some(line) if line > *local && self.switches => Ok(line),
            Some(line) if line > *local => Err(failure(&format!(
                "a module that is required needs go >= {line}, and so would go.mod, but the go command is {local} and \
                 GOTOOLCHAIN keeps it from switching"
            ))
            .with_advice("install a newer Go, or set GOTOOLCHAIN=auto")),
            _ => Ok(local.clone()),
        }
    }
}

/// Writes the go.mod of a project, where it is not what `requirements` say. `lock` is `cache/lock` of the module cache.
/// Gives the file where it was written.
pub(super) fn write(
    project: &ProjectFiles,
    requirements: &Requirements,
    local: &LocalGo,
    lock: &Path,
) -> Result<Option<PathBuf>, FetchError> {
    let [(file, as_read)] = project.modules.as_slice() else { return Ok(None) };
    if project.go_work.is_some() || !(requirements.changed || has_resolved(project)) {
        return Ok(None);
    }
    let local = local.writes(requirements.go.as_deref())?;
    let name = file.display().to_string();
    let side = side_lock(lock)?;
    let mut edit = Edit::open(file, MAX_GO_MOD)?;
    let changed = || {
        failure(&format!("updating {name}: existing contents have changed since last read"))
            .with_advice("someone changed go.mod while this ran: run it again")
    };
    let there = GoMod::parse_with(&name, edit.content(), &project.resolved).map_err(|_| changed())?;
    let new = update(&name, edit.content(), requirements, &local, &project.resolved)
        .map_err(|errors| failure(&format!("updating {name}: {errors}")))?;
    if new == edit.content() {
        return Ok(None);
    }
    if there != *as_read {
        return Err(changed());
    }
    edit.replace(&new, side.is_some())?;
    Ok(Some(file.clone()))
}

/// Whether go.mod has versions that stand for others.
fn has_resolved(project: &ProjectFiles) -> bool {
    !project.resolved.is_empty()
}

impl Shop {
    /// Asks the sources what versions in a go.mod mean (`goferry_env::Project::queries`). As in the go command neither
    /// replacements, exclusions nor retractions count here.
    ///
    /// # Errors
    /// For the first that has no answer.
    pub async fn resolve_versions(&self, queries: &[(String, String)]) -> Result<ResolvedVersions, FetchError> {
        let entries = self.sources.entries();
        let sources: Vec<Source<'_>> = entries
            .iter()
            .map(|(versions, on, direct)| Source {
                versions,
                fall_back_on_error: *on == FallBack::AnyError,
                direct: *direct,
            })
            .collect();
        let context = query::Context::new(sources, None);
        let answers = all(queries.iter().map(|(path, query)| query::version(path, query, &context))).await;
        let mut resolved = ResolvedVersions::default();
        for ((path, query), answer) in queries.iter().zip(answers) {
            let version = answer.map_err(|mut error| {
                error.detail = format!("go.mod: {}", error.detail);
                match error.advice {
                    Some(_) => error,
                    None => {
                        error.with_advice(format!("write a version in full into go.mod, or run: go get {path}@latest"))
                    }
                }
            })?;
            resolved.insert(path, query, version);
        }
        Ok(resolved)
    }
}

fn failure(detail: &str) -> FetchError {
    FetchError::new(FailKind::Invalid, Party::Client, detail)
}
