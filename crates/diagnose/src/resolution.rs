//! Questions about the name resolutions of a path.

use std::time::Duration;

use goferry_net::resolve::Family;

use crate::case::PathView;
use crate::observation::{Fact, Peer};
use crate::stats::{self, Summary};

/// Whose name this machine must resolve: the forward proxy's where there is one, since that resolves
/// the origin itself.
#[must_use]
pub fn peer_that_matters(path: PathView<'_>) -> Peer {
    if path.is_proxied() { Peer::ForwardProxy } else { Peer::Origin }
}

/// The DNS record type of a family.
#[must_use]
pub const fn record(family: Family) -> &'static str {
    match family {
        Family::V4 => "A",
        Family::V6 => "AAAA",
    }
}

/// The name that was asked for, and how often; `None` for a literal address.
#[must_use]
pub fn asked<'a>(path: PathView<'a>, peer: Peer) -> Option<(&'a str, usize)> {
    let mut hosts = path.facts().filter_map(|fact| match fact {
        Fact::Resolved { peer: whose, host, .. } if *whose == peer => Some(host.as_str()),
        _ => None,
    });
    let first = hosts.next()?;
    Some((first, 1 + hosts.count()))
}

/// Times by family of the resolutions that were made.
#[must_use]
pub fn times<'a>(path: PathView<'a>, peer: Peer) -> Option<(&'a str, Vec<(Family, Summary)>)> {
    let (host, _) = asked(path, peer)?;
    let of = |family| {
        let taken = path.resolutions().filter(move |(whose, have, ..)| *whose == peer && *have == family);
        stats::summary(taken.map(|(.., took)| took)).map(|summary| (family, summary))
    };
    Some((host, [Family::V4, Family::V6].into_iter().filter_map(of).collect()))
}

/// Whether any resolution gave an address.
#[must_use]
pub fn any_address(path: PathView<'_>, peer: Peer) -> bool {
    path.resolutions().any(|(whose, _, answer, _)| whose == peer && answer.is_ok())
}

/// What each new connection pays: Go asks for both families at once and waits for both.
#[must_use]
pub fn time(path: PathView<'_>) -> Duration {
    times(path, peer_that_matters(path))
        .and_then(|(_, times)| times.iter().map(|(_, summary)| summary.p50).max())
        .unwrap_or_default()
}
