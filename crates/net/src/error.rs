//! Errors that say in which phase, of which kind and whose fault.

use std::fmt;
use std::io;

use serde::Serialize;

/// A step on the way to a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Name resolution.
    Resolve,
    /// The TCP handshake.
    Connect,
    /// TLS with an `https://` forward proxy, and CONNECT through it.
    Tunnel,
    /// The TLS handshake with the origin.
    Tls,
    /// HTTP/2 from the connection preface on.
    Http2,
    /// HTTP/1.1.
    Http1,
}

/// Who is at fault, as far as the client can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// This machine or its settings.
    Client,
    /// The network between.
    Network,
    /// The forward proxy (`HTTPS_PROXY`).
    Proxy,
    /// The module proxy or its front end.
    Upstream,
    /// This program.
    Goferry,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "value")]
pub enum ErrorKind {
    /// Nothing came within the bound.
    TimedOut,
    /// ECONNREFUSED.
    Refused,
    /// No route, or an ICMP error.
    Unreachable,
    /// ECONNRESET, EPIPE or ECONNABORTED.
    Reset,
    /// The peer closed the connection (FIN) before the phase was complete.
    Closed,
    /// The name does not exist, or has no address of this family.
    NameNotFound,
    /// The name servers failed or did not answer.
    NameServerFailed,
    /// An HTTP status where another was needed.
    Status(u16),
    /// A TLS alert from the peer, by its name.
    Alert(String),
    /// The peer broke the protocol.
    Protocol,
    /// A bound on size or count was passed.
    TooLarge,
    /// Anything else that the system reports.
    Other,
}

/// A failed phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct NetError {
    /// Which step failed.
    pub phase: Phase,
    /// What happened.
    pub kind: ErrorKind,
    /// Who is at fault, as far as the client can tell.
    pub party: Party,
    /// What was being done, with what, and the system's own words.
    pub detail: String,
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl NetError {
    /// An error with a text of its own.
    pub fn new(phase: Phase, kind: ErrorKind, party: Party, detail: impl Into<String>) -> Self {
        NetError { phase, kind, party, detail: detail.into() }
    }

    /// Nothing came within `bound`.
    pub fn timed_out(phase: Phase, party: Party, what: &str, bound: std::time::Duration) -> Self {
        let detail = format!("{what}: nothing within {:.1} s", bound.as_secs_f64());
        NetError { phase, kind: ErrorKind::TimedOut, party, detail }
    }

    /// A system error, or a TLS alert inside one.
    pub fn io(phase: Phase, party: Party, what: &str, error: &io::Error) -> Self {
        let kind = match error.kind() {
            _ if let Some(alert) = crate::tls::alert_in(error) => ErrorKind::Alert(alert),
            io::ErrorKind::TimedOut => ErrorKind::TimedOut,
            io::ErrorKind::ConnectionRefused => ErrorKind::Refused,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => ErrorKind::Unreachable,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
                ErrorKind::Reset
            }
            io::ErrorKind::UnexpectedEof => ErrorKind::Closed,
            _ => ErrorKind::Other,
        };
        NetError { phase, kind, party, detail: format!("{what}: {error}") }
    }
}
