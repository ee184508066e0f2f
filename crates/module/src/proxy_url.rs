//! The URL of a module proxy, checked as `net/url.Parse` and `cmd/go/internal/modfetch.newProxyRepo` check it.

use std::fmt;
use std::net::Ipv6Addr;

use crate::escape::EscapedPath;

/// How a module proxy is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP/1.1 without TLS.
    Http,
    /// HTTP/2 or HTTP/1.1 with TLS.
    Https,
    /// A directory laid out as a proxy.
    File,
}

impl Scheme {
    /// The scheme in lower case, without `:`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::File => "file",
        }
    }
}

/// The URL of a module proxy.
///
/// `Display` and `Debug` mask what may be secret: user and password, and the query. The whole URL is only given by
/// [`ProxyUrl::expose`] and [`ProxyUrl::credentials`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ProxyUrl {
    text: String,
    scheme: Scheme,
    user: Option<(String, Option<String>)>,
    host: String,
    port: Option<u16>,
    path: String,
    query: String,
}

impl ProxyUrl {
    /// Parses a complete URL. The rule that adds `https://` belongs to [`crate::ProxyList`].
    ///
    /// # Errors
    /// Where the go command would refuse the URL, and where a port is out of range. The message is masked.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        parse(text).map_err(|reason| UrlError { url: mask(text), reason })
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host name or address, an IPv6 address without brackets; empty for `file://`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port as written, if one is.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The port to connect to: as written, else 443 or 80.
    #[must_use]
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(match self.scheme {
            Scheme::Https => 443,
            Scheme::Http => 80,
            Scheme::File => 0,
        })
    }

    /// Host and port as in an HTTP `Host` header: `[::1]:8080`, `goproxy.example.com`.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        self.port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
    }

    /// The path as written (percent-encoded), without a slash at its end; empty for the root.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path.strip_suffix('/').unwrap_or(&self.path)
    }

    /// The path and query of a request for `rest`, which begins with a slash, as
    /// [`crate::ModuleVersion::proxy_path`] gives it. The query of the proxy's URL stays, as it does in the go command.
    #[must_use]
    pub fn request_target(&self, rest: &str) -> String {
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        format!("{}{rest}{query}", self.path())
    }

    /// The request target of a file at the root of a module, for example `@latest` or `@v/list`.
    #[must_use]
    pub fn module_target(&self, module: &EscapedPath, file: &str) -> String {
        self.request_target(&format!("/{module}/{file}"))
    }

    /// The directory of a `file://` URL, percent-decoded; `None` for other schemes.
    #[must_use]
    pub fn directory(&self) -> Option<String> {
        (self.scheme == Scheme::File).then(|| percent_decode(&self.path)).flatten()
    }

    /// User and password from the URL, percent-decoded. The go command sends them as basic authentication.
    #[must_use]
    pub fn credentials(&self) -> Option<(&str, Option<&str>)> {
        self.user.as_ref().map(|(user, password)| (user.as_str(), password.as_deref()))
    }

    /// The whole URL with its credentials. Never print or log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = if self.user.is_some() { "xxxxx@" } else { "" };
        let query = if self.query.is_empty() { "" } else { "?xxxxx" };
        write!(f, "{}://{user}{}{}{query}", self.scheme.as_str(), self.authority(), self.path)
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({self})")
    }
}

/// A URL that cannot be a module proxy's.
///
/// The reason never quotes the URL: where that is malformed, a password may be anywhere in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {url}")]
pub struct UrlError {
    /// The URL with its credentials masked.
    pub url: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Replaces what may be a secret in a text that may be a URL: everything up to the last `@` behind the scheme, and
/// everything behind a `?` or `#`. Cuts it to 256 characters.
#[must_use]
pub fn mask(text: &str) -> String {
    let (head, tail) = match text.find("://") {
        Some(at) => text.split_at(at + 3),
        None => ("", text),
    };
    let (user, tail) = match tail.rfind('@') {
        Some(at) => ("xxxxx@", &tail[at + 1..]),
        None => ("", tail),
    };
    let (tail, query) = match tail.find(['?', '#']) {
        Some(at) => (&tail[..at], "?xxxxx"),
        None => (tail, ""),
    };
    let clean = |s: &str| s.chars().take(256).flat_map(char::escape_debug).collect::<String>();
    format!("{}{user}{}{query}", clean(head), clean(tail))
}

fn parse(text: &str) -> Result<ProxyUrl, String> {
    let bad = |reason: &str| Err(reason.to_owned());
    let (url, fragment) = text.split_once('#').unwrap_or((text, ""));
    if url.bytes().any(|b| b < b' ' || b == 0x7f) {
        return bad("invalid control character in URL");
    }
    let (scheme, rest) = split_scheme(url)?;
    let forced_query = rest.ends_with('?');
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let opaque = !rest.starts_with('/');
    if scheme.is_empty() && opaque && rest.split('/').next().unwrap_or_default().contains(':') {
        return bad("first path segment in URL cannot contain colon");
    }
    let (authority, path) = match rest.strip_prefix("//") {
        _ if opaque => ("", ""),
        Some(rest) if !scheme.is_empty() || !rest.starts_with('/') => {
            rest.split_at(rest.find('/').unwrap_or(rest.len()))
        }
        _ => ("", rest),
    };
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let (host, port) = split_host(host)?;
    let user = user.map(split_user).transpose()?;
    if percent_decode(path).is_none() || percent_decode(fragment).is_none() {
        return bad("invalid URL escape");
    }
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        "file" => Scheme::File,
        "" => return bad("invalid proxy URL missing scheme"),
        _ => return bad("invalid proxy URL scheme (must be https, http, file)"),
    };
    if scheme == Scheme::File {
        let only_path = user.is_none() && host.is_empty() && port.is_none() && !authority.contains(':');
        if !only_path || opaque || !query.is_empty() || forced_query || !fragment.is_empty() {
            return bad("invalid file:// proxy URL with non-path elements");
        }
    }
    // Go takes the URL and then fails each request: "http: no Host in request URL".
    if scheme != Scheme::File && host.is_empty() {
        return bad("no host in the URL");
    }
    let port = match port {
        None => None,
        Some(port) => Some(port.parse().map_err(|_| "invalid port: must be at most 65535".to_owned())?),
    };
    Ok(ProxyUrl {
        text: text.to_owned(),
        scheme,
        user,
        host: host.to_owned(),
        port,
        path: path.to_owned(),
        query: query.to_owned(),
    })
}

/// `net/url.getScheme`.
fn split_scheme(url: &str) -> Result<(&str, &str), String> {
    for (i, b) in url.bytes().enumerate() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if i > 0 => {}
            b':' if i == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&url[..i], &url[i + 1..])),
            _ => break,
        }
    }
    Ok(("", url))
}

fn split_user(userinfo: &str) -> Result<(String, Option<String>), String> {
    if !userinfo.chars().all(|c| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c)) {
        return Err("invalid userinfo".to_owned());
    }
    let decode = |s: &str| percent_decode(s).ok_or_else(|| "invalid URL escape".to_owned());
    match userinfo.split_once(':') {
        None => Ok((decode(userinfo)?, None)),
        Some((user, password)) => Ok((decode(user)?, Some(decode(password)?))),
    }
}

fn split_host(host: &str) -> Result<(&str, Option<&str>), String> {
    let (name, port) = match host.rfind('[') {
        Some(0) => {
            let close = host.rfind(']').ok_or("missing ']' in host")?;
            let name = &host[1..close];
            let address = name.split_once("%25").map_or(name, |(address, _)| address);
            if address.parse::<Ipv6Addr>().is_err() {
                return Err("invalid host: not an IPv6 address".to_owned());
            }
            (name, &host[close + 1..])
        }
        Some(_) => return Err("invalid IP-literal".to_owned()),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let digits = match port.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits,
        None if port.is_empty() => "",
        _ => return Err("invalid port: must be a number".to_owned()),
    };
    if name.chars().any(|c| c.is_ascii() && !c.is_ascii_alphanumeric() && !"-_.~!$&'()*+,;=:%".contains(c)) {
        return Err("invalid character: not allowed in a host name".to_owned());
    }
    Ok((name, (!digits.is_empty()).then_some(digits)))
}

/// Decodes `%XX`; `None` where an escape is malformed. Bytes that are not UTF-8 become U+FFFD.
fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    let hex = |b: Option<u8>| (b? as char).to_digit(16);
    while let Some(b) = bytes.next() {
        out.push(match b {
            b'%' => u8::try_from(hex(bytes.next())? * 16 + hex(bytes.next())?).ok()?,
            b => b,
        });
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}
