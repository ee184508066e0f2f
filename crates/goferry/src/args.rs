//! The command line.

pub(crate) mod serve;
pub(crate) mod store;
pub(crate) mod warm;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use goferry_diagnose::Severity;

use crate::exit_code;

/// Makes Go module downloads fast, and says why they were not.
#[derive(Debug, Parser)]
#[command(name = "goferry", version, max_term_width = 80, propagate_version = true, after_help = exit_code::HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find what keeps module downloads from reusing connections here, what it costs and what to do.
    #[command(visible_alias = "diagnose")]
    Doctor(Doctor),
    /// Fetch a project's modules into the Go module cache, as `go mod download` would, all at once.
    Download(Download),
    /// Serve modules to go commands: a module proxy that keeps its connections, fetches ahead and verifies.
    Serve(Box<serve::Serve>),
    /// Have a goferry that serves fetch what a project needs, before its first command.
    Warm(warm::Warm),
    /// See, verify and prune what `goferry serve` keeps.
    Store(store::Store),
    /// Show the page of a finding, or list all findings.
    Explain(Explain),
    /// Take a setting that a finding is about out of your own files; shows the change unless told to make it.
    Fix(Fix),
    /// Servers, proxies and links that misbehave on purpose.
    #[command(subcommand)]
    Lab(Lab),
    /// See a fault, the real go command and doctor side by side. Needs nothing but Go.
    Demo(Demo),
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The project's folder; no project is fine.
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Look for connection limits and idle time-outs too: up to 1,500 requests and 120 s.
    #[arg(long)]
    pub(crate) deep: bool,
    /// Diagnose this proxy, or list of proxies, in place of GOPROXY.
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,
    #[command(flatten)]
    pub(crate) format: Format,
    /// Exit with 1 from this severity on.
    #[arg(long, value_name = "SEVERITY", default_value = "error")]
    pub(crate) fail_on: FailOn,
    /// No progress on standard error.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  goferry download                       the module or workspace of this folder
  goferry download ./service             that of another folder
  goferry download golang.org/x/text@latest
  goferry download all                   the whole build list
What is meant by all, patterns and queries: go help mod download, go help
module queries. Settings are those of the go command: GOPROXY, GOPRIVATE,
GOSUMDB, GOMODCACHE, GOFLAGS and so on, from the environment or go env -w.")]
pub(crate) struct Download {
    /// A folder, or modules: MODULE@VERSION, MODULE@QUERY, MODULE, a pattern, all.
    #[arg(value_name = "DIR|MODULE")]
    pub(crate) what: Vec<String>,
    /// The project's folder, where modules are named.
    #[arg(short = 'C', long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Print a JSON object for each module, with the fields of `go mod download -json`.
    #[arg(long)]
    pub(crate) json: bool,
    /// Only say what would be downloaded. Reads the go.mod files that this takes.
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
    /// Zips only; the go command unpacks those that it needs.
    #[arg(long)]
    pub(crate) no_extract: bool,
    /// Most connections to one server; how many are used is decided by measurement.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) connections: u16,
    /// Fetch the toolchain that the project makes the go command fetch: always, never, or when it would.
    #[arg(long, value_name = "WHEN", default_value = "auto", num_args = 0..=1, default_missing_value = "always")]
    pub(crate) toolchain: When,
    /// How often a file is tried again without progress.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) retries: u32,
    /// How long a file may go without progress, in seconds; tries and waits included.
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Write what happened on each connection to FILE, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) timeline: Option<PathBuf>,
    /// No progress and no summary.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// When the go command would fetch it.
    Auto,
    /// As auto, and say so where there is nothing to fetch.
    Always,
    /// Never.
    Never,
}

#[derive(Clone, Copy, Debug, Args)]
#[group(multiple = false)]
pub(crate) struct Format {
    /// Print JSON (goferry.report/1, docs/schema/report-1.json).
    #[arg(long)]
    pub(crate) json: bool,
    /// Print Markdown, for the summary of a CI step.
    #[arg(long)]
    pub(crate) markdown: bool,
    /// Print SARIF 2.1.0, for code scanning.
    #[arg(long)]
    pub(crate) sarif: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// The go command fails or hangs.
    Error,
    /// It loses time that a remedy gives back.
    Warning,
    /// Anything at all.
    Info,
    /// Exit with 0 whatever is found.
    Never,
}

impl FailOn {
    /// Whether a report with this worst severity is a failure.
    pub(crate) fn fails(self, worst: Option<Severity>) -> bool {
        let threshold = match self {
            FailOn::Error => Severity::Error,
            FailOn::Warning => Severity::Warning,
            FailOn::Info => Severity::Info,
            FailOn::Never => return false,
        };
        worst.is_some_and(|worst| worst >= threshold)
    }
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The finding, for example goaway-churn; without it all are listed.
    pub(crate) id: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Fix {
    /// The finding, for example http2-disabled-by-env.
    pub(crate) id: String,
    /// The project's folder, whose files are searched beside your start-up files.
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Write the files; each keeps a backup beside it.
    #[arg(long)]
    pub(crate) apply: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Lab {
    /// List the faults, and what doctor finds in each.
    List,
    /// Serve a fault until Ctrl-C or end of input, then show what was counted.
    Run(Run),
    /// Run a command across an emulated long link (Linux, root).
    Link(Link),
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The fault, as in `goferry lab list`.
    pub(crate) fault: String,
    /// Where the module proxy listens; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Run this in the lab's project and environment, and end with it. A fault that needs the emulated link (root)
    /// can only be reached so.
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Link {
    /// Round trip time: 50ms, 1.5s.
    #[arg(long, default_value = "50ms", value_parser = units::duration)]
    pub(crate) rtt: Duration,
    /// Rate of each direction: 200mbit, 1gbit, 64kbit; unlimited without.
    #[arg(long, value_parser = units::rate)]
    pub(crate) rate: Option<u64>,
    /// Share of the packets to the client that are lost: 1%, 0.01.
    #[arg(long, default_value = "0%", value_parser = units::share)]
    pub(crate) loss: f64,
    /// TCP congestion control of both sides.
    #[arg(long, default_value = "cubic")]
    pub(crate) congestion: String,
    /// A shell command for the server's side, started first; it reads $GOFERRY_SERVER_ADDR for the address to listen
    /// on, and is ended when COMMAND ends.
    #[arg(long, value_name = "SHELL COMMAND")]
    pub(crate) server: Option<String>,
    /// Runs on the client's side; it reads $GOFERRY_SERVER_ADDR for the address of the server's side.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The fault, as in `goferry lab list`.
    #[arg(default_value = "connection-close")]
    pub(crate) fault: String,
}

/// Numbers with units.
pub(crate) mod units {
    use std::time::Duration;

    pub(crate) fn duration(text: &str) -> Result<Duration, String> {
        let (number, unit) = split(text)?;
        let seconds = match unit {
            "us" => number / 1e6,
            "ms" => number / 1e3,
            "s" => number,
            _ => return Err("give a number and a unit, us, ms or s: 50ms".to_owned()),
        };
        Duration::try_from_secs_f64(seconds).map_err(|_| "is not a time that can be measured".to_owned())
    }

    pub(crate) fn rate(text: &str) -> Result<u64, String> {
        let (number, unit) = split(text)?;
        let factor = match unit.to_ascii_lowercase().as_str() {
            "bit" => 1.0,
            "kbit" => 1e3,
            "mbit" => 1e6,
            "gbit" => 1e9,
            _ => return Err("give a number and a unit, kbit, mbit or gbit: 200mbit".to_owned()),
        };
        let bits = number * factor;
        if (1.0..=1e15).contains(&bits) { Ok(bits as u64) } else { Err("is no rate".to_owned()) }
    }

    pub(crate) fn share(text: &str) -> Result<f64, String> {
        let (number, unit) = split(text)?;
        let share = match unit {
            "%" => number / 100.0,
            "" => number,
            _ => return Err("give a percentage or a share: 1% or 0.01".to_owned()),
        };
        if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("must be from 0% to 100%".to_owned()) }
    }

    fn split(text: &str) -> Result<(f64, &str), String> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        Ok((number.parse().map_err(|_| "must begin with a number".to_owned())?, unit))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn numbers_with_units() {
            assert_eq!(duration("50ms"), Ok(Duration::from_millis(50)));
            assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
            assert_eq!(rate("200mbit"), Ok(200_000_000));
            assert_eq!(rate("64Kbit"), Ok(64_000));
            assert_eq!(share("1%"), Ok(0.01));
            assert_eq!(share("0.5"), Ok(0.5));
            for bad in ["", "ms", "50", "-1ms", "1e3s", "99999999999999999999999s"] {
                assert!(duration(bad).is_err(), "{bad}");
            }
            assert!(rate("0mbit").is_err() && rate("200").is_err());
            assert!(share("101%").is_err() && share("2").is_err() && share("-1%").is_err());
        }
    }
}

/// A number of seconds, from 1 to a day.
fn seconds(text: &str) -> Result<Duration, String> {
    match text.trim_end_matches('s').parse::<f64>() {
        Ok(seconds) if (1.0..=86_400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("a number of seconds from 1 to 86400 is needed".to_owned()),
    }
}
