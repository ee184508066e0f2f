//! Which faults a module download client cannot survive, why, and how it must fail then.
//!
//! Every other fault can be survived: by a retry, by asking only for what is missing, by HTTP/1.1, by the other address
//! family. A client that survives has every file, verified; one that cannot says who is at fault, and leaves nothing
//! that was not verified.

use super::Fault;

/// What can be asked of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// All modules arrive.
    Possible,
    /// Some or all modules cannot arrive.
    Impossible(Failing),
}

/// How a client fails where it must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    /// Why no client can do better.
    pub why: &'static str,
    /// What its error must contain.
    pub words: &'static [&'static str],
    /// Whose fault the error says it is.
    pub party: &'static str,
    /// Whether what is asked for does not exist: the one case in which a proxy may say so.
    pub absent: bool,
}

impl Failing {
    /// What a go command must say that gets its modules through a proxy which fails so.
    #[must_use]
    pub fn behind_a_proxy(&self) -> &'static [&'static str] {
        // The go command has words of its own for a toolchain that is not there.
        if self.words.contains(&"golang.org/toolchain") { &["toolchain not available"] } else { self.words }
    }
}

/// What a report calls them.
const CLIENT: &str = "this machine or its settings";
const NETWORK: &str = "the network";
const PROXY: &str = "the forward proxy";
const UPSTREAM: &str = "the module proxy";

const fn failing(party: &'static str, words: &'static [&'static str], why: &'static str) -> Failing {
    Failing { why, words, party, absent: false }
}

const fn absent(words: &'static [&'static str], why: &'static str) -> Failing {
    Failing { why, words, party: UPSTREAM, absent: true }
}

/// The faults that cannot be survived, by id, in the order of the table.
const IMPOSSIBLE: &[(&str, Failing)] = &[
    ("cert-expired", failing(UPSTREAM, &["certificate is not trusted", "expired"], UNTRUSTED)),
    ("cert-self-signed", failing(UPSTREAM, &["certificate is not trusted"], UNTRUSTED)),
    ("cert-wrong-name", failing(UPSTREAM, &["certificate is not trusted", "another-host.invalid"], UNTRUSTED)),
    (
        "client-cert",
        failing(
            UPSTREAM,
            &["CertificateRequired", "client certificate"],
            "the server wants a certificate that the client does not have",
        ),
    ),
    ("dns-failing", failing(NETWORK, &["goproxy.example.com"], "without an address there is nobody to ask")),
    ("goproxy-direct", absent(&["404 Not Found"], "GOPROXY=direct leads to a host that knows nothing of the modules")),
    ("goproxy-off", failing(CLIENT, &["GOPROXY=off"], "the user forbids downloads")),
    ("proxy-403", failing(PROXY, &["403"], "the only way out is refused")),
    ("proxy-407", failing(PROXY, &["407"], "the forward proxy wants credentials that the client does not have")),
    ("proxy-dead", failing(PROXY, &["refused"], "the only way out is a proxy that does not run")),
    ("silent-after-headers", failing(UPSTREAM, &["the answer stopped"], "not one byte of any file is ever sent")),
    ("status-401", failing(UPSTREAM, &["401 Unauthorized"], REFUSED)),
    ("status-403", failing(UPSTREAM, &["403 Forbidden"], REFUSED)),
    ("status-404", absent(&["404 Not Found"], REFUSED)),
    ("status-421", failing(UPSTREAM, &["421 Misdirected Request"], REFUSED)),
    ("status-429", failing(UPSTREAM, &["429 Too Many Requests"], REFUSED)),
    ("status-500", failing(UPSTREAM, &["500 Internal Server Error"], REFUSED)),
    ("status-503", failing(UPSTREAM, &["503 Service Unavailable"], REFUSED)),
    (
        "sumdb-blocked",
        failing(NETWORK, &["sum.golang.org"], "what go.sum lacks must not be used unless the database vouches for it"),
    ),
    ("tls11-only", failing(UPSTREAM, &["TLS"], "TLS 1.1 is not safe (RFC 8996), and Go does not speak it")),
    (
        "tls12-renegotiation",
        failing(
            UPSTREAM,
            &["goproxy.example.com"],
            "the server waits for a renegotiation that no client of Go's rule does",
        ),
    ),
    (
        "toolchain-download",
        absent(&["golang.org/toolchain", "404"], "the toolchain that the project asks for does not exist"),
    ),
    ("upstream-dead", failing(UPSTREAM, &["refused"], "nobody listens")),
    ("wrong-hash", failing(UPSTREAM, &["checksum mismatch", "h1:", "SECURITY ERROR"], FORGED)),
    ("wrong-mod-hash", failing(UPSTREAM, &["checksum mismatch", "h1:", "SECURITY ERROR"], FORGED)),
];

const UNTRUSTED: &str = "a server that cannot prove who it is must not be used";
const REFUSED: &str = "every request is answered so, however often it is made";
const FORGED: &str = "what is not what go.sum says must not be used";

impl Fault {
    /// Whether a client can survive it.
    #[must_use]
    pub fn survival(&self) -> Survival {
        let found = IMPOSSIBLE.iter().find(|(id, _)| *id == self.id);
        found.map_or(Survival::Possible, |(_, failing)| Survival::Impossible(*failing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::{all, find};

    #[test]
    fn what_cannot_be_survived_is_a_fault_of_the_lab() {
        assert!(IMPOSSIBLE.windows(2).all(|pair| pair[0].0 < pair[1].0), "sorted, and none twice");
        for (id, _) in IMPOSSIBLE {
            assert!(find(id).is_some(), "{id}");
        }
    }

    #[test]
    fn what_go_survives_can_be_survived() {
        let newest = "go1.27.3".parse().unwrap();
        for fault in all().iter().filter(|fault| fault.go.does(&newest) == crate::faults::GoDoes::Succeeds) {
            assert_eq!(fault.survival(), Survival::Possible, "{}", fault.id);
        }
    }
}
