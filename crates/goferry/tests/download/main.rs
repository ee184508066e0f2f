//! `goferry download` as the user at the prompt sees it, held against the real go command.

mod against_go;
mod beside;
mod direct;
mod faults;
mod interrupt;
mod prints;
mod server;
mod world;
