//! The name has IPv6 addresses that do not work, or stall.

use goferry_net::ErrorKind;
use goferry_net::resolve::Family;

use crate::case::Case;
use crate::finding::{Evidence, Id};
use crate::price::Change;
use crate::resolution;

use super::shared::{failure, ms};
use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::Ipv6Broken, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths() {
        let peer = resolution::peer_that_matters(path);
        let of = |family: Family| path.connects().filter(move |(whose, have, ..)| *whose == peer && *have == family);
        let v4_works = of(Family::V4).any(|(_, _, outcome, _)| outcome.is_ok());
        let v6: Vec<_> = of(Family::V6).collect();
        if v6.is_empty() || !v4_works {
            continue;
        }
        let failed: Vec<_> =
            v6.iter().filter_map(|(_, _, outcome, took)| outcome.err().map(|error| (error, *took))).collect();
        let stalls = path.facts().any(|fact| matches!(fact, crate::Fact::V6Stalls { .. }));
        if !stalls && failed.len() * 2 <= v6.len() {
            continue;
        }
        // Without a route Go puts IPv6 last and loses nothing: no word about it (net/addrselect.go).
        if !stalls && failed.iter().all(|(error, _)| error.kind == ErrorKind::Unreachable) {
            continue;
        }
        let swallowed = failed.iter().any(|(error, _)| error.kind == ErrorKind::TimedOut);
        let effect = match (stalls, swallowed) {
            (true, _) => failure(case, path),
            // Happy Eyeballs: IPv4 is tried after 300 ms for every connection.
            (false, true) => Effect::Costs(Change::FastDns(crate::pricing::dns_time(path))),
            (false, false) => Effect::Notes(None),
        };
        let title = match (stalls, swallowed) {
            (true, _) => format!("IPv6 to {} connects and then stalls: the go command hangs", path.info.host),
            (false, true) => format!("IPv6 to {} is swallowed: each connection loses 300 ms", path.info.host),
            (false, false) => format!("IPv6 to {} fails at once; IPv4 is used", path.info.host),
        };
        let stalled_after = path.facts().find_map(|fact| match fact {
            crate::Fact::V6Stalls { waited, .. } => Some(*waited),
            _ => None,
        });
        drafts.push(
            Draft::new(Id::Ipv6Broken, title, effect)
                .on(path)
                .proofs(failed.iter().take(3).map(|(error, took)| {
                    Evidence::text(format!("IPv6 after {}", ms(*took)), error.to_string())
                }))
                .proofs(stalled_after.map(|waited| Evidence::millis("IPv6: TCP connects, TLS gets no answer within", waited)))
                .proofs(of(Family::V4).filter(|(_, _, outcome, _)| outcome.is_ok()).map(|(.., took)| Evidence::millis("IPv4 connects in", took)).take(1))
                .why(
                    "Go tries IPv6 first and IPv4 only after 300 ms (net/dial.go, Dialer.FallbackDelay; RFC 6555). Once a TCP \
                     connection stands there is no way back: if it stalls afterwards, the command waits.",
                )
                .verify(format!("curl -6 -sv -o /dev/null {}/", path.info.entry)),
        );
    }
    drafts
}
