//! What the go command would have needed for what was just fetched: the model of `goferry_diagnose::price`, fed with
//! what this run measured.

use std::time::Duration;

use goferry_diagnose::price::{Client, HostCosts, Path, PriceInputs, Project, Protocol, predict};
use goferry_env::{Environment, Inputs, ProjectFiles, gomaxprocs};
use goferry_fetch::download::Report;
use goferry_fetch::query::Argument;

/// Below this round trip the machine decides, not the path.
const LEAST_ROUND_TRIP: Duration = Duration::from_millis(1);
/// Fewer modules are over at once either way.
const LEAST_MODULES: usize = 5;
/// The release that is taken where there is no go command.
const NEWEST_GO: u32 = 27;

/// Who would have downloaded, and how.
#[derive(Clone, Debug)]
pub(super) struct GoCommand {
    client: Client,
    /// Whether it asks for all that the graph has: several `.info` at once from Go 1.24 on.
    all: bool,
    /// Whether the graph is pruned, and so hardly deeper than go.mod.
    pruned: bool,
}

impl GoCommand {
    /// The go command here, for these arguments.
    pub(super) fn here(
        inputs: &Inputs,
        env: &Environment,
        project: Option<&ProjectFiles>,
        arguments: &[Argument],
    ) -> GoCommand {
        let go_minor = env.go.as_ref().and_then(goferry_env::GoCommand::minor).unwrap_or(NEWEST_GO);
        let procs = gomaxprocs::compute(inputs, go_minor);
        let pruned = project.is_none_or(|project| project.modules.iter().all(|(_, go_mod)| go_mod.is_pruned()));
        let workspace = project.is_some_and(|project| project.go_work.is_some());
        let all = match arguments {
            [] => workspace || !pruned,
            [one] => matches!(one, Argument::All),
            _ => false,
        };
        GoCommand { client: Client { gomaxprocs: procs.value, num_cpu: procs.num_cpu, go_minor }, all, pruned }
    }

    /// A line that says how long it would have taken; none where the path or the project is too small for the model.
    pub(super) fn line(&self, report: &Report) -> Option<String> {
        let fetched = report.modules.iter().filter(|module| module.error.is_none() && !module.cached);
        let sizes: Vec<u64> =
            fetched.filter_map(|module| Some(std::fs::metadata(module.zip.as_ref()?).ok()?.len())).collect();
        let seconds = self.seconds(report, sizes)?.as_secs_f64();
        // Several connections were kept because one was not enough; the go command has one.
        let several = report.pools.first().is_some_and(|pool| pool.protocol == "HTTP/2" && pool.most > 1);
        let about = if several { "at least" } else { "about" };
        let digits = usize::from(seconds < 9.95);
        Some(format!("go mod download would have needed {about} {seconds:.digits$} s here (predicted)"))
    }

    fn seconds(&self, report: &Report, zips: Vec<u64>) -> Option<Duration> {
        let pool = report.pools.first()?;
        let round_trip = pool.round_trip.filter(|round_trip| *round_trip >= LEAST_ROUND_TRIP)?;
        if zips.len() < LEAST_MODULES || !report.ok() {
            return None;
        }
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        // An .info and a zip for each; what else was asked for are go.mod files, of the graph at most.
        let mods = usize::try_from(pool.requests).unwrap_or(usize::MAX).saturating_sub(2 * zips.len());
        let mods = count(mods.min(report.go_mods.max(zips.len())));
        let protocol = match (pool.protocol, pool.origin.starts_with("http://")) {
            (_, true) => Protocol::PlainHttp1 { keep_alive: true },
            ("HTTP/2", _) => Protocol::Http2,
            _ => Protocol::Http1 { keep_alive: pool.reuse > 0.0 },
        };
        let depth: u32 = if self.pruned { 2 } else { 4 };
        let seconds = report.took.as_secs_f64();
        let inputs = PriceInputs {
            project: Project {
                graph_mod_files: mods,
                graph_roots: count(zips.len()).min(mods).max(1),
                graph_depth: depth.min(mods.max(1)),
                infos: count(zips.len()),
                parallel_info: self.all && self.client.go_minor >= 24,
                zips,
                ..Project::uniform(0, 0)
            },
            client: self.client.clone(),
            path: Path {
                rtt: round_trip,
                protocol,
                // The path carries at least what this run got.
                bandwidth: (seconds > 0.0).then(|| pool.bytes as f64 * 8.0 / seconds),
                ..Path::default()
            },
            costs: HostCosts::default(),
        };
        Some(predict(&inputs).total)
    }
}

#[cfg(test)]
mod tests {
    use goferry_net::pool::Summary;

    use super::*;

    fn report(round_trip: Duration) -> Report {
        let pool = Summary {
            origin: "https://goproxy.example.com".to_owned(),
            protocol: "HTTP/2",
            requests: 600,
            reuse: 0.99,
            bytes: 10_000_000,
            round_trip: Some(round_trip),
            most: 1,
            ..Summary::default()
        };
        Report { pools: vec![pool], go_mods: 200, took: Duration::from_millis(900), ..Report::default() }
    }

    fn go(gomaxprocs: u32, all: bool) -> GoCommand {
        GoCommand { client: Client { gomaxprocs, num_cpu: gomaxprocs, go_minor: 27 }, all, pruned: true }
    }

    #[test]
    fn as_measured_with_the_go_command() {
        // 200 modules of 50 kB, 50 ms, 200 Mbit/s: 22.8 s with GOMAXPROCS=2, 12.6 s with 16.
        let fifty = report(Duration::from_millis(50));
        for (procs, measured) in [(2, 22.8), (16, 12.6)] {
            let seconds = go(procs, false).seconds(&fifty, vec![50_000; 200]).unwrap().as_secs_f64();
            assert!((seconds / measured - 1.0).abs() < 0.2, "{procs}: {seconds} s, measured {measured} s");
        }
        let at_once = go(16, true).seconds(&fifty, vec![50_000; 200]).unwrap();
        assert!(at_once < Duration::from_secs(6), "{at_once:?}");
    }

    #[test]
    fn not_where_it_says_nothing() {
        let go = go(2, false);
        assert_eq!(go.seconds(&report(Duration::from_micros(900)), vec![50_000; 200]), None);
        assert_eq!(go.seconds(&report(Duration::from_millis(50)), vec![50_000; 4]), None);
        assert_eq!(go.seconds(&Report::default(), vec![50_000; 200]), None);
        assert_eq!(go.line(&report(Duration::from_millis(50))), None);
    }
}
