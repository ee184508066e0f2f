//! A proxy that ends the client's TLS and opens its own to the origin.
//!
//! The protocol is agreed with the origin first and then offered to the client, so that bytes can be forwarded as they
//! are: h2 to h2, HTTP/1.1 to HTTP/1.1. Without ALPN towards the client the origin is asked for HTTP/1.1.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::server::Acceptor;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, client};

use super::head::{Head, invalid};
use super::pump::{self, Down};
use super::{Shared, answer};
use crate::certs::leaf::{protocols, provider};
use crate::certs::{Authority, CertError, ClientAuth, Leaf, LeafSpec, TlsVersions};

/// For each handshake.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// Certificates kept, at most; the names come from clients.
const MAX_MINTED: usize = 256;

/// How an intercepting proxy treats TLS.
#[derive(Clone)]
pub struct Intercept {
    authority: Arc<Authority>,
    upstream_roots: RootCertStore,
    alpn: Vec<String>,
    versions: TlsVersions,
}

impl Intercept {
    /// Signs with `authority`, trusts `upstream_roots` for origins, and does not use ALPN towards clients, as
    /// intercepting proxies do that know nothing of HTTP/2.
    #[must_use]
    pub fn new(authority: Arc<Authority>, upstream_roots: RootCertStore) -> Self {
        Self { authority, upstream_roots, alpn: Vec::new(), versions: TlsVersions::All }
    }

    /// Chooses from `protocols` (`h2`, `http/1.1`), its own preference first, what the client offers and, for h2, what
    /// the origin speaks. An empty list leaves the client's ALPN unanswered.
    #[must_use]
    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        self.alpn = protocols.iter().map(|protocol| (*protocol).to_owned()).collect();
        self
    }

    /// Speaks these TLS versions with clients. Towards origins it speaks all.
    #[must_use]
    pub fn versions(mut self, versions: TlsVersions) -> Self {
        self.versions = versions;
        self
    }

    fn leaf(&self, name: &str) -> Result<Leaf, CertError> {
        self.authority.leaf(&LeafSpec::good(&[name]))
    }

    fn client_config(&self, alpn: &[&str]) -> io::Result<ClientConfig> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(TlsVersions::All.list())
            .map_err(io::Error::other)?
            .with_root_certificates(self.upstream_roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = protocols(alpn);
        Ok(config)
    }
}

/// The certificates made so far, by name.
#[derive(Default)]
pub(super) struct Minted(Mutex<HashMap<String, Arc<Leaf>>>);

impl Minted {
    fn leaf(&self, name: &str, how: &Intercept) -> io::Result<Arc<Leaf>> {
        let mut minted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leaf) = minted.get(name) {
            return Ok(Arc::clone(leaf));
        }
        let leaf = Arc::new(how.leaf(name).map_err(io::Error::other)?);
        if minted.len() < MAX_MINTED {
            minted.insert(name.to_owned(), Arc::clone(&leaf));
        }
        Ok(leaf)
    }
}

/// Serves one tunnel. `host` is what the client asked to be connected to; its SNI goes before.
pub(super) async fn run<C: AsyncRead + AsyncWrite + Unpin>(
    client: BufReader<C>,
    origin: TcpStream,
    host: &str,
    how: &Intercept,
    down: &mut Down<'_>,
    shared: &Shared,
) -> io::Result<()> {
    let start = limited("the client", LazyConfigAcceptor::new(Acceptor::default(), client)).await?;
    let hello = start.client_hello();
    let name = hello.server_name().unwrap_or(host).to_ascii_lowercase();
    let offered: Vec<&[u8]> = hello.alpn().into_iter().flatten().collect();
    let common: Vec<&str> =
        how.alpn.iter().map(String::as_str).filter(|protocol| offered.contains(&protocol.as_bytes())).collect();

    let origin = open_origin(origin, &name, &common, how).await;
    let origin_protocol = origin.as_ref().ok().and_then(|origin| origin.get_ref().1.alpn_protocol());
    let chosen: Vec<&str> = if origin_protocol == Some(b"h2") {
        vec!["h2"]
    } else {
        common.into_iter().filter(|protocol| *protocol != "h2").collect()
    };

    let leaf = shared.minted.leaf(&name, how)?;
    let config = leaf.server_config(&chosen, how.versions, ClientAuth::None).map_err(io::Error::other)?;
    let mut client = limited("the client", start.into_stream(Arc::new(config))).await?;
    shared.counters.intercepted(client.get_ref().1.alpn_protocol());
    match origin {
        Ok(origin) => pump::both(client, origin, down).await,
        Err(error) => {
            // The client has its tunnel already, so it is told inside.
            shared.counters.failure(error.to_string());
            let mut client = BufReader::new(&mut client);
            limited("the client", Head::read(&mut client)).await?;
            answer::send(&mut client, &shared.counters, 502, false).await
        }
    }
}

async fn open_origin(
    origin: TcpStream,
    name: &str,
    common: &[&str],
    how: &Intercept,
) -> io::Result<client::TlsStream<TcpStream>> {
    let alpn = if common.contains(&"h2") { &["h2", "http/1.1"][..] } else { &["http/1.1"] };
    let config = how.client_config(alpn)?;
    let name = ServerName::try_from(name.to_owned()).map_err(|_| invalid("the name for the origin is no host name"))?;
    limited("the origin", TlsConnector::from(Arc::new(config)).connect(name, origin)).await
}

pub(super) async fn limited<T>(whom: &str, handshake: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match timeout(HANDSHAKE, handshake).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(io::Error::new(error.kind(), format!("TLS with {whom}: {error}"))),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("TLS with {whom}: not done in 30 s"))),
    }
}
