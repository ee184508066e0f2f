//! RST_STREAM from the server.

use std::collections::BTreeMap;

use crate::case::Case;
use crate::finding::{Evidence, Id};
use crate::price::Change;

use super::shared::failure;
use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::StreamReset, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths() {
        let low_limit = path.h2().any(|(seen, _)| {
            seen.settings
                .as_ref()
                .and_then(|(settings, _)| settings.max_concurrent_streams())
                .is_some_and(|limit| limit < 100)
        });
        let resets: Vec<_> = path
            .h2()
            .flat_map(|(seen, _)| &seen.resets)
            // Refusing what exceeds a low limit has a finding of its own: max-concurrent-streams-low.
            .filter(|reset| !(low_limit && reset.code == "REFUSED_STREAM"))
            .collect();
        let Some(first) = resets.first() else { continue };
        let mut by_code: BTreeMap<&str, usize> = BTreeMap::new();
        resets.iter().for_each(|reset| *by_code.entry(reset.code.as_str()).or_default() += 1);
        let inside = resets.iter().filter(|reset| reset.inside_body).count();
        let sent = path.sent().count();
        let only_refused = by_code.len() == 1 && first.code == "REFUSED_STREAM";
        let effect = if only_refused && path.serves() { Effect::Costs(Change::NoResets) } else { failure(case, path) };
        let codes: Vec<String> = by_code.iter().map(|(code, count)| format!("{code} ×{count}")).collect();
        let mut draft = Draft::new(
            Id::StreamReset,
            format!("{} of {sent} requests to {} ended with RST_STREAM {}", resets.len(), path.info.host, first.code),
            effect,
        )
        .on(path)
        .proof(Evidence::text("RST_STREAM codes", codes.join(", ")))
        .proof(Evidence::number("before the body", (resets.len() - inside) as f64, ""))
        .proof(Evidence::number("inside the body", inside as f64, ""))
        .proof(Evidence::text("first one on", first.path.clone()))
        .why(why(&first.code))
        .verify("GODEBUG=http2debug=2 go mod download 2>&1 | grep 'read RST_STREAM'");
        draft.code = Some(first.code.clone());
        drafts.push(draft);
    }
    drafts
}

fn why(code: &str) -> &'static str {
    match code {
        "REFUSED_STREAM" => {
            "Go tries a refused stream again up to 7 times, waiting 0, 0, 1, 2, 4, 8, 16 and 32 s, and fails after 65 s \
             (net/http/internal/http2/transport.go, RoundTripOpt)."
        }
        "PROTOCOL_ERROR" => {
            "Up to Go 1.26 a PROTOCOL_ERROR from the peer makes the client reconnect without end; Go 1.27 fails at once. \
             Nothing is fetched in either."
        }
        _ => {
            "The go command has no retries of its own (cmd/go/internal/web/http.go) and never asks for the rest of a broken \
             zip: one reset stream fails the command."
        }
    }
}
