//! Severity follows the price; a healthy path has none.

use std::time::Duration;

use goferry_diagnose::{Finding, Id, Report, Severity};
use goferry_net::resolve::Family;
use proptest::prelude::*;

use super::catalogue::{RTT, positive};
use super::seen::{Exchanged, goodput, resolved, served, settings, unresolved};
use super::support::{Scene, Seen, ms};

/// Below both of these a cost is information: 0.2 s, and 5 % of the predicted time.
fn is_small(finding: &Finding, now: f64) -> bool {
    let cost = finding.cost.as_ref().unwrap();
    let middle = f64::midpoint(cost.seconds_min, cost.seconds_max);
    middle < 0.2 && middle < 0.05 * now
}

#[test]
fn severity_follows_the_price_exactly() {
    let ground = Scene::new().ground();
    let mut seen = [0usize; 2];
    for millis in 100..=300 {
        let slow = Seen::healthy(RTT).with(|seen| seen.resolved = vec![resolved(Family::V4, ms(millis))]);
        let report = ground.report(&[slow]);
        let finding = report.findings.iter().find(|finding| finding.id == Id::DnsSlow).unwrap();
        let small = is_small(finding, report.prediction.as_ref().unwrap().now_s);
        let wanted = if small { Severity::Info } else { Severity::Warning };
        assert_eq!(finding.severity, wanted, "{millis} ms: {:?}", finding.cost);
        assert_eq!(finding.title.contains("next to nothing"), small, "{millis} ms: {}", finding.title);
        seen[usize::from(small)] += 1;
    }
    assert!(seen.iter().all(|count| *count > 10), "both sides of the threshold: {seen:?}");
}

#[test]
fn a_large_share_of_a_short_download_is_a_warning() {
    // 0.1 s of a download that takes less than 2 s.
    let scene = positive(Id::DnsSlow).with(|scene| scene.modules = 3).but(|seen| {
        *seen = Seen::healthy(ms(5));
        seen.resolved = vec![resolved(Family::V4, ms(120))];
    });
    let report = scene.report();
    let finding = scene.finding(Id::DnsSlow);
    assert!(finding.cost.as_ref().unwrap().seconds_max < 0.2);
    assert!(!is_small(&finding, report.prediction.unwrap().now_s));
    assert_eq!(finding.severity, Severity::Warning);
}

#[test]
fn the_gravest_comes_first_and_then_the_most_costly() {
    let scene = positive(Id::Http1ConnectionClose).env("GOMAXPROCS", "2").but(|seen| {
        seen.resolved = vec![resolved(Family::V4, ms(900))];
        seen.exchanges[0].exchange.status = Some(503);
    });
    let findings = scene.findings();
    let severities: Vec<Severity> = findings.iter().map(|finding| finding.severity).collect();
    assert_eq!(severities[0], Severity::Error);
    assert!(severities.contains(&Severity::Warning) && severities.contains(&Severity::Info), "{severities:?}");
}

#[test]
fn a_cost_is_only_said_where_it_was_computed() {
    for &id in Id::ALL {
        let finding = positive(id).finding(id);
        if finding.severity == Severity::Error {
            assert_eq!(finding.cost, None, "{id}");
        }
        if let Some(cost) = finding.cost {
            assert!(cost.basis.contains("predicted"), "{id}: {}", cost.basis);
        }
    }
}

/// A path on which everything works: how far it is, how it varies, how much it carries.
#[derive(Clone, Debug)]
struct Healthy {
    rtt: Duration,
    /// Share of the round trip that comes on top, for each request.
    jitter: Vec<f64>,
    dns: [u64; 3],
    streams: u32,
    initial_window: u64,
    mbits: f64,
    zip: u64,
    drops: u32,
    proxied: bool,
}

fn healthy() -> impl Strategy<Value = Healthy> {
    let sizes = (10u64..50, 1.0f64..1_000.0, 10_000u64..20_000_000, 0u32..40);
    (
        100u64..300_000,
        prop::collection::vec(0.0f64..0.3, 16),
        [0u64..40, 0u64..40, 0u64..3_000],
        100u32..1_000,
        sizes,
        any::<bool>(),
    )
        .prop_map(|(micros, jitter, dns, streams, (segments, mbits, zip, drops), proxied)| Healthy {
            rtt: Duration::from_micros(micros),
            jitter,
            dns,
            streams,
            initial_window: segments * 1_448,
            mbits,
            zip,
            drops,
            proxied,
        })
}

impl Healthy {
    fn seen(&self) -> Seen {
        let mut seen = Seen::healthy(self.rtt);
        let late = |n: usize| self.rtt.mul_f64(1.0 + self.jitter[n % self.jitter.len()]);
        seen.resolved = self.dns.iter().map(|took| resolved(Family::V4, ms(*took))).collect();
        seen.resolved.push(unresolved(Family::V6, goferry_net::ErrorKind::NameNotFound, ms(self.dns[0])));
        seen.h2[0].settings = Some((settings(self.streams), late(0)));
        seen.h2[0].first_frame = Some(("SETTINGS".to_owned(), late(0)));
        seen.h2[0].pings = (0..5).map(late).collect();
        for (n, exchanged) in seen.exchanges.iter_mut().enumerate() {
            exchanged.exchange.ttfb = Some(late(n));
            exchanged.exchange.took = late(n);
        }
        seen.exchanges
            .push(Exchanged { load: goferry_diagnose::observation::Load::Large, ..seen.exchanges[0].clone() });
        seen.exchanges[16].exchange = self.large();
        // One flow fills the link, several share it: drops are the bottleneck's own.
        let rate = self.mbits * (1.0 - self.jitter[3] / 2.0);
        seen.more = vec![goodput(1, rate, self.drops), goodput(4, self.mbits, self.drops * 3)];
        if self.proxied { seen.proxied() } else { seen }
    }

    /// A zip: bursts that double each round trip until the link is full, then an even stream.
    fn large(&self) -> goferry_net::Exchange {
        let mut exchange = served(40, self.rtt);
        exchange.path = "/example.com/m0001/@v/v1.0.0.zip".to_owned();
        exchange.headers = vec![("content-length".to_owned(), self.zip.to_string())];
        exchange.arrivals.clear();
        let (mut at, mut window, mut came) = (self.rtt.as_secs_f64(), self.initial_window as f64, 0.0);
        let zip = self.zip as f64;
        let (bytes_a_second, rtt) = (self.mbits * 1e6 / 8.0, self.rtt.as_secs_f64());
        while came < zip && exchange.arrivals.len() < 500 {
            let took = (window / bytes_a_second).min(rtt);
            let burst = bytes_a_second * took;
            for _ in 0..8 {
                at += took / 8.0;
                came = (came + burst / 8.0).min(zip);
                exchange.arrivals.push((Duration::from_secs_f64(at), came as u64));
            }
            at += rtt - took;
            window = (window * 2.0).min(bytes_a_second * rtt * 2.0);
        }
        exchange.body_bytes = came as u64;
        if came < zip {
            exchange.outcome = goferry_net::Outcome::Stopped;
        }
        exchange
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_healthy_path_has_nothing_to_repair(healthy in healthy(), procs in 8u32..128, modules in 1usize..80) {
        let scene = Scene::new().env("GOMAXPROCS", &procs.to_string()).with(|scene| scene.modules = modules);
        let report: Report = scene.ground().report(&[healthy.seen()]);
        let bad: Vec<_> = report.findings.iter().filter(|finding| finding.severity > Severity::Info).collect();
        prop_assert!(bad.is_empty(), "{bad:#?}");
        prop_assert!(report.findings.iter().all(|finding| {
            matches!(finding.id, Id::SerialRequests | Id::BandwidthLimited)
        }), "{:?}", report.findings.iter().map(|finding| finding.id).collect::<Vec<_>>());
    }
}
