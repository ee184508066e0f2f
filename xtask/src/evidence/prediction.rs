//! `docs/evidence/prediction.md`: the wall time of the real go command over the emulated link against what the model of
//! `goferry_diagnose::price` predicts for it.
//!
//! Needs root (the link is made of network namespaces), Linux and the toolchain. Every cell is measured by itself, one after
//! another; a cell whose two runs differ by more than a tenth is run a third time and the median counts.

mod table;

use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use goferry_diagnose::price::{self, Client, Congestion, HostCosts, PriceInputs, Project, Protocol};
use goferry_lab::certs::{Authority, CertError};
use goferry_lab::go_client::{GoClient, GoClientError};
use goferry_lab::link::{Link, LinkError};
use goferry_lab::server::behaviour::{TlsOptions, Transport};
use goferry_lab::server::{Behaviour, Identity, Origin, OriginError, OriginHandle, Snapshot};
use goferry_lab::universe::{ProjectSpec, Universe, ZipSize};
use tempfile::TempDir;

use crate::say::say;

/// The go command that is measured.
const GO: &str = "go1.27.3";
const ZIP_BYTES: usize = 50_000;
const RATE_BITS: u64 = 200_000_000;
const DEADLINE: Duration = Duration::from_secs(400);
/// Two runs that differ by more than this share are followed by a third.
const NOISE: f64 = 0.1;
/// Connections made to measure the round trip.
const CONNECTS: usize = 9;

/// Why the table could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PredictionError {
    /// The emulated link.
    #[error("the emulated link: {0}")]
    Link(#[from] LinkError),
    /// The module proxy.
    #[error("the lab's module proxy: {0}")]
    Origin(#[from] OriginError),
    /// Its certificate.
    #[error("the lab's certificates: {0}")]
    Certificate(#[from] CertError),
    /// The go command did not run.
    #[error("the go command: {0}")]
    Go(#[from] GoClientError),
    /// The go command ran and failed: the cell has no wall time.
    #[error("the go command {outcome} in the cell {cell}: {stderr}")]
    Failed {
        /// Which cell.
        cell: String,
        /// How it ended.
        outcome: String,
        /// Its own words.
        stderr: String,
    },
    /// The version of the go command.
    #[error("not a Go version: {0}")]
    Version(String),
    /// A file or socket.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

fn doing(what: &'static str) -> impl FnOnce(io::Error) -> PredictionError {
    move |source| PredictionError::Io { what, source }
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cell {
    pub(crate) rtt_ms: u64,
    pub(crate) procs: u32,
    pub(crate) http2: bool,
    pub(crate) modules: u32,
    /// Share of packets lost on the way to the client.
    pub(crate) loss: f64,
    /// Congestion control on both sides.
    pub(crate) congestion: &'static str,
}

impl Cell {
    fn name(&self) -> String {
        let protocol = if self.http2 { "h2" } else { "http/1.1" };
        let Cell { rtt_ms, procs, modules, loss, congestion, .. } = self;
        format!("{rtt_ms} ms, {procs} procs, {protocol}, {modules} modules, {} % loss, {congestion}", loss * 100.0)
    }
}

/// What the real go command did in a cell.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// Wall time of each run, in seconds, as they came.
    pub(crate) walls: Vec<f64>,
    /// The shortest of nine TCP handshakes.
    pub(crate) rtt: Duration,
    /// Connections that the server accepted, and those that carried a request, in the last run.
    pub(crate) connections: u64,
    pub(crate) used: u64,
    /// When the server got the last request for a `.mod` and for an `.info`, in seconds after the first request, in the last run.
    pub(crate) phases: [f64; 2],
    /// Packets to the client that the link's queue had no room for, in the last run.
    pub(crate) dropped: u64,
    pub(crate) inputs: PriceInputs,
}

impl Measured {
    /// The middle of three runs, the mean of two.
    pub(crate) fn wall(&self) -> f64 {
        let mut walls = self.walls.clone();
        walls.sort_by(f64::total_cmp);
        match walls.len() {
            0 => 0.0,
            n if n % 2 == 1 => walls[n / 2],
            n => (walls[n / 2 - 1] + walls[n / 2]) / 2.0,
        }
    }
}

/// The 24 cells without loss and the 8 with.
pub(crate) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for rtt_ms in [5, 50, 150] {
        for procs in [2, 8] {
            for http2 in [true, false] {
                for modules in [50, 200] {
                    cells.push(Cell { rtt_ms, procs, http2, modules, loss: 0.0, congestion: "cubic" });
                }
            }
        }
    }
    for http2 in [true, false] {
        for congestion in ["cubic", "bbr"] {
            for loss in [0.001, 0.01] {
                cells.push(Cell { rtt_ms: 50, procs: 8, http2, modules: 200, loss, congestion });
            }
        }
    }
    cells
}

/// Measures every cell, predicts it, and writes the table to `out`/prediction.md.
///
/// # Errors
/// When the link, the server or the go command cannot be had, when a download fails, and when the file cannot be written.
pub(crate) fn run(out: &Path) -> Result<(), PredictionError> {
    let mut rows = Vec::new();
    for cell in cells() {
        let measured = measure(&cell)?;
        let predicted = price::predict(&measured.inputs).total.as_secs_f64();
        say!("    {}: {:.2} s, predicted {predicted:.2} s", cell.name(), measured.wall());
        rows.push((cell, measured));
    }
    fs::create_dir_all(out).map_err(doing("making the folder of the evidence"))?;
    fs::write(out.join("prediction.md"), table::render(&rows)).map_err(doing("writing prediction.md"))
}

/// Runs the go command two or three times in one cell.
pub(crate) fn measure(cell: &Cell) -> Result<Measured, PredictionError> {
    let universe = Universe::builder().modules(cell.modules as usize).zip_size(ZipSize::Fixed(ZIP_BYTES)).build();
    let universe = Arc::new(universe);
    let project = TempDir::new().map_err(doing("making the project's folder"))?;
    universe.write_project(project.path(), &ProjectSpec::default()).map_err(doing("writing the project"))?;
    let authority = Authority::new("goferry lab")?;
    let roots = project.path().join("ca.pem");
    authority.write_pem(&roots)?;
    let mut measured: Option<Measured> = None;
    let mut walls = Vec::new();
    while walls.len() < 2 || (walls.len() == 2 && noisy(&walls)) {
        let link = Link::builder()
            .rtt(Duration::from_millis(cell.rtt_ms))
            .rate_bits(RATE_BITS)
            .loss(cell.loss)
            .congestion(cell.congestion)
            .seed(walls.len() as u64 + 1)
            .build()?;
        let host = link.server_addr().to_string();
        let transport = Transport::Tls(TlsOptions {
            alpn: if cell.http2 { vec!["h2", "http/1.1"] } else { vec!["http/1.1"] },
            ..TlsOptions::default()
        });
        let origin = link.in_server(|| {
            let listener = TcpListener::bind((link.server_addr(), 0)).map_err(doing("listening across the link"))?;
            let identity = Identity { authority: &authority, hosts: &[&host] };
            let behaviour = Behaviour { transport, ..Behaviour::default() };
            Ok::<_, PredictionError>(Origin::start(behaviour, Arc::clone(&universe), Some(identity), listener)?)
        })??;
        let rtt = round_trip(&link, &origin)?;
        // The last of those connections arrives half a round trip later.
        std::thread::sleep(2 * rtt);
        let before = origin.snapshot();
        let cache = memory_folder()?;
        let run = GoClient::new(GO.parse().map_err(|_| PredictionError::Version(GO.to_owned()))?)
            .dir(project.path())
            .goproxy(format!("https://{}", origin.address()))
            .ssl_cert_file(&roots)
            .gomaxprocs(cell.procs)
            .env("GOMODCACHE", cache.path())
            .deadline(DEADLINE)
            .run_on(&link)?;
        if !run.succeeded() {
            let stderr = run.stderr.lines().take(3).collect::<Vec<_>>().join("; ");
            return Err(PredictionError::Failed { cell: cell.name(), outcome: run.outcome.to_string(), stderr });
        }
        let after = origin.snapshot();
        walls.push(run.wall.as_secs_f64());
        measured = Some(Measured {
            walls: Vec::new(),
            rtt,
            connections: after.connections - before.connections,
            used: after.used_connections - before.used_connections,
            phases: phases(&after),
            dropped: link.counters().to_client.queue_dropped,
            inputs: inputs(cell, rtt, &universe),
        });
    }
    let mut measured = measured.ok_or_else(|| PredictionError::Version("no run".to_owned()))?;
    measured.walls = walls;
    Ok(measured)
}

fn noisy(walls: &[f64]) -> bool {
    let (low, high) = walls.iter().fold((f64::MAX, 0.0f64), |(l, h), w| (l.min(*w), h.max(*w)));
    high - low > NOISE * high
}

/// The module cache lies in memory, where the system has such a place: a disk's mood is not what is measured here.
fn memory_folder() -> Result<TempDir, PredictionError> {
    let shared = Path::new("/dev/shm");
    let made = if shared.is_dir() { TempDir::with_prefix_in("goferry-evidence-", shared) } else { TempDir::new() };
    made.map_err(doing("making the module cache's folder"))
}

fn phases(seen: &Snapshot) -> [f64; 2] {
    let start = seen.log.iter().map(|request| request.at).fold(f64::INFINITY, f64::min);
    ["mod", "info"].map(|kind| {
        seen.log.iter().filter(|request| request.kind == kind).map(|request| request.at - start).fold(0.0, f64::max)
    })
}

/// The shortest TCP handshake: the round trip without the moods of the machine.
fn round_trip(link: &Link, origin: &OriginHandle) -> Result<Duration, PredictionError> {
    let address = origin.address();
    let times = link.in_client(|| {
        let mut times = Vec::new();
        for _ in 0..CONNECTS {
            let start = Instant::now();
            drop(TcpStream::connect(address)?);
            times.push(start.elapsed());
        }
        io::Result::Ok(times)
    })?;
    let mut times = times.map_err(doing("connecting across the link"))?;
    times.sort_unstable();
    Ok(times[0])
}

/// What a diagnosis would know: the project from go.mod, go.sum and the sizes of its zips, the round trip as measured, capacity, loss
/// and the sender's congestion control as the link was told, and everything else as it is by default.
fn inputs(cell: &Cell, rtt: Duration, universe: &Universe) -> PriceInputs {
    let zips = universe.modules().iter().map(|module| module.zip.len() as u64).collect();
    let cpus = std::thread::available_parallelism().map_or(2, |n| n.get() as u32);
    PriceInputs {
        project: Project { zips, ..Project::uniform(cell.modules, ZIP_BYTES as u64) },
        client: Client { gomaxprocs: cell.procs, num_cpu: cpus, go_minor: 27 },
        path: price::Path {
            rtt,
            protocol: if cell.http2 { Protocol::Http2 } else { Protocol::Http1 { keep_alive: true } },
            max_concurrent_streams: 250,
            bandwidth: Some(RATE_BITS as f64),
            loss: cell.loss,
            congestion: if cell.congestion == "bbr" { Congestion::Bbr } else { Congestion::Cubic },
            ..price::Path::default()
        },
        costs: HostCosts::in_memory(),
    }
}
