//! Connections end with GOAWAY after a number of requests.

use goferry_net::exchange::Outcome;

use crate::case::Case;
use crate::finding::{Evidence, Id};
use crate::observation::Fact;
use crate::price::Change;

use super::shared::{count, failure};
use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::GoawayChurn, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths() {
        let ends: Vec<_> = path.h2().filter_map(|(seen, _)| seen.goaways.first()).collect();
        let Some(first) = ends.first() else { continue };
        let (killed, _) =
            count(path, |outcome| matches!(outcome, Outcome::GoneAway { .. }) && first.last_stream_id != 0);
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
        let lie = lie(path);
        let per_connection: Vec<u32> =
            ends.iter().map(|goaway| if lie.is_some() { goaway.after_requests } else { goaway.served() }).collect();
        let most = per_connection.iter().copied().max().unwrap_or(0);
        let failing = broken > 0 || lie.is_some() || first.code != "NO_ERROR" || !path.serves();
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
            draft = draft.proof(Evidence::number(
                "responses promised or begun, and cut off by the GOAWAY",
                broken as f64,
                "",
            ));
        }
        if let Some((answered, last)) = lie {
            draft = draft.proof(Evidence::text(
                "the last stream id is wrong",
                format!("stream {answered} had been answered when GOAWAY said that nothing above {last} was processed"),
            ));
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

/// A stream that had been answered on a connection whose GOAWAY says that it was not processed, and
/// the last id that GOAWAY named. RFC 9113 section 6.8 forbids it; Go then gives up responses that
/// are still coming.
fn lie(path: crate::case::PathView<'_>) -> Option<(u32, u32)> {
    path.facts().find_map(|fact| {
        let Fact::Http2 { connection, seen, .. } = fact else { return None };
        let last = seen.goaways.first()?.last_stream_id;
        let answered = path.facts().filter_map(|other| match other {
            Fact::Exchanged { connection: on, exchange, .. } if on == connection && exchange.status.is_some() => {
                Some(exchange.stream_id)
            }
            _ => None,
        });
        answered.max().filter(|answered| *answered > last).map(|answered| (answered, last))
    })
}
