//! How many connections many requests to the upstream take, and whether one of them waits for a handshake.

use std::fmt::Write as _;
use std::fs;

use tempfile::TempDir;

use super::Bench;
use super::candidates::Candidate;
use super::h2load::{Amount, Load, Loaded};
use super::rows::Reuse;
use crate::bench::BenchError;
use crate::bench::way::Way;
use crate::say::say;
use crate::served::Traffic;

const HEALTHY: usize = 100_000;
const FAR: usize = 20_000;
/// Requests a second across the link: so few that no processor is waited for.
const RATE: usize = 400;
/// A quick run.
const QUICK: usize = 5_000;
/// Requests at once: fewer than nginx's 128 streams of a connection.
const STREAMS: usize = 100;
const RTT_MS: u64 = 50;
/// Of a connection that is used the moment its handshake is over, the server answers the first request after one round trip.
const AT_ONCE: f64 = 1.5 * RTT_MS as f64 / 1e3;
/// A `.info` of any version of a module: it has no hash that would be asked for.
const ANSWERS: &str = "location ~ /@v/(?<version>v1\\.0\\.[0-9]+)\\.info$ {\ndefault_type application/json;\n\
    return 200 '{\"Version\":\"$version\",\"Time\":\"2024-01-02T03:04:05Z\"}';\n}\nkeepalive_time 1h;\n";

/// What came of it.
#[derive(Clone, Debug)]
pub(super) struct Reused {
    pub(super) asked: usize,
    pub(super) loaded: Loaded,
    pub(super) traffic: Traffic,
    /// Requests that took two round trips of the link or more, as one that is refused at the limit and sent again, and three
    /// or more, as one that begins with TCP and TLS. `None` over loopback.
    pub(super) slow: Option<[usize; 2]>,
}

impl Reused {
    /// Share of requests that opened no connection.
    pub(super) fn share(&self) -> f64 {
        1.0 - self.traffic.opened as f64 / (self.traffic.requests as f64).max(1.0)
    }

    /// Connections, but for the first, that were used the moment they were open: a request waited for them, or nearly so.
    /// One that was opened ahead is older.
    pub(super) fn late(&self) -> usize {
        self.traffic.first_answers.iter().skip(1).filter(|age| **age < AT_ONCE).count()
    }

    /// Requests without an answer.
    pub(super) fn lost(&self) -> u64 {
        (self.asked as u64).saturating_sub(self.loaded.requests)
    }
}

impl Bench<'_> {
    /// Measures one.
    pub(super) fn reuse(&self, reuse: Reuse) -> Result<Reused, BenchError> {
        let asked = match reuse {
            _ if self.options.common.quick => QUICK,
            Reuse::Healthy => HEALTHY,
            Reuse::Far | Reuse::Limited => FAR,
        };
        let limit = if reuse == Reuse::Limited { 1_000 } else { 100_000_000 };
        let far = Way { rtt_ms: RTT_MS, rate_bits: 200_000_000, loss: 0.0, sender: "cubic" };
        let way = (reuse != Reuse::Healthy).then_some(far);
        let link = way.map(|way| way.build(1)).transpose()?;
        let link = link.as_ref();
        let place = TempDir::with_prefix_in("goferry-reuse-", &self.options.common.memory)?;
        let empty = place.path().join("files");
        fs::create_dir(&empty)?;
        let served = self.shelf.serve_with(&empty, &format!("keepalive_requests {limit};\n{ANSWERS}"), link)?;
        let store = place.path().join("store");
        let candidate = Candidate::Goferry(self.goferry.clone());
        let running = candidate.start(&self.go, place.path(), &store, &served.env(), &[], link)?;
        let url = running.process.url();
        let path = |number: usize| format!("{url}/lab.example.com/m/@v/v1.0.{number}.info");
        let (uris, log) = (place.path().join("uris"), place.path().join("log"));
        let mut text = String::new();
        for number in 1..=asked {
            let _ = writeln!(text, "{}", path(number));
        }
        fs::write(&uris, text)?;
        let base = Load {
            url: &path(0),
            http1: false,
            clients: 1,
            streams: 1,
            amount: Amount::Requests(1),
            rate: None,
            log: &log,
            link,
        };
        // The first connection is there before the clock runs.
        base.run()?;
        let loaded =
            Load { streams: STREAMS, amount: Amount::Each(asked, &uris), rate: way.map(|_| RATE), ..base }.run()?;
        let traffic = served.traffic()?;
        let slow = way.map(|way| {
            let of = |trips: f64| trips * way.rtt_ms as f64 / 1e3;
            [2.0, 3.0].map(|trips| loaded.times.iter().filter(|seconds| **seconds >= of(trips)).count())
        });
        let reused = Reused { asked, loaded, traffic, slow };
        say!(
            "    {asked} requests in {:.1} s, {} lost, {}, {} opened, {:.4} % reused, {slow:?} slow, first answers at {:?} s, p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms",
            reused.loaded.seconds,
            reused.lost(),
            reused.traffic,
            reused.traffic.opened,
            reused.share() * 100.0,
            reused.traffic.first_answers,
            reused.loaded.quantile(0.5).unwrap_or_default() * 1e3,
            reused.loaded.quantile(0.99).unwrap_or_default() * 1e3,
            reused.loaded.quantile(1.0).unwrap_or_default() * 1e3,
        );
        Ok(reused)
    }
}
