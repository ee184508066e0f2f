//! How fast bytes come, over one flow and over several, and whether segments get lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use goferry_net::exchange::Exchange;
use goferry_net::tcp_info::{TcpInfo, TcpWatch};

use crate::observation::Fact;

/// How often `TCP_INFO` is read while bytes come.
const STEP: Duration = Duration::from_millis(3);

/// What `TCP_INFO` showed during a transfer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Losses {
    episodes: u32,
    out_of_order: u64,
    segments: u64,
    known: bool,
}

/// Watches a connection until `done`: each time out-of-order arrival begins anew is an episode.
pub(super) async fn watch_losses(watch: Option<&TcpWatch>, done: &AtomicBool) -> Losses {
    let Some((watch, first)) = watch.and_then(|watch| Some((watch, watch.read()?))) else {
        return Losses::default();
    };
    let (mut last, mut episodes, mut quiet) = (first, 0, true);
    loop {
        let finished = done.load(Ordering::Relaxed);
        let Some(now) = watch.read() else { break };
        let grew = now.rcv_ooopack > last.rcv_ooopack;
        episodes += u32::from(grew && quiet);
        quiet = !grew;
        last = now;
        if finished {
            break;
        }
        tokio::time::sleep(STEP).await;
    }
    let since = |get: fn(&TcpInfo) -> u32| u64::from(get(&last).saturating_sub(get(&first)));
    Losses {
        episodes,
        out_of_order: since(|info| info.rcv_ooopack),
        segments: since(|info| info.data_segs_in),
        known: true,
    }
}

/// The transfers of one connection.
pub(super) struct Flow {
    /// Octets by time since the connection's start, over all its streams.
    arrivals: Vec<(Duration, u64)>,
    losses: Losses,
}

impl Flow {
    /// Merges what came on all streams of a connection.
    pub(super) fn new(exchanges: &[Exchange], losses: Losses) -> Flow {
        let mut steps: Vec<(Duration, u64)> = Vec::new();
        for exchange in exchanges {
            let mut before = 0;
            for (at, bytes) in &exchange.arrivals {
                steps.push((exchange.sent + *at, bytes - before));
                before = *bytes;
            }
        }
        steps.sort_unstable();
        let mut total = 0;
        let arrivals = steps.into_iter().map(|(at, bytes)| {
            total += bytes;
            (at, total)
        });
        Flow { arrivals: arrivals.collect(), losses }
    }

    /// The goodput of flows that ran at once; `None` where too little came to say anything.
    pub(super) fn goodput(flows: &[Flow], round_trip: Duration) -> Option<Fact> {
        let busy: Vec<&Flow> = flows.iter().filter(|flow| flow.arrivals.len() > 4).collect();
        let losses = busy.iter().fold(Losses::default(), |sum, flow| Losses {
            episodes: sum.episodes + flow.losses.episodes,
            out_of_order: sum.out_of_order + flow.losses.out_of_order,
            segments: sum.segments + flow.losses.segments,
            known: sum.known || flow.losses.known,
        });
        let rates: Vec<Rate> = busy.iter().filter_map(|flow| Rate::of(&flow.arrivals, round_trip)).collect();
        let bytes: u64 = rates.iter().map(|rate| rate.bytes).sum();
        let took = rates.iter().map(|rate| rate.took).max()?;
        let share = losses.out_of_order as f64 / losses.segments.max(1) as f64;
        Some(Fact::Goodput {
            flows: u32::try_from(rates.len()).unwrap_or(u32::MAX),
            bytes,
            took,
            out_of_order: losses.known.then_some(share.min(1.0)),
            loss_episodes: losses.episodes,
            segments: losses.segments,
            settled: rates.iter().all(|rate| rate.settled),
        })
    }
}

/// A rate after the start, in which TCP had to find it.
struct Rate {
    bytes: u64,
    took: Duration,
    settled: bool,
}

impl Rate {
    fn of(arrivals: &[(Duration, u64)], round_trip: Duration) -> Option<Rate> {
        let (first, last) = (arrivals.first()?, arrivals.last()?);
        let whole = last.0.saturating_sub(first.0);
        if whole < Duration::from_millis(5) {
            return None;
        }
        let at = |share: f64| {
            let time = first.0 + whole.mul_f64(share);
            arrivals.iter().take_while(|(when, _)| *when <= time).last().map_or(first.1, |(_, bytes)| *bytes)
        };
        let (third, half, end) = (at(0.25), at(0.625), last.1);
        let (early, late) = ((half - third) as f64, (end - half) as f64);
        // Twelve round trips are enough for slow start to end on any ordinary link.
        let settled = whole > round_trip * 12 && late < early * 1.4;
        Some(Rate { bytes: end - third, took: whole.mul_f64(0.75), settled })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_settled_and_slow_start_is_not() {
        let steady: Vec<_> = (1..=200).map(|n| (Duration::from_millis(n * 5), n * 10_000)).collect();
        let rate = Rate::of(&steady, Duration::from_millis(10)).unwrap();
        assert!(rate.settled);
        let bits = rate.bytes as f64 * 8.0 / rate.took.as_secs_f64();
        assert!((bits - 16e6).abs() < 1e6, "{bits}");
        let growing: Vec<_> = (0..8u32).map(|n| (Duration::from_millis(u64::from(n) * 50), 14_600u64 << n)).collect();
        assert!(!Rate::of(&growing, Duration::from_millis(50)).unwrap().settled);
    }
}
