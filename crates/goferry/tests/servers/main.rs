//! `goferry doctor` and the real go command against servers that nobody here wrote, across the emulated link (root only).
//!
//! For each misconfiguration: doctor names it and prints a remedy for the version at hand, exactly that remedy is written into
//! the server's configuration, the server is started anew, and both doctor and the server's own log of the go command's
//! connections show that it is gone.

mod caddy;
mod diagnosis;
mod envoy;
mod evidence;
mod haproxy;
mod mitmproxy;
mod nginx;
mod repair;
mod squid;
mod tinyproxy;
mod world;
