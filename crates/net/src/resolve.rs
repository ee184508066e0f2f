//! Name resolution, one address family at a time, with a bound.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::{ErrorKind, NetError, Party, Phase};

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4, the A record.
    V4,
    /// IPv6, the AAAA record.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Family {
        match address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    /// `IPv4` or `IPv6`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        }
    }
}

/// The most addresses of one family that are kept of an answer.
const MAX_ADDRESSES: usize = 16;

/// glibc's netdb.h: the host has no addresses of the family asked for.
const EAI_ADDRFAMILY: i32 = -9;

/// Resolves `host` with the system's resolver (`/etc/hosts`, `/etc/resolv.conf`), as Go's does by
/// the same files (net/conf.go, net/dnsclient_unix.go). Returns the addresses and the time taken.
///
/// # Errors
/// [`ErrorKind::NameNotFound`], [`ErrorKind::NameServerFailed`], or [`ErrorKind::TimedOut`] after `bound`.
pub async fn resolve(host: &str, family: Family, bound: Duration) -> (Result<Vec<IpAddr>, NetError>, Duration) {
    let started = Instant::now();
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = literal.parse::<IpAddr>() {
        let answer = if Family::of(address) == family { Ok(vec![address]) } else { Err(not_found(host, family)) };
        return (answer, started.elapsed());
    }
    // Go takes what /etc/hosts says and asks no name server then (net/hosts.go, goLookupIPFiles).
    if let Some(addresses) = hosts_file(host) {
        let of_family: Vec<IpAddr> = addresses.into_iter().filter(|address| Family::of(*address) == family).collect();
        let answer = if of_family.is_empty() { Err(not_found(host, family)) } else { Ok(of_family) };
        return (answer, started.elapsed());
    }
    let name = host.to_owned();
    // The system's resolver blocks and cannot be cancelled: past the bound its thread is left behind.
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let spawned = std::thread::Builder::new().name("resolve".into()).spawn(move || {
        let _ = sender.send(look_up(&name, family));
    });
    if let Err(error) = spawned {
        return (
            Err(NetError::io(Phase::Resolve, Party::Client, "starting a resolver thread", &error)),
            started.elapsed(),
        );
    }
    let answer = match tokio::time::timeout(bound, receiver).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(NetError::new(Phase::Resolve, ErrorKind::Other, Party::Goferry, "the resolver thread ended")),
        Err(_) => {
            let what = format!("resolving {host} ({})", family.as_str());
            Err(NetError::timed_out(Phase::Resolve, Party::Network, &what, bound))
        }
    };
    (answer, started.elapsed())
}

/// What `/etc/hosts` says of a name; `None` where it says nothing.
fn hosts_file(host: &str) -> Option<Vec<IpAddr>> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open("/etc/hosts").ok()?.take(1 << 20).read_to_string(&mut text).ok()?;
    let addresses = in_hosts(&text, host);
    (!addresses.is_empty()).then_some(addresses)
}

fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let host = host.trim_end_matches('.');
    let mut addresses = Vec::new();
    for line in text.lines() {
        let mut fields = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let Some(address) = fields.next().and_then(|first| first.parse::<IpAddr>().ok()) else {
            continue;
        };
        if addresses.len() < MAX_ADDRESSES && fields.any(|name| name.trim_end_matches('.').eq_ignore_ascii_case(host)) {
            addresses.push(address);
        }
    }
    addresses
}

fn look_up(host: &str, family: Family) -> Result<Vec<IpAddr>, NetError> {
    let hints = dns_lookup::AddrInfoHints {
        address: match family {
            Family::V4 => libc::AF_INET,
            Family::V6 => libc::AF_INET6,
        },
        socktype: libc::SOCK_STREAM,
        ..dns_lookup::AddrInfoHints::default()
    };
    let what = format!("resolving {host} ({})", family.as_str());
    match dns_lookup::getaddrinfo(Some(host), None, Some(hints)) {
        Ok(entries) => {
            let addresses: Vec<IpAddr> =
                entries.filter_map(Result::ok).map(|entry| entry.sockaddr.ip()).take(MAX_ADDRESSES).collect();
            if addresses.is_empty() { Err(not_found(host, family)) } else { Ok(addresses) }
        }
        Err(error) => {
            let code = error.error_num();
            if code == libc::EAI_NONAME || code == libc::EAI_NODATA || code == EAI_ADDRFAMILY {
                return Err(not_found(host, family));
            }
            let kind = ErrorKind::NameServerFailed;
            let error = std::io::Error::from(error);
            Err(NetError::new(Phase::Resolve, kind, Party::Network, format!("{what}: {error}")))
        }
    }
}

fn not_found(host: &str, family: Family) -> NetError {
    let detail = format!("resolving {host}: no {} address", family.as_str());
    NetError::new(Phase::Resolve, ErrorKind::NameNotFound, Party::Network, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn literals_need_no_resolver() {
        let (answer, _) = resolve("127.0.0.1", Family::V4, Duration::from_secs(1)).await;
        assert_eq!(answer.unwrap(), vec!["127.0.0.1".parse::<IpAddr>().unwrap()]);
        let (answer, _) = resolve("[::1]", Family::V6, Duration::from_secs(1)).await;
        assert_eq!(answer.unwrap(), vec!["::1".parse::<IpAddr>().unwrap()]);
        let (answer, _) = resolve("127.0.0.1", Family::V6, Duration::from_secs(1)).await;
        assert_eq!(answer.unwrap_err().kind, ErrorKind::NameNotFound);
    }

    #[test]
    fn the_hosts_file_is_read_as_go_reads_it() {
        let text = "# x\n10.0.0.1 a.example.com A2 # c.example.com\nfe80::1 a.example.com.\nbad d\n";
        assert_eq!(in_hosts(text, "A.example.com").len(), 2);
        assert_eq!(in_hosts(text, "a2"), vec!["10.0.0.1".parse::<IpAddr>().unwrap()]);
        assert!(in_hosts(text, "c.example.com").is_empty() && in_hosts(text, "d").is_empty());
    }

    #[tokio::test]
    async fn localhost_resolves() {
        let (answer, _) = resolve("localhost", Family::V4, Duration::from_secs(5)).await;
        assert!(answer.unwrap().iter().all(IpAddr::is_loopback));
    }
}
