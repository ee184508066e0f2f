//! TLS: the certificate that is shown, read again when its files change.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempPath;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{Error as TlsError, ServerConfig, crypto};
use tokio_rustls::server::TlsStream;

use crate::config::{ProxyConfig, SourceMode, Tls};
use crate::store::OWN;

/// How often the files are looked at, at most.
const LOOK: Duration = Duration::from_secs(2);
/// What is spoken on TLS, the best first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// To who speaks HTTP to a TLS port.
pub(super) const NOT_TLS: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\
    Content-Length: 46\r\n\r\nthis port speaks TLS: its URL begins https://\n";

/// What TLS is spoken with.
pub(super) struct TlsServer {
    files: Option<Files>,
    authority: Option<Arc<Authority>>,
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

/// An authority that was made here.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: AuthorityFile,
}

/// Where clients find it.
enum AuthorityFile {
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
    /// Reads the files, or makes a certificate for `names`, of an authority that is made too, unless `old` has one: what
    /// clients were told to trust stays right.
    pub(super) fn open(
        config: &ProxyConfig,
        tls: &Tls,
        names: &[IpAddr],
        old: Option<&TlsServer>,
    ) -> io::Result<TlsServer> {
        let (files, authority, stamps, server) = match tls {
            Tls::Files { cert, key } => {
                let files = Files { cert: cert.clone(), key: key.clone() };
                let stamps = files.stamps();
                let server = files.read()?;
                (Some(files), None, stamps, server)
            }
            Tls::SelfSigned => {
                let authority = match old.and_then(|old| old.authority.clone()) {
                    Some(authority) => authority,
                    None => Arc::new(Authority::make(config)?),
                };
                let server = authority.certify(names).map_err(io::Error::other)?;
                (None, Some(authority), None, server)
            }
        };
        let state = State { config: Arc::new(server), looked: Instant::now(), stamps };
        Ok(TlsServer { files, authority, state: Mutex::new(state) })
    }

    /// The authority that a client must trust, where it was made here.
    pub(super) fn authority(&self) -> Option<&Path> {
        match &self.authority.as_ref()?.file {
            AuthorityFile::Stored(path) => Some(path),
            AuthorityFile::Temporary(path) => Some(path),
        }
    }

    /// Speaks TLS with who has just connected; keeps at most `buffer` bytes of what it does not take.
    pub(super) async fn accept<I>(&self, io: I, buffer: usize) -> io::Result<TlsStream<I>>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        TlsAcceptor::from(self.config()).accept_with(io, |connection| connection.set_buffer_limit(Some(buffer))).await
    }

    /// The settings for a new connection. A pair of files that cannot be used leaves the old ones in place.
    fn config(&self) -> Arc<ServerConfig> {
        if let Some(files) = &self.files
            && let Some(known) = self.due()
        {
            let stamps = files.stamps();
            if stamps != known {
                // Looked at before they are read: what changes meanwhile is seen the next time.
                let read = files.read();
                let mut state = self.state();
                state.stamps = stamps;
                match read {
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
        Arc::clone(&self.state().config)
    }

    /// What is known of the files, where they are to be looked at now, by this connection alone.
    fn due(&self) -> Option<Option<[Stamp; 2]>> {
        let mut state = self.state();
        if state.looked.elapsed() < LOOK {
            return None;
        }
        state.looked = Instant::now();
        Some(state.stamps)
    }

    /// Held for a moment only: files are read without it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether who has connected speaks HTTP without TLS, whose first byte is a letter; the one of a TLS record is not (RFC 8446
/// section 5.1). Nothing is read: rustls would answer it with an alert, and words behind that are none.
pub(super) async fn is_plain(socket: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    Ok(socket.peek(&mut first).await? == 1 && first[0].is_ascii_alphabetic())
}

/// Whether the files of a certificate and its key can be used.
///
/// # Errors
/// What is wrong, after the name of the file.
pub fn check(tls: &Tls) -> io::Result<()> {
    match tls {
        Tls::Files { cert, key } => Files { cert: cert.clone(), key: key.clone() }.read().map(drop),
        Tls::SelfSigned => Ok(()),
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
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?).map_err(|error| match error {
            PemError::NoItemsFound => bad(&self.key, &"no PRIVATE KEY in PEM; one with a passphrase cannot be used"),
            error => bad(&self.key, &error),
        })?;
        server(chain, key).map_err(|error| bad(&self.cert, &format_args!("with {}: {error}", self.key.display())))
    }
}

impl Authority {
    /// One that nobody knows yet.
    fn make(config: &ProxyConfig) -> io::Result<Authority> {
        let mut authority = CertificateParams::default();
        authority.distinguished_name = subject("goferry serve --tls-self-signed");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let pem = authority.self_signed(&key).map_err(io::Error::other)?.pem();
        Ok(Authority { issuer: Issuer::new(authority, key), file: AuthorityFile::write(config, &pem)? })
    }

    /// A certificate of it.
    fn certify(&self, names: &[IpAddr]) -> Result<ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
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
        let certificate = leaf.signed_by(&key, &self.issuer)?;
        Ok(server(vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())?)
    }
}

fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

impl AuthorityFile {
    /// Into the store where that may be written, so that what clients were told stays right.
    fn write(config: &ProxyConfig, pem: &str) -> io::Result<AuthorityFile> {
        if config.source == SourceMode::Fetch {
            let own = config.store.join(OWN);
            // Made with the store, which may be opened only after this.
            fs::create_dir_all(&own)?;
            let partial = tempfile::NamedTempFile::new_in(&own)?;
            fs::write(partial.path(), pem)?;
            let path = own.join("tls-authority.pem");
            partial.persist(&path).map_err(|error| error.error)?;
            return Ok(AuthorityFile::Stored(path));
        }
        let file = tempfile::Builder::new().prefix("goferry-tls-").suffix(".pem").tempfile()?;
        fs::write(file.path(), pem)?;
        Ok(AuthorityFile::Temporary(file.into_temp_path()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        let config = ProxyConfig::default();
        let tls = Tls::Files { cert: cert.clone(), key: key.clone() };
        let open =
            || TlsServer::open(&config, &tls, &[], None).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(open().contains("c.pem"), "{}", open());
        fs::write(&cert, "nothing").unwrap();
        assert!(open().contains("no CERTIFICATE"), "{}", open());
        let one = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let other = KeyPair::generate().unwrap();
        fs::write(&cert, one.cert.pem()).unwrap();
        assert!(open().contains("k.pem"), "{}", open());
        let sealed = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        fs::write(&key, sealed).unwrap();
        assert!(open().contains("k.pem: no PRIVATE KEY"), "{}", open());
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
