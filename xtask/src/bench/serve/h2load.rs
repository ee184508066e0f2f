//! h2load, of the nghttp2 project, and what it says.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use goferry_lab::link::Link;

use crate::bench::BenchError;
use crate::workspace::{WorkspaceError, output};

/// A run that takes longer is ended, and has failed.
const DEADLINE: Duration = Duration::from_secs(600);
/// Of a stream, 4 MiB, as that of the go command (net/http, transportDefaultStreamFlow); a connection's is 1 GiB.
const WINDOW: &str = "--window-bits=22";

/// What it is to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load<'a> {
    pub(super) url: &'a str,
    /// HTTP/1.1, and not HTTP/2.
    pub(super) http1: bool,
    pub(super) clients: usize,
    /// Requests at once of each client.
    pub(super) streams: usize,
    pub(super) amount: Amount<'a>,
    /// Requests that each client begins in a second; as many as it can where nothing is said.
    pub(super) rate: Option<usize>,
    /// Where its log of requests goes.
    pub(super) log: &'a Path,
    /// Across this link's client side, and not over this machine's loopback.
    pub(super) link: Option<&'a Link>,
}

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Amount<'a> {
    Seconds(u64),
    Requests(usize),
    /// One request of each of these, in a file.
    Each(usize, &'a Path),
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Loaded {
    pub(super) seconds: f64,
    /// Requests that were answered with 2xx or 3xx, to the end.
    pub(super) requests: u64,
    /// Those that were answered otherwise, or not at all.
    pub(super) failed: u64,
    /// Bytes of bodies.
    pub(super) bytes: u64,
    /// Seconds that each request took, sorted.
    pub(super) times: Vec<f64>,
}

impl Load<'_> {
    /// Does it.
    pub(super) fn run(&self) -> Result<Loaded, BenchError> {
        match fs::remove_file(self.log) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        // It looks at its clock only between two clients, and does not come to that where one can be read without end.
        let mut command = Command::new("timeout");
        command.arg("--signal=KILL").arg(DEADLINE.as_secs().to_string()).arg("h2load");
        command.args(["--threads=1", "--max-frame-size=16384", WINDOW]);
        command.arg(format!("--clients={}", self.clients)).arg(format!("--max-concurrent-streams={}", self.streams));
        command.arg(format!("--log-file={}", self.log.display())).args(self.http1.then_some("--h1"));
        command.args(self.rate.map(|rate| format!("--rps={rate}")));
        match self.amount {
            Amount::Seconds(seconds) => command.arg(format!("--duration={seconds}")).arg(self.url),
            Amount::Requests(count) => command.arg(format!("--requests={count}")).arg(self.url),
            Amount::Each(count, file) => {
                command.arg(format!("--requests={count}")).arg(format!("--input-file={}", file.display()))
            }
        };
        command.stdin(Stdio::null());
        let said = match self.link {
            None => output(&mut command)?,
            Some(link) => {
                let done = link.client_output(&mut command)?;
                text(&command, &done)?
            }
        };
        let mut loaded = parse(&said).ok_or_else(|| io::Error::other(format!("h2load: {}", said.trim())))?;
        loaded.times = times(&fs::read_to_string(self.log).unwrap_or_default());
        Ok(loaded)
    }
}

impl Loaded {
    /// Requests in a second.
    pub(super) fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// Bytes of bodies in a second.
    pub(super) fn throughput(&self) -> f64 {
        self.bytes as f64 / self.seconds
    }

    /// The time within which this share of the requests was answered, in seconds.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let last = self.times.len().checked_sub(1)?;
        self.times.get(((last as f64) * share).round() as usize).copied()
    }
}

/// Its version.
pub(super) fn version() -> Result<String, BenchError> {
    Ok(output(Command::new("h2load").arg("--version"))?.trim().to_owned())
}

fn text(command: &Command, done: &Output) -> Result<String, WorkspaceError> {
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    Err(WorkspaceError::Failed { program: crate::workspace::shown(command), said })
}

/// Reads its summary.
fn parse(said: &str) -> Option<Loaded> {
    let line = |start: &str| said.lines().find_map(|line| line.trim().strip_prefix(start));
    let seconds = duration(line("finished in ")?.split(',').next()?)?;
    let requests = line("requests: ")?;
    let count = |name: &str| {
        let part = requests.split(", ").find_map(|part| part.strip_suffix(name))?;
        part.trim().parse::<u64>().ok()
    };
    let good = count(" succeeded")?;
    let bytes = line("traffic: ")?.strip_suffix(" data")?.rsplit_once('(')?.1.strip_suffix(')')?.parse().ok()?;
    // What was under way at the end of the time counts as nothing.
    let failed = count(" failed")?.max(count(" errored")?).max(count(" timeout")?);
    Some(Loaded { seconds, requests: good, failed, bytes, times: Vec::new() })
}

/// `5.01s`, `100.85ms` or `77us`.
fn duration(text: &str) -> Option<f64> {
    let unit = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let value: f64 = text[..unit].parse().ok()?;
    match &text[unit..] {
        "s" => Some(value),
        "ms" => Some(value / 1e3),
        "us" => Some(value / 1e6),
        _ => None,
    }
}

/// The third column of its log, in microseconds there, of requests that were answered.
fn times(log: &str) -> Vec<f64> {
    let time = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let &[_, "200", micros, ..] = columns.as_slice() else { return None };
        micros.parse::<f64>().ok()
    };
    let mut times: Vec<f64> = log.lines().filter_map(time).map(|micros| micros / 1e6).collect();
    times.sort_by(f64::total_cmp);
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_summary_is_read() {
        let said = "progress: 100% done\n\nfinished in 100.85ms, 19831.04 req/s, 3.90MB/s\n\
            requests: 2000 total, 2000 started, 2000 done, 1990 succeeded, 10 failed, 0 errored, 0 timeout\n\
            status codes: 1990 2xx, 0 3xx, 10 4xx, 0 5xx\n\
            traffic: 403.22KB (412893) total, 224.61KB (230000) headers (space savings 0.00%), 102.43KB (104893) data\n";
        let loaded = parse(said).unwrap();
        assert_eq!((loaded.requests, loaded.failed, loaded.bytes), (1990, 10, 104_893));
        assert!((loaded.rate() - 19_732.3).abs() < 0.1, "{}", loaded.rate());
        assert_eq!(parse("nothing"), None);
    }

    #[test]
    fn its_log_is_read() {
        let mut log: String = (1..=101).rev().map(|micros| format!("1795425110190131\t200\t{micros}\n")).collect();
        log += "1795425110190131\t-1\t900\n1795425110190131\t404\t900\n";
        let loaded = Loaded { times: times(&log), ..Loaded::default() };
        let near = |value: Option<f64>, expected: f64| (value.unwrap() - expected).abs() < 1e-9;
        assert!(near(loaded.quantile(0.5), 51e-6) && near(loaded.quantile(0.99), 100e-6), "{loaded:?}");
        assert_eq!(Loaded::default().quantile(0.5), None);
    }
}
