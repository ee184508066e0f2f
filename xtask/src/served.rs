//! A local copy of modules, served by nginx over HTTP/2 and TLS.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use goferry_lab::certs::{Authority, CertError, LeafSpec, PemFiles};
use goferry_lab::link::Link;
use goferry_lab::servers::{self, Backend, Config, FrontEnd, RealServer, ServersError, Site};
use tempfile::TempDir;

/// The lab's own form of the access log, and the one that is read here.
const LAB_FORMAT: &str = "'$connection $server_protocol $request_uri'";
const FORMAT: &str = "'$connection $server_protocol $status $body_bytes_sent $connection_time $request_uri'";
const LAB_LOG: &str = "@FOLDER@/access.log";
/// nginx's default of 1000 requests to a connection is a fault of its own (docs/findings/goaway-churn.md).
const PATIENT: &str = "keepalive_requests 100000;\nkeepalive_time 1h;\n";
/// A log that has not grown for this time is complete.
const QUIET: Duration = Duration::from_millis(100);
const QUIET_AT_MOST: Duration = Duration::from_secs(2);

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServedError {
    /// nginx.
    #[error(transparent)]
    Server(#[from] ServersError),
    /// Its certificate.
    #[error(transparent)]
    Certificate(#[from] CertError),
    /// A file or socket.
    #[error("serving modules: {0}")]
    System(#[from] io::Error),
    /// The lab's configuration is not the one that is changed here.
    #[error("xtask/src/served.rs: the lab's nginx configuration has no {0}")]
    Format(&'static str),
}

/// Certificates and names for servers that are started again and again.
pub(crate) struct Shelf {
    folder: TempDir,
    pem: PemFiles,
}

impl Shelf {
    /// Makes the certificates.
    pub(crate) fn new() -> Result<Self, ServedError> {
        let folder = TempDir::with_prefix("goferry-served-")?;
        let authority = Authority::new("goferry lab")?;
        authority.write_pem(&folder.path().join("ca.pem"))?;
        let address = goferry_lab::link::server_v4(1).to_string();
        let pem = authority.leaf(&LeafSpec::good(&["127.0.0.1", &address]))?.write_pem(folder.path())?;
        Ok(Self { folder, pem })
    }

    /// The certificate of the servers, and whom it is from.
    pub(crate) fn pem(&self) -> &PemFiles {
        &self.pem
    }

    /// Serves the modules of a folder, and the checksum database's answers of another, on the server side of `link` or on
    /// loopback.
    pub(crate) fn serve(
        &self,
        modules: &Path,
        sums: Option<&Path>,
        link: Option<&Link>,
    ) -> Result<Served, ServedError> {
        let sums = sums.map(|sums| {
            format!(
                "location ~ ^/sumdb/[^/]+/supported$ {{ return 200; }}\nlocation /sumdb/ {{ root {}; }}\n",
                sums.display()
            )
        });
        self.serve_with(modules, &(PATIENT.to_owned() + &sums.unwrap_or_default()), link)
    }

    /// Serves the modules of a folder, and from another what the first has not.
    pub(crate) fn serve_both(&self, modules: &Path, rest: &Path, link: Option<&Link>) -> Result<Served, ServedError> {
        let rest = format!("error_page 404 = @rest;\nlocation @rest {{ root {}; }}\n", rest.display());
        self.serve_with(modules, &(PATIENT.to_owned() + &rest), link)
    }

    /// Serves the modules of a folder; `lines` are more of the server's configuration.
    pub(crate) fn serve_with(&self, modules: &Path, lines: &str, link: Option<&Link>) -> Result<Served, ServedError> {
        let listen = match link {
            Some(link) => SocketAddr::new(link.server_addr(), 443),
            None => servers::free_address()?,
        };
        let log = self.folder.path().join("access.log");
        fs::write(&log, "")?;
        let name = listen.ip().to_string();
        let front = FrontEnd { listen, name: &name, pem: &self.pem, backend: Backend::Files(modules) };
        let mut config = Config::nginx(&front);
        let shown = log.display().to_string();
        for (from, to) in [(LAB_FORMAT, FORMAT), (LAB_LOG, shown.as_str())] {
            if !config.text.contains(from) {
                return Err(ServedError::Format(from));
            }
            config.text = config.text.replace(from, to);
        }
        let root = format!("root {};\n", modules.display());
        config.text = config.text.replace(&root, &format!("{root}{lines}"));
        let site = link.map_or(Site::Loopback, |link| Site::Link(link, &[]));
        let server = RealServer::start(&config, site)?;
        Ok(Served { _server: server, listen, log, roots: self.folder.path().join("ca.pem") })
    }
}

/// A server that runs until this is dropped.
pub(crate) struct Served {
    _server: RealServer,
    listen: SocketAddr,
    log: PathBuf,
    roots: PathBuf,
}

impl Served {
    /// GOPROXY and the certificate to trust.
    pub(crate) fn env(&self) -> Vec<(&'static str, OsString)> {
        vec![("GOPROXY", self.url().into()), ("SSL_CERT_FILE", self.roots.clone().into())]
    }

    /// GOPROXY.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.listen)
    }

    /// What was asked since the last call of this, or since the start.
    pub(crate) fn traffic_since(&self) -> Result<Traffic, ServedError> {
        let traffic = self.traffic()?;
        // nginx appends: what it writes next is at the beginning.
        File::options().write(true).open(&self.log)?.set_len(0)?;
        Ok(traffic)
    }

    /// What was asked so far, once the log no longer grows.
    pub(crate) fn traffic(&self) -> Result<Traffic, ServedError> {
        let begun = Instant::now();
        let mut before = fs::metadata(&self.log)?.len();
        loop {
            thread::sleep(QUIET);
            let now = fs::metadata(&self.log)?.len();
            if now == before || begun.elapsed() > QUIET_AT_MOST {
                return Ok(Traffic::read(&fs::read_to_string(&self.log)?));
            }
            before = now;
        }
    }
}

/// What a client asked for, as nginx logged it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Traffic {
    /// Connections with one request or more.
    pub(crate) connections: usize,
    /// Connections from the first to the last of these, with those that had no request: nginx numbers them.
    pub(crate) opened: u64,
    /// How old each was when its first request was answered, in seconds, in the order of their opening.
    pub(crate) first_answers: Vec<f64>,
    pub(crate) requests: usize,
    /// Bodies of the answers in bytes, before TLS.
    pub(crate) bytes: u64,
    /// Answers that were neither 200 nor 206.
    pub(crate) refused: usize,
    /// Requests by what they asked for: `.info`, `.mod`, `.zip`, `list`, other.
    pub(crate) kinds: BTreeMap<&'static str, usize>,
}

impl Traffic {
    /// This and what came after it, over connections of which none was there before.
    pub(crate) fn and(&self, later: &Self) -> Self {
        let mut both = self.clone();
        both.connections = self.connections.max(later.connections);
        both.opened = self.opened.max(later.opened);
        if both.first_answers.is_empty() {
            both.first_answers.clone_from(&later.first_answers);
        }
        both.requests += later.requests;
        both.bytes += later.bytes;
        both.refused += later.refused;
        for (kind, count) in &later.kinds {
            *both.kinds.entry(kind).or_default() += count;
        }
        both
    }

    fn read(log: &str) -> Self {
        let mut traffic = Self::default();
        let mut ages: BTreeMap<u64, f64> = BTreeMap::new();
        for line in log.lines() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let &[connection, _, status, bytes, age, path] = words.as_slice() else { continue };
            let age: f64 = age.parse().unwrap_or_default();
            let first = ages.entry(connection.parse::<u64>().unwrap_or_default()).or_insert(age);
            *first = first.min(age);
            traffic.requests += 1;
            traffic.bytes += bytes.parse().unwrap_or(0);
            traffic.refused += usize::from(!matches!(status, "200" | "206"));
            let kinds = [".info", ".mod", ".zip", "list"];
            let kind = kinds.into_iter().find(|kind| path.ends_with(kind)).unwrap_or("other");
            *traffic.kinds.entry(kind).or_default() += 1;
        }
        let ends = ages.first_key_value().zip(ages.last_key_value());
        traffic.opened = ends.map_or(0, |(first, last)| last.0 - first.0 + 1);
        traffic.first_answers = ages.into_values().collect();
        traffic.connections = traffic.first_answers.len();
        traffic
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<String> = self.kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        let Self { connections, requests, refused, .. } = self;
        write!(f, "{connections} connections, {requests} requests ({})", kinds.join(", "))?;
        write!(f, ", {refused} refused, {:.1} MB", self.bytes as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_counted() {
        let log = "3 HTTP/2.0 200 120 0.110 /m/@v/v1.mod\n3 HTTP/2.0 404 50 0.900 /m/@v/list\n5 HTTP/2.0 206 30 2.000 /m/@v/v1.zip\nnoise\n";
        let traffic = Traffic::read(log);
        assert_eq!((traffic.connections, traffic.requests, traffic.bytes, traffic.refused), (2, 3, 200, 1));
        assert_eq!((traffic.opened, traffic.first_answers.as_slice()), (3, [0.11, 2.0].as_slice()));
        assert_eq!(traffic.kinds, BTreeMap::from([(".mod", 1), (".zip", 1), ("list", 1)]));
        assert_eq!(traffic.to_string(), "2 connections, 3 requests (.mod 1, .zip 1, list 1), 1 refused, 0.0 MB");
    }
}
