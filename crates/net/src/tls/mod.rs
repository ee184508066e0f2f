//! The TLS handshake, seen in full.
//!
//! A probe must learn what is wrong with a certificate *and* what the server would do after it, so
//! the handshake here goes on whatever the verdict on the certificate is, and reports the verdict
//! as [`TlsInfo::verified`]. A caller must not send credentials over a connection that is not trusted.

mod failure;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore, SignatureScheme};
use serde::Serialize;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::{ErrorKind, NetError, Party, Phase};
use crate::io::BoxStream;

pub(crate) use failure::alert_in;
use verify::{Witness, summarize};

/// What the go command offers (net/http/transport.go, `ForceAttemptHTTP2`).
pub const GO_ALPN: &[&[u8]] = &[b"h2", b"http/1.1"];

/// What is wrong with a certificate chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertProblem {
    /// No chain to a trusted root.
    UnknownIssuer,
    /// Past its end.
    Expired,
    /// Before its start.
    NotYetValid,
    /// For other names.
    WrongName,
    /// Anything else.
    Invalid,
}

/// Where a trusted chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Root {
    /// A root of the public web (Mozilla's list).
    Public,
    /// A root that only this machine trusts.
    Local,
}

/// One certificate, as far as a report needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertSummary {
    /// Subject, as one line.
    pub subject: String,
    /// Issuer, as one line.
    pub issuer: String,
    /// Start of validity, seconds since 1970.
    pub not_before: i64,
    /// End of validity, seconds since 1970.
    pub not_after: i64,
    /// DNS names and addresses that it is for (at most 8).
    pub names: Vec<String>,
}

/// What a completed handshake showed.
#[derive(Clone, Debug, Serialize)]
pub struct TlsInfo {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: String,
    /// The cipher suite's name.
    pub cipher: String,
    /// What this side offered.
    pub alpn_offered: Vec<String>,
    /// What the server chose.
    pub alpn: Option<String>,
    /// The server's certificates, leaf first (at most 8).
    pub chain: Vec<CertSummary>,
    /// The verdict, by the roots given.
    pub verified: Result<Root, CertProblem>,
    /// The verifier's own words, where the verdict is bad.
    pub verdict: String,
    /// Whether a session was resumed.
    pub resumed: bool,
    /// Whether the server's ticket allows early data (0-RTT). Go never sends any.
    pub early_data: bool,
    /// Whether the server asked for a client certificate.
    pub client_cert_requested: bool,
    /// Round trips of this handshake before the request could be sent: 1 or 2.
    pub round_trips: u8,
}

/// The roots that a client trusts: parsed once, used by every handshake.
#[derive(Clone)]
pub struct Roots {
    system: Arc<RootCertStore>,
    public: Arc<RootCertStore>,
    ders: Arc<Vec<CertificateDer<'static>>>,
}

impl Roots {
    /// Takes DER certificates. Those that cannot be parsed are left out.
    #[must_use]
    pub fn new(ders: Vec<Vec<u8>>) -> Roots {
        let ders: Vec<CertificateDer<'static>> = ders.into_iter().map(CertificateDer::from).collect();
        let mut system = RootCertStore::empty();
        system.add_parsable_certificates(ders.iter().cloned());
        let public = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Roots { system: Arc::new(system), public: Arc::new(public), ders: Arc::new(ders) }
    }

    /// How many roots are usable.
    #[must_use]
    pub fn len(&self) -> usize {
        self.system.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.system.is_empty()
    }
}

/// A TLS client for one host: roots, what it offers, its session cache and what it saw last.
#[derive(Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    witness: Arc<Witness>,
    asked: Arc<AskedForCert>,
}

impl TlsClient {
    /// A client that offers `alpn` and starts with no sessions to resume.
    ///
    /// # Panics
    /// Never: ring supports TLS 1.2 and 1.3.
    #[must_use]
    pub fn new(roots: &Roots, alpn: &[&[u8]]) -> TlsClient {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let witness = Arc::new(Witness::new(roots.clone(), Arc::clone(&provider)));
        let asked = Arc::new(AskedForCert::default());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring supports TLS 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>)
            .with_client_cert_resolver(Arc::clone(&asked) as Arc<dyn rustls::client::ResolvesClientCert>);
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        config.resumption = Resumption::in_memory_sessions(32);
        config.enable_early_data = true;
        TlsClient { config: Arc::new(config), witness, asked }
    }

    /// Does the handshake on `stream` for `host` within `bound`.
    ///
    /// # Errors
    /// Time-outs, alerts, and whatever breaks the handshake itself; a bad certificate is no error here.
    pub async fn handshake(
        &self,
        stream: BoxStream,
        host: &str,
        bound: Duration,
    ) -> (Result<(TlsStream<BoxStream>, TlsInfo), NetError>, Duration) {
        let started = Instant::now();
        let outcome = match tokio::time::timeout(bound, self.handshake_unbounded(stream, host)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let what = format!("TLS handshake with {host}");
                Err(NetError::timed_out(Phase::Tls, Party::Upstream, &what, bound))
            }
        };
        (outcome, started.elapsed())
    }

    /// Whether a server that this client spoke to asked for a client certificate.
    #[must_use]
    pub fn client_cert_requested(&self) -> bool {
        self.asked.was_asked()
    }

    async fn handshake_unbounded(
        &self,
        stream: BoxStream,
        host: &str,
    ) -> Result<(TlsStream<BoxStream>, TlsInfo), NetError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(|error| {
            NetError::new(Phase::Tls, ErrorKind::Other, Party::Client, format!("{bare} is no name for TLS: {error}"))
        })?;
        // With tokio-rustls, early data is only sent by a caller that writes it: nothing is here.
        let connected = TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await;
        let tls = connected.map_err(|error| failure::of(bare, &error, self.asked.was_asked()))?;
        let (_, connection) = tls.get_ref();
        let version = connection.protocol_version();
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        let retried = connection.handshake_kind() == Some(HandshakeKind::FullWithHelloRetryRequest);
        let tls13 = version == Some(ProtocolVersion::TLSv1_3);
        // A resumed handshake carries no chain: its verdict is the one of the session's first handshake.
        let (verified, verdict) = self.witness.verdict().unwrap_or((Err(CertProblem::Invalid), String::new()));
        let info = TlsInfo {
            version: version.map_or_else(String::new, version_name),
            cipher: connection
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str())
                .unwrap_or("unknown")
                .to_owned(),
            alpn_offered: self.config.alpn_protocols.iter().map(|protocol| lossy(protocol)).collect(),
            alpn: connection.alpn_protocol().map(lossy),
            chain: connection.peer_certificates().unwrap_or_default().iter().take(8).map(summarize).collect(),
            verified,
            verdict,
            resumed,
            early_data: connection.is_early_data_accepted(),
            client_cert_requested: self.asked.was_asked(),
            round_trips: if retried || (!tls13 && !resumed) { 2 } else { 1 },
        };
        Ok((tls, info))
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn version_name(version: ProtocolVersion) -> String {
    match version {
        ProtocolVersion::TLSv1_3 => "TLSv1.3".to_owned(),
        ProtocolVersion::TLSv1_2 => "TLSv1.2".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Notes whether the server asked for a client certificate; has none to give.
#[derive(Debug, Default)]
struct AskedForCert(std::sync::atomic::AtomicBool);

impl AskedForCert {
    fn was_asked(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl rustls::client::ResolvesClientCert for AskedForCert {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}
