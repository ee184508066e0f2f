//! SETTINGS_MAX_CONCURRENT_STREAMS below what the go command wants to have open.

use crate::case::Case;
use crate::finding::{Evidence, Id};
use crate::price::Change;

use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::MaxConcurrentStreamsLow, judge };

/// RFC 9113 section 6.5.2 recommends no less than this.
const RECOMMENDED: u32 = 100;

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let wanted = case.price.client.gomaxprocs;
    let mut drafts = Vec::new();
    for path in case.go_paths() {
        let limits = path.h2().filter_map(|(seen, _)| seen.settings.as_ref()?.0.max_concurrent_streams());
        let Some(limit) = limits.min().filter(|limit| *limit < RECOMMENDED.min(wanted.max(8))) else { continue };
        let refused =
            path.h2().flat_map(|(seen, _)| &seen.resets).filter(|reset| reset.code == "REFUSED_STREAM").count();
        let mut draft = Draft::new(
            Id::MaxConcurrentStreamsLow,
            format!("{} allows {limit} streams on a connection, the go command wants {wanted}", path.info.host),
            Effect::Costs(Change::MaxConcurrentStreams(RECOMMENDED)),
        )
        .on(path)
        .proof(Evidence::number("SETTINGS_MAX_CONCURRENT_STREAMS", f64::from(limit), "streams"))
        .proof(Evidence::number("requests that the go command has open at once (GOMAXPROCS)", f64::from(wanted), ""))
        .why(
            "At the limit Go opens another connection for each request that does not fit \
             (net/http/internal/http2/client_conn_pool.go), and before the SETTINGS arrive it assumes 100: what is sent too \
             early may be refused, and waits 1, 2, 4 … s before it is tried again.",
        )
        .verify(format!("nghttp -nv {}/ | grep MAX_CONCURRENT_STREAMS", path.info.entry));
        if refused > 0 {
            draft = draft.proof(Evidence::number("streams refused (RST_STREAM REFUSED_STREAM)", refused as f64, ""));
        }
        drafts.push(draft);
    }
    drafts
}
