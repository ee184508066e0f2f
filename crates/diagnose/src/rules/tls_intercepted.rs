//! TLS is intercepted, and HTTP/2 survives it: worth knowing, nothing to repair.

use crate::case::Case;
use crate::finding::{Evidence, Id};

use super::shared::interception;
use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::TlsIntercepted, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths() {
        // Where HTTP/2 is lost, the finding is http2-stripped-by-proxy.
        let twin_lacks_h2 = path.direct_twin(case).is_some_and(|twin| twin.tls().is_some() && !twin.offers_h2());
        if !path.offers_h2() && !twin_lacks_h2 {
            continue;
        }
        let Some(interception) = interception(case, path) else { continue };
        let alpn = path.tls().and_then(|tls| tls.alpn.clone()).unwrap_or_else(|| "none".to_owned());
        drafts.push(
            Draft::new(
                Id::TlsIntercepted,
                format!("TLS to {} is intercepted; the protocol is kept", path.info.host),
                Effect::Notes(None),
            )
            .on(path)
            .confidence(interception.confidence)
            .proofs(interception.evidence)
            .proof(Evidence::text("ALPN chosen on this path", alpn))
            .why(
                "An interceptor sees and re-encrypts everything; the go command still checks go.sum and the checksum \
                     database, so modules cannot be changed unnoticed. What it costs is inside the request times.",
            )
            .verify(format!(
                "openssl s_client -connect {}:{} -alpn h2 </dev/null | grep -E 'issuer|ALPN'",
                path.info.host, path.info.port
            )),
        );
    }
    drafts
}
