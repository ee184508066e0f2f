//! What keeps Go module downloads slow here: proven, priced, remedied.
//!
//! Facts flow one way: probes → [`Observation`] → rule → [`Finding`] → [`Report`].
//!
//! - [`probe`] opens connections and asks for what the go command would ask for; all that it
//!   sees becomes [`Observation`]s. Nothing else does I/O on the network.
//! - [`rules`] hold one file for each finding. A rule is a pure function of a [`Case`].
//! - [`price`] is a model of the go command's own schedule. A finding costs what the model
//!   predicts now, less what it predicts with the finding's remedy.
//! - [`report`] renders: for a person, as JSON, Markdown and SARIF.
#![forbid(unsafe_code)]

pub mod case;
pub mod diagnose;
pub mod finding;
pub mod observation;
pub mod price;
pub mod pricing;
pub mod probe;
pub mod remedy;
pub mod report;
pub mod resolution;
pub mod rules;
pub mod stats;
pub mod surroundings;

pub use case::Case;
pub use diagnose::{DiagnoseError, Options, diagnose};
pub use finding::{Confidence, Cost, Evidence, Finding, Id, Remedy, Severity, Value};
pub use observation::{Fact, Observation, PathInfo, Route};
pub use report::Report;
pub use surroundings::Surroundings;
