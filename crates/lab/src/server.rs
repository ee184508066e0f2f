//! The origin: a module proxy that serves a [`Universe`] and does to its clients what a [`Behaviour`] says.
//!
//! It runs on a thread of its own with a runtime of its own, so that it can be started by code that is inside a network
//! namespace, and ends when its [`OriginHandle`] is dropped. HTTP/2 is written frame by frame over `goferry-wire`;
//! nothing is shared with the client code that it is there to test.

pub mod behaviour;
mod counters;
mod h1;
mod h2;
mod io;
mod openssl;
mod plan;
mod sys;
mod tls;

use std::io as stdio;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

pub use self::behaviour::Behaviour;
pub use self::counters::{Counters, RequestRecord, Snapshot};
pub use self::tls::Identity;

use self::behaviour::{Silence, Transport};
use self::io::LabStream;
use self::plan::Planner;
use crate::certs::CertError;
use crate::universe::Universe;

/// Time a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// Time a closed connection waits for the client to close as well, so that no TCP reset destroys what was sent last.
const LINGER: Duration = Duration::from_secs(5);

/// Why an origin could not start.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// The behaviour asks for TLS, but no certificate was given.
    #[error("the origin speaks TLS but was given no certificate: pass an Identity")]
    NoIdentity,
    /// The certificate, its key, or the client authorities are of no use.
    #[error("the origin's TLS configuration: {0}")]
    Tls(#[from] CertError),
    /// The system refused something.
    #[error("cannot start the origin: {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: stdio::Error,
    },
}

impl OriginError {
    fn system(what: &'static str) -> impl FnOnce(stdio::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

/// Starts origins.
#[derive(Debug)]
pub struct Origin;

impl Origin {
    /// Serves `universe` on `listener` until the handle is dropped. The thread, and the `openssl` process where the
    /// behaviour asks for one, belong to the network namespace of the calling thread.
    ///
    /// # Errors
    /// Without an identity for a TLS behaviour, with one that rustls refuses, or when the system gives no thread.
    pub fn start(
        behaviour: Behaviour,
        universe: Arc<Universe>,
        identity: Option<Identity<'_>>,
        listener: TcpListener,
    ) -> Result<OriginHandle, OriginError> {
        let address = listener.local_addr().map_err(OriginError::system("read the listener's address"))?;
        let counters = Arc::new(Counters::new());
        let tls = match &behaviour.transport {
            Transport::Plain => None,
            Transport::Tls(options) => {
                let identity = identity.ok_or(OriginError::NoIdentity)?;
                Some(TlsAcceptor::from(Arc::new(identity.server_config(options)?)))
            }
            Transport::Openssl(mode) => {
                let identity = identity.ok_or(OriginError::NoIdentity)?;
                drop(listener);
                let server = openssl::SServer::start(*mode, identity, address, Arc::clone(&counters))?;
                return Ok(OriginHandle { address, counters, stop: None, thread: None, openssl: Some(server) });
            }
        };
        listener.set_nonblocking(true).map_err(OriginError::system("make the listener non-blocking"))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(OriginError::system("build a runtime"))?;
        let planner = Arc::new(Planner { behaviour, universe, counters: Arc::clone(&counters) });
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("lab-origin".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    tokio::select! {
                        () = accept(listener, tls, planner) => {}
                        _ = stopped => {}
                    }
                });
                runtime.shutdown_background();
            })
            .map_err(OriginError::system("start a thread"))?;
        Ok(OriginHandle { address, counters, stop: Some(stop), thread: Some(thread), openssl: None })
    }
}

/// A running origin; it ends with this handle.
#[derive(Debug)]
pub struct OriginHandle {
    address: SocketAddr,
    counters: Arc<Counters>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    openssl: Option<openssl::SServer>,
}

impl OriginHandle {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it counts, live.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// What it has counted so far.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.counters.snapshot()
    }
}

impl Drop for OriginHandle {
    fn drop(&mut self) {
        drop(self.stop.take());
        drop(self.openssl.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, planner: Arc<Planner>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    loop {
        let Ok((tcp, _peer)) = listener.accept().await else {
            // Out of descriptors, or the client was gone already: neither is a reason to stop.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let connection = planner.counters.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let (tls, planner) = (tls.clone(), Arc::clone(&planner));
        tokio::spawn(async move {
            // How a connection ends is the client's to see; the origin goes on.
            let _ended = serve(tcp, tls, planner, connection).await;
        });
    }
}

async fn serve(
    tcp: tokio::net::TcpStream,
    tls: Option<TlsAcceptor>,
    planner: Arc<Planner>,
    connection: u64,
) -> stdio::Result<()> {
    tcp.set_nodelay(true)?;
    let (mut stream, line) = LabStream::new(tcp, planner.behaviour.black_hole_after, Arc::clone(&planner.counters))?;
    let silence = planner.behaviour.silence;
    if silence == Silence::BeforeTls {
        wait_for_close(&mut stream).await;
        return Ok(());
    }
    let Some(tls) = tls else {
        return h1::serve(stream, line, planner, connection).await;
    };
    let mut stream =
        tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await.map_err(stdio::Error::from)??;
    planner.counters.handshakes.fetch_add(1, Ordering::Relaxed);
    if silence == Silence::AfterTls {
        wait_for_close(&mut stream).await;
        return Ok(());
    }
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    if http2 && silence == Silence::AfterHttp2IsAgreed {
        wait_for_close(&mut stream).await;
        return Ok(());
    }
    if http2 {
        h2::serve(stream, line, planner, connection).await
    } else {
        h1::serve(stream, line, planner, connection).await
    }
}

/// Closes our direction in an orderly way and waits a while for the client to close its own.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> stdio::Result<()> {
    stream.shutdown().await?;
    let _slow_client = tokio::time::timeout(LINGER, wait_for_close(&mut stream)).await;
    Ok(())
}

/// Reads and forgets until the client closes.
async fn wait_for_close<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut buffer = [0; 16 * 1024];
    while matches!(stream.read(&mut buffer).await, Ok(count) if count > 0) {}
}
