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
use crate::client::{Call, Home, Tool};
use crate::say::say;
use crate::served::{Served, Traffic};

/// What is measured of one started proxy, in this order.
const TURNS: [&[Through]; 4] = [
    &[Through::Alone],
    // Full and nginx are compared: side by side, in turns.
    &[Through::Empty, Through::Full, Through::Nginx],
    &[Through::Warmed, Through::AfterWarm],
    &[Through::GoproxyEmpty, Through::GoproxyFull],
];

/// One go command.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) seconds: f64,
    /// What the upstream was asked for.
    pub(super) traffic: Traffic,
}

/// A run, or why it failed.
pub(super) type Sampled = Result<Sample, String>;

/// The runs of each.
pub(super) type Samples = BTreeMap<Through, Vec<Sampled>>;

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
                let slow = |sample: &Sampled| sample.as_ref().is_ok_and(|one| one.seconds > LONG);
                let known = samples.get(&turn[0]).is_some_and(|samples| samples.iter().any(slow));
                if skipped || (self.options.common.long_once && known) {
                    continue;
                }
                let done = self.turn(turn[0], row, ready, number as u64 + 1)?;
                for (through, sample) in turn.iter().zip(done) {
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

    /// One turn, which `first` begins: what came of each in it.
    fn turn(&self, first: Through, row: &Behind, ready: &Ready, seed: u64) -> Result<Vec<Sampled>, BenchError> {
        let link = row.way.map(|way| way.build(seed)).transpose()?;
        let link = link.as_ref();
        let served = self.shelf.serve_both(&ready.modules, ready.rest.path(), link)?;
        let candidate = match (first, &self.goproxy) {
            (Through::Alone, _) => {
                let one = || sampled(self.go(ready, link, &served.env())?, &served);
                return Ok(vec![repeated(row.repeats(first), one)?]);
            }
            (Through::GoproxyEmpty, Some(binary)) => Candidate::Goproxy(binary.clone()),
            _ => Candidate::Goferry(self.goferry.clone()),
        };
        // A new store each time, and none removed before the end: ext4 is slow for minutes after many files went.
        let store = tempfile::TempDir::with_prefix_in("goferry-store-", &self.disk)?;
        let path = store.path().to_owned();
        self.stores.borrow_mut().push(store);
        settle(&self.disk)?;
        let running = candidate.start(&self.go, &self.disk, &path, &served.env(), &[], link);
        let url = running.as_ref().map(|running| running.process.url().to_owned()).map_err(ToString::to_string);
        // With what the proxy said, where it fails.
        let through_it = || {
            let url = match &url {
                Ok(url) => url,
                Err(why) => return Ok(Err(why.clone())),
            };
            let go = sampled(self.go(ready, link, &[("GOPROXY", url.into())])?, &served)?;
            let log = || running.as_ref().map(|running| running.process.log()).unwrap_or_default();
            Ok(go.map_err(|why| format!("{why}\n{}", log())))
        };
        if first == Through::Warmed {
            let warmed = match &url {
                Ok(url) => self.warmed(ready, link, url, &served)?,
                Err(why) => Err(why.clone()),
            };
            let after = match &warmed {
                Ok(_) => through_it()?,
                Err(why) => Err(why.clone()),
            };
            let whole = warmed.and_then(|warmed| {
                let Sample { seconds, traffic } = after.clone()?;
                Ok(Sample { seconds: warmed.seconds + seconds, traffic: warmed.traffic.and(&traffic) })
            });
            return Ok(vec![whole, after]);
        }
        let empty = through_it()?;
        let full = || if empty.is_ok() { through_it() } else { Ok(empty.clone()) };
        if first == Through::GoproxyEmpty {
            let full = repeated(row.repeats(Through::GoproxyFull), full)?;
            return Ok(vec![empty, full]);
        }
        let (_nginx, url) = nginx::start(&ready.modules, self.shelf.pem(), Protocol::Plain)?;
        let nginx = || {
            let go = self.go(ready, None, &[("GOPROXY", url.clone().into())])?;
            Ok(go.map(|seconds| Sample { seconds, traffic: Traffic::default() }))
        };
        let [full, nginx] = in_turns(row.repeats(Through::Full), seed.is_multiple_of(2), full, nginx)?;
        Ok(vec![empty, full, nginx])
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

    /// `goferry warm`.
    fn warmed(&self, ready: &Ready, link: Option<&Link>, url: &str, served: &Served) -> Result<Sampled, BenchError> {
        let home = Home::new_in(&self.options.common.memory)?;
        let project = home.at("project");
        ready.write_project(&project)?;
        let call = call(&self.go, &home, &project, &[("GOPROXY", "off".into())], link);
        let done = call.run(&self.goferry, &["warm", "--proxy", url])?;
        if !done.succeeded() {
            return Ok(Err(format!("goferry warm: {}", done.failure())));
        }
        sampled(Ok(done.wall.as_secs_f64()), served)
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
fn sampled(go: Result<f64, String>, served: &Served) -> Result<Sampled, BenchError> {
    let traffic = served.traffic_since()?;
    Ok(go.map(|seconds| Sample { seconds, traffic }))
}

/// The median of some.
fn repeated(times: usize, one: impl Fn() -> Result<Sampled, BenchError>) -> Result<Sampled, BenchError> {
    let samples: Result<Vec<_>, _> = (0..times).map(|_| one()).collect();
    Ok(median(samples?))
}

/// The medians of two that alternate; so does which of them is first.
fn in_turns(
    times: usize,
    second_first: bool,
    first: impl Fn() -> Result<Sampled, BenchError>,
    second: impl Fn() -> Result<Sampled, BenchError>,
) -> Result<[Sampled; 2], BenchError> {
    let mut samples = [Vec::new(), Vec::new()];
    for number in 0..times {
        if (number % 2 == 1) != second_first {
            samples[1].push(second()?);
            samples[0].push(first()?);
        } else {
            samples[0].push(first()?);
            samples[1].push(second()?);
        }
    }
    Ok(samples.map(median))
}

/// The one whose time is in the middle; where one failed, why it did.
fn median(samples: Vec<Sampled>) -> Sampled {
    let samples: Vec<Sample> = samples.into_iter().collect::<Result<_, _>>()?;
    middle(&samples).cloned().ok_or_else(|| "no run".to_owned())
}

/// The one whose time is in the middle, the upper one of two.
pub(super) fn middle<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Option<&'a Sample> {
    let mut samples: Vec<&Sample> = samples.into_iter().collect();
    samples.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    samples.get(samples.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn sample(seconds: f64) -> Sampled {
        Ok(Sample { seconds, traffic: Traffic::default() })
    }

    #[test]
    fn the_median_counts_and_a_failure_fails() {
        let seconds = |samples: Vec<Sampled>| median(samples).map(|sample| sample.seconds);
        assert_eq!(seconds([0.3, 9.0, 0.1, 0.2, 0.4].map(sample).to_vec()), Ok(0.3));
        assert_eq!(seconds(vec![sample(1.0), Err("no".to_owned())]), Err("no".to_owned()));
    }

    #[test]
    fn two_alternate() {
        for (second_first, expected) in [(false, "abbaab"), (true, "baabba")] {
            let order = RefCell::new(String::new());
            let one = |name: char, seconds: f64| {
                order.borrow_mut().push(name);
                Ok(sample(seconds))
            };
            let [a, b] = in_turns(3, second_first, || one('a', 1.0), || one('b', 2.0)).unwrap();
            assert_eq!((a.unwrap().seconds, b.unwrap().seconds), (1.0, 2.0));
            assert_eq!(order.into_inner(), expected);
        }
    }
}
