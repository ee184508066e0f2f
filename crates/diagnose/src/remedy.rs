//! What to do about a finding: exact commands and configuration, for the server and version at
//! fault.
//!
//! A server that was recognised gets the form that its version takes. One that was not gets the
//! forms of the common servers, each with the versions it is valid for. Every configuration here
//! for a program that runs on Debian is held against that program's own check in
//! `tests/remedies_real.rs`; what could not be tried is marked "by its vendor's documentation".

mod goferry;
mod http2;
mod network;
pub(crate) use network::NO_DIRECTORY;
mod project;
mod server;
mod tls;

pub use server::{Server, ServerKind, Version};

use crate::finding::{Id, Location, Remedy};

/// What remedies are chosen and written by.
#[derive(Clone, Debug)]
pub struct Context {
    /// The server that answers for the module proxy.
    pub server: Server,
    /// The HTTP proxy on the way, or the device that intercepts TLS, where there is one.
    pub forward_proxy: Option<Server>,
    /// The module proxy's host name, without port.
    pub host: String,
    /// The entry of GOPROXY, with its credentials masked.
    pub goproxy: String,
    /// Its port.
    pub port: u16,
    /// Requests that the go command wants to have open at once: GOMAXPROCS.
    pub streams: u32,
    /// Requests that `go mod download` of this project makes.
    pub requests: u64,
    /// The HTTP/2 error code that was seen, for example `REFUSED_STREAM`, or the mark of a `file://` entry without its directory.
    pub code: Option<String>,
    /// The HTTP status that was seen.
    pub status: Option<u16>,
    /// The toolchain that the project asks for, for example `go1.27.3`.
    pub toolchain: Option<String>,
    /// The file and line that set the value at fault.
    pub location: Option<Location>,
    /// The user's own SSL_CERT_FILE and SSL_CERT_DIR leave Go without a single root.
    pub no_roots: bool,
}

impl Context {
    /// A context for `host`, of which nothing else is known.
    #[must_use]
    pub fn new(host: impl Into<String>) -> Self {
        let host = host.into();
        Context {
            server: Server::unknown(),
            forward_proxy: None,
            goproxy: format!("https://{host}"),
            host,
            port: 443,
            streams: 16,
            requests: 0,
            code: None,
            status: None,
            toolchain: None,
            location: None,
            no_roots: false,
        }
    }

    /// The host, if it can be pasted into any of the configurations; else a placeholder.
    fn host(&self) -> &str {
        let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
        if !self.host.is_empty() && self.host.len() <= 253 && self.host.bytes().all(ok) {
            &self.host
        } else {
            "goproxy.example.com"
        }
    }

    /// The host as a regular expression.
    fn host_regex(&self) -> String {
        self.host().replace('.', r"\.")
    }

    /// The GOPROXY entry, if it can be pasted into a shell between single quotes; else a
    /// placeholder.
    fn goproxy(&self) -> &str {
        let ok = |b: u8| b.is_ascii_graphic() && !matches!(b, b'\'' | b'"' | b'\\' | b'`' | b'$');
        if !self.goproxy.is_empty() && self.goproxy.len() <= 1024 && self.goproxy.bytes().all(ok) {
            &self.goproxy
        } else {
            "https://goproxy.example.com"
        }
    }

    /// The HTTP proxy, or an unknown one.
    fn proxy(&self) -> Server {
        self.forward_proxy.clone().unwrap_or_else(Server::unknown)
    }
}

/// What to do about `id`, best first. Never empty.
#[must_use]
pub fn remedies(id: Id, ctx: &Context) -> Vec<Remedy> {
    if ctx.server.kind == ServerKind::Goferry
        && let Some(own) = goferry::own(id, ctx)
    {
        return own;
    }
    match id {
        Id::Http2DisabledByEnv => project::http2_disabled(ctx),
        Id::Http2NotOffered => http2::offer(ctx),
        Id::Http2StrippedByProxy => tls::let_h2_through(ctx),
        Id::PlainHttp => http2::plain_http(ctx),
        Id::Http1ConnectionClose => http2::keep_alive(ctx),
        Id::SettingsMissing | Id::SettingsInvalid => http2::settings(ctx),
        Id::SettingsLate => http2::settings_late(ctx),
        Id::MaxConcurrentStreamsLow => http2::streams(ctx),
        Id::GoawayChurn => http2::goaway(ctx),
        Id::StreamReset => http2::stream_reset(ctx),
        Id::ConnectionReset => http2::connection_reset(ctx),
        Id::WindowLimited => http2::window(ctx),
        Id::IdleTimeoutShort => http2::idle(ctx),
        Id::TlsIntercepted => tls::exempt(ctx),
        Id::TlsUntrusted => tls::trust(ctx),
        Id::TlsExpired => tls::expired(ctx),
        Id::TlsNameMismatch => tls::name(ctx),
        Id::TlsClientCertRequired => tls::client_certificate(ctx),
        Id::TlsOld => tls::versions(ctx),
        Id::TlsRenegotiation => tls::renegotiation(ctx),
        Id::DnsSlow => network::dns_slow(ctx),
        Id::DnsFailing => network::dns_failing(ctx),
        Id::Ipv6Broken => network::ipv6(ctx),
        Id::ProxyUnreachable => network::proxy_unreachable(ctx),
        Id::ProxyAuthRequired => network::proxy_auth(ctx),
        Id::ProxyRefused => network::proxy_refused(ctx),
        Id::UpstreamUnreachable => network::upstream_unreachable(ctx),
        Id::UpstreamStatus => network::upstream_status(ctx),
        Id::UpstreamSlow => network::upstream_slow(ctx),
        Id::PacketLoss => network::packet_loss(),
        Id::BandwidthLimited => network::bandwidth(),
        Id::SerialRequests => project::serial(),
        Id::GomaxprocsLow => project::gomaxprocs(),
        Id::GotoolchainDownload => project::toolchain(ctx),
        Id::UnprunedGraph => project::unpruned(),
        Id::GosumIncomplete => project::gosum(),
        Id::SumdbUnreachable => project::sumdb(),
        Id::ChecksumMismatch => project::checksum(),
        Id::GoproxyFallback => project::fallback(ctx),
        Id::GoproxyDirect => project::direct(),
        Id::GoproxyOff => project::off(),
    }
}

/// Something to run.
fn run<const N: usize>(place: &str, commands: [&str; N], valid_for: &str) -> Remedy {
    Remedy {
        place: place.to_owned(),
        commands: commands.map(str::to_owned).to_vec(),
        config: None,
        valid_for: valid_for.to_owned(),
    }
}

/// Something to write.
fn write(place: &str, config: impl Into<String>, valid_for: &str) -> Remedy {
    Remedy {
        place: place.to_owned(),
        commands: Vec::new(),
        config: Some(config.into()),
        valid_for: valid_for.to_owned(),
    }
}

/// A remedy on one kind of server, between two versions.
struct Form {
    kind: ServerKind,
    /// The first version that it is valid for.
    from: Option<Version>,
    /// The first version that it is no longer valid, or no longer best, for.
    below: Option<Version>,
    remedy: Remedy,
}

impl Form {
    /// A form for every version that `valid_for` names.
    fn of(kind: ServerKind, place: &str, config: impl Into<String>, valid_for: &str) -> Form {
        Form { kind, from: None, below: None, remedy: write(place, config, valid_for) }
    }

    fn from(mut self, major: u32, minor: u32, patch: u32) -> Form {
        self.from = Some(Version::new(major, minor, patch));
        self
    }

    fn below(mut self, major: u32, minor: u32, patch: u32) -> Form {
        self.below = Some(Version::new(major, minor, patch));
        self
    }

    /// Commands to run after the configuration is written.
    fn then(mut self, commands: &[&str]) -> Form {
        self.remedy.commands = commands.iter().map(|c| (*c).to_owned()).collect();
        self
    }

    fn fits(&self, version: Version) -> bool {
        self.from.is_none_or(|from| version >= from) && self.below.is_none_or(|below| version < below)
    }
}

/// The forms for this server and version; all forms where the server is not known or has none.
fn choose(server: &Server, forms: Vec<Form>) -> Vec<Remedy> {
    let kind = server.kind.family();
    let mine = |form: &Form| form.kind == kind && server.version.is_none_or(|version| form.fits(version));
    let known = forms.iter().any(mine);
    forms.into_iter().filter(|form| !known || mine(form)).map(|form| form.remedy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [ServerKind; 18] = [
        ServerKind::Nginx,
        ServerKind::OpenResty,
        ServerKind::Haproxy,
        ServerKind::Caddy,
        ServerKind::Envoy,
        ServerKind::Squid,
        ServerKind::Mitmproxy,
        ServerKind::Tinyproxy,
        ServerKind::Apache,
        ServerKind::Artifactory,
        ServerKind::Nexus,
        ServerKind::Athens,
        ServerKind::Goproxy,
        ServerKind::Goferry,
        ServerKind::PanOs,
        ServerKind::Zscaler,
        ServerKind::Fortinet,
        ServerKind::Unknown,
    ];

    fn on(kind: ServerKind, version: Option<(u32, u32, u32)>) -> Context {
        let version = version.map(|(a, b, c)| Version::new(a, b, c));
        Context { server: Server::new(kind, version), ..Context::new("goproxy.example.com") }
    }

    fn configs(id: Id, ctx: &Context) -> Vec<String> {
        remedies(id, ctx).into_iter().filter_map(|r| r.config).collect()
    }

    #[test]
    fn every_finding_has_remedies_on_every_server() {
        for &id in Id::ALL {
            for kind in KINDS {
                let mut ctx = on(kind, None);
                ctx.forward_proxy = Some(Server::new(kind, None));
                let all = remedies(id, &ctx);
                assert!(!all.is_empty(), "{id} on {kind:?}");
                for remedy in &all {
                    assert!(!remedy.place.is_empty() && !remedy.valid_for.is_empty(), "{id}");
                    assert!(!remedy.commands.is_empty() || remedy.config.is_some(), "{id}");
                }
                let mut unique = all.clone();
                unique.dedup();
                assert_eq!(unique.len(), all.len(), "{id} on {kind:?} says something twice");
            }
        }
    }

    #[test]
    fn every_finding_has_its_page_with_the_same_sections() {
        const SECTIONS: [&str; 5] =
            ["## What is seen", "## Why Go behaves so", "## What it costs", "## Remedies", "## How to verify"];
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for &id in Id::ALL {
            let file = root.join(id.page());
            let page =
                std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{} cannot be read: {e}", file.display()));
            let mut fenced = false;
            let headings: Vec<&str> = page
                .lines()
                .filter(|line| {
                    fenced ^= line.starts_with("```");
                    !fenced && line.starts_with('#')
                })
                .collect();
            assert_eq!(headings[0], format!("# {id}"));
            assert_eq!(headings[1..], SECTIONS, "{id}");
            assert!(!fenced, "{id}: a code block does not end");
            for line in page.lines().filter(|line| !line.starts_with('|')) {
                assert!(line.chars().count() <= 100, "{id}: {line}");
            }
        }
    }

    #[test]
    fn nginx_gets_the_form_of_its_version() {
        let new = configs(Id::Http2NotOffered, &on(ServerKind::Nginx, Some((1, 25, 1))));
        assert_eq!(new.len(), 1);
        assert!(new[0].contains("http2 on;"), "{}", new[0]);
        let old = configs(Id::Http2NotOffered, &on(ServerKind::Nginx, Some((1, 25, 0))));
        assert_eq!(old.len(), 1);
        assert!(old[0].contains("ssl http2;") && !old[0].contains("http2 on"), "{}", old[0]);
        let resty = configs(Id::Http2NotOffered, &on(ServerKind::OpenResty, Some((1, 21, 4))));
        assert_eq!(resty, old);
    }

    #[test]
    fn nginx_connection_limits_follow_the_changes_of_1_19() {
        for (version, has, lacks) in [
            ((1, 18, 0), "http2_max_requests", "keepalive_requests"),
            ((1, 19, 7), "keepalive_requests", "keepalive_time "),
            ((1, 19, 10), "keepalive_time ", "http2_max_requests"),
            ((1, 29, 7), "keepalive_time ", "http2_max_requests"),
        ] {
            let all = configs(Id::GoawayChurn, &on(ServerKind::Nginx, Some(version)));
            assert_eq!(all.len(), 1, "{version:?}");
            assert!(all[0].contains(has) && !all[0].contains(lacks), "{version:?}: {}", all[0]);
        }
    }

    #[test]
    fn haproxy_gets_the_names_of_its_version() {
        let old = configs(Id::MaxConcurrentStreamsLow, &on(ServerKind::Haproxy, Some((2, 6, 12))));
        assert!(old[0].contains("tune.h2.max-concurrent-streams"), "{}", old[0]);
        let new = configs(Id::MaxConcurrentStreamsLow, &on(ServerKind::Haproxy, Some((2, 8, 0))));
        assert!(new[0].contains("tune.h2.fe.max-concurrent-streams"), "{}", new[0]);
        assert_eq!((old.len(), new.len()), (1, 1));
    }

    #[test]
    fn an_unknown_server_gets_the_common_ones() {
        let places: Vec<_> =
            remedies(Id::Http2NotOffered, &Context::new("goproxy.example.com")).into_iter().map(|r| r.place).collect();
        for name in ["nginx", "HAProxy", "Caddy", "Envoy", "Apache"] {
            assert!(places.iter().any(|p| p.starts_with(name)), "{name} is not in {places:?}");
        }
        assert_eq!(places.iter().filter(|p| p.starts_with("nginx")).count(), 2);
    }

    #[test]
    fn the_host_stands_where_it_is_needed() {
        let mut ctx = Context::new("mod.example.org");
        ctx.forward_proxy = Some(Server::new(ServerKind::Squid, None));
        let all = configs(Id::Http2StrippedByProxy, &ctx);
        assert!(all[0].contains("ssl::server_name mod.example.org"), "{}", all[0]);
    }

    #[test]
    fn hostile_names_never_reach_a_command_or_a_configuration() {
        let evil = "x'; rm -rf ~ #\n$(id)`id`\"";
        for kind in KINDS {
            let mut ctx = on(kind, None);
            ctx.host = evil.to_owned();
            ctx.goproxy = format!("https://{evil}/");
            ctx.toolchain = Some(evil.to_owned());
            ctx.code = Some(evil.to_owned());
            ctx.location = Some(Location { file: evil.to_owned(), line: 1 });
            ctx.forward_proxy = Some(Server::new(kind, None));
            for &id in Id::ALL {
                for remedy in remedies(id, &ctx) {
                    for text in remedy.commands.iter().chain(&remedy.config) {
                        assert!(!text.contains("rm -rf") && !text.contains("$(id)"), "{id}: {text}");
                    }
                }
            }
        }
    }
}
