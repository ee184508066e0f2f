//! `goferry download` as the user at the prompt sees it, held against the real go command.

mod against_go;
mod prints;
mod world;
