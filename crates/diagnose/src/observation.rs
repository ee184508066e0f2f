//! What was seen, before anybody judges it.
//!
//! Active probes make these today; a log, a debug output or a packet capture can make the same
//! ones, and a rule cannot tell which it was.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use goferry_net::NetError;
use goferry_net::exchange::Exchange;
use goferry_net::h2::H2Seen;
use goferry_net::resolve::Family;
use goferry_net::tcp_info::TcpInfo;
use goferry_net::tls::TlsInfo;
use serde::Serialize;

/// The number of a path in a case: an index into [`crate::Case::paths`].
pub type PathId = usize;

/// How a path leaves this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "route", content = "proxy")]
pub enum Route {
    /// Straight to the origin.
    Direct,
    /// Through a forward proxy: its URL, credentials masked.
    Via(String),
}

/// A way from the go command to one GOPROXY entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathInfo {
    /// The GOPROXY entry, credentials masked.
    pub entry: String,
    /// Its place in GOPROXY, from 0.
    pub position: usize,
    /// `http`, `https` or `file`.
    pub scheme: String,
    /// The origin's host, without brackets.
    pub host: String,
    /// The origin's port.
    pub port: u16,
    /// How it leaves this machine.
    pub route: Route,
    /// Whether the go command itself would go this way. `false` for the direct path beside a proxied one.
    pub used_by_go: bool,
}

/// Who the other side of a TCP connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// The module proxy, or the front end before it.
    Origin,
    /// The forward proxy of `HTTPS_PROXY` or `HTTP_PROXY`.
    ForwardProxy,
}

/// The HTTP version in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Http {
    /// HTTP/2.
    #[serde(rename = "HTTP/2")]
    V2,
    /// HTTP/1.1 or 1.0.
    #[serde(rename = "HTTP/1.1")]
    V1,
}

impl Http {
    /// `HTTP/2` or `HTTP/1.1`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Http::V2 => "HTTP/2",
            Http::V1 => "HTTP/1.1",
        }
    }
}

/// What else was going on when a request was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Load {
    /// One request after another.
    Alone,
    /// One of several at once.
    Burst,
    /// A large body, to measure goodput.
    Large,
    /// Many requests to find a connection's limit (`--deep`).
    Deep,
}

/// Something that was seen.
#[derive(Clone, Debug)]
pub enum Fact {
    /// Name resolution of one family.
    Resolved {
        /// The name's owner.
        peer: Peer,
        /// The name.
        host: String,
        /// The family asked for.
        family: Family,
        /// Addresses, or why there are none.
        answer: Result<Vec<IpAddr>, NetError>,
        /// How long it took.
        took: Duration,
    },
    /// A TCP handshake.
    Connected {
        /// With whom.
        peer: Peer,
        /// Where.
        address: SocketAddr,
        /// Whether it worked.
        outcome: Result<(), NetError>,
        /// How long it took.
        took: Duration,
    },
    /// CONNECT through the forward proxy.
    Tunnelled {
        /// The status, where one came.
        status: Option<u16>,
        /// The proxy's `Server`, `Via` and the like.
        headers: Vec<(String, String)>,
        /// Whether the tunnel stands.
        outcome: Result<(), NetError>,
        /// How long it took.
        took: Duration,
    },
    /// A TLS handshake with the origin, or with who answers in its place.
    Handshake {
        /// What it showed, or how it failed.
        outcome: Result<TlsInfo, NetError>,
        /// How long it took.
        took: Duration,
        /// Whether the client certificate was asked for, also where the handshake failed.
        client_cert_requested: bool,
    },
    /// TCP connects over IPv6, and then nothing comes, while IPv4 works.
    V6Stalls {
        /// The address.
        address: SocketAddr,
        /// How long TLS was waited for.
        waited: Duration,
    },
    /// The server asked for TLS renegotiation (a HelloRequest in TLS 1.2).
    Renegotiation,
    /// Everything that one HTTP/2 connection showed, at its end.
    Http2 {
        /// The connection's number within its path.
        connection: u32,
        /// What it showed.
        seen: Box<H2Seen>,
        /// How long the server's SETTINGS were waited for.
        waited_for_settings: Duration,
    },
    /// One request and its response.
    Exchanged {
        /// The connection's number within its path.
        connection: u32,
        /// In which HTTP version.
        http: Http,
        /// What else was going on.
        load: Load,
        /// What became of it.
        exchange: Box<Exchange>,
    },
    /// A connection was left idle.
    Idle {
        /// In which HTTP version.
        http: Http,
        /// How long it was left.
        waited: Duration,
        /// After how long the server ended it, if it did.
        ended_after: Option<Duration>,
    },
    /// Large bodies were fetched over a number of connections at once.
    Goodput {
        /// Connections.
        flows: u32,
        /// Octets that arrived over all of them while all were busy.
        bytes: u64,
        /// In how long.
        took: Duration,
        /// The share of segments that arrived out of order; `None` where the kernel does not say.
        out_of_order: Option<f64>,
        /// Times that out-of-order arrival began anew, at least a millisecond apart.
        loss_episodes: u32,
        /// Segments with data that arrived.
        segments: u64,
        /// Whether the rate had stopped growing, so that it says what the path carries.
        settled: bool,
    },
    /// The kernel's view of a connection at its end.
    Tcp(TcpInfo),
    /// The checksum database was asked for, through the GOPROXY entry or by itself.
    SumDb {
        /// The database's name.
        name: String,
        /// Through the GOPROXY entry (`/sumdb/<name>/supported`) or at the database itself.
        through_entry: bool,
        /// The status, or why there is none.
        answer: Result<u16, NetError>,
        /// Who signed the certificate shown there; `None` through the entry.
        issuer: Option<String>,
        /// How long it took.
        took: Duration,
    },
    /// A file was fetched whole and hashed.
    Hashed {
        /// `path@version`, with `/go.mod` behind it for a `.mod` file.
        what: String,
        /// Its `h1:` hash.
        got: String,
        /// What go.sum says.
        wanted: String,
    },
    /// The probe's budget of time or requests was used up before everything was asked.
    BudgetSpent {
        /// What was left out.
        left_out: String,
    },
}

/// A fact, and where it was seen.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The path.
    pub path: PathId,
    /// The fact.
    pub fact: Fact,
}
