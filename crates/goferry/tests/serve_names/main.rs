//! `goferry serve` between real go commands and upstreams that change, fail, lie, or are git repositories.

mod direct;
mod names;
mod ring;
mod sumdb;
mod upstream;
mod world;
