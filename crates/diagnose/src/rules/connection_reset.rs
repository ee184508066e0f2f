//! Connections that are cut, go silent, or break the protocol while responses are awaited.

use goferry_net::exchange::Outcome;
use goferry_net::{ErrorKind, NetError};

use crate::case::Case;
use crate::finding::{Evidence, Id};

use super::shared::{client_certificate_demanded, count, failure};
use super::{Draft, Rule};

pub(super) const RULE: Rule = Rule { id: Id::ConnectionReset, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths().filter(|path| !client_certificate_demanded(*path)) {
        // Other findings own these: a server that never sent a frame, a bad preface, renegotiation.
        let first_frame = path.h2().next().is_none() || path.h2().any(|(seen, _)| seen.first_frame.is_some());
        let bad_preface = path.h2().any(|(seen, _)| seen.bad_preface);
        let renegotiated = path.facts().any(|fact| matches!(fact, crate::Fact::Renegotiation));
        let closed_at_once = path.h2().any(|(seen, _)| seen.first_frame.is_none() && seen.ended.is_some());
        if (!first_frame && !closed_at_once) || bad_preface || renegotiated {
            continue;
        }
        let (broken, sent) = count(path, is_break);
        let Some(first) = path.sent().find(|exchange| is_break(&exchange.outcome)) else { continue };
        let how = match &first.outcome {
            Outcome::Lost(error) => describe(error),
            Outcome::Truncated => "the body ended before its announced length".to_owned(),
            _ => "silence: neither data nor the answer to a PING".to_owned(),
        };
        let speaks_http1 = path.h2().next().is_none();
        let not_http =
            speaks_http1 && matches!(&first.outcome, Outcome::Lost(error) if error.kind == ErrorKind::Protocol);
        let title = if not_http {
            format!("{broken} of {sent} answers from {} are no HTTP that Go accepts", path.info.host)
        } else {
            format!("{broken} of {sent} requests to {} died with their connection", path.info.host)
        };
        let mut draft = Draft::new(Id::ConnectionReset, title, failure(case, path))
            .on(path)
            .proof(Evidence::text("how", how))
            .proof(Evidence::text("first one on", first.path.clone()))
            .proof(Evidence::number("octets of body that had come", first.body_bytes as f64, "B"));
        if let Some(length) = first.content_length() {
            draft = draft.proof(Evidence::number("octets announced", length as f64, "B"));
        }
        if path.h2().any(|(seen, _)| seen.hpack_broken) {
            draft = draft.proof(Evidence::text("header compression", "out of step: COMPRESSION_ERROR"));
            draft.code = Some("COMPRESSION_ERROR".to_owned());
        }
        drafts.push(
            draft
                .why(if speaks_http1 {
                    "The go command does not ask again for what was under way and never resumes a zip \
                     (cmd/go/internal/web/http.go): one response that breaks off or is malformed fails the command."
                } else {
                    "All streams of an HTTP/2 connection die with it. The go command does not ask again for what was under way \
                     and never resumes a zip (cmd/go/internal/web/http.go); on a connection that is silent without being closed \
                     it waits for the kernel to give up, minutes later: no PING is configured."
                })
                .verify("go clean -modcache && go mod download"),
        );
    }
    drafts
}

fn is_break(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Lost(_) | Outcome::Truncated | Outcome::Stalled { ping_answered: Some(false) } => true,
        Outcome::Stalled { .. }
        | Outcome::Complete
        | Outcome::Stopped
        | Outcome::Reset { .. }
        | Outcome::GoneAway { .. }
        | Outcome::Unsent => false,
    }
}

fn describe(error: &NetError) -> String {
    match error.kind {
        ErrorKind::Reset => format!("TCP reset ({error})"),
        ErrorKind::Closed => format!("closed by the peer ({error})"),
        ErrorKind::Protocol => format!("protocol error ({error})"),
        _ => error.to_string(),
    }
}
