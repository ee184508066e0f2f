//! `goferry download` as the user at the prompt sees it, held against the real go command.

mod against_go;
mod beside;
mod direct;
mod faults;
mod interrupt;
mod prints;
mod server;
#[expect(dead_code, reason = "the same world serves the tests behind serve")]
mod world;
