//! The TLS handshake, seen in full.
//!
//! A probe must learn what is wrong with a certificate *and* what the server would do after it, so
//! the handshake here goes on whatever the verdict on the certificate is, and reports the verdict
//! as [`TlsInfo::verified`]. A caller must not send credentials over a connection that is not trusted.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use goferry_wire::tls::AlertDescription;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, HandshakeKind, PeerIncompatible,
    ProtocolVersion, RootCertStore, SignatureScheme,
};
use serde::Serialize;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::{ErrorKind, NetError, Party, Phase};
use crate::io::BoxStream;

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
        let ders: Vec<CertificateDer<'static>> =
            ders.into_iter().map(CertificateDer::from).collect();
        let mut system = RootCertStore::empty();
        system.add_parsable_certificates(ders.iter().cloned());
        let public = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        Roots {
            system: Arc::new(system),
            public: Arc::new(public),
            ders: Arc::new(ders),
        }
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
        let witness = Arc::new(Witness {
            roots: roots.clone(),
            provider: Arc::clone(&provider),
            seen: Mutex::default(),
        });
        let asked = Arc::new(AskedForCert::default());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring supports TLS 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>)
            .with_client_cert_resolver(
                Arc::clone(&asked) as Arc<dyn rustls::client::ResolvesClientCert>
            );
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        config.resumption = Resumption::in_memory_sessions(32);
        config.enable_early_data = true;
        TlsClient {
            config: Arc::new(config),
            witness,
            asked,
        }
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
        let outcome =
            match tokio::time::timeout(bound, self.handshake_unbounded(stream, host)).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    let what = format!("TLS handshake with {host}");
                    Err(NetError::timed_out(
                        Phase::Tls,
                        Party::Upstream,
                        &what,
                        bound,
                    ))
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
            NetError::new(
                Phase::Tls,
                ErrorKind::Other,
                Party::Client,
                format!("{bare} is no name for TLS: {error}"),
            )
        })?;
        // With tokio-rustls, early data is only sent by a caller that writes it: nothing is here.
        let connected = TlsConnector::from(Arc::clone(&self.config))
            .connect(name, stream)
            .await;
        let tls = connected.map_err(|error| tls_error(bare, &error, self.asked.was_asked()))?;
        let (_, connection) = tls.get_ref();
        let version = connection.protocol_version();
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        let retried = connection.handshake_kind() == Some(HandshakeKind::FullWithHelloRetryRequest);
        let tls13 = version == Some(ProtocolVersion::TLSv1_3);
        // A resumed handshake carries no chain: its verdict is the one of the session's first handshake.
        let (verified, verdict) = self
            .witness
            .verdict()
            .unwrap_or((Err(CertProblem::Invalid), String::new()));
        let info = TlsInfo {
            version: version.map_or_else(String::new, version_name),
            cipher: connection
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str())
                .unwrap_or("unknown")
                .to_owned(),
            alpn_offered: self
                .config
                .alpn_protocols
                .iter()
                .map(|protocol| lossy(protocol))
                .collect(),
            alpn: connection.alpn_protocol().map(lossy),
            chain: connection
                .peer_certificates()
                .unwrap_or_default()
                .iter()
                .take(8)
                .map(summarize)
                .collect(),
            verified,
            verdict,
            resumed,
            early_data: connection.is_early_data_accepted(),
            client_cert_requested: self.asked.was_asked(),
            round_trips: if retried || (!tls13 && !resumed) {
                2
            } else {
                1
            },
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

fn tls_error(host: &str, error: &std::io::Error, asked: bool) -> NetError {
    let what = format!("TLS handshake with {host}");
    let Some(inner) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    else {
        let mut error = NetError::io(Phase::Tls, Party::Upstream, &what, error);
        if asked {
            error
                .detail
                .push_str(" (after it asked for a client certificate)");
        }
        return error;
    };
    let (kind, party) = match inner {
        rustls::Error::AlertReceived(alert) => {
            (ErrorKind::Alert(alert_name(*alert)), Party::Upstream)
        }
        // The alert that this side sends.
        rustls::Error::PeerIncompatible(incompatible) if is_about_version(incompatible) => (
            ErrorKind::Alert("protocol_version".to_owned()),
            Party::Upstream,
        ),
        rustls::Error::InvalidMessage(_)
        | rustls::Error::PeerMisbehaved(_)
        | rustls::Error::PeerIncompatible(_) => (ErrorKind::Protocol, Party::Upstream),
        _ => (ErrorKind::Other, Party::Upstream),
    };
    NetError::new(Phase::Tls, kind, party, format!("{what}: {inner}"))
}

/// The name of the alert from the peer that `error` stands for, if it is one: with TLS 1.3 a server's
/// verdict on the client's certificate comes after the handshake, with the first read.
pub(crate) fn alert_in(error: &std::io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => Some(alert_name(*alert)),
        _ => None,
    }
}

/// The alert's name in the TLS registry (RFC 8446 section 6).
fn alert_name(alert: rustls::AlertDescription) -> String {
    let number = u8::from(alert);
    AlertDescription(number)
        .name()
        .map_or_else(|| format!("alert {number}"), str::to_owned)
}

/// Whether the two sides have no version of TLS in common.
fn is_about_version(incompatible: &PeerIncompatible) -> bool {
    matches!(
        incompatible,
        PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
    )
}

fn summarize(der: &CertificateDer<'_>) -> CertSummary {
    use x509_parser::extensions::GeneralName;
    let Ok((_, cert)) = x509_parser::parse_x509_certificate(der) else {
        return CertSummary {
            subject: "(unreadable)".to_owned(),
            issuer: "(unreadable)".to_owned(),
            not_before: 0,
            not_after: 0,
            names: Vec::new(),
        };
    };
    let names = cert
        .subject_alternative_name()
        .ok()
        .flatten()
        .map_or_else(Vec::new, |extension| {
            let general = extension.value.general_names.iter().take(8);
            general
                .filter_map(|name| match name {
                    GeneralName::DNSName(name) => Some(clean(name)),
                    GeneralName::IPAddress(bytes) => match bytes.len() {
                        4 => <[u8; 4]>::try_from(*bytes)
                            .ok()
                            .map(|b| std::net::Ipv4Addr::from(b).to_string()),
                        16 => <[u8; 16]>::try_from(*bytes)
                            .ok()
                            .map(|b| std::net::Ipv6Addr::from(b).to_string()),
                        _ => None,
                    },
                    _ => None,
                })
                .collect()
        });
    CertSummary {
        subject: clean(&cert.subject().to_string()),
        issuer: clean(&cert.issuer().to_string()),
        not_before: cert.validity().not_before.timestamp(),
        not_after: cert.validity().not_after.timestamp(),
        names,
    }
}

/// Printable and short: a certificate is the peer's text.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .take(200)
        .collect()
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
    fn resolve(
        &self,
        _hints: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

type Verdict = (Result<Root, CertProblem>, String);

/// A verifier that judges, remembers, and lets the handshake go on.
struct Witness {
    roots: Roots,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<Verdict>>,
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Witness")
    }
}

impl Witness {
    fn verdict(&self) -> Option<Verdict> {
        self.seen.lock().ok().and_then(|seen| seen.clone())
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Verdict {
        let against = |store: &Arc<RootCertStore>| -> Result<(), rustls::Error> {
            let verifier = WebPkiServerVerifier::builder_with_provider(
                Arc::clone(store),
                Arc::clone(&self.provider),
            )
            .build()
            .map_err(|_| rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
            verifier
                .verify_server_cert(leaf, rest, name, ocsp, now)
                .map(|_| ())
        };
        match against(&self.roots.system) {
            Ok(()) => {
                let root = if against(&self.roots.public).is_ok() {
                    Root::Public
                } else {
                    Root::Local
                };
                (Ok(root), String::new())
            }
            Err(error) => {
                let problem = match &error {
                    rustls::Error::InvalidCertificate(error) => problem(error),
                    _ => CertProblem::Invalid,
                };
                // Go trusts a leaf that is itself among the roots (crypto/x509/verify.go, Verify).
                let is_root = self
                    .roots
                    .ders
                    .iter()
                    .any(|der| der.as_ref() == leaf.as_ref());
                if is_root && matches!(problem, CertProblem::UnknownIssuer | CertProblem::Invalid) {
                    return match self_issued(leaf, name, now) {
                        None => (Ok(Root::Local), String::new()),
                        Some(problem) => (Err(problem), error.to_string()),
                    };
                }
                (Err(problem), error.to_string())
            }
        }
    }
}

fn self_issued(
    leaf: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Option<CertProblem> {
    let summary = summarize(leaf);
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now > summary.not_after {
        return Some(CertProblem::Expired);
    }
    if now < summary.not_before {
        return Some(CertProblem::NotYetValid);
    }
    let Ok(parsed) = rustls::server::ParsedCertificate::try_from(leaf) else {
        return Some(CertProblem::Invalid);
    };
    rustls::client::verify_server_name(&parsed, name)
        .is_err()
        .then_some(CertProblem::WrongName)
}

fn problem(error: &CertificateError) -> CertProblem {
    match error {
        // A root of the same name with another key is no issuer either (crypto/x509: UnknownAuthorityError).
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            CertProblem::UnknownIssuer
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => CertProblem::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            CertProblem::NotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            CertProblem::WrongName
        }
        // webpki's word for a self-signed leaf, which is first of all not trusted.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            CertProblem::UnknownIssuer
        }
        _ => CertProblem::Invalid,
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.judge(leaf, rest, name, ocsp, now);
        if let Ok(mut seen) = self.seen.lock() {
            *seen = Some(verdict);
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alert_has_its_registered_name() {
        use rustls::AlertDescription as A;
        for (alert, name) in [
            (A::CloseNotify, "close_notify"),
            (A::UnexpectedMessage, "unexpected_message"),
            (A::BadRecordMac, "bad_record_mac"),
            (A::RecordOverflow, "record_overflow"),
            (A::HandshakeFailure, "handshake_failure"),
            (A::BadCertificate, "bad_certificate"),
            (A::UnsupportedCertificate, "unsupported_certificate"),
            (A::CertificateRevoked, "certificate_revoked"),
            (A::CertificateExpired, "certificate_expired"),
            (A::CertificateUnknown, "certificate_unknown"),
            (A::IllegalParameter, "illegal_parameter"),
            (A::UnknownCA, "unknown_ca"),
            (A::AccessDenied, "access_denied"),
            (A::DecodeError, "decode_error"),
            (A::DecryptError, "decrypt_error"),
            (A::ProtocolVersion, "protocol_version"),
            (A::InsufficientSecurity, "insufficient_security"),
            (A::InternalError, "internal_error"),
            (A::InappropriateFallback, "inappropriate_fallback"),
            (A::UserCanceled, "user_canceled"),
            (A::NoRenegotiation, "no_renegotiation"),
            (A::MissingExtension, "missing_extension"),
            (A::UnsupportedExtension, "unsupported_extension"),
            (A::UnrecognisedName, "unrecognized_name"),
            (
                A::BadCertificateStatusResponse,
                "bad_certificate_status_response",
            ),
            (A::UnknownPSKIdentity, "unknown_psk_identity"),
            (A::CertificateRequired, "certificate_required"),
            (A::NoApplicationProtocol, "no_application_protocol"),
            (A::EncryptedClientHelloRequired, "ech_required"),
            (A::Unknown(200), "alert 200"),
        ] {
            assert_eq!(alert_name(alert), name);
        }
        // What rustls knows, the table of names knows too.
        let known = (0..=255)
            .map(A::from)
            .filter(|alert| !matches!(alert, A::Unknown(_)));
        assert!(
            known
                .map(alert_name)
                .all(|name| !name.starts_with("alert "))
        );
    }

    #[test]
    fn only_what_is_about_versions_is_a_protocol_version() {
        let kind = |incompatible| {
            let error = std::io::Error::other(rustls::Error::PeerIncompatible(incompatible));
            tls_error("goproxy.example.com", &error, false).kind
        };
        assert_eq!(
            kind(PeerIncompatible::ServerDoesNotSupportTls12Or13),
            ErrorKind::Alert("protocol_version".to_owned())
        );
        assert_eq!(
            kind(PeerIncompatible::ExtendedMasterSecretExtensionRequired),
            ErrorKind::Protocol
        );
    }
}
