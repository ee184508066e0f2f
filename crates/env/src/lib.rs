//! The Go environment and the project as the go command resolves them, with the origin of each value.
//!
//! Nothing here talks to a network, and nothing reads the process behind the caller's back: everything follows from
//! an [`Inputs`]. The rules are those of the go command's own sources; each module names the file it follows.
//!
//! | question | answer |
//! |---|---|
//! | what is GOPROXY (or another variable) here, and who says so | [`Environment::resolve`] |
//! | which file sets a variable, and how is it taken out again | [`setters`] |
//! | which toolchain runs, and is it downloaded first | [`toolchain::choose`] |
//! | which HTTP proxy is used for a URL | [`http_proxy::ProxySettings`] |
//! | which certificates are trusted | [`roots::load`] |
//! | how parallel is the go command | [`gomaxprocs::compute`] |
//! | what does `go mod download` fetch | [`Project::find`] |
//!
//! Files are read up to a bound, and credentials never show in `Debug`, `Display` or JSON.
#![forbid(unsafe_code)]

pub mod auth;
mod cgroup;
pub mod envfile;
pub mod gocmd;
pub mod godebug;
pub mod gomaxprocs;
pub mod http_proxy;
mod inputs;
mod locate;
pub mod mask;
mod pem;
pub mod project;
mod read;
pub mod resolve;
pub mod roots;
pub mod setters;
pub mod toolchain;
pub mod url;

pub use gocmd::GoCommand;
pub use inputs::{Inputs, Os};
pub use project::{Project, ProjectError, ProjectFiles};
pub use resolve::{EnvError, Environment, Origin, Value};
pub use toolchain::ToolchainChoice;

/// Serialises a value as its `Display` text, which masks credentials.
fn serialize_display<S: serde::Serializer>(value: &impl std::fmt::Display, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(value)
}

/// Serialises a list of values as their `Display` texts.
fn serialize_displays<T: std::fmt::Display, S: serde::Serializer>(values: &[T], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(values.iter().map(ToString::to_string))
}
