//! A TLS 1.2 server that asks for renegotiation, which Go refuses.

use crate::case::Case;
use crate::finding::{Evidence, Id};

use super::shared::failure;
use super::{Draft, Rule};

pub(super) const RULE: Rule = Rule { id: Id::TlsRenegotiation, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let paths = case.go_paths().filter(|path| path.facts().any(|fact| matches!(fact, crate::Fact::Renegotiation)));
    paths
        .map(|path| {
            Draft::new(
                Id::TlsRenegotiation,
                format!("{} asks for TLS renegotiation, which Go refuses", path.info.host),
                failure(case, path),
            )
            .on(path)
            .proof(Evidence::text("TLS version", path.tls().map(|tls| tls.version.clone()).unwrap_or_default()))
            .proof(Evidence::text("after the handshake the server sent", "a handshake record: HelloRequest"))
            .why(
                "net/http never enables renegotiation: the client answers with the alert no_renegotiation and the connection \
                 fails (crypto/tls/conn.go, handleRenegotiation). HTTP/2 forbids it altogether (RFC 9113 section 9.2.1).",
            )
            .verify(format!("curl -sv --tls-max 1.2 -o /dev/null {}/", path.info.entry))
        })
        .collect()
}
