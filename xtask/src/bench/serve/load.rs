//! Many clients of what is stored already, of goferry and of nginx.

use std::fs;
use std::path::PathBuf;

use goferry_lab::servers::{RealServer, write_goproxy};
use goferry_lab::universe::{Universe, ZipSize};
use tempfile::TempDir;

use super::candidates::{Candidate, Running};
use super::h2load::{Amount, Load, Loaded};
use super::rows::{Kind, Protocol};
use super::{Bench, crowd, nginx, process};
use crate::bench::BenchError;
use crate::say::say;

pub(super) const CLIENTS: usize = 1_000;
/// Seconds of one run, and of one for a trial.
const RUN: [u64; 2] = [5, 1];
const CROWD_RUN: [u64; 2] = [40, 30];
/// Requests of one run: a client of h2load that can be read without end does not look at its clock.
const ZIPS_1: [usize; 2] = [4_000, 400];
const ZIPS_50: [usize; 2] = [80, 16];

/// The files, on disk and in the page cache, and a store of goferry that has them.
pub(super) struct Files {
    folder: TempDir,
    store: TempDir,
    log: PathBuf,
}

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    Goferry,
    Nginx,
}

/// One run.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) loaded: Loaded,
    /// Seconds of processor time of the server.
    pub(super) cpu: f64,
    /// Peak of its resident memory, in MB.
    pub(super) peak: f64,
    /// Clients that were connected at once.
    pub(super) connected: usize,
}

/// The runs of goferry and of nginx.
pub(super) type Runs = [Vec<Result<Run, String>>; 2];

/// A server, ended when it is dropped.
enum Started {
    Goferry(Running),
    Nginx(RealServer),
}

impl Started {
    fn pids(&self) -> Vec<u32> {
        match self {
            Self::Goferry(running) => vec![running.process.pid()],
            Self::Nginx(server) => process::group(server.pid()),
        }
    }
}

impl Kind {
    fn path(self) -> &'static str {
        match self {
            Self::Info => "/lab.example.com/m0000/@v/v1.0.0.info",
            Self::Mod => "/lab.example.com/m0000/@v/v1.0.0.mod",
            Self::Zip1 => "/lab.example.com/m0000/@v/v1.0.0.zip",
            Self::Zip50 => "/lab.example.com/m0001/@v/v1.0.0.zip",
        }
    }

    /// Clients, and requests at once of each with HTTP/2.
    fn clients(self, protocol: Protocol) -> (usize, usize) {
        match (self, protocol) {
            (Self::Info | Self::Mod, Protocol::Tls2) => (8, 16),
            (Self::Info | Self::Mod, _) => (64, 1),
            (Self::Zip1, Protocol::Tls2) => (4, 4),
            (Self::Zip1, _) => (16, 1),
            (Self::Zip50, Protocol::Tls2) => (4, 2),
            (Self::Zip50, _) => (8, 1),
        }
    }
}

impl Bench<'_> {
    /// Makes the files, and has goferry fetch them.
    pub(super) fn files(&self) -> Result<Files, BenchError> {
        let folder = TempDir::with_prefix_in("goferry-load-", &self.disk)?;
        // The second writes its first module over the other's.
        for (modules, bytes) in [(2, 50_000_000), (1, 1_000_000)] {
            let universe = Universe::builder().modules(modules).zip_size(ZipSize::Fixed(bytes)).build();
            write_goproxy(&universe, folder.path())?;
        }
        let store = TempDir::with_prefix_in("goferry-store-", &self.disk)?;
        let log = folder.path().join("h2load.log");
        let files = Files { folder, store, log };
        let served = self.shelf.serve(files.folder.path(), None, None)?;
        let running = self.candidate().start(&self.go, &self.disk, files.store.path(), &served.env(), &[], None)?;
        for kind in [Kind::Info, Kind::Mod, Kind::Zip1, Kind::Zip50] {
            let url = format!("{}{}", running.process.url(), kind.path());
            once(&files, &url, true, kind)?;
        }
        Ok(files)
    }

    fn candidate(&self) -> Candidate {
        Candidate::Goferry(self.goferry.clone())
    }

    fn started(&self, files: &Files, server: Server, protocol: Protocol) -> Result<(Started, String), BenchError> {
        let pem = self.shelf.pem();
        if server == Server::Nginx {
            let (server, url) = nginx::start(files.folder.path(), pem, protocol)?;
            return Ok((Started::Nginx(server), url));
        }
        let (cert, key) = (pem.cert.display().to_string(), pem.key.display().to_string());
        let mut arguments = Vec::new();
        if protocol != Protocol::Plain {
            arguments.extend(["--tls-cert", cert.as_str(), "--tls-key", key.as_str()]);
        }
        // Whatever it does not have it cannot get.
        let env = [("GOPROXY", "https://127.0.0.1:9".into())];
        let running = self.candidate().start(&self.go, &self.disk, files.store.path(), &env, &arguments, None)?;
        let url = running.process.url().to_owned();
        Ok((Started::Goferry(running), url))
    }

    /// Measures a file.
    pub(super) fn load(&self, files: &Files, kind: Kind, protocol: Protocol) -> Result<Runs, BenchError> {
        let quick = usize::from(self.options.common.quick);
        let amount = match kind {
            Kind::Info | Kind::Mod => Amount::Seconds(RUN[quick]),
            Kind::Zip1 => Amount::Requests(ZIPS_1[quick]),
            Kind::Zip50 => Amount::Requests(ZIPS_50[quick]),
        };
        self.alternating(|server| self.run(files, server, kind, protocol, kind.clients(protocol), amount))
    }

    /// Measures the memory that many clients of a large file cost.
    pub(super) fn memory(&self, files: &Files, protocol: Protocol) -> Result<Runs, BenchError> {
        let seconds = CROWD_RUN[usize::from(self.options.common.quick)];
        self.alternating(|server| {
            let (started, url) = self.started(files, server, protocol)?;
            let url = format!("{url}{}", Kind::Zip50.path());
            once(files, &url, protocol != Protocol::Tls2, Kind::Zip50)?;
            let pids = started.pids();
            let before = process::cpu_seconds(&pids);
            let crowd = crowd::read(&url, protocol, CLIENTS, seconds, &files.log)?;
            let (cpu, peak) = (process::cpu_seconds(&pids) - before, process::peak_mb(&pids));
            let loaded = Loaded { seconds: crowd.seconds, bytes: crowd.bytes, ..Loaded::default() };
            Ok(Run { loaded, cpu, peak, connected: crowd.together })
        })
    }

    fn alternating(&self, one: impl Fn(Server) -> Result<Run, BenchError>) -> Result<Runs, BenchError> {
        let mut runs = Runs::default();
        for number in 0..self.options.common.runs {
            let mut order = [Server::Goferry, Server::Nginx];
            if number % 2 == 1 {
                order.reverse();
            }
            for server in order {
                let run = one(server).map_err(|error| error.to_string());
                match &run {
                    Ok(Run { loaded, cpu, peak, connected }) => say!(
                        "    {server:?}: {:.0} requests/s, {:.0} MB/s, {} failed, p50 {:.2} ms, p99 {:.2} ms, {cpu:.2} s CPU, {peak:.0} MB, {connected} clients",
                        loaded.rate(),
                        loaded.throughput() / 1e6,
                        loaded.failed,
                        loaded.quantile(0.5).unwrap_or_default() * 1e3,
                        loaded.quantile(0.99).unwrap_or_default() * 1e3,
                    ),
                    Err(why) => say!("    {server:?}: fails: {why}"),
                }
                runs[usize::from(server == Server::Nginx)].push(run);
            }
        }
        Ok(runs)
    }

    fn run(
        &self,
        files: &Files,
        server: Server,
        kind: Kind,
        protocol: Protocol,
        (clients, streams): (usize, usize),
        amount: Amount<'_>,
    ) -> Result<Run, BenchError> {
        let (started, url) = self.started(files, server, protocol)?;
        let url = format!("{url}{}", kind.path());
        let http1 = protocol != Protocol::Tls2;
        once(files, &url, http1, kind)?;
        let pids = started.pids();
        let before = process::cpu_seconds(&pids);
        let load = Load { url: &url, http1, clients, streams, amount, rate: None, log: &files.log, link: None };
        let loaded = load.run()?;
        let (cpu, peak) = (process::cpu_seconds(&pids) - before, process::peak_mb(&pids));
        if loaded.failed > 0 {
            return Err(BenchError::Server(format!("{} of {} requests failed", loaded.failed, loaded.requests)));
        }
        Ok(Run { loaded, cpu, peak, connected: clients })
    }
}

/// Asks once, and holds what comes against the file.
fn once(files: &Files, url: &str, http1: bool, kind: Kind) -> Result<(), BenchError> {
    let amount = Amount::Requests(1);
    let load = Load { url, http1, clients: 1, streams: 1, amount, rate: None, log: &files.log, link: None };
    let loaded = load.run()?;
    let length = fs::metadata(files.folder.path().join(&kind.path()[1..]))?.len();
    if loaded.requests == 1 && (loaded.bytes == length || kind == Kind::Info) {
        return Ok(());
    }
    let (requests, bytes) = (loaded.requests, loaded.bytes);
    Err(BenchError::Server(format!("{}: {requests} good answers, {bytes} bytes of {length}", kind.path())))
}
