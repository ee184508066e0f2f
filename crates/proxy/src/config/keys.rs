//! Every setting: its name in the file, its flag, what it does. The one table that reading, `--check` and the guide share.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use goferry_module::{ProxyList, ProxyUrl, Scheme, SumDb};
use tracing::level_filters::LevelFilter;

use super::value::{Given, listen, show_listen, show_size, show_time};
use super::{Auth, LogFormat, ProxyConfig, SourceMode, Tls};

/// A setting.
pub struct Key {
    /// Its name in the file; what is before a dot is the name of a table.
    pub name: &'static str,
    /// The flag that sets it.
    pub flag: Option<&'static str>,
    /// What it does.
    pub meaning: &'static str,
    pub(super) set: fn(&mut Draft, &Given) -> Result<(), String>,
    pub(super) show: fn(&ProxyConfig) -> String,
}

impl Key {
    /// Its value in `config` as it would be written, without quotes; nothing where it is not set. No credentials.
    #[must_use]
    pub fn value(&self, config: &ProxyConfig) -> String {
        (self.show)(config)
    }
}

/// Settings while they are being read.
pub(super) struct Draft {
    pub(super) config: ProxyConfig,
    /// Where paths that are not absolute are meant from.
    pub(super) base: PathBuf,
    pub(super) offline: bool,
    pub(super) frozen: bool,
    pub(super) tls_cert: Option<PathBuf>,
    pub(super) tls_key: Option<PathBuf>,
    pub(super) tls_self_signed: bool,
    pub(super) auth: AuthKind,
    pub(super) auth_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum AuthKind {
    #[default]
    None,
    Basic,
    Bearer,
}

/// What a setting begins with, name and flag first.
macro_rules! key {
    ($name:literal, $flag:expr, $meaning:literal, $set:expr, $show:expr) => {
        Key { name: $name, flag: $flag, meaning: $meaning, set: $set, show: $show }
    };
}

const NEVER: Duration = Duration::ZERO;
const MOMENT: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MOST_BYTES: u64 = i64::MAX as u64;

/// Every setting but the rules, in the order of the guide.
pub static KEYS: &[Key] = &[
    key!(
        "listen",
        Some("--listen"),
        "where to listen: IP:PORT or unix:PATH, one or a list; port 0 for any free one",
        |draft, given| {
            let base = draft.base.clone();
            let all: Vec<_> = given.texts()?.into_iter().map(|text| listen(text, &base)).collect::<Result<_, _>>()?;
            if all.is_empty() {
                return Err("at least one address is wanted".to_owned());
            }
            draft.config.listen = all;
            Ok(())
        },
        |config| config.listen.iter().map(show_listen).collect::<Vec<_>>().join(", ")
    ),
    key!(
        "path-prefix",
        Some("--path-prefix"),
        "what all paths begin with, as /go; `export GOPROXY=` then ends with it",
        |draft, given| {
            draft.config.path_prefix = path_prefix(given.text()?)?;
            Ok(())
        },
        |config| config.path_prefix.clone()
    ),
    key!(
        "store",
        Some("--store"),
        "the folder of the store; it may be a module cache's cache/download with frozen",
        |draft, given| {
            // Go commands run in other folders, and clients are told a file below it.
            let folder = given.path(&draft.base)?;
            draft.config.store = std::path::absolute(&folder).map_err(|error| format!("{}: {error}", path(&folder)))?;
            Ok(())
        },
        |config| path(&config.store)
    ),
    key!(
        "max-size",
        Some("--max-size"),
        "bytes that the store may have; the modules not used for longest go first",
        |draft, given| {
            draft.config.max_size = Some(given.size(1 << 20, MOST_BYTES)?);
            Ok(())
        },
        |config| config.max_size.map(show_size).unwrap_or_default()
    ),
    key!(
        "offline",
        Some("--offline"),
        "nothing is fetched: what the store has, and nothing else",
        |draft, given| {
            draft.offline = given.switch()?;
            Ok(())
        },
        |config| (config.source == SourceMode::Offline).to_string()
    ),
    key!(
        "frozen",
        Some("--frozen"),
        "nothing is fetched and nothing written: the store may be a module cache that is in use",
        |draft, given| {
            draft.frozen = given.switch()?;
            Ok(())
        },
        |config| (config.source == SourceMode::Frozen).to_string()
    ),
    key!(
        "allow-private",
        Some("--allow-private"),
        "a frozen store gives away the modules of GOPRIVATE too",
        |draft, given| {
            draft.config.allow_private = given.switch()?;
            Ok(())
        },
        |config| config.allow_private.to_string()
    ),
    key!(
        "upstream",
        Some("--upstream"),
        "whom modules are fetched from, written as GOPROXY",
        |draft, given| {
            draft.config.upstream = Some(upstream(given.text()?)?);
            Ok(())
        },
        |config| config.upstream.as_ref().map(ToString::to_string).unwrap_or_default()
    ),
    key!(
        "direct",
        Some("--direct"),
        "patterns of modules that the go command fetches from their repositories, as GONOPROXY",
        |draft, given| {
            draft.config.direct = Some(given.patterns()?);
            Ok(())
        },
        |config| config.direct.clone().unwrap_or_default()
    ),
    key!(
        "sumdb",
        Some("--sumdb"),
        "the checksum database, written as GOSUMDB; off for none",
        |draft, given| {
            let text = given.text()?;
            SumDb::parse(text).map_err(|error| error.to_string())?;
            draft.config.sumdb = Some(text.to_owned());
            Ok(())
        },
        |config| config.sumdb.as_deref().map(goferry_env::mask::urls).unwrap_or_default()
    ),
    key!(
        "no-sumdb",
        Some("--no-sumdb"),
        "patterns of modules that the checksum database is not asked about, as GONOSUMDB",
        |draft, given| {
            draft.config.no_sumdb = Some(given.patterns()?);
            Ok(())
        },
        |config| config.no_sumdb.clone().unwrap_or_default()
    ),
    key!(
        "ahead",
        Some("--no-ahead"),
        "whether files are fetched before they are asked for",
        |draft, given| {
            draft.config.ahead = given.switch()?;
            Ok(())
        },
        |config| config.ahead.to_string()
    ),
    key!(
        "memory",
        None,
        "bytes of small files that are kept in memory",
        |draft, given| {
            draft.config.memory = given.size(0, 1 << 40)?;
            Ok(())
        },
        |config| show_size(config.memory)
    ),
    key!(
        "drain",
        Some("--drain"),
        "how long requests may take to end after SIGTERM",
        |draft, given| {
            draft.config.drain = given.time(NEVER)?;
            Ok(())
        },
        |config| show_time(config.drain)
    ),
    key!(
        "log-format",
        Some("--log-format"),
        "how requests are logged on standard error: text or json",
        |draft, given| {
            draft.config.log_format = one_of(given, &[("text", LogFormat::Text), ("json", LogFormat::Json)])?;
            Ok(())
        },
        |config| if config.log_format == LogFormat::Json { "json".to_owned() } else { "text".to_owned() }
    ),
    key!(
        "log-file",
        None,
        "where requests are logged in place of standard error; opened anew on SIGHUP",
        |draft, given| {
            draft.config.log_file = Some(given.path(&draft.base)?);
            Ok(())
        },
        |config| config.log_file.as_deref().map(path).unwrap_or_default()
    ),
    key!(
        "log-level",
        Some("--log-level"),
        "what is logged beside requests: off, error, warn, info, debug or trace",
        |draft, given| {
            draft.config.log_level = one_of(given, &LEVELS)?;
            Ok(())
        },
        |config| config.log_level.to_string()
    ),
    key!(
        "tls.cert",
        Some("--tls-cert"),
        "the certificate chain to speak TLS with, leaf first, in PEM; read again when it changes",
        |draft, given| {
            draft.tls_cert = Some(given.path(&draft.base)?);
            Ok(())
        },
        |config| match &config.tls {
            Some(Tls::Files { cert, .. }) => path(cert),
            _ => String::new(),
        }
    ),
    key!(
        "tls.key",
        Some("--tls-key"),
        "its private key, in PEM",
        |draft, given| {
            draft.tls_key = Some(given.path(&draft.base)?);
            Ok(())
        },
        |config| match &config.tls {
            Some(Tls::Files { key, .. }) => path(key),
            _ => String::new(),
        }
    ),
    key!(
        "tls.self-signed",
        Some("--tls-self-signed"),
        "a certificate that is made at each start, for trials",
        |draft, given| {
            draft.tls_self_signed = given.switch()?;
            Ok(())
        },
        |config| (config.tls == Some(Tls::SelfSigned)).to_string()
    ),
    key!(
        "auth.kind",
        Some("--auth"),
        "who may ask: none (everyone), basic (name and password) or bearer (a token)",
        |draft, given| {
            let kinds = [("none", AuthKind::None), ("basic", AuthKind::Basic), ("bearer", AuthKind::Bearer)];
            draft.auth = one_of(given, &kinds)?;
            Ok(())
        },
        |config| {
            match config.auth {
                Auth::Open => "none",
                Auth::Basic(_) => "basic",
                Auth::Bearer(_) => "bearer",
            }
            .to_owned()
        }
    ),
    key!(
        "auth.file",
        Some("--auth-file"),
        "the file of names and secrets, one a line",
        |draft, given| {
            draft.auth_file = Some(given.path(&draft.base)?);
            Ok(())
        },
        |config| match &config.auth {
            Auth::Open => String::new(),
            Auth::Basic(file) | Auth::Bearer(file) => path(file),
        }
    ),
    key!(
        "freshness.fresh",
        None,
        "how long version lists, @latest and branches count as fresh",
        |draft, given| {
            draft.config.freshness.fresh = given.time(NEVER)?;
            Ok(())
        },
        |config| show_time(config.freshness.fresh)
    ),
    key!(
        "freshness.revalidate",
        None,
        "for how long after that they are given while new ones are being fetched",
        |draft, given| {
            draft.config.freshness.revalidate = given.time(NEVER)?;
            Ok(())
        },
        |config| show_time(config.freshness.revalidate)
    ),
    key!(
        "freshness.if-error",
        None,
        "for how long after that they are given where the upstream fails",
        |draft, given| {
            draft.config.freshness.if_error = given.time(NEVER)?;
            Ok(())
        },
        |config| show_time(config.freshness.if_error)
    ),
    key!(
        "freshness.not-found",
        None,
        "how long it is remembered that something is not there",
        |draft, given| {
            draft.config.freshness.not_found = given.time(NEVER)?;
            Ok(())
        },
        |config| show_time(config.freshness.not_found)
    ),
    key!(
        "fetch.connections",
        Some("--connections"),
        "most connections to one upstream; how many are used is decided by measurement",
        |draft, given| {
            draft.config.client.connections = count(given, 1, 256)?;
            Ok(())
        },
        |config| config.client.connections.to_string()
    ),
    key!(
        "fetch.retries",
        None,
        "attempts without progress that one file gets beyond its first",
        |draft, given| {
            draft.config.client.retries = count(given, 0, 1000)?;
            Ok(())
        },
        |config| config.client.retries.to_string()
    ),
    key!(
        "fetch.timeout",
        None,
        "how long one file may go on without progress, failed attempts and Retry-After included",
        |draft, given| {
            draft.config.client.timeout = given.time(SECOND)?;
            Ok(())
        },
        |config| show_time(config.client.timeout)
    ),
    key!(
        "fetch.cool-down",
        None,
        "how long an upstream that failed as a whole is left alone; 0s for not at all",
        |draft, given| {
            draft.config.client.cool_down = given.time(NEVER)?;
            Ok(())
        },
        |config| show_time(config.client.cool_down)
    ),
    key!(
        "fetch.http1-only",
        None,
        "offer upstreams no HTTP/2",
        |draft, given| {
            draft.config.client.http1_only = given.switch()?;
            Ok(())
        },
        |config| config.client.http1_only.to_string()
    ),
    key!(
        "fetch.go-commands",
        None,
        "how many go commands run at once for what is fetched from repositories",
        |draft, given| {
            draft.config.go_commands = count(given, 1, 256)?;
            Ok(())
        },
        |config| config.go_commands.to_string()
    ),
    key!(
        "fetch.go-command-time",
        None,
        "how long each of them may take",
        |draft, given| {
            draft.config.go_command_time = given.time(SECOND)?;
            Ok(())
        },
        |config| show_time(config.go_command_time)
    ),
    key!(
        "limits.connections",
        None,
        "connections of clients at once",
        |draft, given| {
            draft.config.limits.connections = count(given, 1, 1_000_000)?;
            Ok(())
        },
        |config| config.limits.connections.to_string()
    ),
    key!(
        "limits.streams",
        None,
        "streams at once on one connection of HTTP/2",
        |draft, given| {
            draft.config.limits.streams = count(given, 1, 10_000)?;
            Ok(())
        },
        |config| config.limits.streams.to_string()
    ),
    key!(
        "limits.header-bytes",
        None,
        "bytes of the head of a request",
        |draft, given| {
            draft.config.limits.header_bytes = u32::try_from(given.size(4 << 10, 1 << 20)?).unwrap_or(u32::MAX);
            Ok(())
        },
        |config| show_size(u64::from(config.limits.header_bytes))
    ),
    key!(
        "limits.header-time",
        None,
        "how long a head may take to come, and TLS to be agreed on",
        |draft, given| {
            draft.config.limits.header_time = given.time(MOMENT)?;
            Ok(())
        },
        |config| show_time(config.limits.header_time)
    ),
    key!(
        "limits.idle",
        None,
        "how long a connection may be idle",
        |draft, given| {
            draft.config.limits.idle = given.time(MOMENT)?;
            Ok(())
        },
        |config| show_time(config.limits.idle)
    ),
    key!(
        "limits.stall",
        None,
        "how long a client may take nothing of an answer",
        |draft, given| {
            draft.config.limits.stall = given.time(MOMENT)?;
            Ok(())
        },
        |config| show_time(config.limits.stall)
    ),
    key!(
        "limits.resets",
        None,
        "streams that a client may reset before they are answered, in any 10 s of a connection",
        |draft, given| {
            draft.config.limits.resets = count(given, 1, 1_000_000)?;
            Ok(())
        },
        |config| config.limits.resets.to_string()
    ),
    key!(
        "limits.body-bytes",
        None,
        "bytes of the body of POST /-/warm",
        |draft, given| {
            draft.config.limits.body_bytes = usize::try_from(given.size(1 << 10, 1 << 30)?).unwrap_or(usize::MAX);
            Ok(())
        },
        |config| show_size(config.limits.body_bytes as u64)
    ),
];

const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn count<N: TryFrom<i64>>(given: &Given, least: i64, most: i64) -> Result<N, String> {
    N::try_from(given.number(least, most)?).map_err(|_| format!("at most {most} is possible"))
}

fn one_of<T: Copy>(given: &Given, words: &[(&str, T)]) -> Result<T, String> {
    let text = given.text()?;
    let found = words.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("{text:?} is not one of {}", words.join(", "))
    })
}

/// A list of upstreams; the message quotes no credentials.
pub(super) fn upstream(text: &str) -> Result<ProxyList, String> {
    let list = ProxyList::parse(text).map_err(|error| error.to_string())?;
    let open = |url: &&ProxyUrl| url.scheme() == Scheme::Http && url.credentials().is_some();
    let unsent = list.urls().map(|(url, _)| url).find(open);
    let what =
        unsent.map(|url| format!("{url}: a name and a password are sent over https:// only, as by the go command"));
    what.map_or(Ok(list), Err)
}

fn path_prefix(text: &str) -> Result<String, String> {
    let fine = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    match text.strip_prefix('/') {
        _ if text.is_empty() => Ok(String::new()),
        None => Err(format!("{text:?} does not begin with /")),
        Some(rest) if rest.ends_with('/') || rest.is_empty() => Err(format!("{text:?} ends with /: leave it out")),
        Some(rest) if rest.split('/').all(fine) => Ok(text.to_owned()),
        Some(_) => Err(format!("{text:?} is no path of letters, digits and -._~ between slashes")),
    }
}

/// Whether an address that is listened on takes connections to `host` and `port`.
pub(super) fn takes(listen: SocketAddr, host: &str, port: u16) -> bool {
    if listen.port() == 0 || listen.port() != port {
        return false;
    }
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let own_name = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") || (name == own_name && !name.is_empty()) {
        return listen.ip().is_unspecified() || listen.ip().is_loopback() || name == own_name;
    }
    match name.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(ip) if ip == listen.ip().to_canonical() => true,
        // To connect to 0.0.0.0 is to connect to this machine; an address that can be bound is one of its own.
        Ok(ip) if listen.ip().is_unspecified() => {
            ip.is_loopback() || ip.is_unspecified() || std::net::UdpSocket::bind((ip, 0)).is_ok()
        }
        Ok(ip) => ip.is_unspecified() && listen.ip().is_loopback(),
        Err(_) => false,
    }
}
