//! The Go environment and the project as the go command resolves them, with the origin of each value.
//!
//! Nothing here talks to a network, and nothing reads the process behind the caller's back: everything follows from
//! an [`Inputs`]. The rules are those of the go command's own sources; each module names the file it follows.
#![forbid(unsafe_code)]

mod cgroup;
pub mod envfile;
pub mod godebug;
pub mod gomaxprocs;
pub mod http_proxy;
mod inputs;
pub mod mask;
mod pem;
mod read;
mod resolve;
pub mod roots;
pub mod setters;
pub mod url;

pub use inputs::{Inputs, Os};
