//! Getting modules: sources, the downloader, the Go module cache, and the verification of all that arrives.
//!
//! | question | answer |
//! |---|---|
//! | how do the bytes of a URL get here | [`Web`] |
//! | what do the arguments of `go mod download` mean | [`query`] |
//! | what does the checksum database say | [`SumDbClient`] |
//! | what do go.sum and go.work.sum say, and what is added to them | [`Sums`] |
//! | what is in the Go module cache, and how it gets there | [`ModCache`], [`Unpacker`] |
//! | which credentials go with a request | [`Credentials`] |
//! | what went wrong, whose fault is it, can a retry help | [`FetchError`] |
#![deny(unsafe_code)]

pub mod auth;
pub mod cache;
pub mod client;
pub mod download;
mod edit;
pub mod error;
pub mod fetcher;
pub mod list;
mod memo;
pub mod query;
pub mod source;
pub mod sumdb;
pub mod sums;
pub mod transfer;
pub mod unpack;
pub mod verify;
pub mod web;

pub use auth::Credentials;
pub use cache::ModCache;
pub use client::{Authorize, Client, ClientConfig};
pub use error::{Asked, FailKind, FetchError};
pub use fetcher::{Fetcher, Judge};
pub use list::VersionList;
pub use sumdb::{SumDbClient, SumLines};
pub use sums::Sums;
pub use unpack::Unpacker;
pub use web::{BoxFuture, Web};
