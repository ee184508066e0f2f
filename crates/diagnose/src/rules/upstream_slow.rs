//! The origin, not the network, takes the time.

use std::time::Duration;

use goferry_net::exchange::Outcome;

use crate::case::Case;
use crate::finding::{Evidence, Id};
use crate::observation::Load;
use crate::price::Change;

use super::shared::{failure, ms, secs};
use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::UpstreamSlow, judge };

/// What a module proxy that has the file needs.
const GOOD: Duration = Duration::from_millis(10);
/// Below this nobody notices.
const TOLERATED: Duration = Duration::from_millis(50);

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths() {
        let silent = path.exchanges().find(|(exchange, load, _)| match exchange.outcome {
            // A body that stops on a living connection is window-limited.
            Outcome::Stalled { ping_answered: Some(true) } => exchange.status.is_none(),
            // HTTP/1.1 has no PING: silence is all there is to see. A zip that does not end in time may be a long one;
            // a small file that does not is a hang.
            Outcome::Stalled { ping_answered: None } => match exchange.status {
                None => exchange.stream_id == 0,
                Some(_) => *load != Load::Large,
            },
            _ => false,
        });
        if let Some((exchange, ..)) = silent {
            let title = match exchange.status {
                None => format!("{} gave no answer within {}", path.info.host, secs(exchange.took)),
                Some(_) => {
                    format!("{} began an answer and did not end it within {}", path.info.host, secs(exchange.took))
                }
            };
            drafts.push(
                Draft::new(
                    Id::UpstreamSlow,
                    title,
                    failure(case, path),
                )
                .on(path)
                .proof(Evidence::text("path", exchange.path.clone()))
                .proof(Evidence::millis("waited", exchange.took))
                .proofs(exchange.status.map(|_| Evidence::number("octets of body that had come", exchange.body_bytes as f64, "B")))
                .proofs(path.ping_times().map(|times| Evidence::millis("PING round trip meanwhile", times.p50)))
                .why("The go command has no time-out for a response (cmd/go/internal/web/http.go): it waits for as long as it takes.")
                .verify(format!("curl -s -o /dev/null -w '%{{time_starttransfer}} %{{time_total}}\\n' {}{}", path.info.entry, exchange.path)),
            );
            continue;
        }
        let (Some(think), Some(round_trip), Some(times)) = (path.think_time(), path.round_trip(), path.request_times())
        else {
            continue;
        };
        if think < TOLERATED || think < round_trip {
            continue;
        }
        let source = if path.ping_times().is_some() { "PING" } else { "TCP handshake" };
        drafts.push(
            Draft::new(
                Id::UpstreamSlow,
                format!("{} takes {} for a request, the network {}", path.info.host, ms(think), ms(round_trip)),
                Effect::Costs(Change::ThinkTime(GOOD)),
            )
            .on(path)
            .proof(Evidence::millis("request to first byte, p50", times.p50))
            .proof(Evidence::millis("request to first byte, p95", times.p95))
            .proof(Evidence::millis(format!("round trip of the network ({source}), least"), round_trip))
            .proof(Evidence::millis("the origin's share", think))
            .proof(Evidence::number("requests measured", times.count as f64, ""))
            .why(
                "go mod download asks for the .info of each module one after another (cmd/go/internal/modload/list.go): what \
                 the origin takes for a request is paid once for each module.",
            )
            .verify(format!("curl -s -o /dev/null -w '%{{time_connect}} %{{time_starttransfer}}\\n' {}/", path.info.entry)),
        );
    }
    drafts
}
