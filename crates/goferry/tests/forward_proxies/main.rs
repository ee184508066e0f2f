//! The real go command, `goferry download`, `goferry doctor` and `goferry serve` through the same forward proxies: SOCKS5,
//! and HTTP inside TLS, with and without credentials. The name of the module proxy is known to the forward proxy only, so
//! nothing can go around it.

mod beside_go;
mod doctor;
mod place;
mod refused;
mod serve;
#[path = "../download/world.rs"]
#[expect(dead_code, reason = "the same world serves the tests of download")]
mod world;
