//! Opening, using and keeping connections.
//!
//! What the go command's transport does in one call is here a row of [`Phase`]s, each with its
//! own outcome, time and bound: [`resolve`], [`dial`], [`tunnel`], [`tls`], then [`h2`] or [`h1`].
//! A caller sees which phase failed and whose fault that is. No function waits without a bound.
//!
//! [`h2`] speaks HTTP/2 in frames of its own (`goferry-wire`), so that a probe sees what a
//! library would hide: the first frame, every setting, GOAWAY, RST_STREAM and their timing.
#![deny(unsafe_code)]

pub mod connect;
pub mod dial;
pub mod error;
pub mod exchange;
pub mod h1;
pub mod h2;
pub mod io;
pub mod pool;
pub mod resolve;
pub mod socks;
pub mod tcp_info;
pub mod timeline;
pub mod tls;
pub mod tunnel;

pub use connect::{Connector, Origin};
pub use error::{ErrorKind, NetError, Party, Phase};
pub use exchange::{Exchange, Outcome, Request};
pub use pool::{Pool, PoolConfig};
pub use timeline::Timeline;
