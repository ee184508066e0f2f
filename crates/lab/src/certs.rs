//! Certificates for the lab's servers: a root of their own, and leaves that are right or wrong in one known way.
//!
//! An [`Authority`] signs what a [`LeafSpec`] describes; the [`Leaf`] that comes back configures a rustls server, a
//! rustls client with a client certificate, or an external server by PEM files. Every key is a fresh ECDSA P-256 key.
//!
//! Each preset differs from [`LeafSpec::good`] in exactly one respect, so that a client's complaint has one cause.

pub(crate) mod leaf;
mod spec;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use thiserror::Error;

pub use leaf::{ClientAuth, Leaf, PemFiles, TlsVersions};
pub use spec::{LeafSpec, Signer, Usage};

/// How long before and after now a root or an intermediate is valid: ten years.
const AUTHORITY_VALIDITY: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A root certificate with its key, and one intermediate below it.
pub struct Authority {
    root: Issuer<'static, KeyPair>,
    root_der: CertificateDer<'static>,
    root_pem: String,
    intermediate: Issuer<'static, KeyPair>,
    intermediate_der: CertificateDer<'static>,
    intermediate_pem: String,
}

impl Authority {
    /// Makes a root whose subject is `common_name`, and an intermediate named `<common_name> intermediate`.
    ///
    /// # Errors
    /// When the system gives no randomness or the name cannot be encoded.
    pub fn new(common_name: &str) -> Result<Self, CertError> {
        let root_key = KeyPair::generate()?;
        let root_params = authority_params(common_name, BasicConstraints::Unconstrained)?;
        let root_certificate = root_params.self_signed(&root_key)?;
        let root = Issuer::new(root_params, root_key);

        let intermediate_key = KeyPair::generate()?;
        let intermediate_params =
            authority_params(&format!("{common_name} intermediate"), BasicConstraints::Constrained(0))?;
        let intermediate_certificate = intermediate_params.signed_by(&intermediate_key, &root)?;
        Ok(Self {
            root,
            root_der: root_certificate.der().clone(),
            root_pem: root_certificate.pem(),
            intermediate: Issuer::new(intermediate_params, intermediate_key),
            intermediate_der: intermediate_certificate.der().clone(),
            intermediate_pem: intermediate_certificate.pem(),
        })
    }

    /// Makes a key and a certificate as `spec` says.
    ///
    /// # Errors
    /// When a name of `spec` is no DNS name, a time is before 1970, or the certificate cannot be encoded.
    pub fn leaf(&self, spec: &LeafSpec) -> Result<Leaf, CertError> {
        let key = KeyPair::generate()?;
        let params = spec.params()?;
        let certificate = match spec.signer {
            Signer::Root => params.signed_by(&key, &self.root)?,
            Signer::Intermediate | Signer::IntermediateMissing => params.signed_by(&key, &self.intermediate)?,
            Signer::Itself => params.self_signed(&key)?,
        };
        let mut chain = vec![certificate.der().clone()];
        let mut chain_pem = certificate.pem();
        if spec.signer == Signer::Intermediate {
            chain.push(self.intermediate_der.clone());
            chain_pem.push_str(&self.intermediate_pem);
        }
        Ok(Leaf {
            chain,
            chain_pem,
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
            key_pem: key.serialize_pem(),
            authority_pem: self.root_pem.clone(),
        })
    }

    /// A client certificate with the subject `common_name`, signed by the root.
    ///
    /// # Errors
    /// As [`Authority::leaf`].
    pub fn client(&self, common_name: &str) -> Result<Leaf, CertError> {
        self.leaf(&LeafSpec::client(common_name))
    }

    /// The root in PEM, as `SSL_CERT_FILE` wants it.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.root_pem
    }

    /// The root with its key in PEM, for a proxy that signs certificates of its own with it.
    #[must_use]
    pub fn pem_with_key(&self) -> String {
        format!("{}{}", self.root_pem, self.root.key().serialize_pem())
    }

    /// The root in DER.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.root_der
    }

    /// A rustls trust store that holds this root and nothing else.
    #[must_use]
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates([self.root_der.clone()]);
        roots
    }

    /// Writes the root in PEM to `path`, replacing what is there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_pem(&self, path: &Path) -> Result<(), CertError> {
        std::fs::write(path, &self.root_pem).map_err(|source| CertError::Write { path: path.to_owned(), source })
    }
}

/// Why a certificate or a TLS configuration could not be made.
#[derive(Debug, Error)]
pub enum CertError {
    /// rcgen refused: a name that is no DNS name, or no randomness.
    #[error("cannot make the certificate: {0}; check the names in its LeafSpec")]
    Make(#[from] rcgen::Error),
    /// A validity bound lies before 1970, which is not supported.
    #[error("a certificate's validity begins or ends before 1970 or after 9999; give a later or an earlier time")]
    Time,
    /// rustls refused the certificate, its key or the protocol versions.
    #[error("rustls refuses the certificate: {0}")]
    Tls(#[from] rustls::Error),
    /// The trust store for client certificates could not be used.
    #[error("rustls refuses the authority for client certificates: {0}")]
    ClientRoots(#[from] rustls::server::VerifierBuilderError),
    /// A file could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn authority_params(common_name: &str, constraints: BasicConstraints) -> Result<CertificateParams, CertError> {
    let now = SystemTime::now();
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(common_name);
    params.is_ca = IsCa::Ca(constraints);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    spec::set_validity(&mut params, now - AUTHORITY_VALIDITY, now + AUTHORITY_VALIDITY)?;
    Ok(params)
}

fn subject(common_name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "goferry lab");
    subject.push(DnType::CommonName, common_name);
    subject
}
