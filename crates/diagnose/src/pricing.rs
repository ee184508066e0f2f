//! From what was seen to what a price is made of.

use std::time::Duration;

use goferry_module::GoVersion;
use goferry_net::ErrorKind;
use goferry_net::resolve::Family;

use crate::case::PathView;
use crate::observation::Fact;
use crate::price::{Client, Congestion, HostCosts, Path, PriceInputs, Project, Protocol, TOOLCHAIN_BYTES};
use crate::resolution;
use crate::surroundings::Surroundings;

/// A zip whose size is not known is taken for this many octets: the median of real projects.
pub const TYPICAL_ZIP: u64 = 200_000;
/// Modules of the nominal project that is priced where there is none.
pub const NOMINAL_MODULES: u32 = 50;
/// Go's pause before IPv4 is tried beside IPv6 (net/dial.go, defaultDelay is 300 ms).
const HAPPY_EYEBALLS: Duration = Duration::from_millis(300);

/// The inputs for this project on the path that serves it. `sizes` are zip sizes seen on the wire.
#[must_use]
pub fn inputs(
    around: &Surroundings,
    path: Option<PathView<'_>>,
    earlier: &[PathView<'_>],
    sizes: &[u64],
) -> PriceInputs {
    PriceInputs {
        project: project(around, sizes),
        client: Client {
            gomaxprocs: around.gomaxprocs.value,
            num_cpu: around.gomaxprocs.num_cpu,
            go_minor: around.go_minor(),
        },
        path: path.map_or_else(Path::default, |path| self::path(around, path, earlier)),
        costs: HostCosts::default(),
    }
}

fn project(around: &Surroundings, sizes: &[u64]) -> Project {
    let known: Vec<u64> =
        around.project.iter().flat_map(|project| &project.to_fetch).filter_map(|fetch| fetch.cached_zip).collect();
    let mut seen: Vec<u64> = known.iter().chain(sizes).copied().collect();
    seen.sort_unstable();
    // The mean, not the median: it is the sum that takes time. Without any, the typical size.
    let typical = if seen.is_empty() { TYPICAL_ZIP } else { seen.iter().sum::<u64>() / seen.len() as u64 };
    let mut priced = match &around.project {
        None => Project::uniform(NOMINAL_MODULES, typical),
        Some(project) => {
            let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            let requires = count(project.requires.len());
            let infos = count(project.to_fetch.len());
            let mod_files = count(project.graph_mod_files).max(requires);
            Project {
                graph_mod_files: mod_files,
                graph_roots: requires.max(1),
                graph_depth: if project.pruned { 2.min(mod_files.max(1)) } else { 4.min(mod_files.max(1)) },
                infos,
                parallel_info: (project.go_work.is_some() || !project.pruned) && around.go_minor() >= 24,
                zips: project.to_fetch.iter().map(|fetch| fetch.cached_zip.unwrap_or(typical)).collect(),
                mod_bytes: 1_500,
                info_bytes: 250,
                sumdb_lookups: 0,
                toolchain_bytes: None,
            }
        }
    };
    priced.sumdb_lookups = missing_hashes(around);
    priced.toolchain_bytes = around.toolchain.would_download.then_some(TOOLCHAIN_BYTES);
    priced
}

/// Modules whose hashes go.sum lacks and the checksum database is asked for.
#[must_use]
pub fn missing_hashes(around: &Surroundings) -> u32 {
    let Some(project) = &around.project else { return 0 };
    if !matches!(around.sumdb, Ok(goferry_module::SumDb::On(_))) {
        return 0;
    }
    let mut missing: Vec<_> = project.missing_zip_hash.iter().chain(&project.missing_mod_hash).collect();
    missing.sort_unstable();
    missing.dedup();
    let asked = missing.iter().filter(|module| !around.environment.skips_sumdb(module.path().as_str()));
    u32::try_from(asked.count()).unwrap_or(u32::MAX)
}

/// Whether the whole module graph is read: the go line is below 1.17.
#[must_use]
pub fn go_line_below_117(line: &str) -> bool {
    match (GoVersion::parse(line), GoVersion::parse("1.17")) {
        (Ok(have), Ok(wanted)) => have < wanted,
        _ => false,
    }
}

fn path(around: &Surroundings, path: PathView<'_>, earlier: &[PathView<'_>]) -> Path {
    let round_trip = path.round_trip().unwrap_or(Path::default().rtt);
    let h1_keep_alive = !path.closes_each_time();
    let disabled = around.godebug("http2client") == Some("0");
    let protocol = if path.info.scheme == "http" {
        Protocol::PlainHttp1 { keep_alive: h1_keep_alive }
    } else if path.offers_h2() && !disabled {
        Protocol::Http2
    } else {
        Protocol::Http1 { keep_alive: h1_keep_alive }
    };
    let refused = path.h2().flat_map(|(seen, _)| &seen.resets).any(|reset| reset.code == "REFUSED_STREAM");
    let (bandwidth, loss, congestion) = capacity(path, round_trip);
    let fallback_answer = earlier.iter().filter_map(|path| path.request_times()).map(|times| times.p50).max();
    let first_frame = path.h2().filter_map(|(seen, _)| Some(seen.first_frame.as_ref()?.1)).min().unwrap_or_default();
    Path {
        rtt: round_trip,
        server_think: path.think_time().unwrap_or_default(),
        dns: dns_time(path) + if v6_is_swallowed(path) { HAPPY_EYEBALLS } else { Duration::ZERO },
        connect_rtts: u32::from(path.is_proxied() && path.info.scheme == "https"),
        tls_rtts: path.tls().map_or(1, |tls| if tls.version == "TLSv1.3" { 1 } else { 2 }),
        protocol,
        max_concurrent_streams: path
            .h2()
            .filter_map(|(seen, _)| seen.settings.as_ref()?.0.max_concurrent_streams())
            .min()
            .unwrap_or(goferry_net::h2::GO_DEFAULT_CONCURRENT),
        goaway_every: path
            .h2()
            .filter_map(|(seen, _)| seen.goaways.first())
            .filter(|goaway| goaway.code == "NO_ERROR")
            .map(goferry_net::h2::GoAwaySeen::served)
            .min(),
        refused_backoff: if refused { Duration::from_secs(1) } else { Duration::ZERO },
        broken_streams: 0.0,
        bandwidth,
        loss,
        congestion,
        stream_window: path
            .sent()
            .filter_map(|exchange| crate::rules::even_bursts(&exchange.arrivals, round_trip).map(|(window, _)| window))
            .min()
            .filter(|_| loss == 0.0 && round_trip >= Duration::from_millis(3)),
        settings_delay: first_frame.saturating_sub(round_trip * 2),
        fallback_entries: u32::try_from(earlier.len()).unwrap_or(u32::MAX),
        fallback_answer: fallback_answer.unwrap_or_default(),
    }
}

/// Name resolution for each new connection.
#[must_use]
pub fn dns_time(path: PathView<'_>) -> Duration {
    resolution::time(path)
}

fn v6_is_swallowed(path: PathView<'_>) -> bool {
    let mut v6 = path.connects().filter(|(_, family, ..)| *family == Family::V6).peekable();
    v6.peek().is_some() && v6.all(|(_, _, outcome, _)| outcome.is_err_and(|error| error.kind == ErrorKind::TimedOut))
}

/// What the path carries in bits a second, the share of packets it loses, and how the sender takes it.
///
/// The receiver does not see the sender's retransmits. It sees episodes of out-of-order arrival: each
/// is one loss, or a few together. That loss is what limits shows only in comparison: several flows
/// then get more than one. Where they do not, the drops are those of a full bottleneck, by which TCP
/// finds its rate, or the sender does not yield to loss (bbr): the capacity is the limit.
#[must_use]
pub fn capacity(path: PathView<'_>, round_trip: Duration) -> (Option<f64>, f64, Congestion) {
    match loss(path) {
        Some(loss) if loss_limits(path, round_trip) => (None, loss, Congestion::Cubic),
        _ => (path.settled_goodput(), 0.0, Congestion::Unknown),
    }
}

/// Whether several flows got so much more than one.
#[must_use]
pub fn several_gain(path: PathView<'_>) -> Option<bool> {
    let (one, several) = (path.goodput(|flows| flows == 1)?, path.goodput(|flows| flows > 1)?);
    Some(several > one * 1.5)
}

/// Whether loss is what limits one flow.
#[must_use]
pub fn loss_limits(path: PathView<'_>, round_trip: Duration) -> bool {
    let Some(loss) = loss(path) else { return false };
    match several_gain(path) {
        Some(gains) => gains,
        None => path.goodput(|flows| flows == 1).is_some_and(|one| one < ceiling(loss, round_trip) * 2.0),
    }
}

/// The share of packets lost, from episodes of out-of-order arrival on one flow (on several, where
/// there is no other measurement); `None` where there was at most one episode.
#[must_use]
pub fn loss(path: PathView<'_>) -> Option<f64> {
    let of = |wanted: fn(u32) -> bool| {
        path.facts().fold((0u64, 0u64), |(episodes, segments), fact| match fact {
            Fact::Goodput { flows, loss_episodes, segments: seen, .. } if wanted(*flows) => {
                (episodes + u64::from(*loss_episodes), segments + seen)
            }
            _ => (episodes, segments),
        })
    };
    let one = of(|flows| flows == 1);
    let (episodes, segments) = if one.1 > 0 { one } else { of(|_| true) };
    (episodes > 1 && segments > 0).then(|| (episodes as f64 / segments as f64).min(0.3))
}

/// What one cubic or reno flow reaches under loss, in bits a second: 1.2 × MSS / (RTT × √loss).
#[must_use]
pub fn ceiling(loss: f64, round_trip: Duration) -> f64 {
    1.2 * 1448.0 * 8.0 / (round_trip.as_secs_f64().max(1e-5) * loss.max(1e-9).sqrt())
}
