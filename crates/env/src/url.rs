//! `net/url.Parse`, as much of it as choosing a proxy needs: which strings are URLs at all decides which proxy is used.
//!
//! Follows Go 1.26 and later, where `http` and `https` hosts may hold one colon only (`urlstrictcolons`).

use std::fmt;
use std::net::Ipv6Addr;

/// A URL's parts that matter for connecting. Credentials never show in `Debug` or `Display`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Url {
    /// Lower-case scheme, empty when the text has none.
    pub scheme: String,
    /// `host`, `host:port`, `[v6]` or `[v6]:port`; empty when the text has none.
    pub host: String,
    /// The path with its leading slash, undecoded.
    pub path: String,
    user: Option<(String, Option<String>)>,
}

/// Why a text is no URL, in the words of `net/url`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UrlError(String);

impl Url {
    /// Parses as `url.Parse` does.
    ///
    /// # Errors
    /// When `url.Parse` would fail: control characters, a bad escape, host, port or user information.
    pub fn parse(raw: &str) -> Result<Url, UrlError> {
        let raw = raw.split_once('#').map_or(raw, |(u, fragment)| if unescape_ok(fragment) { u } else { raw });
        if raw.contains('#') {
            return Err(UrlError("invalid URL escape in the fragment".into()));
        }
        if raw.bytes().any(|b| b < b' ' || b == 0x7f) {
            return Err(UrlError("invalid control character in URL".into()));
        }
        if raw == "*" {
            return Ok(Url { path: "*".into(), ..Url::default() });
        }
        let (scheme, rest) = split_scheme(raw)?;
        let mut url = Url { scheme: scheme.to_ascii_lowercase(), ..Url::default() };
        let mut rest = rest.split_once('?').map_or(rest, |(r, _)| r);
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                return Ok(url);
            }
            if rest.split('/').next().is_some_and(|s| s.contains(':')) {
                return Err(UrlError("first path segment in URL cannot contain colon".into()));
            }
        }
        if (!url.scheme.is_empty() || !rest.starts_with("///"))
            && let Some(after) = rest.strip_prefix("//")
        {
            let cut = after.find('/').unwrap_or(after.len());
            let (authority, path) = after.split_at(cut);
            rest = path;
            url.set_authority(authority)?;
        }
        if !unescape_ok(rest) {
            return Err(UrlError("invalid URL escape in the path".into()));
        }
        url.path = rest.to_owned();
        Ok(url)
    }

    /// The host without port and brackets (`URL.Hostname`).
    #[must_use]
    pub fn hostname(&self) -> &str {
        let host = split_port(&self.host).0;
        host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
    }

    /// The port as written, empty when there is none (`URL.Port`).
    #[must_use]
    pub fn port(&self) -> &str {
        split_port(&self.host).1
    }

    /// The user name and password, decoded. For authenticating, never for printing.
    #[must_use]
    pub fn credentials(&self) -> Option<(&str, Option<&str>)> {
        self.user.as_ref().map(|(u, p)| (u.as_str(), p.as_deref()))
    }

    fn set_authority(&mut self, authority: &str) -> Result<(), UrlError> {
        let (user, host) = match authority.rfind('@') {
            Some(i) => (Some(&authority[..i]), &authority[i + 1..]),
            None => (None, authority),
        };
        self.host = parse_host(&self.scheme, host)?;
        if let Some(user) = user {
            if !user.chars().all(valid_userinfo) {
                return Err(UrlError("invalid userinfo".into()));
            }
            let decode = |s: &str| unescape(s).ok_or_else(|| UrlError("invalid escape in userinfo".into()));
            self.user = Some(match user.split_once(':') {
                None => (decode(user)?, None),
                Some((u, p)) => (decode(u)?, Some(decode(p)?)),
            });
        }
        Ok(())
    }
}

impl fmt::Display for Url {
    /// The URL with its credentials masked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.scheme.is_empty() {
            write!(f, "{}:", self.scheme)?;
        }
        if !self.host.is_empty() || self.user.is_some() {
            f.write_str("//")?;
        }
        if self.user.is_some() {
            write!(f, "{}@", crate::mask::MASK)?;
        }
        // A second URL in the place of a path, after a slip of the pen, has its own password.
        let path = if self.path.contains('@') { "/***" } else { &self.path };
        write!(f, "{}{path}", self.host)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

impl serde::Serialize for Url {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

fn split_scheme(raw: &str) -> Result<(&str, &str), UrlError> {
    for (i, c) in raw.bytes().enumerate() {
        match c {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if i > 0 => {}
            b':' if i == 0 => return Err(UrlError("missing protocol scheme".into())),
            b':' => return Ok((&raw[..i], &raw[i + 1..])),
            _ => return Ok(("", raw)),
        }
    }
    Ok(("", raw))
}

fn parse_host(scheme: &str, host: &str) -> Result<String, UrlError> {
    let bad_port = |p: &str| UrlError(format!("invalid port {p:?} after host"));
    match host.rfind('[') {
        Some(0) => {
            let close = host.rfind(']').ok_or_else(|| UrlError("missing ']' in host".into()))?;
            let (name, port) = (&host[1..close], &host[close + 1..]);
            if !valid_port(port) {
                return Err(bad_port(port));
            }
            let (address, zone) = match name.find("%25") {
                Some(i) => (&name[..i], unescape(&name[i..])),
                None => (name, Some(String::new())),
            };
            let zone = zone.ok_or_else(|| UrlError("invalid escape in the zone".into()))?;
            if zone == "%" || address.parse::<Ipv6Addr>().is_err() {
                return Err(UrlError("invalid IP-literal".into()));
            }
            return Ok(format!("[{address}{zone}]{port}"));
        }
        Some(_) => return Err(UrlError("invalid IP-literal".into())),
        None => {}
    }
    if let Some(first) = host.find(':') {
        let strict = matches!(scheme, "http" | "https");
        let at = if strict { first } else { host.rfind(':').unwrap_or(first) };
        if !valid_port(&host[at..]) {
            return Err(bad_port(&host[at..]));
        }
    }
    unescape_host(host)
}

/// The host's escapes: only bytes from 0x80 may be escaped (and `%25`), and some ASCII may not appear.
fn unescape_host(host: &str) -> Result<String, UrlError> {
    let bytes = host.as_bytes();
    for (i, &b) in bytes.iter().enumerate() {
        if b == b'%' {
            let high = bytes.get(i + 1).copied().and_then(hex);
            let escape = host.get(i..i + 3);
            if high.is_none_or(|h| h < 8) && escape != Some("%25") {
                return Err(UrlError("invalid URL escape in the host".into()));
            }
        } else if b < 0x80 && !(b.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&b)) {
            return Err(UrlError(format!("invalid character {:?} in host name", b as char)));
        }
    }
    unescape(host).ok_or_else(|| UrlError("invalid URL escape in the host".into()))
}

fn valid_port(p: &str) -> bool {
    p.is_empty() || p.strip_prefix(':').is_some_and(|d| d.bytes().all(|b| b.is_ascii_digit()))
}

fn split_port(host: &str) -> (&str, &str) {
    match host.rfind(':') {
        Some(i) if valid_port(&host[i..]) => (&host[..i], &host[i + 1..]),
        _ => (host, ""),
    }
}

fn valid_userinfo(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c)
}

fn hex(b: u8) -> Option<u8> {
    (b as char).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

fn unescape_ok(s: &str) -> bool {
    unescape_bytes(s).is_some()
}

fn unescape(s: &str) -> Option<String> {
    unescape_bytes(s).map(|b| String::from_utf8_lossy(&b).into_owned())
}

fn unescape_bytes(s: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(s.len());
    let mut bytes = s.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let (high, low) = (hex(bytes.next()?)?, hex(bytes.next()?)?);
            out.push(high << 4 | low);
        } else {
            out.push(b);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_kept_and_never_shown() {
        let url = Url::parse("http://user:p%40ss@proxy.example.com:3128/x").unwrap();
        assert_eq!(url.credentials(), Some(("user", Some("p@ss"))));
        assert_eq!((url.hostname(), url.port()), ("proxy.example.com", "3128"));
        assert_eq!(url.to_string(), "http://***@proxy.example.com:3128/x");
        assert!(!format!("{url:?}").contains("p@ss"));
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for bad in [
            "http://h.example.com:port",
            "http://a:1:2",
            "http://[::1",
            "http://x[::1]",
            "http://[127.0.0.1]",
            "http://h/%zz",
            "http://a b.example.com",
            "http://us er@h",
            "://h",
            "10.0.0.1:3128",
            "http://h\u{1}",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Url::parse("http://[fe80::1%25eth0]:80").unwrap().hostname(), "fe80::1%eth0");
        assert_eq!(Url::parse("proxy.example.com:3128").unwrap().host, "");
    }
}
