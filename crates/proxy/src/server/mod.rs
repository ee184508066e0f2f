//! Who listens, and which version of HTTP is spoken.

mod h1;
mod h2;
mod reader;
mod rewind;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use goferry_net::tcp_info::TcpWatch;
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::rewind::Rewind;
use crate::answer::{Answer, Peer, Request};
use crate::exchange::Exchange;
use crate::proxy::Proxy;

/// What a client of HTTP/2 begins with (RFC 9113 section 3.4); the first bytes of it are no method.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Told when the server is to stop.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Told by the sender that is given back too.
    #[must_use]
    pub fn new() -> (watch::Sender<bool>, Stop) {
        let (sender, receiver) = watch::channel(false);
        (sender, Stop(receiver))
    }

    /// Resolves when the server is to stop; never where nobody can say so any more.
    pub async fn asked(&mut self) {
        if self.0.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// A proxy that listens.
pub struct Server {
    proxy: Arc<Proxy>,
    listeners: Vec<TcpListener>,
    connections: AtomicU64,
}

impl Server {
    /// Binds what the settings name.
    ///
    /// # Errors
    /// Where an address cannot be listened on.
    pub async fn bind(proxy: Arc<Proxy>) -> io::Result<Server> {
        let mut listeners = Vec::new();
        for listen in &proxy.config().listen {
            if let crate::config::Listen::Tcp(address) = listen {
                listeners.push(TcpListener::bind(address).await?);
            }
        }
        Ok(Server { proxy, listeners, connections: AtomicU64::new(0) })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Serves until told to stop; then what is under way may end within the settings' time.
    pub async fn run(self, mut stop: Stop) {
        let this = Arc::new(self);
        let limit = Arc::new(Semaphore::new(this.proxy.config().limits.connections));
        let mut running = JoinSet::new();
        for index in 0..this.listeners.len() {
            let (this, stop, limit) = (Arc::clone(&this), stop.clone(), Arc::clone(&limit));
            running.spawn(async move { this.accept(index, stop, limit).await });
        }
        stop.asked().await;
        let drain = this.proxy.config().drain;
        let _ = timeout(drain, async { while running.join_next().await.is_some() {} }).await;
    }

    async fn accept(self: Arc<Self>, index: usize, mut stop: Stop, limit: Arc<Semaphore>) {
        let mut running = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listeners[index].accept() => match accepted {
                    Ok((socket, address)) => {
                        let Ok(turn) = Arc::clone(&limit).try_acquire_owned() else { continue };
                        let _ = socket.set_nodelay(true);
                        let tcp = TcpWatch::new(&socket);
                        let (this, stop) = (Arc::clone(&self), stop.clone());
                        running.spawn(async move {
                            let _turn = turn;
                            this.plain(socket, address.ip().to_string(), tcp, stop).await;
                        });
                    }
                    Err(error) => {
                        // Out of file descriptors: the next one may go better.
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
                Some(_) = running.join_next() => {}
                () = stop.asked() => break,
            }
        }
        while running.join_next().await.is_some() {}
    }

    /// Serves a connection without TLS: HTTP/1.1, or HTTP/2 with prior knowledge.
    async fn plain<I>(&self, mut io: I, address: String, tcp: Option<TcpWatch>, stop: Stop)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut first = Vec::with_capacity(PREFACE.len());
        let limits = self.proxy.config().limits;
        let sniffed = timeout(limits.header_time, async {
            while first.len() < PREFACE.len() && PREFACE.starts_with(&first) {
                if (&mut io).take((PREFACE.len() - first.len()) as u64).read_buf(&mut first).await? == 0 {
                    break;
                }
            }
            Ok::<_, io::Error>(())
        });
        if !matches!(sniffed.await, Ok(Ok(()))) || first.is_empty() {
            return;
        }
        let http2 = first == PREFACE;
        self.speak(Rewind::new(first.into(), io), address, (http2, false), tcp, stop).await;
    }

    async fn speak<I>(
        &self,
        io: I,
        address: String,
        (http2, tls): (bool, bool),
        tcp: Option<TcpWatch>,
        stop: Stop,
    ) where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connection = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let protocol = if http2 { "HTTP/2" } else { "HTTP/1.1" };
        let peer = Arc::new(Peer { connection, address, protocol, tls, tcp });
        let proxy = Arc::clone(&self.proxy);
        let observer = Arc::clone(proxy.observer());
        observer.opened(&peer);
        let told = Arc::clone(&peer);
        if http2 {
            if let Err(error) = h2::serve(proxy, io, peer, stop).await {
                tracing::debug!(%error, "a connection of HTTP/2 ended");
            }
        } else if let Err(error) = h1::serve(proxy, io, peer, stop).await {
            tracing::debug!(%error, "a connection of HTTP/1.1 ended");
        }
        observer.closed(&told);
    }
}

/// The answer to a request, and what is told of the two.
async fn finish(proxy: &Proxy, request: &Request) -> (Answer, Exchange) {
    let mut exchange = Exchange::new(Arc::clone(proxy.observer()), request);
    let answer = proxy.answer(request).await;
    exchange.answered(&answer);
    (answer, exchange)
}

/// The answer to a request whose body was not read to its end.
fn too_large(proxy: &Proxy, request: &Request) -> (Answer, Exchange) {
    let limit = proxy.config().limits.body_bytes;
    let answer = Answer::error(StatusCode::PAYLOAD_TOO_LARGE, format!("the body has more than {limit} bytes"));
    let mut exchange = Exchange::new(Arc::clone(proxy.observer()), request);
    exchange.answered(&answer);
    (answer, exchange)
}
