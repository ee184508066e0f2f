//! From a case to the figures of a report.

use std::time::Duration;

use goferry_net::exchange::Exchange;

use crate::case::{Case, PathView};
use crate::finding::Severity;
use crate::observation::{Fact, Peer, Route};
use crate::price::{self, PriceInputs};
use crate::rules::{self, Judgement};
use crate::stats;

use super::{
    GoodputSummary, Hop, PathSummary, PhaseSummary, PredictionSummary, ProjectSummary, Remedied, Report, SCHEMA,
    Variable,
};

/// Sums up a case with what the rules say of it.
#[must_use]
pub fn summarize(case: &Case<'_>, judgement: Judgement) -> Report {
    Report {
        schema: SCHEMA.to_owned(),
        goferry: env!("CARGO_PKG_VERSION").to_owned(),
        project: project(case),
        environment: environment(case),
        paths: case.all_paths().map(|view| path(case, view)).collect(),
        prediction: prediction(case, &judgement),
        findings: judgement.findings,
    }
}

fn project(case: &Case<'_>) -> Option<ProjectSummary> {
    let project = case.project?;
    let name = match &project.go_work {
        Some(file) => file.display().to_string(),
        None => project.modules.first().map(|module| module.path.clone()).unwrap_or_default(),
    };
    let file = project.go_work.as_ref().or(project.go_mod.as_ref());
    let missing = project.missing_zip_hash.len().max(project.missing_mod_hash.len());
    Some(ProjectSummary {
        name,
        file: file.map(|file| file.display().to_string()).unwrap_or_default(),
        go_line: project.go_line.clone(),
        pruned: project.pruned,
        modules: project.to_fetch.len(),
        mod_files: project.graph_mod_files,
        missing_hashes: missing,
        zip_bytes: case.price.project.zips.iter().sum(),
        zips_known: project.to_fetch.iter().filter(|fetch| fetch.cached_zip.is_some()).count(),
    })
}

/// Variables worth showing even at their default.
const ALWAYS: &[&str] = &["GOPROXY", "GOSUMDB", "GOTOOLCHAIN"];

fn environment(case: &Case<'_>) -> Vec<Variable> {
    let around = case.environment;
    let mut all: Vec<Variable> = around
        .environment
        .values
        .iter()
        .filter(|value| !value.value.is_empty())
        .filter(|value| ALWAYS.contains(&value.name.as_str()) || value.origin != goferry_env::Origin::Default)
        .map(|value| Variable { name: value.name.clone(), value: value.masked(), origin: value.origin.to_string() })
        .collect();
    if let Some(go) = &around.environment.go {
        let origin = go.path.display().to_string();
        all.push(Variable { name: "go version".to_owned(), value: go.version.clone(), origin });
    }
    if let Some(selected) = &around.toolchain.selected {
        all.push(Variable {
            name: "toolchain".to_owned(),
            value: selected.clone(),
            origin: around.toolchain.why.clone(),
        });
    }
    let procs = &around.gomaxprocs;
    let origin = match &procs.why {
        goferry_env::gomaxprocs::Why::Env => "environment".to_owned(),
        goferry_env::gomaxprocs::Why::Affinity { cpus } => format!("{cpus} CPUs"),
        goferry_env::gomaxprocs::Why::CgroupQuota { file, quota } => {
            format!("quota of {quota:.1} CPUs in {}", file.display())
        }
    };
    all.retain(|variable| variable.name != "GOMAXPROCS");
    all.push(Variable { name: "GOMAXPROCS".to_owned(), value: procs.value.to_string(), origin });
    all.push(Variable {
        name: "certificates".to_owned(),
        value: around.roots.der.len().to_string(),
        origin: around
            .roots
            .files
            .iter()
            .filter(|file| file.new > 0)
            .map(|file| file.path.display().to_string())
            .next()
            .unwrap_or_default(),
    });
    all
}

fn path(case: &Case<'_>, view: PathView<'_>) -> PathSummary {
    let via = match &view.info.route {
        Route::Direct => None,
        Route::Via(proxy) => Some(proxy.clone()),
    };
    let settings = view.h2().find_map(|(seen, _)| seen.settings.as_ref()).map(|(settings, _)| {
        let one = |(id, value): (goferry_wire::h2::SettingId, u32)| Variable {
            name: id.to_string(),
            value: value.to_string(),
            origin: "server".to_owned(),
        };
        settings.iter().take(32).map(one).collect()
    });
    let opened = view.connects().filter(|(_, _, outcome, _)| outcome.is_ok()).count();
    PathSummary {
        entry: view.info.entry.clone(),
        position: view.info.position,
        via,
        used_by_go: view.info.used_by_go,
        hops: hops(case, view),
        tls: view.tls().map(|tls| tls.version.clone()),
        alpn: view.tls().map(|tls| tls.alpn.clone().unwrap_or_else(|| "none".to_owned())),
        http: view.http().filter(|_| view.answers()).map(|http| http.as_str().to_owned()),
        settings: settings.unwrap_or_default(),
        phases: phases(view),
        requests: u32::try_from(view.sent().count()).unwrap_or(u32::MAX),
        connections: u32::try_from(opened).unwrap_or(u32::MAX),
        goodput: view
            .facts()
            .filter_map(|fact| match fact {
                Fact::Goodput { flows, bytes, took, .. } if !took.is_zero() => Some(GoodputSummary {
                    flows: *flows,
                    mbit_per_s: round(*bytes as f64 * 8.0 / took.as_secs_f64() / 1e6),
                    bytes: *bytes,
                }),
                _ => None,
            })
            .collect(),
    }
}

fn hops(case: &Case<'_>, view: PathView<'_>) -> Vec<Hop> {
    let rtt = |duration: Option<Duration>| duration.map(|duration| round(duration.as_secs_f64() * 1e3));
    let version = case.environment.environment.go.as_ref().map(|go| go.version.clone());
    let mut hops = vec![Hop {
        role: "go".to_owned(),
        name: version.unwrap_or_else(|| "go".to_owned()),
        protocol: String::new(),
        rtt_ms: None,
        broken: false,
    }];
    let reached = |wanted: Peer| view.connects().any(|(peer, _, outcome, _)| peer == wanted && outcome.is_ok());
    if let Route::Via(proxy) = &view.info.route {
        let known = view.forward_proxy().filter(crate::remedy::Server::is_known);
        let tunnelled = view.info.scheme == "http"
            || view.facts().any(|fact| matches!(fact, Fact::Tunnelled { outcome: Ok(()), .. }));
        hops.push(Hop {
            role: if rules::is_intercepted(case, view) { "interceptor" } else { "proxy" }.to_owned(),
            name: known.map_or_else(|| proxy.clone(), |server| format!("{proxy} ({server})")),
            protocol: "HTTP/1.1 CONNECT".to_owned(),
            rtt_ms: rtt(view.connect_times().map(|times| times.min)),
            broken: !reached(Peer::ForwardProxy) || !tunnelled,
        });
    }
    let server = view.server();
    let host = &view.info.host;
    let protocol = match (view.http(), view.tls()) {
        (Some(http), Some(tls)) => format!("{} over {}", http.as_str(), tls.version),
        (Some(http), None) => http.as_str().to_owned(),
        (None, Some(tls)) => tls.version.clone(),
        (None, None) => view.info.scheme.clone(),
    };
    hops.push(Hop {
        role: "server".to_owned(),
        name: if server.is_known() { format!("{host} ({server})") } else { host.clone() },
        protocol,
        rtt_ms: rtt(view.round_trip()),
        broken: !view.answers(),
    });
    hops
}

fn phases(view: PathView<'_>) -> Vec<PhaseSummary> {
    let mut all = Vec::new();
    let mut add = |phase: &str, times: Vec<Duration>, failed: usize| {
        let Some(summary) = stats::summary(times.iter().copied()) else {
            if failed > 0 {
                all.push(PhaseSummary {
                    phase: phase.to_owned(),
                    count: 0,
                    failed,
                    min_ms: 0.0,
                    p50_ms: 0.0,
                    p95_ms: 0.0,
                    max_ms: 0.0,
                });
            }
            return;
        };
        let ms = |duration: Duration| round(duration.as_secs_f64() * 1e3);
        all.push(PhaseSummary {
            phase: phase.to_owned(),
            count: summary.count,
            failed,
            min_ms: ms(summary.min),
            p50_ms: ms(summary.p50),
            p95_ms: ms(summary.p95),
            max_ms: ms(summary.max),
        });
    };
    for family in [goferry_net::resolve::Family::V4, goferry_net::resolve::Family::V6] {
        let of = view.resolutions().filter(|(_, have, ..)| *have == family);
        let (good, mut bad): (Vec<_>, Vec<_>) = of.partition(|(_, _, answer, _)| answer.is_ok());
        // A name without an address of one family has not failed.
        let elsewhere = view.resolutions().any(|(_, have, answer, _)| have != family && answer.is_ok());
        bad.retain(|(_, _, answer, _)| {
            !(elsewhere && answer.is_err_and(|error| error.kind == goferry_net::ErrorKind::NameNotFound))
        });
        add(
            &format!("DNS {}", crate::resolution::record(family)),
            good.iter().map(|(.., took)| *took).collect(),
            bad.len(),
        );
        let of = view.connects().filter(|(_, have, ..)| *have == family);
        let (good, bad): (Vec<_>, Vec<_>) = of.partition(|(_, _, outcome, _)| outcome.is_ok());
        add(&format!("TCP {}", family.as_str()), good.iter().map(|(.., took)| *took).collect(), bad.len());
    }
    let tunnels = view.facts().filter_map(|fact| match fact {
        Fact::Tunnelled { outcome, took, .. } => Some((outcome.is_ok(), *took)),
        _ => None,
    });
    let (good, bad): (Vec<_>, Vec<_>) = tunnels.partition(|(ok, _)| *ok);
    add("CONNECT", good.iter().map(|(_, took)| *took).collect(), bad.len());
    let handshakes = |resumed: bool| {
        view.handshakes()
            .filter(move |(outcome, _)| outcome.is_ok_and(|tls| tls.resumed == resumed))
            .map(|(_, took)| took)
    };
    let failed = view.handshakes().filter(|(outcome, _)| outcome.is_err()).count();
    add("TLS", handshakes(false).collect(), failed);
    add("TLS resumed", handshakes(true).collect(), 0);
    let first: Vec<_> = view.h2().filter_map(|(seen, _)| Some(seen.first_frame.as_ref()?.1)).collect();
    let silent = view.h2().filter(|(seen, _)| seen.first_frame.is_none()).count();
    add("first frame", first, silent);
    add("PING", view.h2().flat_map(|(seen, _)| seen.pings.iter().copied()).collect(), 0);
    for (name, wanted) in [
        ("request", crate::observation::Load::Alone),
        ("burst", crate::observation::Load::Burst),
        ("zip first byte", crate::observation::Load::Large),
    ] {
        let of = view.exchanges().filter(|(_, load, _)| *load == wanted).map(|(exchange, ..)| exchange);
        let (good, bad): (Vec<&Exchange>, Vec<&Exchange>) = of
            .filter(|exchange| exchange.outcome != goferry_net::Outcome::Unsent)
            .partition(|exchange| exchange.answered());
        add(name, good.iter().filter_map(|exchange| exchange.ttfb).collect(), bad.len());
    }
    all
}

/// The prediction with each remedy by itself, with all, and over one multiplexed connection.
fn prediction(case: &Case<'_>, judgement: &Judgement) -> Option<PredictionSummary> {
    let main = case.main_path()?;
    let findings = &judgement.findings;
    if !main.serves() || findings.iter().any(|finding| finding.severity == Severity::Error) {
        return None;
    }
    let seconds = |inputs: &PriceInputs| round(price::predict(inputs).total.as_secs_f64());
    let mut all = case.price.clone();
    let mut with = Vec::new();
    for (id, change) in &judgement.changes {
        let shown = findings.iter().any(|finding| finding.id == *id && finding.severity >= Severity::Warning);
        if shown {
            all = change.apply(&all);
            with.push(Remedied { id: *id, seconds: seconds(&change.apply(case.price)) });
        }
    }
    Some(PredictionSummary {
        now_s: seconds(case.price),
        with,
        all_s: seconds(&all),
        multiplexed_s: round(price::multiplexed(case.price).total.as_secs_f64()),
        inputs: serde_json::to_value(case.price).unwrap_or(serde_json::Value::Null),
    })
}

/// Three digits behind the point: more would be noise.
fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
