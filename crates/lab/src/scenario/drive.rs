//! The real go command through a scenario, once.

use std::time::Duration;

use super::Scenario;
use super::running::{ScenarioError, start_on_link};
use crate::go_client::{GoClientError, GoRun, GoVersion};
use crate::server::Snapshot;

/// Why there is nothing to tell.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The scenario could not be made real.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The go command could not be started.
    #[error(transparent)]
    Go(#[from] GoClientError),
}

/// What the go command did, from both ends.
#[derive(Debug)]
pub struct Driven {
    /// How it ended and what it said.
    pub run: GoRun,
    /// What the origin saw of it; all zero where there is no origin.
    pub seen: Snapshot,
}

/// Runs `go mod download` of this version through `scenario`, on a link of its own and with empty caches.
///
/// # Errors
/// When the scenario or the go command cannot be started. That go fails or hangs is a result.
pub fn drive(scenario: &Scenario, version: GoVersion, deadline: Duration) -> Result<Driven, DriveError> {
    let running = start_on_link(scenario)?;
    let run = running.run_go(&running.go_client(version).deadline(deadline))?;
    let seen = running.origin().map(|origin| origin.snapshot()).unwrap_or_default();
    Ok(Driven { run, seen })
}
