//! The go command behind module proxies.

use std::collections::BTreeMap;
use std::ffi::OsString;

use goferry_lab::go_client::GoVersion;
use goferry_lab::link::Link;

use super::Bench;
use super::candidates::Candidate;
use super::nginx;
use super::rows::{Behind, Protocol, Through};
use crate::bench::machine::settle;
use crate::bench::subject::Ready;
use crate::bench::{BenchError, DEADLINE, GOMAXPROCS, LONG};
use crate::client::{Call, Done, Home, Tool};
use crate::say::say;
use crate::served::{Served, Traffic};

/// What is measured of one started proxy, in this order.
const TURNS: [&[Through]; 5] = [
    &[Through::Alone],
    &[Through::Empty, Through::Full],
    &[Through::Warmed, Through::AfterWarm],
    &[Through::GoproxyEmpty, Through::GoproxyFull],
    &[Through::Nginx],
];

/// One go command.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) seconds: f64,
    /// What the upstream was asked for.
    pub(super) traffic: Traffic,
}

/// The runs of each; with them the words of those that failed.
pub(super) type Samples = BTreeMap<Through, Vec<Result<Sample, String>>>;

/// One turn, and why it failed where it did.
type Turn = Result<Vec<Sample>, String>;

impl Bench<'_> {
    /// Measures a row.
    pub(super) fn behind(&self, row: &Behind, ready: &Ready) -> Result<Samples, BenchError> {
        let mut samples = Samples::new();
        for number in 0..self.options.common.runs {
            let mut turns = TURNS.to_vec();
            if number % 2 == 1 {
                turns.reverse();
            }
            for turn in turns {
                let skipped = turn[0] == Through::GoproxyEmpty && self.goproxy.is_none();
                let slow = |sample: &Result<Sample, String>| sample.as_ref().is_ok_and(|one| one.seconds > LONG);
                let known = samples.get(&turn[0]).is_some_and(|samples| samples.iter().any(slow));
                if skipped || (self.options.common.long_once && known) {
                    continue;
                }
                let done = self.turn(turn[0], row, ready, number as u64 + 1)?;
                for (place, through) in turn.iter().enumerate() {
                    let sample = done.as_ref().map(|samples| samples[place].clone()).map_err(Clone::clone);
                    match &sample {
                        Ok(Sample { seconds, traffic }) => say!("    {}: {seconds:.3} s; {traffic}", through.name()),
                        Err(why) => say!("    {}: fails: {why}", through.name()),
                    }
                    samples.entry(*through).or_default().push(sample);
                }
            }
        }
        Ok(samples)
    }

    fn turn(&self, first: Through, row: &Behind, ready: &Ready, seed: u64) -> Result<Turn, BenchError> {
        if first == Through::Nginx {
            let (_server, url) = nginx::start(&ready.modules, self.shelf.pem(), Protocol::Plain)?;
            let go = self.go(ready, None, &[("GOPROXY", url.into())])?;
            return Ok(go.map(|seconds| vec![Sample { seconds, traffic: Traffic::default() }]));
        }
        let link = row.way.map(|way| way.build(seed)).transpose()?;
        let link = link.as_ref();
        let served = self.shelf.serve_both(&ready.modules, ready.rest.path(), link)?;
        let candidate = match (first, &self.goproxy) {
            (Through::Alone, _) => {
                let go = self.go(ready, link, &served.env())?;
                return sampled(go, &served).map(|sample| sample.map(|sample| vec![sample]));
            }
            (Through::GoproxyEmpty, Some(binary)) => Candidate::Goproxy(binary.clone()),
            _ => Candidate::Goferry(self.goferry.clone()),
        };
        // A new store each time, and none removed before the end: ext4 is slow for minutes after many files went.
        let store = tempfile::TempDir::with_prefix_in("goferry-store-", &self.disk)?;
        let path = store.path().to_owned();
        self.stores.borrow_mut().push(store);
        settle(&self.disk)?;
        let started = candidate.start(&self.go, &self.disk, &path, &served.env(), &[], link);
        let running = match started {
            Ok(running) => running,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let env = [("GOPROXY", OsString::from(running.process.url()))];
        if first == Through::Warmed {
            let warm = self.warm(ready, link, running.process.url())?;
            if !warm.succeeded() {
                return Ok(Err(format!("goferry warm: {}", warm.failure())));
            }
            let before = served.traffic_since()?;
            let after = match sampled(self.go(ready, link, &env)?, &served)? {
                Ok(after) => after,
                Err(why) => return Ok(Err(why)),
            };
            let whole =
                Sample { seconds: warm.wall.as_secs_f64() + after.seconds, traffic: before.and(&after.traffic) };
            return Ok(Ok(vec![whole, after]));
        }
        let mut samples = Vec::new();
        for _ in ["empty", "full"] {
            match sampled(self.go(ready, link, &env)?, &served)? {
                Ok(sample) => samples.push(sample),
                Err(why) => return Ok(Err(format!("{why}\n{}", running.process.log()))),
            }
        }
        Ok(Ok(samples))
    }

    /// Seconds of one `go mod download` with an empty cache in memory.
    fn go(
        &self,
        ready: &Ready,
        link: Option<&Link>,
        env: &[(&'static str, OsString)],
    ) -> Result<Result<f64, String>, BenchError> {
        let home = Home::new_in(&self.options.common.memory)?;
        let project = home.at("project");
        ready.write_project(&project)?;
        let done = call(&self.go, &home, &project, env, link).download(&Tool::Go(self.go.clone()))?;
        if !done.succeeded() {
            return Ok(Err(done.failure()));
        }
        if !ready.is_whole(&home.modcache())? {
            return Ok(Err("ended well, and the cache is not what the go command leaves".to_owned()));
        }
        Ok(Ok(done.wall.as_secs_f64()))
    }

    fn warm(&self, ready: &Ready, link: Option<&Link>, url: &str) -> Result<Done, BenchError> {
        let home = Home::new_in(&self.options.common.memory)?;
        let project = home.at("project");
        ready.write_project(&project)?;
        let call = call(&self.go, &home, &project, &[("GOPROXY", "off".into())], link);
        Ok(call.run(&self.goferry, &["warm", "--proxy", url])?)
    }
}

fn call<'a>(
    go: &'a GoVersion,
    home: &'a Home,
    project: &'a std::path::Path,
    env: &[(&'static str, OsString)],
    link: Option<&'a Link>,
) -> Call<'a> {
    let mut env = env.to_vec();
    env.extend([("GOSUMDB", "off".into()), ("GOMAXPROCS", GOMAXPROCS.into())]);
    Call { go, dir: project, home, env, deadline: DEADLINE, link }
}

/// A run with what the upstream was asked for since the one before.
fn sampled(go: Result<f64, String>, served: &Served) -> Result<Result<Sample, String>, BenchError> {
    let traffic = served.traffic_since()?;
    Ok(go.map(|seconds| Sample { seconds, traffic }))
}
