//! The store of `goferry serve`: what is left after kills, damage, a full disk and several processes at once, and what
//! `goferry store` says of it.

mod commands;
mod damage;
mod frozen;
mod full;
mod kill;
mod shared;
mod world;
