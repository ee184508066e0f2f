//! Name resolution takes long; Go keeps no cache of it.

use std::time::Duration;

use crate::case::{Case, PathView};
use crate::finding::{Evidence, Id};
use crate::price::Change;
use crate::resolution;

use super::shared::ms;
use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::DnsSlow, judge };

/// A resolver nearby answers from its cache in this.
const GOOD: Duration = Duration::from_millis(20);
/// Below this nobody notices.
const TOLERATED: Duration = Duration::from_millis(100);

fn judge(case: &Case<'_>) -> Vec<Draft> {
    case.go_paths().filter_map(slow).collect()
}

fn slow(path: PathView<'_>) -> Option<Draft> {
    let peer = resolution::peer_that_matters(path);
    let (host, times) = resolution::times(path, peer)?;
    let worst_family = times.iter().max_by_key(|(_, time)| time.p50)?;
    if worst_family.1.p50 < TOLERATED || !resolution::any_address(path, peer) {
        return None;
    }
    let draft = Draft::new(
        Id::DnsSlow,
        format!("resolving {host} takes {}", ms(worst_family.1.p50)),
        Effect::Costs(Change::FastDns(GOOD)),
    );
    Some(
        draft
            .on(path)
            .proofs(times.iter().flat_map(|(family, time)| {
                [
                    Evidence::millis(format!("{} ({}), p50", family.as_str(), resolution::record(*family)), time.p50),
                    Evidence::millis(format!("{} ({}), max", family.as_str(), resolution::record(*family)), time.max),
                ]
            }))
            .why(
                "Go resolves the name for each new connection, A and AAAA at once, waits for both, and keeps no cache \
                 (net/dnsclient_unix.go, goLookupIPCNAMEOrder). A name server that does not answer costs 5 s a try.",
            )
            .verify(format!("time getent ahosts {host}")),
    )
}
