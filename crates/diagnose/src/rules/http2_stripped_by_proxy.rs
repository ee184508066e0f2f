//! Somebody intercepts TLS and answers ALPN without h2.

use crate::case::Case;
use crate::finding::{Confidence, Evidence, Id};
use crate::price::Change;

use super::shared::interception;
use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::Http2StrippedByProxy, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths().filter(|path| path.tls().is_some() && !path.offers_h2()) {
        let twin = path.direct_twin(case).filter(|twin| twin.tls().is_some());
        let twin_h2 = twin.map(|twin| twin.offers_h2());
        // Where the origin itself, asked directly, has no h2 either, the interception takes nothing away.
        if twin_h2 == Some(false) {
            continue;
        }
        let Some(interception) = interception(case, path) else { continue };
        let tls = path.tls().expect("filtered above");
        let confidence =
            if twin_h2 == Some(true) { Confidence::Measured } else { interception.confidence.min(Confidence::Derived) };
        let draft = Draft::new(
            Id::Http2StrippedByProxy,
            format!("TLS to {} is intercepted and answered without HTTP/2", path.info.host),
            Effect::Costs(Change::SharedHttp2),
        )
        .on(path)
        .confidence(confidence)
        .proofs(interception.evidence)
        .proof(Evidence::text("ALPN offered", tls.alpn_offered.join(", ")))
        .proof(Evidence::text("ALPN chosen on this path", tls.alpn.clone().unwrap_or_else(|| "none".to_owned())))
        .proofs(twin.and_then(|twin| twin.tls()).map(|direct| {
            Evidence::text("ALPN chosen on the direct path", direct.alpn.clone().unwrap_or_else(|| "none".to_owned()))
        }))
        .why(
            "ALPN is end to end: a CONNECT proxy cannot change it, one that ends TLS itself can. Without h2 the go command \
             speaks HTTP/1.1 and keeps 2 idle connections a host (net/http/transport.go, DefaultMaxIdleConnsPerHost).",
        )
        .verify("goferry doctor --json | grep -A1 alpn");
        drafts.push(draft);
    }
    drafts
}
