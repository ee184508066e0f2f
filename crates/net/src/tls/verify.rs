//! The verdict on a server's certificates, and what they say.

use std::sync::{Arc, Mutex};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::{CertProblem, CertSummary, Root, Roots};

pub(super) type Verdict = (Result<Root, CertProblem>, String);

/// A verifier that judges, remembers, and lets the handshake go on.
pub(super) struct Witness {
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
    pub(super) fn new(roots: Roots, provider: Arc<CryptoProvider>) -> Witness {
        Witness { roots, provider, seen: Mutex::default() }
    }

    pub(super) fn verdict(&self) -> Option<Verdict> {
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
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(store), Arc::clone(&self.provider))
                .build()
                .map_err(|_| rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
            verifier.verify_server_cert(leaf, rest, name, ocsp, now).map(|_| ())
        };
        match against(&self.roots.system) {
            Ok(()) => {
                let root = if against(&self.roots.public).is_ok() { Root::Public } else { Root::Local };
                (Ok(root), String::new())
            }
            Err(error) => {
                let problem = match &error {
                    rustls::Error::InvalidCertificate(error) => problem(error),
                    _ => CertProblem::Invalid,
                };
                // Go trusts a leaf that is itself among the roots (crypto/x509/verify.go, Verify).
                let is_root = self.roots.ders.iter().any(|der| der.as_ref() == leaf.as_ref());
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

fn self_issued(leaf: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Option<CertProblem> {
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
    rustls::client::verify_server_name(&parsed, name).is_err().then_some(CertProblem::WrongName)
}

fn problem(error: &CertificateError) -> CertProblem {
    match error {
        // A root of the same name with another key is no issuer either (crypto/x509: UnknownAuthorityError).
        CertificateError::UnknownIssuer | CertificateError::BadSignature => CertProblem::UnknownIssuer,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => CertProblem::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => CertProblem::NotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => CertProblem::WrongName,
        // webpki's word for a self-signed leaf, which is first of all not trusted.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => CertProblem::UnknownIssuer,
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
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

pub(super) fn summarize(der: &CertificateDer<'_>) -> CertSummary {
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
    let names = cert.subject_alternative_name().ok().flatten().map_or_else(Vec::new, |extension| {
        let general = extension.value.general_names.iter().take(8);
        general
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some(clean(name)),
                GeneralName::IPAddress(bytes) => match bytes.len() {
                    4 => <[u8; 4]>::try_from(*bytes).ok().map(|b| std::net::Ipv4Addr::from(b).to_string()),
                    16 => <[u8; 16]>::try_from(*bytes).ok().map(|b| std::net::Ipv6Addr::from(b).to_string()),
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
    text.chars().map(|c| if c.is_control() { '?' } else { c }).take(200).collect()
}
