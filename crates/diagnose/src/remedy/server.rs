//! Which program answers, as far as it says so itself.

use std::fmt;

/// What is read of a header or an issuer at most, in bytes. The rest cannot matter.
const MAX_TEXT: usize = 512;
/// What is kept of it for a person to read, in characters.
const MAX_RAW: usize = 120;

/// A program that can stand between the go command and the modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerKind {
    /// nginx.
    Nginx,
    /// OpenResty: an nginx; its first three numbers are the nginx core's.
    OpenResty,
    /// HAProxy. It never names itself in a header.
    Haproxy,
    /// Caddy.
    Caddy,
    /// Envoy.
    Envoy,
    /// Squid.
    Squid,
    /// mitmproxy.
    Mitmproxy,
    /// tinyproxy.
    Tinyproxy,
    /// Apache httpd.
    Apache,
    /// JFrog Artifactory.
    Artifactory,
    /// Sonatype Nexus.
    Nexus,
    /// Athens.
    Athens,
    /// goproxy.
    Goproxy,
    /// goferry: `goferry serve`.
    Goferry,
    /// Palo Alto Networks PAN-OS.
    PanOs,
    /// Zscaler.
    Zscaler,
    /// Fortinet FortiOS.
    Fortinet,
    /// Anything else, or not told.
    Unknown,
}

impl ServerKind {
    /// The program's name, as its makers write it; "an unknown server" where it is not known.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ServerKind::Nginx => "nginx",
            ServerKind::OpenResty => "OpenResty",
            ServerKind::Haproxy => "HAProxy",
            ServerKind::Caddy => "Caddy",
            ServerKind::Envoy => "Envoy",
            ServerKind::Squid => "Squid",
            ServerKind::Mitmproxy => "mitmproxy",
            ServerKind::Tinyproxy => "tinyproxy",
            ServerKind::Apache => "Apache httpd",
            ServerKind::Artifactory => "Artifactory",
            ServerKind::Nexus => "Nexus",
            ServerKind::Athens => "Athens",
            ServerKind::Goproxy => "goproxy",
            ServerKind::Goferry => "goferry",
            ServerKind::PanOs => "PAN-OS",
            ServerKind::Zscaler => "Zscaler",
            ServerKind::Fortinet => "FortiOS",
            ServerKind::Unknown => "an unknown server",
        }
    }

    /// The kind whose configuration this one has: OpenResty is configured as nginx is.
    #[must_use]
    pub const fn family(self) -> ServerKind {
        match self {
            ServerKind::OpenResty => ServerKind::Nginx,
            other => other,
        }
    }

    /// The kind whose product token this is, for example `nginx` in `nginx/1.22.1`.
    fn from_product(token: &str) -> Option<ServerKind> {
        const PRODUCTS: &[(&str, ServerKind)] = &[
            ("nginx", ServerKind::Nginx),
            ("openresty", ServerKind::OpenResty),
            ("haproxy", ServerKind::Haproxy),
            ("caddy", ServerKind::Caddy),
            ("envoy", ServerKind::Envoy),
            ("squid", ServerKind::Squid),
            ("mitmproxy", ServerKind::Mitmproxy),
            ("tinyproxy", ServerKind::Tinyproxy),
            ("apache", ServerKind::Apache),
            ("artifactory", ServerKind::Artifactory),
            ("nexus", ServerKind::Nexus),
            ("athens", ServerKind::Athens),
            ("goproxy", ServerKind::Goproxy),
            ("goferry", ServerKind::Goferry),
            ("zscaler", ServerKind::Zscaler),
        ];
        PRODUCTS.iter().find(|(name, _)| token.eq_ignore_ascii_case(name)).map(|(_, kind)| *kind)
    }
}

/// A program's version: the first three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number; 0 where there is none.
    pub minor: u32,
    /// The third number; 0 where there is none.
    pub patch: u32,
}

impl Version {
    /// A version of three numbers.
    #[must_use]
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Version { major, minor, patch }
    }

    /// Reads `1.22.1`, `v2.6`, `1.21.4.1` or `3.76.0-03`: at least two numbers, what follows the
    /// third is dropped.
    #[must_use]
    pub fn parse(text: &str) -> Option<Version> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let mut numbers = [0_u32; 3];
        let mut read = 0;
        for part in text.split('.').take(3) {
            let end = part.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(part.len());
            if end == 0 {
                break;
            }
            numbers[read] = part[..end].parse().ok()?;
            read += 1;
            if end < part.len() {
                break;
            }
        }
        (read >= 2).then_some(Version::new(numbers[0], numbers[1], numbers[2]))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The program that answers, and what it said to be known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Which program.
    pub kind: ServerKind,
    /// Its version, where it tells.
    pub version: Option<Version>,
    /// The text that this was read from: at most 120 printable ASCII characters; empty where
    /// nothing was said.
    pub raw: String,
}

impl Server {
    /// A server of which nothing is known.
    #[must_use]
    pub const fn unknown() -> Self {
        Server { kind: ServerKind::Unknown, version: None, raw: String::new() }
    }

    /// A server known from elsewhere, for example from the user.
    #[must_use]
    pub fn new(kind: ServerKind, version: Option<Version>) -> Self {
        Server { kind, version, raw: kind.name().to_owned() }
    }

    /// Reads a response's `Server` and `Via` fields, then the other fields that give a program
    /// away (`Proxy-Agent`, `X-Squid-Error`, `X-JFrog-Version` and the like), given as pairs of
    /// name and value. `Server` decides, since whatever stands in front writes it; of `Via` the
    /// last known entry counts, which is the nearest hop (RFC 9110 section 7.6.3).
    ///
    /// The texts are the peer's: 512 bytes of each are read, and 64 of the other fields.
    #[must_use]
    pub fn from_headers(server: Option<&str>, via: Option<&str>, others: &[(&str, &str)]) -> Server {
        if let Some(found) = server.and_then(|text| products(text).next()) {
            return found;
        }
        if let Some(found) = via.and_then(|text| products(text).last()) {
            return found;
        }
        for (name, value) in others.iter().take(64) {
            if let Some(found) = from_other(name, value) {
                return found;
            }
        }
        let raw = printable(server.or(via).unwrap_or_default());
        Server { kind: ServerKind::Unknown, version: None, raw }
    }

    /// Reads the issuer of a certificate, in any text form that holds its names: the programs
    /// that intercept TLS sign with a CA of their own, mostly named after them.
    #[must_use]
    pub fn from_issuer(issuer: &str) -> Server {
        const ISSUERS: &[(&str, ServerKind)] = &[
            ("mitmproxy", ServerKind::Mitmproxy),
            ("zscaler", ServerKind::Zscaler),
            ("palo alto", ServerKind::PanOs),
            ("paloalto", ServerKind::PanOs),
            ("pan-os", ServerKind::PanOs),
            ("fortinet", ServerKind::Fortinet),
            ("fortigate", ServerKind::Fortinet),
            ("fortios", ServerKind::Fortinet),
            ("squid", ServerKind::Squid),
            ("caddy local authority", ServerKind::Caddy),
        ];
        let lower = bounded(issuer).to_ascii_lowercase();
        let kind = ISSUERS.iter().find(|(name, _)| lower.contains(name)).map_or(ServerKind::Unknown, |(_, kind)| *kind);
        Server { kind, version: None, raw: printable(issuer) }
    }

    /// Whether the program is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.kind != ServerKind::Unknown
    }

    /// Whether the program is known to end TLS in an origin's place: of a certificate's issuer that is
    /// one of these, no more has to be said.
    #[must_use]
    pub fn is_interceptor(&self) -> bool {
        matches!(
            self.kind,
            ServerKind::Mitmproxy | ServerKind::Zscaler | ServerKind::PanOs | ServerKind::Fortinet | ServerKind::Squid
        )
    }

    /// This server, or `other` where nothing is known of this one.
    #[must_use]
    pub fn or(self, other: Server) -> Server {
        if self.kind == ServerKind::Unknown && other.kind != ServerKind::Unknown { other } else { self }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.version) {
            (ServerKind::Unknown, _) if !self.raw.is_empty() => f.write_str(&self.raw),
            (kind, Some(version)) => write!(f, "{} {version}", kind.name()),
            (kind, None) => f.write_str(kind.name()),
        }
    }
}

/// The known products of a `Server` or `Via` field, in their order.
fn products(text: &str) -> impl Iterator<Item = Server> + '_ {
    let text = bounded(text);
    let mut tokens = text
        .split(|c: char| c.is_ascii_whitespace() || matches!(c, '(' | ')' | ',' | ';'))
        .filter(|token| !token.is_empty())
        .peekable();
    std::iter::from_fn(move || {
        loop {
            let token = tokens.next()?;
            let (name, version) = match token.split_once('/') {
                Some((name, version)) => (name, Version::parse(version)),
                // mitmproxy writes "mitmproxy 8.1.1".
                None => (token, tokens.peek().and_then(|next| Version::parse(next))),
            };
            if let Some(kind) = ServerKind::from_product(name) {
                return Some(Server { kind, version, raw: printable(text) });
            }
        }
    })
}

fn from_other(name: &str, value: &str) -> Option<Server> {
    let kind = match bounded(name).to_ascii_lowercase().as_str() {
        "proxy-agent" | "x-powered-by" => return products(value).next(),
        "x-jfrog-version" => return products(value).next(),
        "x-artifactory-id" | "x-artifactory-node-id" => ServerKind::Artifactory,
        "x-envoy-upstream-service-time" => ServerKind::Envoy,
        "x-squid-error" => ServerKind::Squid,
        _ => return None,
    };
    Some(Server { kind, version: None, raw: printable(name) })
}

/// The first [`MAX_TEXT`] bytes, cut between characters.
fn bounded(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// What may be shown on a terminal: printable ASCII, [`MAX_RAW`] characters.
fn printable(text: &str) -> String {
    bounded(text).chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).take(MAX_RAW).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_server(text: &str) -> (ServerKind, Option<Version>) {
        let server = Server::from_headers(Some(text), None, &[]);
        (server.kind, server.version)
    }

    #[test]
    fn the_server_field_names_program_and_version() {
        let v = |a, b, c| Some(Version::new(a, b, c));
        assert_eq!(from_server("nginx/1.22.1"), (ServerKind::Nginx, v(1, 22, 1)));
        assert_eq!(from_server("nginx"), (ServerKind::Nginx, None));
        assert_eq!(from_server("openresty/1.21.4.1"), (ServerKind::OpenResty, v(1, 21, 4)));
        assert_eq!(from_server("Apache/2.4.57 (Debian)"), (ServerKind::Apache, v(2, 4, 57)));
        assert_eq!(from_server("Nexus/3.76.0-03 (OSS)"), (ServerKind::Nexus, v(3, 76, 0)));
        assert_eq!(from_server("mitmproxy 8.1.1"), (ServerKind::Mitmproxy, v(8, 1, 1)));
        assert_eq!(from_server("envoy"), (ServerKind::Envoy, None));
        assert_eq!(from_server("goferry/0.1.0"), (ServerKind::Goferry, v(0, 1, 0)));
        assert_eq!(from_server("nginxish/1.2.3"), (ServerKind::Unknown, None));
        assert_eq!(from_server(""), (ServerKind::Unknown, None));
    }

    #[test]
    fn the_nearest_hop_of_via_counts_and_server_wins() {
        let via = "1.1 caddy, 1.1 gate.example.com (squid/5.7)";
        let server = Server::from_headers(None, Some(via), &[]);
        assert_eq!((server.kind, server.version), (ServerKind::Squid, Some(Version::new(5, 7, 0))));
        let named = Server::from_headers(None, Some("1.1 goferry-0123456789abcdef"), &[]);
        assert_eq!(named.kind, ServerKind::Unknown, "what a goferry calls itself in Via is its own affair");
        let server = Server::from_headers(Some("Caddy"), Some(via), &[]);
        assert_eq!(server.kind, ServerKind::Caddy);
    }

    #[test]
    fn other_fields_are_asked_last() {
        let others = [("Date", "today"), ("Proxy-Agent", "tinyproxy/1.11.1")];
        let server = Server::from_headers(Some("teapot"), None, &others);
        assert_eq!(server.kind, ServerKind::Tinyproxy);
        assert_eq!(server.version, Some(Version::new(1, 11, 1)));
        let server = Server::from_headers(Some("teapot"), None, &[]);
        assert_eq!((server.kind, server.raw.as_str()), (ServerKind::Unknown, "teapot"));
    }

    #[test]
    fn issuers_name_the_interceptor() {
        for (issuer, kind) in [
            ("CN=mitmproxy, O=mitmproxy", ServerKind::Mitmproxy),
            ("CN=Zscaler Intermediate Root CA", ServerKind::Zscaler),
            ("O=Fortinet, CN=FG100", ServerKind::Fortinet),
            ("CN=Palo Alto Decrypt", ServerKind::PanOs),
            ("CN=Example Corp Root", ServerKind::Unknown),
        ] {
            assert_eq!(Server::from_issuer(issuer).kind, kind, "{issuer}");
        }
    }

    #[test]
    fn hostile_text_is_cut_and_cleaned() {
        let long = "é\u{1b}[31m".repeat(10_000);
        for server in [Server::from_headers(Some(&long), Some(&long), &[(&long, &long)]), Server::from_issuer(&long)] {
            assert!(server.raw.chars().count() <= MAX_RAW);
            assert!(server.raw.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{}", server.raw);
        }
        assert_eq!(Version::parse("99999999999.1.1"), None);
        assert_eq!(Version::parse("1"), None);
        assert_eq!(Version::parse("1.2"), Some(Version::new(1, 2, 0)));
        assert_eq!(Version::parse("..."), None);
    }
}
