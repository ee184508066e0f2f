//! h2 was agreed on, and the server never sends a frame.

use goferry_net::ErrorKind;

use crate::case::Case;
use crate::finding::{Evidence, Id};

use super::shared::{failure, secs};
use super::{Draft, Rule};

pub(super) const RULE: Rule = Rule { id: Id::SettingsMissing, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths() {
        let all: Vec<_> = path.h2().collect();
        let silent = all.iter().filter(|(seen, _)| {
            let ended = seen.ended.as_ref().is_some_and(|(error, _)| error.kind != ErrorKind::TimedOut);
            seen.first_frame.is_none() && !ended
        });
        let waited = silent.clone().map(|(_, waited)| *waited).max();
        let silent = silent.count();
        let Some(waited) = waited.filter(|_| silent == all.len()) else { continue };
        drafts.push(
            Draft::new(
                Id::SettingsMissing,
                format!("{} agrees on h2 and then sends nothing: the go command hangs", path.info.host),
                failure(case, path),
            )
            .on(path)
            .proof(Evidence::text("ALPN chosen", "h2"))
            .proof(Evidence::number("connections without a single frame", silent as f64, ""))
            .proof(Evidence::text("waited for SETTINGS", secs(waited)))
            .why(
                "Go's HTTP/2 client has no timer for the server's SETTINGS and no fallback to HTTP/1.1: it sends its requests \
                 at once and waits (net/http/internal/http2/transport.go, newClientConn). The go command sets no time-out.",
            )
            .verify(format!("nghttp -nv --timeout=5 {}/", path.info.entry)),
        );
    }
    drafts
}
