//! What can go wrong with a real server.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Program;
use crate::certs::CertError;
use crate::link::LinkError;

/// Why a real server is not running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServersError {
    /// The program is not on this machine.
    #[error("{} is not installed; install it with: {}", .0.name(), .0.install())]
    Missing(Program),
    /// It did not say its version.
    #[error("{} does not say its version: {said:?}", .program.name())]
    Version {
        /// The program.
        program: Program,
        /// What it said instead, cut.
        said: String,
    },
    /// It ended at once.
    #[error("{} ended at once ({status}): {said}", .program.name())]
    Ended {
        /// The program.
        program: Program,
        /// Its exit status.
        status: String,
        /// The end of what it wrote.
        said: String,
    },
    /// It does not listen.
    #[error("{} does not accept connections at {address} after {} s: {said}", .program.name(), .after.as_secs())]
    NotReady {
        /// The program.
        program: Program,
        /// Where it was to listen.
        address: SocketAddr,
        /// How long it was waited for.
        after: Duration,
        /// The end of what it wrote.
        said: String,
    },
    /// A snippet has no place in this configuration.
    #[error("{} cannot be configured so ({place}): {reason}", .program.name())]
    Edit {
        /// The program whose configuration it is.
        program: Program,
        /// Where the snippet was to go.
        place: String,
        /// Why it cannot.
        reason: String,
    },
    /// A certificate could not be made.
    #[error(transparent)]
    Certificate(#[from] CertError),
    /// The link's namespace could not be entered.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A file or a process.
    #[error("cannot {what} {}: {source}", .path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// With which file or program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ServersError {
    pub(super) fn system(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::System { what, path, source }
    }
}
