//! The price of a path: a model of the go command's own schedule that predicts how long `go mod download` takes.
//!
//! The model is a discrete-event simulation: it plays the go command's requests in its own order over the connections that Go's
//! `net/http` would open, on a link with a round trip, a capacity and loss. It is pure and deterministic: the same
//! [`PriceInputs`] give the same [`Prediction`]. A [`Change`] is a remedy, said as a change of the inputs; what it saves is
//! the difference of two predictions.
//!
//! How well it agrees with the real go command is measured in `docs/evidence/prediction.md`.

mod change;
mod engine;
mod flow;
mod inputs;
mod pool;
mod schedule;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::Serialize;

pub use change::{Change, saving};
pub use inputs::{Client, Congestion, HostCosts, MAX_MODULES, Path, PriceInputs, Project, Protocol, TOOLCHAIN_BYTES};

/// What a run would take.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Prediction {
    /// Wall time of the command.
    #[serde(serialize_with = "inputs::seconds")]
    pub total: Duration,
    /// The same by phase; the phases follow one another.
    pub phases: Phases,
    /// Connections to the module proxy.
    pub connections: Connections,
    /// Requests to the module proxy, without those to earlier entries of GOPROXY.
    pub requests: u32,
}

/// Wall time of each phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Phases {
    /// Process start and end.
    #[serde(serialize_with = "inputs::seconds")]
    pub start: Duration,
    /// Fetching and unpacking a toolchain.
    #[serde(serialize_with = "inputs::seconds")]
    pub toolchain: Duration,
    /// The `.mod` files of the module graph, with the checksum database.
    #[serde(serialize_with = "inputs::seconds")]
    pub graph: Duration,
    /// The `.info` files.
    #[serde(serialize_with = "inputs::seconds")]
    pub info: Duration,
    /// The zips, hashed and unpacked. Of [`multiplexed`]: everything.
    #[serde(serialize_with = "inputs::seconds")]
    pub zip: Duration,
    /// A second run for what broke in the first.
    #[serde(serialize_with = "inputs::seconds")]
    pub again: Duration,
}

/// Connections of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Connections {
    /// Handshakes that were made.
    pub dialled: u32,
    /// Connections that carried a request.
    pub used: u32,
}

/// Predicts `go mod download` without arguments into an empty module cache.
#[must_use]
pub fn predict(inputs: &PriceInputs) -> Prediction {
    schedule::go(&inputs.bounded())
}

/// Predicts the same files over one multiplexed connection on which everything known is asked for at once, as
/// `goferry download` does it; over several where loss limits a flow or the server speaks no HTTP/2. No toolchain is fetched.
#[must_use]
pub fn multiplexed(inputs: &PriceInputs) -> Prediction {
    schedule::multiplexed(&inputs.bounded())
}
