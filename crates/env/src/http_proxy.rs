//! Which HTTP proxy the go command would use for a URL: the rules of `golang.org/x/net/http/httpproxy`.
//!
//! `HTTPS_PROXY` for https, `HTTP_PROXY` for http, lower-case names when the upper-case one is empty, never for
//! `localhost` and loopback addresses, and `NO_PROXY` with addresses, networks, domains and ports. Only the process
//! environment counts; nothing in a `go/env` file does. Host names outside ASCII are compared as written, where Go
//! would convert them to punycode first.

use std::net::IpAddr;

use crate::inputs::Inputs;
use crate::url::{Url, UrlError};

/// The three settings and whether this looks like a CGI process.
#[derive(Clone)]
pub struct ProxySettings {
    http: Option<Setting>,
    https: Option<Setting>,
    rules: NoProxy,
    cgi: bool,
}

/// One proxy variable as found.
#[derive(Clone, Debug)]
struct Setting {
    variable: &'static str,
    parsed: Result<Url, UrlError>,
}

/// What Go decides for one URL.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ProxyDecision {
    /// Go connects to the host itself.
    Direct {
        /// Why no proxy is used.
        why: DirectReason,
    },
    /// Go connects through this proxy.
    Via(ProxyChoice),
    /// Go refuses the request: `HTTP_PROXY` is not trusted where `REQUEST_METHOD` is set (golang.org/s/cgihttpproxy).
    Refused {
        /// The variable that is refused.
        variable: String,
    },
}

/// Why no proxy is used.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum DirectReason {
    /// No variable names a proxy for this scheme.
    NotSet,
    /// The host is `localhost` or a loopback address: never through a proxy.
    Loopback,
    /// An entry of `NO_PROXY` matches.
    NoProxy {
        /// The entry.
        entry: String,
    },
    /// The variable's value is no URL, and Go ignores it silently.
    Unparsable {
        /// The variable.
        variable: String,
        /// What is wrong with its value.
        problem: String,
    },
}

/// A proxy that Go uses.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ProxyChoice {
    /// The variable that names it.
    pub variable: String,
    /// The proxy; its credentials are masked wherever it is shown.
    pub url: Url,
    /// How the proxy is spoken to.
    pub scheme: ProxyScheme,
}

/// How the proxy itself is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyScheme {
    /// Plain HTTP: CONNECT for https targets.
    Http,
    /// HTTP inside TLS.
    Https,
    /// SOCKS5 (`socks5` and `socks5h` alike: the proxy resolves the name).
    Socks5,
    /// A scheme that net/http does not know.
    Other(String),
}

impl ProxyChoice {
    /// The proxy's host name or address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.hostname()
    }

    /// The proxy's port: as written, or the scheme's own (80, 443, 1080). `None` when it is out of range.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match (self.url.port(), &self.scheme) {
            ("", ProxyScheme::Http) => Some(80),
            ("", ProxyScheme::Https) => Some(443),
            ("", ProxyScheme::Socks5) => Some(1080),
            (port, _) => port.parse().ok(),
        }
    }
}

impl ProxySettings {
    /// Reads the settings from the process environment.
    #[must_use]
    pub fn from_inputs(inputs: &Inputs) -> ProxySettings {
        let find = |names: [&'static str; 2]| {
            names
                .into_iter()
                .find_map(|variable| inputs.var(variable).map(|value| Setting { variable, parsed: parse_proxy(value) }))
        };
        ProxySettings {
            http: find(["HTTP_PROXY", "http_proxy"]),
            https: find(["HTTPS_PROXY", "https_proxy"]),
            rules: NoProxy::parse(inputs.var("NO_PROXY").or_else(|| inputs.var("no_proxy")).unwrap_or("")),
            cgi: inputs.var("REQUEST_METHOD").is_some(),
        }
    }

    /// What Go would do for `url`.
    #[must_use]
    pub fn decide(&self, url: &Url) -> ProxyDecision {
        let direct = |why| ProxyDecision::Direct { why };
        let setting = match url.scheme.as_str() {
            "https" => &self.https,
            "http" => &self.http,
            _ => &None,
        };
        let Some(setting) = setting else {
            return direct(DirectReason::NotSet);
        };
        let proxy = match &setting.parsed {
            Ok(proxy) => proxy,
            Err(e) => {
                return direct(DirectReason::Unparsable {
                    variable: setting.variable.to_owned(),
                    problem: e.to_string(),
                });
            }
        };
        if url.scheme == "http" && self.cgi {
            return ProxyDecision::Refused { variable: setting.variable.to_owned() };
        }
        let port = match (url.port(), url.scheme.as_str()) {
            ("", "https") => "443",
            ("", _) => "80",
            (port, _) => port,
        };
        if let Some(why) = self.rules.exempts(url.hostname(), port) {
            return direct(why);
        }
        ProxyDecision::Via(ProxyChoice {
            variable: setting.variable.to_owned(),
            scheme: match proxy.scheme.as_str() {
                "http" => ProxyScheme::Http,
                "https" => ProxyScheme::Https,
                "socks5" | "socks5h" => ProxyScheme::Socks5,
                other => ProxyScheme::Other(other.to_owned()),
            },
            url: proxy.clone(),
        })
    }
}

/// `parseProxy`: a URL, or `host[:port]` with http assumed.
fn parse_proxy(value: &str) -> Result<Url, UrlError> {
    let first = Url::parse(value);
    if !matches!(&first, Ok(u) if !u.scheme.is_empty() && !u.host.is_empty())
        && let Ok(second) = Url::parse(&format!("http://{value}"))
    {
        return Ok(second);
    }
    first
}

/// A parsed `NO_PROXY`.
#[derive(Clone, Debug, Default)]
struct NoProxy {
    entries: Vec<(String, Matcher)>,
}

#[derive(Clone, Debug)]
enum Matcher {
    All,
    Network(IpAddr, u32),
    Address(IpAddr, String),
    Domain { suffix: String, port: String, host_too: bool },
}

impl NoProxy {
    fn parse(list: &str) -> NoProxy {
        let mut entries = Vec::new();
        for entry in list.split(',') {
            let entry = entry.trim().to_lowercase();
            if entry.is_empty() {
                continue;
            }
            if entry == "*" {
                return NoProxy { entries: vec![(entry, Matcher::All)] };
            }
            if let Some(matcher) = Matcher::parse(&entry) {
                entries.push((entry, matcher));
            }
        }
        NoProxy { entries }
    }

    fn exempts(&self, host: &str, port: &str) -> Option<DirectReason> {
        if host == "localhost" {
            return Some(DirectReason::Loopback);
        }
        let bare = host.split_once('%').map_or(host, |(h, _)| h);
        let ip = bare.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
        if ip.is_some_and(|ip| ip.is_loopback()) {
            return Some(DirectReason::Loopback);
        }
        let host = host.trim().to_lowercase();
        self.entries
            .iter()
            .find(|(_, m)| m.matches(&host, port, ip))
            .map(|(entry, _)| DirectReason::NoProxy { entry: entry.clone() })
    }
}

impl Matcher {
    fn parse(entry: &str) -> Option<Matcher> {
        if let Some(network) = parse_cidr(entry) {
            return Some(network);
        }
        let (host, port) = split_host_port(entry).unwrap_or((entry, ""));
        if host.is_empty() {
            return None;
        }
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Some(Matcher::Address(ip.to_canonical(), port.to_owned()));
        }
        let host = if host.starts_with("*.") { &host[1..] } else { host };
        let host_too = !host.starts_with('.');
        Some(Matcher::Domain {
            suffix: if host_too { format!(".{host}") } else { host.to_owned() },
            port: port.to_owned(),
            host_too,
        })
    }

    fn matches(&self, host: &str, port: &str, ip: Option<IpAddr>) -> bool {
        match (self, ip) {
            (Matcher::All, _) => true,
            (Matcher::Network(network, bits), Some(ip)) => in_network(ip, *network, *bits),
            (Matcher::Address(address, p), Some(ip)) => *address == ip && (p.is_empty() || p == port),
            (Matcher::Domain { suffix, port: p, host_too }, None) => {
                (host.ends_with(suffix.as_str()) || (*host_too && host == &suffix[1..])) && (p.is_empty() || p == port)
            }
            _ => false,
        }
    }
}

fn parse_cidr(entry: &str) -> Option<Matcher> {
    let (address, bits) = entry.split_once('/')?;
    if bits.is_empty() || !bits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (address, bits) = (address.parse::<IpAddr>().ok()?, bits.parse::<u32>().ok()?);
    match address {
        IpAddr::V4(_) if bits > 32 => None,
        IpAddr::V6(_) if bits > 128 => None,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) if bits >= 96 => Some(Matcher::Network(v4.into(), bits - 96)),
            _ => Some(Matcher::Network(address, bits)),
        },
        IpAddr::V4(_) => Some(Matcher::Network(address, bits)),
    }
}

fn in_network(ip: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(net)) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            ip.to_bits() & mask == net.to_bits() & mask
        }
        (IpAddr::V6(ip), IpAddr::V6(net)) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            ip.to_bits() & mask == net.to_bits() & mask
        }
        _ => false,
    }
}

/// `net.SplitHostPort`, `None` where it fails.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (before, port) = text.rsplit_once(':')?;
    let Some(bracketed) = text.strip_prefix('[') else {
        let odd = before.contains(':') || text.contains(['[', ']']);
        return (!odd).then_some((before, port));
    };
    let (host, after) = bracketed.split_once(']')?;
    let odd = after.strip_prefix(':') != Some(port) || bracketed.contains('[') || after.contains(']');
    (!odd).then_some((host, port))
}

#[cfg(test)]
#[path = "http_proxy_tests.rs"]
mod tests;
