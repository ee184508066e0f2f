//! Skeleton.

pub mod certs;
pub mod dns;
pub mod forward;
pub mod go_client;
pub mod link;
pub mod server;
pub mod universe;
pub mod faults;
pub mod scenario;
