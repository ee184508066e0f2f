//! A module proxy (GOPROXY) that keeps its connections, fetches ahead, heals broken streams and verifies.
//!
//! | question | answer |
//! |---|---|
//! | what does a request ask for | [`Route`] |
//! | what is it answered with | [`Proxy`], [`Answer`] |
//! | what is kept, where | [`Store`] |
//! | where does it come from | [`Upstream`] |
//! | who carries it | [`server`] |
//! | what does an operator see | [`observe`] |
#![deny(unsafe_code)]

pub mod ahead;
pub mod answer;
pub mod auth;
pub mod config;
pub mod exchange;
pub mod flight;
pub mod modules;
pub mod names;
pub mod observe;
pub mod proxy;
pub mod route;
pub mod server;
pub mod store;
pub mod sumdb;
pub mod upstream;
mod via;
mod waited;
pub mod warm;
mod words;

pub use ahead::FetchAhead;
pub use answer::{Answer, Request};
pub use config::ProxyConfig;
pub use observe::Watch;
pub use proxy::Proxy;
pub use route::Route;
pub use store::Store;
pub use upstream::Upstream;
