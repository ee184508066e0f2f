//! The module proxy takes no connections.

use crate::case::Case;
use crate::finding::{Evidence, Id};
use crate::observation::Peer;

use super::shared::failure;
use super::{Draft, Rule};

pub(super) const RULE: Rule = Rule { id: Id::UpstreamUnreachable, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths() {
        let connects: Vec<_> = path.connects().filter(|(peer, ..)| *peer == Peer::Origin).collect();
        let connected = connects.iter().any(|(_, _, outcome, _)| outcome.is_ok());
        let through_proxy = path.tunnel_failure().filter(|failure| match failure.status {
            Some(status) => (502..=504).contains(&status),
            None => failure.error.kind == goferry_net::ErrorKind::Unreachable,
        });
        let handshake = path.tls_failure().filter(|error| {
            use goferry_net::ErrorKind::{Closed, Other, Protocol, Reset, TimedOut};
            matches!(error.kind, Closed | Reset | TimedOut | Protocol | Other) && !path.client_cert_requested()
        });
        let mut evidence = Vec::new();
        if !connects.is_empty() && !connected {
            let errors = connects.iter().filter_map(|(_, _, outcome, _)| outcome.err());
            evidence.extend(errors.take(4).map(|error| Evidence::text("TCP", error.to_string())));
        } else if let Some(failure) = through_proxy {
            evidence.push(Evidence::text("the forward proxy's answer", failure.error.to_string()));
        } else if let Some(error) = handshake {
            evidence.push(Evidence::text("TLS", error.to_string()));
        }
        if evidence.is_empty() {
            continue;
        }
        drafts.push(
            Draft::new(
                Id::UpstreamUnreachable,
                format!("{}:{} cannot be reached", path.info.host, path.info.port),
                failure(case, path),
            )
            .on(path)
            .proofs(evidence)
            .why(
                "A refused connection fails at once; one that is swallowed costs 30 s (net/http/transport.go, DefaultTransport's \
                 dialer), for each request that finds no connection. The go command then goes on only after `|` in GOPROXY.",
            )
            .verify(format!("curl -sv --connect-timeout 5 -o /dev/null {}/", path.info.entry)),
        );
    }
    drafts
}
