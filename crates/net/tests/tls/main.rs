//! The TLS client against rustls servers with certificates made for the test.

mod certificates;
mod handshakes;
mod refusals;
mod server;
