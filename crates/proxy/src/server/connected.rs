//! From who connects to the version of HTTP that is spoken with them.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use goferry_net::tcp_info::TcpWatch;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::current::Follower;
use super::doors::Opened;
use super::lanes::Lanes;
use super::listen::Accepted;
use super::load::Load;
use super::patient::Patient;
use super::rewind::Rewind;
use super::{Link, PREFACE, Shared, Stop, h1, h2, refuse, tls};
use crate::answer::Peer;
use crate::exchange::Refused;

/// Clients that are told at once that there are too many; more are not even told.
const REFUSALS: usize = 64;
/// For so long a listener that goes still accepts those who were about to connect: a round trip to most clients.
const LAST_CALL: Duration = Duration::from_millis(100);
/// What a client that has connected and asked for nothing yet has when the server stops.
const GRACE: Duration = Duration::from_millis(500);

impl Shared {
    /// Serves who connects, until told to stop; then those who are connected may end within the settings' time.
    pub(super) async fn accept(self: Arc<Self>, (listener, mut stop): Opened, lanes: Arc<Lanes>) {
        let mut running = JoinSet::new();
        let mut current = Follower::new(Arc::clone(&self.current));
        let stopped = stop.clone();
        let mut begin = |accepted: Accepted, running: &mut JoinSet<()>| {
            let limit = current.proxy().config().limits.connections;
            let (turn, refused) = match self.served.take(limit) {
                Some(turn) => (turn, false),
                None => {
                    self.tell(Refused::TooMany);
                    let Some(turn) = self.refused.take(REFUSALS) else { return };
                    (turn, true)
                }
            };
            let (this, stop) = (Arc::clone(&self), stopped.clone());
            let (lane, place) = lanes.place();
            let serve = async move {
                let _counted = (turn, place);
                if let Err(error) = this.connected(accepted, refused, stop).await {
                    tracing::warn!(%error, "a connection could not be served");
                }
            };
            running.spawn_on(serve, lane);
        };
        {
            // When it goes, nobody new is answered, and then nobody is cut off either.
            let last_call = async {
                stop.asked().await;
                listener.ignore_new();
                sleep(LAST_CALL).await;
            };
            let mut last_call = std::pin::pin!(last_call);
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok(accepted) => begin(accepted, &mut running),
                        Err(error) => {
                            // Out of file descriptors: the next one may go better.
                            tracing::warn!(%error, "a connection could not be accepted");
                            sleep(Duration::from_millis(50)).await;
                        }
                    },
                    Some(_) = running.join_next() => {}
                    () = last_call.as_mut() => break,
                }
            }
        }
        let place = listener.place();
        let waiting = listener.waiting();
        // At once: who connects to a Unix socket in between is cut off.
        drop(listener);
        waiting.into_iter().for_each(|accepted| begin(accepted, &mut running));
        let drain = self.current.get().config().drain;
        if timeout(drain, async { while running.join_next().await.is_some() {} }).await.is_err() {
            let (connections, seconds) = (running.len(), drain.as_secs());
            tracing::warn!(connections, seconds, "connections to {place} not ended in time; they are cut off");
            running.shutdown().await;
        }
    }

    /// Serves a connection, or refuses it, until it ends. Fails where the system does not tell of what comes on it.
    async fn connected(self: Arc<Self>, accepted: Accepted, refused: bool, stop: Stop) -> io::Result<()> {
        self.load.connections.fetch_add(1, Ordering::Relaxed);
        let _open = Open(Arc::clone(&self.load));
        let proxy = self.current.get();
        let limits = &proxy.config().limits;
        let (header_time, stall) = (limits.header_time, limits.stall);
        drop(proxy);
        match accepted {
            Accepted::Tcp(socket, address) => {
                let socket = TcpStream::from_std(socket)?;
                let tls = self.tls();
                let who = Who { address: address.ip().to_string(), tls: tls.is_some(), tcp: TcpWatch::new(&socket) };
                let Some(tls) = tls else {
                    let socket = Patient::new(socket, stall, end_tcp);
                    self.plain(socket, who, header_time, refused, stop).await;
                    return Ok(());
                };
                let handshake = async {
                    let plain = tls::is_plain(&socket).await;
                    let socket = Patient::new(socket, stall, end_tcp);
                    if plain? {
                        refuse::say(socket, tls::NOT_TLS.as_bytes()).await;
                        return Err(io::Error::new(io::ErrorKind::InvalidData, NotTls));
                    }
                    tls.accept(socket, self.load.tls_buffer()).await
                };
                match before(&stop, header_time, handshake).await {
                    Some(Ok(stream)) => {
                        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                        match refused {
                            true => refuse::refuse(stream, http2).await,
                            false => self.speak(stream, who, http2, stop).await,
                        }
                    }
                    Some(Err(error)) => {
                        // One that only looks whether somebody listens closes at once.
                        if error.kind() == io::ErrorKind::InvalidData && !refused {
                            let not_tls = error.get_ref().is_some_and(|error| error.is::<NotTls>());
                            self.tell(if not_tls { Refused::NotTls } else { Refused::Tls });
                        }
                        tracing::debug!(%error, peer = who.address, "the TLS handshake failed");
                    }
                    None => {
                        self.tell_late(refused, &stop);
                        tracing::debug!(peer = who.address, "the TLS handshake took too long");
                    }
                }
            }
            Accepted::Unix(socket) => {
                let who = Who { address: "unix".to_owned(), tls: false, tcp: None };
                let socket = Patient::new(UnixStream::from_std(socket)?, stall, end_unix);
                self.plain(socket, who, header_time, refused, stop).await;
            }
        }
        Ok(())
    }

    /// Serves a connection without TLS: HTTP/1.1, or HTTP/2 with prior knowledge.
    async fn plain<I>(self: Arc<Self>, mut io: I, who: Who, header_time: Duration, refused: bool, stop: Stop)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // One read brings the whole head, as a rule.
        let mut first = BytesMut::with_capacity(1024);
        let sniffed = before(&stop, header_time, async {
            while first.len() < PREFACE.len() && PREFACE.starts_with(&first) {
                if io.read_buf(&mut first).await? == 0 {
                    break;
                }
            }
            Ok::<_, io::Error>(())
        });
        match sniffed.await {
            Some(Ok(())) if !first.is_empty() => {}
            Some(_) => return,
            None => return self.tell_late(refused, &stop),
        }
        let http2 = first.starts_with(PREFACE);
        match refused {
            true => refuse::refuse(io, http2).await,
            false => self.speak(Rewind::new(first.freeze(), io), who, http2, stop).await,
        }
    }

    /// Nothing could be asked on a connection.
    pub(super) fn tell(&self, why: Refused) {
        self.current.get().observer().refused(why);
    }

    /// What was waited for did not come, unless nobody waits for it any more.
    fn tell_late(&self, refused: bool, stop: &Stop) {
        if !refused && !stop.is_asked() {
            self.tell(Refused::Timeout);
        }
    }

    async fn speak<I>(self: Arc<Self>, io: I, who: Who, http2: bool, stop: Stop)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connection = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let protocol = if http2 { "HTTP/2" } else { "HTTP/1.1" };
        let Who { address, tls, tcp } = who;
        let peer = Arc::new(Peer { connection, address, protocol, tls, tcp });
        let proxy = self.current.get();
        let limits = proxy.config().limits;
        let observer = Arc::clone(proxy.observer());
        drop(proxy);
        observer.opened(&peer);
        let link = Arc::new(Link { shared: self, peer: Arc::clone(&peer) });
        if http2 {
            if let Err(error) = h2::serve(link, limits, io, stop).await {
                tracing::debug!(%error, peer = peer.address, "a connection of HTTP/2 ended");
            }
        } else if let Err(error) = h1::serve(link, limits, io, stop).await {
            tracing::debug!(%error, peer = peer.address, "a connection of HTTP/1.1 ended");
        }
        observer.closed(&peer);
    }
}

/// What a client of HTTP without TLS has done.
#[derive(Debug, thiserror::Error)]
#[error("HTTP without TLS")]
struct NotTls;

/// Who has connected.
struct Who {
    address: String,
    tls: bool,
    tcp: Option<TcpWatch>,
}

/// A connection that is counted.
struct Open(Arc<Load>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Others may hold the socket for its counters: it is over for the client all the same.
fn end_tcp(socket: &TcpStream) {
    let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
}

fn end_unix(_socket: &UnixStream) {}

/// What comes before the first request: `None` where it takes longer than `limit`, or the server stops meanwhile.
async fn before<T>(stop: &Stop, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut stop = stop.clone();
    tokio::select! {
        biased;
        done = work => Some(done),
        () = sleep(limit) => None,
        () = async { stop.asked().await; sleep(GRACE).await } => None,
    }
}
