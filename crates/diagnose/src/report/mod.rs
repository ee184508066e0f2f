//! What a diagnosis says in the end, and how it is shown.
//!
//! [`Report`] is the published JSON (`goferry.report/1`, `docs/schema/report-1.json`); the other
//! forms are renderings of it and know nothing that it does not hold.

mod summary;

mod chain;
mod human;
mod json;
mod markdown;
#[cfg(test)]
mod samples;
mod sarif;
#[cfg(test)]
mod tests;
pub mod text;
mod verdict;

pub use human::{Style, human};
pub use json::json;
pub use markdown::markdown;
pub use sarif::sarif;
pub use verdict::Verdict;

use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Severity};

pub use summary::summarize;

/// The schema's name, with its major version.
pub const SCHEMA: &str = "goferry.report/1";

/// A whole diagnosis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// The version of goferry.
    pub goferry: String,
    /// The project, if there is one.
    pub project: Option<ProjectSummary>,
    /// Variables that matter, with their origin; credentials masked.
    pub environment: Vec<Variable>,
    /// The paths that were probed.
    pub paths: Vec<PathSummary>,
    /// The findings: the gravest first, then the most costly.
    pub findings: Vec<Finding>,
    /// What `go mod download` takes, now and with remedies.
    pub prediction: Option<PredictionSummary>,
}

/// The project in a few figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProjectSummary {
    /// The main module's path, or the workspace's file.
    pub name: String,
    /// Its go.mod or go.work.
    pub file: String,
    /// The go line.
    pub go_line: Option<String>,
    /// Whether the module graph is pruned.
    pub pruned: bool,
    /// Modules that `go mod download` fetches.
    pub modules: usize,
    /// `.mod` files in the graph, by go.sum.
    pub mod_files: usize,
    /// Modules without a hash in go.sum.
    pub missing_hashes: usize,
    /// Octets of all zips, where not known taken for the mean of the known ones.
    pub zip_bytes: u64,
    /// Of how many zips the size is known.
    pub zips_known: usize,
}

/// A variable with its origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value, credentials masked.
    pub value: String,
    /// `environment`, `file:line`, `default` or what computed it.
    pub origin: String,
}

/// One path, phase by phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PathSummary {
    /// The GOPROXY entry, credentials masked.
    pub entry: String,
    /// Its place in GOPROXY, from 0.
    pub position: usize,
    /// The forward proxy, credentials masked; `None` for a direct path.
    pub via: Option<String>,
    /// Whether the go command goes this way.
    pub used_by_go: bool,
    /// The hops as drawn: `go`, the forward proxy or interceptor, the server.
    pub hops: Vec<Hop>,
    /// TLS version, where TLS was reached.
    pub tls: Option<String>,
    /// What ALPN chose; `none` where the server chose nothing.
    pub alpn: Option<String>,
    /// The HTTP version that was spoken.
    pub http: Option<String>,
    /// The server's settings, by name.
    pub settings: Vec<Variable>,
    /// Repeated measurements: DNS, TCP, CONNECT, TLS, first frame, PING, request, …
    pub phases: Vec<PhaseSummary>,
    /// Requests sent and connections opened by the probe.
    pub requests: u32,
    /// Connections opened by the probe.
    pub connections: u32,
    /// Goodput, by number of flows.
    pub goodput: Vec<GoodputSummary>,
}

/// One hop of a drawn path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hop {
    /// `go`, `proxy`, `interceptor` or `server`.
    pub role: String,
    /// What it is called: a host, with the program where it tells.
    pub name: String,
    /// The protocol spoken on the way to it; empty for the first.
    pub protocol: String,
    /// The round trip to it in milliseconds, where known.
    pub rtt_ms: Option<f64>,
    /// Whether the way ends here because of an error.
    pub broken: bool,
}

/// A phase measured several times; milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseSummary {
    /// Which phase.
    pub phase: String,
    /// How many measurements.
    pub count: usize,
    /// How many failed.
    pub failed: usize,
    /// The least.
    pub min_ms: f64,
    /// The median.
    pub p50_ms: f64,
    /// The 95th percentile.
    pub p95_ms: f64,
    /// The greatest.
    pub max_ms: f64,
}

/// Goodput over a number of flows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GoodputSummary {
    /// Connections at once.
    pub flows: u32,
    /// Megabits a second.
    pub mbit_per_s: f64,
    /// Octets that were transferred to measure it.
    pub bytes: u64,
}

/// What the model predicts for `go mod download` from an empty module cache, in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictionSummary {
    /// As things are.
    pub now_s: f64,
    /// With each remedy by itself: finding id and seconds.
    pub with: Vec<Remedied>,
    /// With all remedies.
    pub all_s: f64,
    /// With one warm connection that asks for everything at once.
    pub multiplexed_s: f64,
    /// What the model was given.
    pub inputs: serde_json::Value,
}

/// A prediction with one finding remedied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remedied {
    /// The finding.
    pub id: crate::Id,
    /// Seconds with its remedy.
    pub seconds: f64,
}

impl Report {
    /// The gravest severity, if there is any finding.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}
