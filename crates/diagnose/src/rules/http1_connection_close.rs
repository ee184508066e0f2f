//! HTTP/1.1 without keep-alive: a new connection for each request.

use crate::case::Case;
use crate::finding::{Evidence, Id};
use crate::price::Change;

use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::Http1ConnectionClose, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths().filter(crate::case::PathView::closes_each_time) {
        let (closed, all) = path.closes();
        drafts.push(
            Draft::new(
                Id::Http1ConnectionClose,
                format!("{} closes the connection after each response", path.info.host),
                Effect::Costs(Change::KeepAlive),
            )
            .on(path)
            .proof(Evidence::number("responses after which the connection was closed", closed as f64, ""))
            .proof(Evidence::number("responses", all as f64, ""))
            .why(
                "Each request then pays for a TCP and a TLS handshake, and starts with TCP's initial window. The go command \
                 honours Connection: close (net/http/transfer.go, shouldClose).",
            )
            .verify(format!("curl -sv {0}/ {0}/ 2>&1 | grep -i -E '^< connection|re-us'", path.info.entry)),
        );
    }
    drafts
}
