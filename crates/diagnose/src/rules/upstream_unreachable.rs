//! The module proxy takes no connections.

use crate::case::{Case, PathView};
use crate::finding::{Evidence, Id};
use crate::observation::{PathInfo, Peer};
use crate::price::Change;

use super::shared::failure;
use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::UpstreamUnreachable, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = directories(case);
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
                format!("{} cannot be reached", address(path)),
                failure(case, path),
            )
            .on(path)
            .proofs(evidence)
            .why(
                "A refused connection fails at once; one that is swallowed costs 30 s (net/http/transport.go, DefaultTransport's \
                 dialer), for each request that finds no connection. The go command then goes on only after `|` in GOPROXY.",
            )
            .verify(format!("curl -sv --connect-timeout 5 -o /dev/null '{}'", path.info.entry)),
        );
    }
    drafts
}

/// `file://` entries whose directory is not there. A directory that is not there has no file either: like a 404 it
/// sends the go command to the next entry, whatever the separator (cmd/go/internal/modfetch/proxy.go, getBody).
fn directories(case: &Case<'_>) -> Vec<Draft> {
    let around = case.environment;
    let dead = around.dead_directories.iter().map(|(position, path, error)| {
        let last = position + 1 == around.goproxy.entries().len();
        let shown = path.display();
        let mut draft = Draft::new(
            Id::UpstreamUnreachable,
            format!("{shown}, the module proxy in GOPROXY, cannot be read"),
            if last { Effect::Fails } else { Effect::Notes(None) },
        )
        .proof(Evidence::text("reading it", error.clone()))
        .why("The go command reads modules from the directory of a file:// entry (cmd/go/internal/modfetch/proxy.go).")
        .verify("ls -d \"$(go env GOPROXY | sed 's#^file://##; s#[,|].*##')\"");
        draft.code = Some(crate::remedy::NO_DIRECTORY.to_owned());
        draft
    });
    dead.collect()
}

/// A path of the go command's on which nothing was answered, for a reason that no rule knows: a TLS alert, an end without
/// a word after the handshake. Whatever it is, the go command fails as well.
pub(super) fn last_resort(case: &Case<'_>, known: &[Draft]) -> Vec<Draft> {
    let named = |path: PathView<'_>| {
        known.iter().any(|draft| {
            draft.path == Some(path.id)
                && matches!(draft.effect, Effect::Fails | Effect::Warns | Effect::Costs(Change::NoFallback(_)))
        })
    };
    let mute = case.go_paths().filter(|path| {
        let asked = failure(case, *path) != Effect::Notes(None);
        asked && !path.sent().any(goferry_net::Exchange::answered) && !named(*path)
    });
    mute.filter_map(|path| {
        let handshake = path.tls_failure().map(|error| Evidence::text("TLS", error.to_string()));
        let ended = path.h2().find_map(|(seen, _)| seen.ended.as_ref());
        let ended = ended.map(|(error, _)| Evidence::text("HTTP/2, before any answer", error.to_string()));
        let request = path.sent().next().map(|exchange| Evidence::text("first request", format!("{:?}", exchange.outcome)));
        let evidence = handshake.or(ended).or(request)?;
        let draft = Draft::new(
            Id::UpstreamUnreachable,
            format!("{} takes connections and answers nothing", address(path)),
            failure(case, path),
        );
        Some(
            draft
                .on(path)
                .proof(evidence)
                .why(
                    "The go command does not ask a second time (cmd/go/internal/web/http.go). It goes on to the next entry \
                     only after `|` in GOPROXY.",
                )
                .verify(format!("curl -sv --connect-timeout 5 -o /dev/null '{}'", path.info.entry)),
        )
    })
    .collect()
}

/// Host and port, as they are dialled: an IPv6 address stands in brackets.
fn address(path: PathView<'_>) -> String {
    let PathInfo { host, port, .. } = path.info;
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
