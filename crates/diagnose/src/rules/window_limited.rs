//! A window of the sender's side, or on the way, caps each stream; or a body stops though the connection lives.

use std::time::Duration;

use goferry_net::exchange::{Exchange, Outcome};

use crate::case::{Case, PathView};
use crate::finding::{Confidence, Evidence, Id};
use crate::price::Change;

use super::shared::{failure, rate};
use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::WindowLimited, judge };

const WHY: &str = "Go's client offers 4 MiB a stream and 1 GiB a connection (net/http/internal/http2/transport.go), so the \
                   window that is full belongs to a proxy on the way or to the server's own buffers: it sends at most one \
                   window for each round trip.";

fn judge(case: &Case<'_>) -> Vec<Draft> {
    case.go_paths().filter_map(|path| stalled(case, path).or_else(|| capped(path))).collect()
}

fn stalled(case: &Case<'_>, path: PathView<'_>) -> Option<Draft> {
    let body_stops = |exchange: &&Exchange| {
        exchange.status.is_some()
            && exchange.content_length().is_none_or(|length| exchange.body_bytes < length)
            && exchange.outcome == (Outcome::Stalled { ping_answered: Some(true) })
    };
    let exchange = path.sent().find(body_stops)?;
    let draft = Draft::new(
        Id::WindowLimited,
        format!(
            "a body from {} stops after {} octets while the connection lives: the go command hangs",
            path.info.host, exchange.body_bytes
        ),
        failure(case, path),
    );
    Some(
        draft
            .on(path)
            .proof(Evidence::text("path", exchange.path.clone()))
            .proof(Evidence::number("octets of body that came", exchange.body_bytes as f64, "B"))
            .proof(Evidence::number("octets announced", exchange.content_length().unwrap_or(0) as f64, "B"))
            .proof(Evidence::text("PING during the silence", "answered"))
            .proof(Evidence::number("stream window that was open", f64::from(goferry_net::h2::GO_STREAM_WINDOW), "B"))
            .why(format!("{WHY} The go command sets no time-out, so a sender that never goes on hangs it."))
            .verify("go clean -modcache && go mod download"),
    )
}

/// Bursts of the same size, one each round trip, without loss: a window.
fn capped(path: PathView<'_>) -> Option<Draft> {
    let round_trip = path.round_trip()?;
    if round_trip < Duration::from_millis(3)
        || path
            .facts()
            .any(|fact| matches!(fact, crate::Fact::Goodput { out_of_order: Some(share), .. } if *share > 0.0))
    {
        return None;
    }
    let (exchange, window, bursts) = path
        .sent()
        .filter(|exchange| exchange.body_bytes > 100_000)
        .filter_map(|exchange| {
            even_bursts(&exchange.arrivals, round_trip).map(|(window, bursts)| (exchange, window, bursts))
        })
        .max_by_key(|(.., bursts)| *bursts)?;
    let ceiling = window as f64 * 8.0 / round_trip.as_secs_f64();
    Some(
        Draft::new(
            Id::WindowLimited,
            format!(
                "{} sends {} KiB a round trip and no more: {} a stream at most",
                path.info.host,
                window / 1024,
                rate(ceiling)
            ),
            Effect::Costs(Change::WindowFull),
        )
        .on(path)
        .confidence(Confidence::Derived)
        .proof(Evidence::number("window", window as f64, "B"))
        .proof(Evidence::millis("round trip", round_trip))
        .proof(Evidence::number("bursts of that size, each followed by silence", bursts as f64, ""))
        .proof(Evidence::text("path", exchange.path.clone()))
        .why(WHY)
        .verify("goferry doctor --deep"),
    )
}

/// The size that most bursts share, and how many have it: at least 4 in a row, after which nothing
/// grew, each followed by at least half a round trip of silence.
pub(crate) fn even_bursts(arrivals: &[(Duration, u64)], round_trip: Duration) -> Option<(u64, usize)> {
    let mut bursts: Vec<u64> = Vec::new();
    let mut start = 0;
    for pair in arrivals.windows(2) {
        let [(before, bytes), (after, _)] = pair else { continue };
        if after.saturating_sub(*before) > round_trip / 2 {
            bursts.push(bytes - start);
            start = *bytes;
        }
    }
    // The last burst has no silence after it and does not count; the first may be short.
    let last = *bursts.last()?;
    let run = bursts.iter().rev().take_while(|size| size.abs_diff(last) * 10 <= last).count();
    (run >= 4 && last >= 4096).then_some((last, run))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(sizes: &[u64]) -> Vec<(Duration, u64)> {
        let mut total = 0;
        let mut points = Vec::new();
        for (i, size) in sizes.iter().enumerate() {
            for part in 0..4u64 {
                total += size / 4;
                points.push((Duration::from_millis(50 * i as u64 + part), total));
            }
        }
        points
    }

    #[test]
    fn a_window_shows_as_even_bursts() {
        let round_trip = Duration::from_millis(50);
        assert_eq!(even_bursts(&arrivals(&[65_536; 8]), round_trip), Some((65_536, 7)));
    }

    #[test]
    fn slow_start_is_no_window() {
        let round_trip = Duration::from_millis(50);
        let growing: Vec<u64> = (0..8).map(|n| 14_600 << n).collect();
        assert_eq!(even_bursts(&arrivals(&growing), round_trip), None);
        assert_eq!(even_bursts(&[], round_trip), None);
    }
}
