//! TLS 1.2: one round trip more for each connection. Below: Go refuses.

use goferry_net::ErrorKind;

use crate::case::Case;
use crate::finding::{Confidence, Evidence, Id};
use crate::price::Change;

use super::shared::{client_certificate_demanded, failure};
use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::TlsOld, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths() {
        if let Some(tls) = path.tls().filter(|tls| tls.version == "TLSv1.2") {
            let renegotiates = path.facts().any(|fact| matches!(fact, crate::Fact::Renegotiation));
            if renegotiates || client_certificate_demanded(path) {
                continue;
            }
            drafts.push(
                Draft::new(
                    Id::TlsOld,
                    format!("{} speaks TLS 1.2: one round trip more for each new connection", path.info.host),
                    Effect::Costs(Change::Tls13),
                )
                .on(path)
                .proof(Evidence::text("TLS version chosen", tls.version.clone()))
                .proof(Evidence::text("cipher suite", tls.cipher.clone()))
                .why(
                    "A full TLS 1.2 handshake takes two round trips, TLS 1.3 one (RFC 8446 section 2). The go command has no \
                     session cache (http.DefaultTransport sets no ClientSessionCache), so each connection pays it.",
                )
                .verify(format!("openssl s_client -connect {}:{} -tls1_3 </dev/null | grep Protocol", path.info.host, path.info.port)),
            );
        } else if let Some(error) = path.tls_failure()
            && matches!(&error.kind, ErrorKind::Alert(name) if name == "protocol_version")
        {
            drafts.push(
                Draft::new(
                    Id::TlsOld,
                    format!("{} speaks no TLS version that Go accepts (1.2 and 1.3)", path.info.host),
                    failure(case, path),
                )
                .on(path)
                .confidence(Confidence::Derived)
                .proof(Evidence::text("handshake with TLS 1.2 and 1.3 offered", error.to_string()))
                .why("Go's client offers TLS 1.2 and newer since Go 1.18 (crypto/tls/common.go, supportedVersions).")
                .verify(format!(
                    "openssl s_client -connect {}:{} -tls1_2 </dev/null | grep Protocol",
                    path.info.host, path.info.port
                )),
            );
        }
    }
    drafts
}
