//! The rules, held against cases made by hand: each fires where it should, and its near-misses say nothing.

mod catalogue;
mod http2;
mod network;
mod prices;
mod project;
mod seen;
mod support;
mod tls;
