//! Idle connections are closed before Go would close them (only seen with `--deep`).

use std::time::Duration;

use crate::case::Case;
use crate::finding::{Evidence, Id};

use super::shared::secs;
use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::IdleTimeoutShort, judge };

/// Go's IdleConnTimeout (net/http/transport.go, DefaultTransport).
const GO_IDLE: Duration = Duration::from_secs(90);
/// What the go command may pause between two requests on a connection: unpacking, or a version control command.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths() {
        let ends = path.facts().filter_map(|fact| match fact {
            crate::Fact::Idle { ended_after: Some(after), http, .. } if *after < LONGEST_PAUSE => Some((*after, *http)),
            _ => None,
        });
        let Some((after, http)) = ends.min_by_key(|(after, _)| *after) else { continue };
        // One more connection for each pause that is longer: at most a handshake each, which no schedule can foresee.
        let effect = if after < Duration::from_secs(5) { Effect::Warns } else { Effect::Notes(None) };
        drafts.push(
            Draft::new(Id::IdleTimeoutShort, format!("{} closes idle connections after {}", path.info.host, secs(after)), effect)
                .on(path)
                .proof(Evidence::number("idle time until the connection was closed", (after.as_secs_f64() * 100.0).round() / 100.0, "s"))
                .proof(Evidence::text("protocol", http.as_str()))
                .proof(Evidence::number("Go keeps an idle connection for", GO_IDLE.as_secs_f64(), "s"))
                .why(
                    "Go keeps idle connections for 90 s (net/http/transport.go, IdleConnTimeout). A server that closes earlier \
                     makes it dial again after each pause, and a request that meets the close on its way can fail.",
                )
                .verify("goferry doctor --deep"),
        );
    }
    drafts
}
