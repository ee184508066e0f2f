//! Bytes on the wire as types. Pure: nothing here opens a socket, reads a clock or needs a runtime.
//!
//! | module | what it reads and writes | source |
//! |---|---|---|
//! | [`h2`] | HTTP/2 frames, settings and error codes | RFC 9113 |
//! | [`hpack`] | HTTP/2 header blocks | RFC 7541 |
//! | [`http1`] | HTTP/1.x heads, body framing, chunked bodies | RFC 9112 |
//! | [`tls`] | TLS records, alerts and hellos | RFC 8446, RFC 5246 |
//!
//! There are two ways to read. A *decoder* is an endpoint: it keeps payloads and reports every violation with the
//! RFC section that was violated and the error code an endpoint answers with. A *tap* ([`h2::FrameTap`],
//! [`tls::RecordTap`]) looks over somebody else's shoulder: it skips payloads without keeping them and never stops
//! the conversation.
//!
//! All input is hostile. Whatever is kept is bounded by a limit that the caller sets or by the format itself, every
//! parser gives the same result however its input is cut into pieces, and none panics.

#![forbid(unsafe_code)]

pub mod h2;
pub mod hpack;
pub mod http1;
pub mod tls;
