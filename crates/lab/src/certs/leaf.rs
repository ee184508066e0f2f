//! A leaf certificate with its key, and the TLS configurations and files made of it.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::{Authority, CertError};

/// A certificate with its key and the chain that a server sends.
pub struct Leaf {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) chain_pem: String,
    pub(super) key: PrivatePkcs8KeyDer<'static>,
    pub(super) key_pem: String,
    pub(super) authority_pem: String,
}

/// Which TLS versions are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersions {
    /// 1.2 and 1.3.
    #[default]
    All,
    /// 1.2 only.
    Tls12,
    /// 1.3 only.
    Tls13,
}

/// Whether a server asks for a client certificate.
#[derive(Clone, Copy, Default)]
pub enum ClientAuth<'a> {
    /// It does not ask.
    #[default]
    None,
    /// It asks, and goes on without.
    Optional(&'a Authority),
    /// It refuses a client that shows none signed by this authority.
    Required(&'a Authority),
}

/// Where [`Leaf::write_pem`] put its files.
#[derive(Clone, Debug)]
pub struct PemFiles {
    /// The chain that the server sends, leaf first.
    pub cert: PathBuf,
    /// The private key (PKCS #8), readable by its owner only.
    pub key: PathBuf,
    /// The root of the authority that made the leaf, for `SSL_CERT_FILE`.
    pub ca: PathBuf,
    /// Chain and key in one file, as HAProxy wants them.
    pub combined: PathBuf,
}

impl Leaf {
    /// The chain that a server sends, leaf first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The chain in PEM, leaf first.
    #[must_use]
    pub fn chain_pem(&self) -> &str {
        &self.chain_pem
    }

    /// The private key in PEM (PKCS #8).
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// A server that shows this leaf and chooses from `alpn`, its own preference first. With an empty `alpn` it
    /// leaves the extension unanswered; with a list that shares nothing with the client's it refuses the handshake.
    ///
    /// # Errors
    /// When rustls refuses the certificate or the authority for client certificates.
    pub fn server_config(
        &self,
        alpn: &[&str],
        versions: TlsVersions,
        client_auth: ClientAuth<'_>,
    ) -> Result<ServerConfig, CertError> {
        let verifier = |authority: &Authority| {
            WebPkiClientVerifier::builder_with_provider(Arc::new(authority.roots()), provider())
        };
        let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions.list())?;
        let builder = match client_auth {
            ClientAuth::None => builder.with_no_client_auth(),
            ClientAuth::Optional(authority) => {
                builder.with_client_cert_verifier(verifier(authority).allow_unauthenticated().build()?)
            }
            ClientAuth::Required(authority) => builder.with_client_cert_verifier(verifier(authority).build()?),
        };
        let mut config = builder.with_single_cert(self.chain.clone(), PrivateKeyDer::Pkcs8(self.key.clone_key()))?;
        config.alpn_protocols = protocols(alpn);
        Ok(config)
    }

    /// A client that trusts `roots`, offers `alpn` and shows this leaf when it is asked for a certificate.
    ///
    /// # Errors
    /// When rustls refuses the certificate.
    pub fn client_config(&self, roots: RootCertStore, alpn: &[&str]) -> Result<ClientConfig, CertError> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(TlsVersions::All.list())?
            .with_root_certificates(roots)
            .with_client_auth_cert(self.chain.clone(), PrivateKeyDer::Pkcs8(self.key.clone_key()))?;
        config.alpn_protocols = protocols(alpn);
        Ok(config)
    }

    /// Writes `cert.pem`, `key.pem`, `ca.pem` and `combined.pem` into `dir`, which is made if it is missing.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_pem(&self, dir: &Path) -> Result<PemFiles, CertError> {
        std::fs::create_dir_all(dir).map_err(|source| CertError::Write { path: dir.to_owned(), source })?;
        let files = PemFiles {
            cert: dir.join("cert.pem"),
            key: dir.join("key.pem"),
            ca: dir.join("ca.pem"),
            combined: dir.join("combined.pem"),
        };
        write(&files.cert, &self.chain_pem, 0o644)?;
        write(&files.key, &self.key_pem, 0o600)?;
        write(&files.ca, &self.authority_pem, 0o644)?;
        write(&files.combined, &format!("{}{}", self.chain_pem, self.key_pem), 0o600)?;
        Ok(files)
    }
}

impl TlsVersions {
    /// The versions as rustls names them.
    #[must_use]
    pub fn list(self) -> &'static [&'static SupportedProtocolVersion] {
        const TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
        const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
        match self {
            Self::All => rustls::ALL_VERSIONS,
            Self::Tls12 => TLS12,
            Self::Tls13 => TLS13,
        }
    }
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub(crate) fn protocols(alpn: &[&str]) -> Vec<Vec<u8>> {
    alpn.iter().map(|name| name.as_bytes().to_vec()).collect()
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), CertError> {
    let failed = |source| CertError::Write { path: path.to_owned(), source };
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}
