//! Getting to the origin: names, addresses, time limits.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

/// For resolving a name, and again for each attempt to connect.
const LIMIT: Duration = Duration::from_secs(10);

/// Addresses tried for a name, at most.
const MAX_ADDRESSES: usize = 8;

/// A host and a port, as a client names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// A name in lower case, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Target {
    /// Reads `host`, `host:port` or `[address]:port`. Without `default_port` the port is required.
    pub(super) fn parse(text: &str, default_port: Option<u16>) -> Option<Self> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (address, rest) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
            (address, port)
        } else {
            match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        let right = |byte: u8| byte.is_ascii_graphic() && !b"/?#@\\".contains(&byte);
        if host.is_empty() || host.len() > 255 || !host.bytes().all(right) {
            return None;
        }
        let port = match port {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok()?,
            Some(_) => return None,
            None => default_port?,
        };
        Some(Self { host: host.to_ascii_lowercase(), port })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(formatter, "[{host}]:{port}") } else { write!(formatter, "{host}:{port}") }
    }
}

/// Why the origin was not reached; says which status the proxy answers.
#[derive(Debug)]
pub(super) struct Unreachable {
    pub(super) status: u16,
    pub(super) why: String,
}

/// Connects to `target`, by `names` first.
pub(super) async fn connect(names: &HashMap<String, SocketAddr>, target: &Target) -> Result<TcpStream, Unreachable> {
    let mut last = Unreachable { status: 502, why: format!("{target} has no address") };
    for address in addresses(names, target).await?.into_iter().take(MAX_ADDRESSES) {
        match timeout(LIMIT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Bytes are forwarded as they come; Nagle's delay would be the proxy's own fault.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = Unreachable { status: 502, why: format!("{target} at {address}: {error}") },
            Err(_) => last = Unreachable { status: 504, why: format!("{target} at {address}: no answer in 10 s") },
        }
    }
    Err(last)
}

async fn addresses(names: &HashMap<String, SocketAddr>, target: &Target) -> Result<Vec<SocketAddr>, Unreachable> {
    if let Some(address) = names.get(&target.to_string()).or_else(|| names.get(&target.host)) {
        return Ok(vec![*address]);
    }
    if let Ok(address) = target.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, target.port)]);
    }
    match timeout(LIMIT, tokio::net::lookup_host((target.host.as_str(), target.port))).await {
        Ok(Ok(addresses)) => Ok(addresses.collect()),
        Ok(Err(error)) => Err(unreachable(502, target, &error)),
        Err(_) => {
            Err(unreachable(504, target, &io::Error::new(io::ErrorKind::TimedOut, "the name was not resolved in 10 s")))
        }
    }
}

fn unreachable(status: u16, target: &Target, error: &io::Error) -> Unreachable {
    Unreachable { status, why: format!("{target}: {error}") }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn targets_are_read() {
        let target = |host: &str, port| Some(Target { host: host.to_owned(), port });
        assert_eq!(Target::parse("Proxy.Lab:443", None), target("proxy.lab", 443));
        assert_eq!(Target::parse("[::1]:8443", None), target("::1", 8443));
        assert_eq!(Target::parse("[::1]", Some(80)), target("::1", 80));
        assert_eq!(Target::parse("proxy.lab", Some(80)), target("proxy.lab", 80));
        assert_eq!(Target::parse("[::1]:8443", None).unwrap().to_string(), "[::1]:8443");
        for wrong in ["", ":80", "a", "a:", "a:x", "a:70000", "a:+1", "[::1:80", "[x]:80", "a/b:80", "u@a:80", "a b:80"]
        {
            assert_eq!(Target::parse(wrong, None), None, "{wrong}");
        }
    }
}
