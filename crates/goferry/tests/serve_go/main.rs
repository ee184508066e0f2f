//! Real go commands, the newest and an old one, behind a healthy `goferry serve`: what they get and leave is what they get
//! and leave alone.

mod at_once;
mod same;
mod serve;
#[path = "../download/server.rs"]
#[expect(dead_code, reason = "the same server serves the tests of download")]
mod server;
mod verified;
#[path = "../download/world.rs"]
#[expect(dead_code, reason = "the same world serves the tests of download")]
mod world;

/// The newest go command, and the oldest that is looked at.
const VERSIONS: [&str; 2] = ["go1.27.3", "go1.21.13"];
