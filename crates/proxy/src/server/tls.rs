//! TLS: the certificate that is shown, read again when its files change.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempPath;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{Error as TlsError, InvalidMessage, ServerConfig, crypto};
use tokio_rustls::server::TlsStream;

use crate::config::{ProxyConfig, SourceMode, Tls};
use crate::store::OWN;

/// How often the files are looked at, at most.
const LOOK: Duration = Duration::from_secs(2);
/// What is spoken on TLS, the best first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// To who speaks HTTP to a TLS port.
const NOT_TLS: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\
    Content-Length: 46\r\n\r\nthis port speaks TLS: its URL begins https://\n";

/// What TLS is spoken with.
pub(super) struct TlsServer {
    files: Option<Files>,
    authority: Option<Authority>,
    state: Mutex<State>,
}

struct State {
    config: Arc<ServerConfig>,
    looked: Instant,
    stamps: Option<[Stamp; 2]>,
}

struct Files {
    cert: PathBuf,
    key: PathBuf,
}

/// The file of an authority that was made here.
enum Authority {
    Stored(PathBuf),
    Temporary(TempPath),
}

/// By what a changed file is known.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl TlsServer {
    /// Reads the files, or makes an authority whose certificate is good for `names`.
    pub(super) fn open(config: &ProxyConfig, tls: &Tls, names: &[IpAddr]) -> io::Result<TlsServer> {
        let (files, authority, stamps, server) = match tls {
            Tls::Files { cert, key } => {
                let files = Files { cert: cert.clone(), key: key.clone() };
                let stamps = files.stamps();
                let server = files.read()?;
                (Some(files), None, stamps, server)
            }
            Tls::SelfSigned => {
                let (server, pem) = self_signed(names).map_err(io::Error::other)?;
                (None, Some(Authority::write(config, &pem)?), None, server)
            }
        };
        let state = State { config: Arc::new(server), looked: Instant::now(), stamps };
        Ok(TlsServer { files, authority, state: Mutex::new(state) })
    }

    /// The authority that a client must trust, where it was made here.
    pub(super) fn authority(&self) -> Option<&Path> {
        match self.authority.as_ref()? {
            Authority::Stored(path) => Some(path),
            Authority::Temporary(path) => Some(path),
        }
    }

    /// Speaks TLS with who has just connected; keeps at most `buffer` bytes of what it does not take.
    pub(super) async fn accept<I>(&self, io: I, buffer: usize) -> io::Result<TlsStream<I>>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = TlsAcceptor::from(self.config());
        let accepted = acceptor.accept_with(io, |connection| connection.set_buffer_limit(Some(buffer)));
        match accepted.into_fallible().await {
            Ok(stream) => Ok(stream),
            Err((error, mut io)) => {
                let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
                if inner == Some(&TlsError::InvalidMessage(InvalidMessage::InvalidContentType)) {
                    let _ = io.write_all(NOT_TLS.as_bytes()).await;
                    let _ = io.shutdown().await;
                }
                Err(error)
            }
        }
    }

    /// The settings for a new connection. A pair of files that cannot be used leaves the old ones in place.
    fn config(&self) -> Arc<ServerConfig> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(files) = &self.files
            && state.looked.elapsed() >= LOOK
        {
            state.looked = Instant::now();
            let stamps = files.stamps();
            if stamps != state.stamps {
                // Looked at before they are read: what changes meanwhile is seen the next time.
                state.stamps = stamps;
                match files.read() {
                    Ok(config) => {
                        state.config = Arc::new(config);
                        tracing::info!(cert = %files.cert.display(), "the certificate was read again");
                    }
                    Err(error) => {
                        tracing::error!(%error, "the new certificate cannot be used; the old one is still shown");
                    }
                }
            }
        }
        Arc::clone(&state.config)
    }
}

impl Files {
    fn stamps(&self) -> Option<[Stamp; 2]> {
        let stamp = |path: &Path| {
            let meta = fs::metadata(path).ok()?;
            Some(Stamp { inode: meta.ino(), size: meta.size(), changed: (meta.ctime(), meta.ctime_nsec()) })
        };
        Some([stamp(&self.cert)?, stamp(&self.key)?])
    }

    fn read(&self) -> io::Result<ServerConfig> {
        let bad = |path: &Path, error: &dyn std::fmt::Display| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
        };
        let read = |path: &Path| fs::read(path).map_err(|error| bad(path, &error));
        let chain = CertificateDer::pem_slice_iter(&read(&self.cert)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| bad(&self.cert, &error))?;
        if chain.is_empty() {
            return Err(bad(&self.cert, &"no CERTIFICATE in PEM"));
        }
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?).map_err(|error| bad(&self.key, &error))?;
        server(chain, key).map_err(|error| bad(&self.cert, &format_args!("with {}: {error}", self.key.display())))
    }
}

impl Authority {
    /// Into the store where that may be written, so that what clients were told stays right.
    fn write(config: &ProxyConfig, pem: &str) -> io::Result<Authority> {
        if config.source == SourceMode::Fetch {
            let path = config.store.join(OWN).join("tls-authority.pem");
            let partial = tempfile::NamedTempFile::new_in(config.store.join(OWN))?;
            fs::write(partial.path(), pem)?;
            partial.persist(&path).map_err(|error| error.error)?;
            return Ok(Authority::Stored(path));
        }
        let file = tempfile::Builder::new().prefix("goferry-tls-").suffix(".pem").tempfile()?;
        fs::write(file.path(), pem)?;
        Ok(Authority::Temporary(file.into_temp_path()))
    }
}

fn server(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

/// A certificate of an authority that nobody knows yet, and the authority in PEM.
fn self_signed(names: &[IpAddr]) -> Result<(ServerConfig, String), Box<dyn std::error::Error + Send + Sync>> {
    let subject = |name: &str| {
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, name);
        subject
    };
    let mut authority = CertificateParams::default();
    authority.distinguished_name = subject("goferry serve --tls-self-signed");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_key = KeyPair::generate()?;
    let pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);

    let mut all = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    all.extend(names.iter().filter(|name| !name.is_unspecified()).map(ToString::to_string));
    if let Ok(host) = rustix::system::uname().nodename().to_str()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
    {
        all.push(host.to_owned());
    }
    all.sort();
    all.dedup();
    let mut leaf = CertificateParams::new(all)?;
    leaf.distinguished_name = subject("goferry serve");
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &issuer)?;
    let config = server(vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())?;
    Ok((config, pem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        let config = ProxyConfig::default();
        let tls = Tls::Files { cert: cert.clone(), key: key.clone() };
        let open = || TlsServer::open(&config, &tls, &[]).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(open().contains("c.pem"), "{}", open());
        fs::write(&cert, "nothing").unwrap();
        assert!(open().contains("no CERTIFICATE"), "{}", open());
        let one = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let other = KeyPair::generate().unwrap();
        fs::write(&cert, one.cert.pem()).unwrap();
        assert!(open().contains("k.pem"), "{}", open());
        fs::write(&key, other.serialize_pem()).unwrap();
        assert!(open().contains("k.pem"), "{}", open());
        fs::write(&key, one.signing_key.serialize_pem()).unwrap();
        assert_eq!(open(), "");
    }

    #[test]
    fn the_words_for_plain_text_have_the_length_that_they_say() {
        let (head, body) = NOT_TLS.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{}", body.len());
    }
}
