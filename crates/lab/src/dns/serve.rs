//! Sockets: datagrams and connections in, answers out.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::Counters;
use super::message::{Code, Query, Unreadable};
use super::zone::{Behaviour, Records, TTL, Zone};

/// UDP queries waiting for their answer, at most; more are dropped and counted.
const MAX_PENDING: usize = 1024;

/// TCP connections at a time, at most; more wait to be accepted.
const MAX_CONNECTIONS: usize = 64;

/// How long a TCP connection may be silent.
const TCP_IDLE: Duration = Duration::from_secs(10);

/// Bytes of a query, at most. A datagram that is longer is cut, and then unreadable.
const MAX_QUERY: usize = 4096;

/// Turns a message into what to do about it.
pub(super) struct Answerer {
    zone: Zone,
    counters: Arc<Counters>,
}

/// What is to be done about a message.
struct Reply {
    after: Duration,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Udp,
    Tcp,
}

/// Serves both sockets for ever.
pub(super) async fn serve(udp: UdpSocket, tcp: Option<TcpListener>, answerer: Arc<Answerer>) {
    let over_tcp = async {
        match tcp {
            Some(tcp) => serve_tcp(tcp, Arc::clone(&answerer)).await,
            None => std::future::pending().await,
        }
    };
    tokio::join!(serve_udp(Arc::new(udp), Arc::clone(&answerer)), over_tcp);
}

impl Answerer {
    pub(super) fn new(zone: Zone, counters: Arc<Counters>) -> Self {
        Self { zone, counters }
    }

    /// `None`: no answer.
    fn reply(&self, message: &[u8], transport: Transport) -> Option<Reply> {
        let query = match Query::decode(message) {
            Ok(query) => query,
            Err(unreadable) => {
                self.counters.lock().malformed += 1;
                return match unreadable {
                    Unreadable::Ignore => None,
                    Unreadable::Answer(header) => Some(Reply { after: Duration::ZERO, bytes: header.to_vec() }),
                };
            }
        };
        self.counters.query(&query.name, query.kind);
        match transport {
            Transport::Udp => self.counters.lock().udp += 1,
            Transport::Tcp => self.counters.lock().tcp += 1,
        }
        let limit = if transport == Transport::Udp { query.udp_limit() } else { usize::MAX };
        let fail = |code| query.answer(code, &[], TTL, limit);
        let behaviour = self.zone.rule(&query.name, query.kind);
        let bytes = match behaviour {
            Behaviour::Drop => {
                self.counters.lock().dropped += 1;
                return None;
            }
            Behaviour::NxDomain => fail(Code::NxDomain),
            Behaviour::ServFail => fail(Code::ServFail),
            Behaviour::Refused => fail(Code::Refused),
            Behaviour::Truncate if transport == Transport::Udp => query.truncated(),
            Behaviour::Answer | Behaviour::Delay(_) | Behaviour::Truncate => {
                match self.zone.records(&query.name, query.kind) {
                    Records::NoSuchName => fail(Code::NxDomain),
                    Records::These(addresses) => query.answer(Code::NoError, &addresses, TTL, limit),
                }
            }
        };
        let after = if let Behaviour::Delay(delay) = behaviour { delay } else { Duration::ZERO };
        Some(Reply { after, bytes })
    }

    fn answered(&self) {
        self.counters.lock().answered += 1;
    }
}

async fn serve_udp(socket: Arc<UdpSocket>, answerer: Arc<Answerer>) {
    let pending = Arc::new(Semaphore::new(MAX_PENDING));
    let mut buffer = vec![0; MAX_QUERY];
    loop {
        // An error is that of an earlier answer (ICMP: nobody listens there any more).
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else {
            sleep(Duration::from_millis(1)).await;
            continue;
        };
        let Some(reply) = answerer.reply(&buffer[..length], Transport::Udp) else {
            continue;
        };
        let Ok(slot) = Arc::clone(&pending).try_acquire_owned() else {
            answerer.counters.lock().overloaded += 1;
            continue;
        };
        let (socket, answerer) = (Arc::clone(&socket), Arc::clone(&answerer));
        tokio::spawn(async move {
            sleep(reply.after).await;
            // Counted before it is sent: whoever has the answer finds it counted.
            answerer.answered();
            // A client that cannot be reached is no matter of the server's.
            let _ = socket.send_to(&reply.bytes, client).await;
            drop(slot);
        });
    }
}

async fn serve_tcp(listener: TcpListener, answerer: Arc<Answerer>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let Ok((client, _)) = listener.accept().await else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let answerer = Arc::clone(&answerer);
        tokio::spawn(async move {
            // A client that goes away is no matter of the server's.
            let _ = connection(client, &answerer).await;
            drop(slot);
        });
    }
}

/// Answers the queries of one connection, one after another (RFC 1035, 4.2.2).
async fn connection(mut client: TcpStream, answerer: &Answerer) -> io::Result<()> {
    client.set_nodelay(true)?;
    while let Ok(message) = timeout(TCP_IDLE, read_message(&mut client)).await {
        let Some(reply) = answerer.reply(&message?, Transport::Tcp) else {
            continue;
        };
        sleep(reply.after).await;
        answerer.answered();
        let length = u16::try_from(reply.bytes.len()).map_err(io::Error::other)?;
        client.write_all(&[&length.to_be_bytes()[..], &reply.bytes].concat()).await?;
    }
    Ok(())
}

async fn read_message(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = usize::from(client.read_u16().await?);
    if length > MAX_QUERY {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a query of more than 4096 bytes"));
    }
    let mut message = vec![0; length];
    client.read_exact(&mut message).await?;
    Ok(message)
}
