//! The connections of clients, and what TCP had to send again to them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::answer::Peer;

/// Segments of data that were sent, and how many of them again (RFC 9293 section 3.8.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// All, the ones sent again included.
    pub segments: u64,
    /// The ones sent again.
    pub again: u64,
}

impl std::ops::AddAssign for Sent {
    fn add_assign(&mut self, other: Sent) {
        self.segments += other.segments;
        self.again += other.again;
    }
}

/// The connections of clients that are open.
#[derive(Debug, Default)]
pub struct Clients(Mutex<HashMap<u64, Client>>);

#[derive(Debug)]
struct Client {
    peer: Weak<Peer>,
    counted: (u32, u32),
}

impl Client {
    /// What was sent since the last look.
    fn look(&mut self, peer: &Peer) -> Sent {
        let Some(info) = peer.tcp.as_ref().and_then(goferry_net::tcp_info::TcpWatch::read) else {
            return Sent::default();
        };
        let (segments, again) = (info.data_segs_out, info.total_retrans);
        let sent = Sent {
            segments: u64::from(segments.wrapping_sub(self.counted.0)),
            again: u64::from(again.wrapping_sub(self.counted.1)),
        };
        self.counted = (segments, again);
        sent
    }
}

impl Clients {
    pub(super) fn opened(&self, peer: &Arc<Peer>) {
        // Weak: a socket's counters keep the socket open.
        let client = Client { peer: Arc::downgrade(peer), counted: (0, 0) };
        self.lock().insert(peer.connection, client);
    }

    /// What was sent on it since the last look.
    pub(super) fn closed(&self, peer: &Peer) -> Sent {
        let client = self.lock().remove(&peer.connection);
        client.map(|mut client| client.look(peer)).unwrap_or_default()
    }

    /// What was sent since the last look, by the client's address.
    #[must_use]
    pub fn look(&self) -> HashMap<String, Sent> {
        let mut all: HashMap<String, Sent> = HashMap::new();
        for client in self.lock().values_mut() {
            if let Some(peer) = client.peer.upgrade() {
                let sent = client.look(&peer);
                if sent != Sent::default() {
                    *all.entry(peer.address.clone()).or_default() += sent;
                }
            }
        }
        all
    }

    /// Open connections by protocol.
    #[must_use]
    pub fn open(&self) -> Vec<(&'static str, usize)> {
        let mut counts: HashMap<&'static str, usize> = HashMap::new();
        for peer in self.lock().values().filter_map(|client| client.peer.upgrade()) {
            *counts.entry(peer.protocol).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_unstable();
        counts
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Client>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use goferry_net::tcp_info::TcpWatch;

    use super::*;

    #[test]
    fn what_is_sent_counts_once_and_a_closed_connection_is_gone() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let peer = Arc::new(Peer {
            connection: 7,
            address: "127.0.0.1".to_owned(),
            protocol: "HTTP/2",
            tls: false,
            tcp: TcpWatch::new(&server),
        });
        let clients = Clients::default();
        clients.opened(&peer);
        assert_eq!(clients.open(), [("HTTP/2", 1)]);
        server.write_all(b"four").unwrap();
        client.read_exact(&mut [0; 4]).unwrap();
        let looked = clients.look();
        assert_eq!(looked["127.0.0.1"].segments, 1);
        assert_eq!(looked["127.0.0.1"].again, 0);
        assert!(clients.look().is_empty(), "nothing was sent since");
        server.write_all(b"four").unwrap();
        client.read_exact(&mut [0; 4]).unwrap();
        assert_eq!(clients.closed(&peer).segments, 1);
        assert!(clients.open().is_empty());
    }
}
