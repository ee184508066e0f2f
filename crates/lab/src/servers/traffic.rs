//! What clients did, read from a server's access log.

use std::collections::{BTreeMap, BTreeSet};

/// Lines that are read of an access log at most.
const MAX_LINES: usize = 1_000_000;

/// Requests of an access log, by connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests.
    pub requests: usize,
    /// Connections that carried one or more; one that was opened and never used is not among them.
    pub connections: usize,
    /// The HTTP versions of the requests: `HTTP/1.1`, `HTTP/2`.
    pub protocols: BTreeSet<String>,
    /// Requests on the connection that carried most.
    pub most_on_one: usize,
}

impl Traffic {
    /// Reads lines of `connection protocol path`, and the JSON of Caddy. Others are no requests.
    pub(super) fn read(log: &str) -> Self {
        let mut traffic = Self::default();
        let mut connections: BTreeMap<String, usize> = BTreeMap::new();
        for line in log.lines().take(MAX_LINES) {
            let Some((connection, protocol)) = plain(line).or_else(|| json(line)) else {
                continue;
            };
            traffic.requests += 1;
            // Most write the 2 as 2.0.
            let protocol = if protocol == "HTTP/2.0" { "HTTP/2".to_owned() } else { protocol };
            traffic.protocols.insert(protocol);
            *connections.entry(connection).or_default() += 1;
        }
        traffic.connections = connections.len();
        traffic.most_on_one = connections.values().copied().max().unwrap_or(0);
        traffic
    }
}

/// A CONNECT, which Squid logs as well, names no path; a connection without a request is `HTTP/0.0`.
fn plain(line: &str) -> Option<(String, String)> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let &[connection, protocol, path] = words.as_slice() else {
        return None;
    };
    let request = protocol.starts_with("HTTP/") && protocol != "HTTP/0.0" && path.contains('/');
    request.then(|| (connection.to_owned(), protocol.to_owned()))
}

fn json(line: &str) -> Option<(String, String)> {
    let entry: serde_json::Value = serde_json::from_str(line).ok()?;
    let request = entry.get("request")?;
    let text = |name: &str| request.get(name)?.as_str().map(str::to_owned);
    Some((text("remote_port")?, text("proto")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_each_program_are_read() {
        let log = "7 HTTP/2.0 /m/@v/list\n7 HTTP/2.0 /m/@v/v1.0.0.mod\n9 HTTP/1.1 /x\n[notice] started a thing\n\
                   10.66.1.1:4711 HTTP/2 /x\n1:1 HTTP/1.1 goproxy.example.com:443\n1:2 HTTP/0.0 error:/x\n\
                   {\"level\":\"info\",\"request\":{\"remote_port\":\"51\",\"proto\":\"HTTP/2.0\",\"uri\":\"/x\"}}\n";
        let traffic = Traffic::read(log);
        assert_eq!((traffic.requests, traffic.connections, traffic.most_on_one), (5, 4, 2));
        assert_eq!(traffic.protocols.into_iter().collect::<Vec<_>>(), ["HTTP/1.1", "HTTP/2"]);
    }
}
