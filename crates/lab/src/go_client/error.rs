//! What can go wrong before the go command has run.

use std::io;

use crate::link::LinkError;

/// Why the go command could not be run. That it ran and failed is an [`Outcome`](super::Outcome), not an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GoClientError {
    /// The name is not one of a toolchain.
    #[error("{name:?} is not a Go toolchain: write it as go1.27.3, or local")]
    BadVersion {
        /// What was given.
        name: String,
    },
    /// The toolchain is not on this machine and could not be had.
    #[error("toolchain {name} could not be found: {reason}; to install it, run: GOTOOLCHAIN={name} go version")]
    Toolchain {
        /// The toolchain.
        name: String,
        /// What `go env GOROOT` said, or what is wrong with its answer.
        reason: String,
    },
    /// There is no go command to ask.
    #[error("no `go` on PATH ({source}); install Go 1.21 or newer and put its bin folder on PATH")]
    NoGo {
        /// The system's answer.
        source: io::Error,
    },
    /// The go command could not be started on the link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Some other system call failed.
    #[error("{what}: {source}")]
    System {
        /// What was being done.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

impl GoClientError {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
