//! What a proxy is set up with, and where that is read from.

#[cfg(test)]
mod documents;
mod file;
mod keys;
mod settings;
mod value;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use goferry_fetch::ClientConfig;
use goferry_module::ProxyList;
use tracing::level_filters::LevelFilter;

pub use self::keys::{KEYS, Key};
pub use self::settings::{Place, Problem, Problems, Settings, Sources};
pub use self::value::{Given, parse_size, parse_time};

/// The settings of a proxy. Every one has a default that works.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// Where it listens.
    pub listen: Vec<Listen>,
    /// What the TCP ports speak TLS with; nothing for plain text. A Unix socket never speaks TLS.
    pub tls: Option<Tls>,
    /// What all paths begin with, as `/go`; empty for none.
    pub path_prefix: String,
    /// The folder of the store.
    pub store: PathBuf,
    /// What is in the store and nothing else.
    pub source: SourceMode,
    /// Whom modules are fetched from; the go command's GOPROXY where nothing is said.
    pub upstream: Option<ProxyList>,
    /// GOSUMDB; the go command's where nothing is said.
    pub sumdb: Option<String>,
    /// Patterns of modules that the checksum database is not asked about, as in GONOSUMDB.
    pub no_sumdb: Option<String>,
    /// Patterns of modules that the go command fetches from their repositories, as in GONOPROXY.
    pub direct: Option<String>,
    /// How many go commands run at once for those, and how long each may take.
    pub go_commands: usize,
    /// How long such a go command may take.
    pub go_command_time: Duration,
    /// Rules by module path; the first that fits counts.
    pub rules: Vec<Rule>,
    /// Whether files are fetched before they are asked for.
    pub ahead: bool,
    /// How long answers that may change count as fresh.
    pub freshness: Freshness,
    /// Bytes of small files that are kept in memory.
    pub memory: u64,
    /// Bytes that the store may have; the modules not used for longest go first.
    pub max_size: Option<u64>,
    /// Whether a frozen store gives away modules that GOPRIVATE names.
    pub allow_private: bool,
    /// Patience with the upstream, and connections to it.
    pub client: ClientConfig,
    /// What clients may do.
    pub limits: Limits,
    /// How long requests may take to end after SIGTERM.
    pub drain: Duration,
    /// Who may ask.
    pub auth: Auth,
    /// How requests are logged.
    pub log_format: LogFormat,
    /// What is logged beside requests.
    pub log_level: LevelFilter,
    /// Where to; standard error where nothing is said.
    pub log_file: Option<PathBuf>,
}

/// Who may ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Everyone who can reach the proxy.
    #[default]
    Open,
    /// Whose name and password are in this file (RFC 7617).
    Basic(PathBuf),
    /// Whose token is in this file (RFC 6750).
    Bearer(PathBuf),
}

/// How requests are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object on each line.
    Json,
}

/// Where a proxy listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A TCP port; port 0 for any free one.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// What TLS is spoken with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// A certificate chain, leaf first, and its private key, both in PEM. They are read again when they change.
    Files {
        /// The file of the chain.
        cert: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// A certificate of an authority that is made at each start, for trials.
    SelfSigned,
}

/// Whether the upstream may be asked, and the store written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceMode {
    /// What the store does not have is fetched.
    #[default]
    Fetch,
    /// Nothing is fetched.
    Offline,
    /// Nothing is fetched and nothing written: the store may be a module cache that is in use.
    Frozen,
}

/// What holds for the modules of a pattern.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Patterns as in GOPRIVATE.
    pub pattern: String,
    /// What holds.
    pub action: Action,
}

/// What a rule says.
#[derive(Clone, Debug)]
pub enum Action {
    /// They are fetched from here.
    Upstream(ProxyList),
    /// They are refused, with this message.
    Block(String),
    /// They are fetched by the go command, are not asked of the checksum database, and are not named to any upstream.
    Private,
}

/// How long answers that may change count as fresh.
#[derive(Clone, Copy, Debug)]
pub struct Freshness {
    /// `list`, `@latest` and branches.
    pub fresh: Duration,
    /// For how long after that they are given while a new one is being fetched.
    pub revalidate: Duration,
    /// For how long after that they are given where the upstream fails.
    pub if_error: Duration,
    /// That there is no such thing.
    pub not_found: Duration,
}

/// What clients may do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Streams at once on one connection.
    pub streams: u32,
    /// Bytes of the head of a request.
    pub header_bytes: u32,
    /// How long a head may take to come, and TLS to be agreed on.
    pub header_time: Duration,
    /// How long a connection may be idle.
    pub idle: Duration,
    /// How long a client may take nothing of an answer.
    pub stall: Duration,
    /// Streams that a client may reset before they are answered, in any 10 s of a connection.
    pub resets: usize,
    /// Bytes of the body of `POST /-/warm`.
    pub body_bytes: usize,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        ProxyConfig {
            listen: vec![Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 8080)))],
            tls: None,
            path_prefix: String::new(),
            store: PathBuf::new(),
            source: SourceMode::Fetch,
            upstream: None,
            sumdb: None,
            no_sumdb: None,
            direct: None,
            go_commands: 4,
            go_command_time: Duration::from_secs(15 * 60),
            rules: Vec::new(),
            ahead: true,
            freshness: Freshness::default(),
            memory: 64 << 20,
            max_size: None,
            allow_private: false,
            // Somebody waits: not as long as for `goferry download`.
            client: ClientConfig {
                timeout: Duration::from_secs(30),
                cool_down: Duration::from_secs(5),
                ..ClientConfig::default()
            },
            limits: Limits::default(),
            drain: Duration::from_secs(30),
            auth: Auth::Open,
            log_format: LogFormat::Text,
            log_level: LevelFilter::INFO,
            log_file: None,
        }
    }
}

impl Default for Freshness {
    fn default() -> Self {
        Freshness {
            fresh: Duration::from_secs(60),
            revalidate: Duration::from_secs(10 * 60),
            if_error: Duration::from_secs(24 * 3600),
            not_found: Duration::from_secs(30),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 10_000,
            streams: 250,
            header_bytes: 32 << 10,
            header_time: Duration::from_secs(10),
            idle: Duration::from_secs(180),
            stall: Duration::from_secs(60),
            resets: 1_000,
            // A go.sum has some 80 bytes a line, the largest ones some thousands of lines.
            body_bytes: 8 << 20,
        }
    }
}
