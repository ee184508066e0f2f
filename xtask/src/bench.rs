//! `cargo xtask bench`: what goferry gains, measured side by side with what there is without it.

pub(crate) mod download;
mod machine;
mod options;
pub(crate) mod serve;
mod stand_ins;
mod subject;
mod way;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use goferry_lab::go_client::GoClientError;
use goferry_lab::link::LinkError;

use crate::client::ClientError;
use crate::served::ServedError;
use crate::upstream::UpstreamError;
use crate::workspace::WorkspaceError;

/// Every client gets it.
const GOMAXPROCS: &str = "2";
const DEADLINE: Duration = Duration::from_secs(2_400);
/// With `--long-once`: a go command that takes longer, in seconds, is run once.
const LONG: f64 = 100.0;

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// Wrong arguments.
    #[error("{0}")]
    Usage(String),
    /// The table of projects lacks the one that is measured.
    #[error("there is no project {0:?}")]
    NoProject(&'static str),
    /// A server that is measured does not answer as it should.
    #[error("{0}")]
    Server(String),
    /// The go command fails over loopback.
    #[error("the real go command fails: {0}")]
    Reference(String),
    /// A folder is not where it is said to be.
    #[error("{path} is on {kind}, which is {not}: choose another folder with {option}")]
    Place {
        /// The folder.
        path: PathBuf,
        /// Its file system.
        kind: String,
        /// What is wrong with that.
        not: &'static str,
        /// The option.
        option: &'static str,
    },
    /// The copy of the modules.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The server.
    #[error(transparent)]
    Served(#[from] ServedError),
    /// The link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A toolchain.
    #[error(transparent)]
    Go(#[from] GoClientError),
    /// Building goferry, or asking a program for its version.
    #[error(transparent)]
    Build(#[from] WorkspaceError),
    /// A file.
    #[error("measuring: {0}")]
    System(#[from] io::Error),
}

/// The file system of a folder, which must be, or not be, in memory.
fn place_of(folder: &Path, memory: bool) -> Result<String, BenchError> {
    let kind = machine::file_system(folder)?;
    if (kind == "tmpfs") == memory {
        return Ok(kind);
    }
    let (not, option) = if memory { ("not in memory", "--tmpfs") } else { ("not a disk", "--disk") };
    Err(BenchError::Place { path: folder.to_owned(), kind, not, option })
}

/// The middle of some values, the upper one of two.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Seconds, with as many digits as count.
pub(crate) fn short(seconds: f64) -> String {
    if seconds < 1.0 { format!("{seconds:.3}") } else { format!("{seconds:.2}") }
}
