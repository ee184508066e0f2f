//! go.mod as the go command leaves it (`commitRequirements` of `cmd/go/internal/modload/init.go`), and what its versions
//! mean (`fixVersion`). Held against go 1.27.3 and 1.21.13 by `crates/goferry/tests/go_mod`.
//!
//! # Where this differs from the go command
//! - Where go.mod was changed meanwhile in comments or style only, it is still updated, and those changes stay.
//! - It is replaced by rename where `cache/lock` is held and that keeps owner, mode and links; the go command writes in
//!   place.
//! - A go.mod that needs a newer Go than the one that is here is written as that Go would, where GOTOOLCHAIN lets the go
//!   command switch to it.
//! - In a workspace go 1.21 takes `v1` for `v1.0.0` and asks nobody; here, and in 1.27, it is what the sources say.
//! - Versions of `retract` lines are not asked for, nor are the `-gopkgin-` versions of long ago understood.

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

/// Whose style is followed where there is no go command.
const NEWEST: &str = "1.27.3";

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

    /// The version of the go command that writes a go.mod with this `go` line.
    fn writes(&self, line: Option<&str>) -> Result<GoVersion, FetchError> {
        let line = line.and_then(|line| GoVersion::parse(line).ok());
        match (&self.version, line) {
            (Some(local), Some(line)) if line > *local && self.switches => Ok(line),
            (Some(local), Some(line)) if line > *local => Err(failure(&format!(
                "a module that is required needs go >= {line}, and so would go.mod, but the go command is {local} and \
                 GOTOOLCHAIN keeps it from switching"
            ))
            .with_advice("install a newer Go, or set GOTOOLCHAIN=auto")),
            (Some(local), _) => Ok(local.clone()),
            (None, Some(line)) => Ok(GoVersion::parse(NEWEST).map_or(line.clone(), |newest| newest.max(line))),
            (None, None) => Err(failure("go.mod needs a go line, and the version of the go command is not known")
                .with_advice("put a go command on PATH, or write a line such as go 1.21 into go.mod")),
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const BEFORE: &str = "module m\n\nrequire example.com/c v1.0.0\n";

    fn local(version: &str, switches: bool) -> LocalGo {
        LocalGo { version: GoVersion::parse(version).ok(), switches }
    }

    fn project(dir: &Path) -> ProjectFiles {
        let file = dir.join("go.mod");
        std::fs::write(&file, BEFORE).unwrap();
        let go_mod = GoMod::parse("go.mod", BEFORE.as_bytes()).unwrap();
        ProjectFiles {
            go_work: None,
            modules: vec![(file, go_mod)],
            sums: Vec::new(),
            resolved: ResolvedVersions::default(),
        }
    }

    fn requirements(project: &ProjectFiles, go: Option<&str>) -> Requirements {
        let requires = project.modules[0].1.requires.iter().map(|line| goferry_module::graph::Requirement {
            path: line.path.clone(),
            version: line.version.clone(),
            indirect: false,
        });
        Requirements { go: go.map(str::to_owned), toolchain: None, requires: requires.collect(), changed: true }
    }

    #[test]
    fn what_another_wrote_meanwhile_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (lock, project) = (dir.path().join("cache/lock"), project(dir.path()));
        let requirements = requirements(&project, None);
        let file = &project.modules[0].0;
        let other = format!("{BEFORE}\nrequire example.com/d v1.0.0\n");
        for (there, reason) in [(other.as_str(), "have changed since"), ("module (", "have changed since")] {
            std::fs::write(file, there).unwrap();
            let error = write(&project, &requirements, &local("1.27.3", true), &lock).unwrap_err();
            assert!(error.detail.contains(reason) && error.advice.is_some(), "{error}");
            assert_eq!(std::fs::read_to_string(file).unwrap(), there);
        }
        std::fs::remove_file(file).unwrap();
        assert!(write(&project, &requirements, &local("1.27.3", true), &lock).is_err());
        assert!(!file.exists());
    }

    #[test]
    fn another_process_may_have_written_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (lock, project) = (dir.path().join("cache/lock"), project(dir.path()));
        let requirements = requirements(&project, None);
        let file = &project.modules[0].0;
        let go = local("1.27.3", true);
        assert_eq!(write(&project, &requirements, &go, &lock).unwrap().as_ref(), Some(file));
        let after = std::fs::read_to_string(file).unwrap();
        assert_eq!(after, "module m\n\ngo 1.27.3\n\nrequire example.com/c v1.0.0\n");
        assert_eq!(write(&project, &requirements, &go, &lock).unwrap(), None);
        // A comment that was added is no reason to stop, and stays.
        std::fs::write(file, format!("// new\n{BEFORE}")).unwrap();
        let mut again = project.clone();
        again.modules[0].1 = GoMod::parse("go.mod", &std::fs::read(file).unwrap()).unwrap();
        write(&again, &requirements, &go, &lock).unwrap().unwrap();
        assert_eq!(std::fs::read_to_string(file).unwrap(), format!("// new\n{after}"));
    }

    #[test]
    fn a_file_that_another_holds_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (lock, project) = (dir.path().join("cache/lock"), project(dir.path()));
        let requirements = requirements(&project, None);
        let held = Edit::open(&project.modules[0].0, MAX_GO_MOD).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| write(&project, &requirements, &local("1.27.3", true), &lock));
            std::thread::sleep(std::time::Duration::from_millis(50));
            assert!(!writer.is_finished());
            drop(held);
            assert!(writer.join().unwrap().unwrap().is_some());
        });
    }

    #[test]
    fn which_go_command_writes() {
        let text = |go: Result<GoVersion, FetchError>| go.map(|go| go.to_string()).map_err(|error| error.detail);
        assert_eq!(text(local("1.26.8", true).writes(None)).unwrap(), "1.26.8");
        assert_eq!(text(local("1.26.8", true).writes(Some("1.21"))).unwrap(), "1.26.8");
        assert_eq!(text(local("1.26.8", true).writes(Some("1.27.1"))).unwrap(), "1.27.1");
        assert!(text(local("1.26.8", false).writes(Some("1.27.1"))).unwrap_err().contains("needs go >= 1.27.1"));
        assert_eq!(text(LocalGo::default().writes(Some("1.20"))).unwrap(), NEWEST);
        assert!(text(LocalGo::default().writes(None)).unwrap_err().contains("not known"));
    }

    #[test]
    fn nothing_to_change_opens_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let project = project(dir.path());
        let mut requirements = requirements(&project, Some("1.20"));
        requirements.changed = false;
        std::fs::remove_file(&project.modules[0].0).unwrap();
        let lock = dir.path().join("cache/lock");
        assert_eq!(write(&project, &requirements, &LocalGo::default(), &lock).unwrap(), None);
        assert!(!lock.exists());
    }
}
