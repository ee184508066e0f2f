//! Connections end with GOAWAY after a number of requests.

use goferry_net::exchange::Outcome;

use crate::case::Case;
use crate::finding::{Evidence, Id};
use crate::price::Change;

use super::shared::{count, failure};
use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::GoawayChurn, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths() {
        let ends: Vec<_> = path.h2().filter_map(|(seen, _)| seen.goaways.first()).collect();
        let Some(first) = ends.first() else { continue };
        let (killed, _) = count(path, |outcome| {
            matches!(outcome, Outcome::GoneAway { .. }) && first.last_stream_id != 0
        });
        // A stream that GOAWAY promised to finish and that was not fails in Go, and so does one above the
        // last id whose response had begun; the others above it are sent again.
        let broken = path
            .sent()
            .filter(|exchange| match &exchange.outcome {
                Outcome::GoneAway { last_stream_id, .. } => {
                    exchange.stream_id <= *last_stream_id || exchange.status.is_some()
                }
                _ => false,
            })
            .count();
        let per_connection: Vec<u32> = ends.iter().map(|goaway| goaway.after_requests).collect();
        let most = per_connection.iter().copied().max().unwrap_or(0);
        let failing = broken > 0 || first.code != "NO_ERROR" || !path.serves();
        let effect = if failing { failure(case, path) } else { Effect::Costs(Change::NoGoAway) };
        let mut draft = Draft::new(
            Id::GoawayChurn,
            format!("{} ends connections with GOAWAY {} after {most} requests", path.info.host, first.code),
            effect,
        )
        .on(path)
        .proof(Evidence::text("GOAWAY error code", first.code.clone()))
        .proof(Evidence::number("last stream id", f64::from(first.last_stream_id), ""))
        .proof(Evidence::text(
            "requests on each connection before it",
            per_connection.iter().map(u32::to_string).collect::<Vec<_>>().join(", "),
        ));
        if !first.debug.is_empty() {
            draft = draft.proof(Evidence::text("GOAWAY debug data", first.debug.clone()));
        }
        if broken > 0 {
            draft = draft.proof(Evidence::number("responses promised or begun, and cut off by the GOAWAY", broken as f64, ""));
        }
        if killed > broken {
            draft = draft.proof(Evidence::number("requests to be sent again", (killed - broken) as f64, ""));
        }
        draft.code = Some(first.code.clone());
        drafts.push(
            draft
                .why(
                    "After GOAWAY Go takes the connection out of its pool and dials anew, one handshake for each request that \
                     waits. Streams above the last id are sent again; those at or below it wait, and if the server closes first \
                     the command fails: \"server sent GOAWAY and closed the connection\" \
                     (net/http/internal/http2/transport.go, setGoAway).",
                )
                .verify("GODEBUG=http2debug=1 go mod download 2>&1 | grep -c 'received GOAWAY'"),
        );
    }
    drafts
}
