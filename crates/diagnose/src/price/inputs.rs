//! What a prediction is made from. Every value is public and serialised into the report: a price whose inputs are hidden cannot be checked.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// Most module zips that are simulated; more are ignored (the largest project known has about a thousand).
pub const MAX_MODULES: usize = 20_000;

/// Everything the model knows: the project, the go command, the path to the proxy and what this machine's own work costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PriceInputs {
    /// What is asked for.
    pub project: Project,
    /// Who asks.
    pub client: Client,
    /// What lies between the client and the module proxy.
    pub path: Path,
    /// What the work on this machine costs, without any network.
    pub costs: HostCosts,
}

/// The files of one `go mod download` into an empty module cache.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Project {
    /// `.mod` files that loading the module graph reads.
    pub graph_mod_files: u32,
    /// How many of them the main go.mod names itself, and which can therefore be asked for at once.
    pub graph_roots: u32,
    /// Longest chain of `.mod` files of which each names the next: 1 if go.mod names them all.
    pub graph_depth: u32,
    /// `.info` files: one for each module that is selected for download.
    pub infos: u32,
    /// Whether the go command asks for several `.info` at once. It does in `go mod download all` (also what a workspace and
    /// a go.mod older than 1.17 mean) from Go 1.24 on (`modload/list.go`, `par.NewQueue`).
    pub parallel_info: bool,
    /// Size of each module zip in bytes, in the order of go.mod.
    pub zips: Vec<u64>,
    /// Typical size of a `.mod` file in bytes.
    pub mod_bytes: u64,
    /// Typical size of an `.info` file in bytes.
    pub info_bytes: u64,
    /// Modules whose hash go.sum lacks, so that the checksum database is asked (through the module proxy).
    pub sumdb_lookups: u32,
    /// Size in bytes of a toolchain that is fetched before anything else; `None` if the installed one is used.
    pub toolchain_bytes: Option<u64>,
}

/// The go command.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Client {
    /// GOMAXPROCS as this Go version computes it: width of the `.mod` queue and of the zip semaphore.
    pub gomaxprocs: u32,
    /// Processors that can run at once.
    pub num_cpu: u32,
    /// Minor version of Go: 27 for go1.27.3.
    pub go_minor: u32,
}

/// The HTTP version that connections speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// HTTP/2 over TLS: one connection is shared by all requests.
    Http2,
    /// HTTP/1.1 over TLS: one request at a time, two idle connections are kept (`net/http`, `DefaultMaxIdleConnsPerHost`).
    Http1 {
        /// Whether the server leaves the connection open after a response.
        keep_alive: bool,
    },
    /// HTTP/1.1 without TLS.
    PlainHttp1 {
        /// Whether the server leaves the connection open after a response.
        keep_alive: bool,
    },
}

/// How the sender on the far side reacts to loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Congestion {
    /// Each loss event cuts the window to 0.7 (RFC 9438): a flow has the ceiling `1.2 * MSS / (RTT * sqrt(loss))`.
    Cubic,
    /// Loss only delays.
    Bbr,
    /// Not measured: priced as cubic, which most servers run.
    Unknown,
}

/// The path from the client to the module proxy and the proxy's own behaviour.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Path {
    /// Round trip of the network.
    #[serde(serialize_with = "seconds")]
    pub rtt: Duration,
    /// Time that the origin needs for a request beyond the round trip.
    #[serde(serialize_with = "seconds")]
    pub server_think: Duration,
    /// Name resolution, paid for each connection: Go keeps no DNS cache.
    #[serde(serialize_with = "seconds")]
    pub dns: Duration,
    /// Round trips of CONNECT through a forward proxy: 0 without one.
    pub connect_rtts: u32,
    /// Round trips of the TLS handshake: 1 for TLS 1.3, 2 for TLS 1.2 (ignored for plain HTTP).
    pub tls_rtts: u32,
    /// The HTTP version.
    pub protocol: Protocol,
    /// Streams that the server allows on one HTTP/2 connection.
    pub max_concurrent_streams: u32,
    /// The server ends a connection after this many requests.
    pub goaway_every: Option<u32>,
    /// Time in all that refused streams make the go command wait before it asks again, where it was measured. A limit below GOMAXPROCS
    /// costs a second in any case.
    #[serde(serialize_with = "seconds")]
    pub refused_backoff: Duration,
    /// Share of zips (0 to 1) whose stream breaks. The go command fails then; it is priced as one more run that fetches those again.
    pub broken_streams: f64,
    /// Capacity of the path in bits a second, towards the client; `None` if it is not a limit.
    pub bandwidth: Option<f64>,
    /// Share of packets lost (0 to 1) in the direction of the data.
    pub loss: f64,
    /// The sender's congestion control.
    pub congestion: Congestion,
    /// Bytes that the receiver lets be in flight on one stream; `None` if it is not a limit (Go offers 4 MiB).
    pub stream_window: Option<u64>,
    /// Time from the end of the handshake to the server's first frame (SETTINGS), before which it answers nothing.
    #[serde(serialize_with = "seconds")]
    pub settings_delay: Duration,
    /// Entries of GOPROXY asked before the one that has the files.
    pub fallback_entries: u32,
    /// Time in which one of those entries answers 404 or 410.
    #[serde(serialize_with = "seconds")]
    pub fallback_answer: Duration,
}

/// What this machine needs for its own part of the work.
///
/// The values were measured with the real go command on two cores.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HostCosts {
    /// From the start of the process to its first request, and from its last work to its end.
    #[serde(serialize_with = "seconds")]
    pub process_start: Duration,
    /// Processor time of a TLS handshake.
    #[serde(serialize_with = "seconds")]
    pub handshake: Duration,
    /// Processor time of a small file: request, parse, write into the cache.
    #[serde(serialize_with = "seconds")]
    pub small_file: Duration,
    /// Processor time of a zip, whatever its size: locks, folders, renames.
    #[serde(serialize_with = "seconds")]
    pub zip: Duration,
    /// Processor time for each byte of a zip, in nanoseconds: it is inflated twice, once to hash and once to unpack.
    pub zip_byte_ns: f64,
    /// Unpacking a toolchain.
    #[serde(serialize_with = "seconds")]
    pub toolchain_unpack: Duration,
}

/// Bytes of a toolchain for one platform, as a zip.
pub const TOOLCHAIN_BYTES: u64 = 75_000_000;

impl Default for HostCosts {
    /// Two ordinary cores and a module cache on a disk: 735 MB unpacked from 193 MB of zips took 14 to 19 s on ext4.
    fn default() -> Self {
        HostCosts {
            process_start: Duration::from_millis(60),
            handshake: Duration::from_micros(1500),
            small_file: Duration::from_micros(800),
            zip: Duration::from_micros(4000),
            zip_byte_ns: 150.0,
            toolchain_unpack: Duration::from_secs(10),
        }
    }
}

impl HostCosts {
    /// The same cores and a module cache in memory (tmpfs): the same zips took 5 to 7 s.
    #[must_use]
    pub fn in_memory() -> HostCosts {
        HostCosts {
            small_file: Duration::from_micros(400),
            zip: Duration::from_micros(1000),
            zip_byte_ns: 60.0,
            ..HostCosts::default()
        }
    }
}

impl Default for Client {
    /// Two processors and the newest Go.
    fn default() -> Self {
        Client { gomaxprocs: 2, num_cpu: 2, go_minor: 27 }
    }
}

impl Default for Path {
    /// A healthy server, 50 ms away: HTTP/2, TLS 1.3, no loss and no limit.
    fn default() -> Self {
        Path {
            rtt: Duration::from_millis(50),
            server_think: Duration::ZERO,
            dns: Duration::ZERO,
            connect_rtts: 0,
            tls_rtts: 1,
            protocol: Protocol::Http2,
            max_concurrent_streams: 100,
            goaway_every: None,
            refused_backoff: Duration::ZERO,
            broken_streams: 0.0,
            bandwidth: None,
            loss: 0.0,
            congestion: Congestion::Unknown,
            stream_window: None,
            settings_delay: Duration::ZERO,
            fallback_entries: 0,
            fallback_answer: Duration::ZERO,
        }
    }
}

impl Project {
    /// A project of `modules` required modules with zips of `zip_bytes` each, pruned, with a complete go.sum.
    pub fn uniform(modules: u32, zip_bytes: u64) -> Project {
        Project {
            graph_mod_files: modules,
            graph_roots: modules,
            graph_depth: 1,
            infos: modules,
            parallel_info: false,
            zips: vec![zip_bytes; modules as usize],
            mod_bytes: 500,
            info_bytes: 150,
            sumdb_lookups: 0,
            toolchain_bytes: None,
        }
    }
}

impl PriceInputs {
    /// The same inputs within the bounds of the simulation: a hostile value must not make it run for long.
    pub(crate) fn bounded(&self) -> PriceInputs {
        const HOUR: Duration = Duration::from_secs(3600);
        const MAX: u32 = MAX_MODULES as u32;
        let mut b = self.clone();
        let p = &mut b.project;
        p.graph_mod_files = p.graph_mod_files.min(2 * MAX);
        p.graph_roots = p.graph_roots.clamp(1, p.graph_mod_files.max(1));
        p.graph_depth = p.graph_depth.clamp(1, 1000);
        p.infos = p.infos.min(MAX);
        p.zips.truncate(MAX_MODULES);
        for size in &mut p.zips {
            *size = (*size).clamp(1, 500 << 20);
        }
        let bytes: u64 = p.zips.iter().sum();
        p.mod_bytes = p.mod_bytes.clamp(1, 16 << 20);
        p.info_bytes = p.info_bytes.clamp(1, 16 << 20);
        p.sumdb_lookups = p.sumdb_lookups.min(p.graph_mod_files);
        p.toolchain_bytes = p.toolchain_bytes.map(|n| n.clamp(1, 500 << 20));
        b.client.gomaxprocs = b.client.gomaxprocs.clamp(1, 256);
        b.client.num_cpu = b.client.num_cpu.clamp(1, 256);
        let l = &mut b.path;
        for d in [
            &mut l.rtt,
            &mut l.server_think,
            &mut l.dns,
            &mut l.refused_backoff,
            &mut l.settings_delay,
            &mut l.fallback_answer,
        ] {
            *d = (*d).min(HOUR);
        }
        l.rtt = l.rtt.max(Duration::from_micros(10));
        l.connect_rtts = l.connect_rtts.min(10);
        l.tls_rtts = l.tls_rtts.min(10);
        l.max_concurrent_streams = l.max_concurrent_streams.max(1);
        l.goaway_every = l.goaway_every.map(|n| n.max(1));
        l.broken_streams = finite(l.broken_streams).clamp(0.0, 1.0);
        l.bandwidth = l.bandwidth.filter(|b| b.is_finite()).map(|b| b.clamp(8e3, 1e12));
        l.loss = finite(l.loss).clamp(0.0, 0.3);
        l.stream_window = l.stream_window.map(|w| w.max(1024).max(bytes / 200_000));
        l.fallback_entries = l.fallback_entries.min(20);
        let c = &mut b.costs;
        for d in [&mut c.process_start, &mut c.handshake, &mut c.small_file, &mut c.zip, &mut c.toolchain_unpack] {
            *d = (*d).min(HOUR);
        }
        c.zip_byte_ns = finite(c.zip_byte_ns).clamp(0.0, 1e6);
        b
    }
}

fn finite(x: f64) -> f64 {
    if x.is_finite() { x } else { 0.0 }
}

/// Durations are serialised as seconds.
pub(crate) fn seconds<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64(d.as_secs_f64())
}
