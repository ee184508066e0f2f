//! Getting modules: sources, the downloader, the Go module cache, and the verification of all that arrives.
//!
//! | question | answer |
//! |---|---|
//! | how do the bytes of a URL get here | [`Web`] |
//! | what does the checksum database say | [`SumDbClient`] |
//! | what went wrong, whose fault is it, can a retry help | [`FetchError`] |
#![deny(unsafe_code)]

pub mod error;
pub mod sumdb;
pub mod web;

pub use error::{FailKind, FetchError};
pub use sumdb::{SumDbClient, SumLines};
pub use web::{BoxFuture, Web};
