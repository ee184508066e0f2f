//! The lab: module proxies, forward proxies and resolvers that misbehave on purpose, an emulated long link, and the real
//! go command driven through them.
//!
//! | module | what it is |
//! |---|---|
//! | [`faults`] | everything that can go wrong, one file a fault, with what go does and what a diagnosis must find |
//! | [`scenario`] | a whole situation as data, and the means to make it real |
//! | [`server`] | the origin: a module proxy written frame by frame |
//! | [`servers`] | real servers and proxies, and what remedies say written into their configuration |
//! | [`sumdb`] | a checksum database's log, signed and in tiles |
//! | [`universe`] | modules made up for a test, with correct hashes |
//! | [`forward`], [`dns`], [`certs`] | forward proxies, a DNS server, certificates, right and wrong |
//! | [`link`] | two network namespaces with delay, rate and loss between them |
//! | [`go_client`] | the real go command with fresh caches and a deadline |
//! | [`doctor`] | a diagnosing program through a scenario, held against what the fault says |
//! | [`download`] | a downloading program through a scenario |
//! | [`serve`] | a module proxy under test, and the real go command behind it through a scenario |
//! | [`left`] | the module cache that a client leaves, held against what the universe has |
//! | [`plain`] | a small HTTP/1.1 server whose answers are a function, and a client that asks one thing |
//! | [`made`] | modules made up by hand, one at a time |
//! | [`git`], [`folder`], [`wait`] | git repositories, what is in a folder, waiting for others |
//!
//! Nothing here uses `goferry-net`: a shared bug must not hide.

pub mod certs;
pub mod dns;
pub mod doctor;
pub mod download;
pub mod faults;
pub mod folder;
pub mod forward;
pub mod git;
pub mod go_client;
pub mod left;
pub mod link;
pub mod made;
pub mod plain;
pub mod scenario;
pub mod serve;
pub mod server;
pub mod servers;
pub mod sumdb;
pub mod universe;
pub mod wait;
