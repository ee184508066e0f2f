//! Certificates, and servers that use them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use goferry_net::NetError;
use goferry_net::dial::dial;
use goferry_net::io::BoxStream;
use goferry_net::tls::{GO_ALPN, Roots, TlsClient, TlsInfo};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::client::TlsStream;

/// The name that certificates are for.
pub(crate) const HOST: &str = "goproxy.example.com";
/// Longer than any test takes on a busy machine.
pub(crate) const BOUND: Duration = Duration::from_secs(10);
/// Both versions.
pub(crate) const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// A chain as a server sends it, with its key.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

/// A root that signs.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) der: Vec<u8>,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "A root of this test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Authority { issuer: Issuer::new(params, key), der }
    }

    pub(crate) fn sign(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let chain = vec![params.signed_by(&key, &self.issuer).unwrap().der().clone()];
        Identity { chain, key }
    }

    /// A good certificate for [`HOST`].
    pub(crate) fn good(&self) -> Identity {
        self.sign(&names(&[HOST]))
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots::new(vec![self.der.clone()])
    }
}

pub(crate) fn names(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

pub(crate) fn self_signed(params: &CertificateParams) -> Identity {
    let key = KeyPair::generate().unwrap();
    Identity { chain: vec![params.self_signed(&key).unwrap().der().clone()], key }
}

/// A server configuration that asks for no client certificate.
pub(crate) fn config(
    identity: &Identity,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&[u8]],
) -> ServerConfig {
    finish(builder(versions).with_no_client_auth(), identity, alpn)
}

/// One that demands a client certificate of `authority`.
pub(crate) fn demanding(
    identity: &Identity,
    versions: &[&'static SupportedProtocolVersion],
    authority: &Authority,
) -> ServerConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(authority.der.clone())).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    finish(builder(versions).with_client_cert_verifier(verifier), identity, GO_ALPN)
}

fn builder(
    versions: &[&'static SupportedProtocolVersion],
) -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
}

fn finish(
    builder: rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>,
    identity: &Identity,
    alpn: &[&[u8]],
) -> ServerConfig {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key.serialize_der()));
    let mut config = builder.with_single_cert(identity.chain.clone(), key).unwrap();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    config
}

/// Serves TLS on loopback until the test's runtime ends: `!` to each client, then whatever it says is read.
pub(crate) async fn serve(config: ServerConfig) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(stream).await else {
                    return;
                };
                let _ = tls.write_all(b"!").await;
                let _ = tls.flush().await;
                let _ = tls.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    address
}

pub(crate) type Shaken = Result<(TlsStream<BoxStream>, TlsInfo), NetError>;

/// A handshake for `host` with the server at `address`.
pub(crate) async fn shake(client: &TlsClient, address: SocketAddr, host: &str) -> Shaken {
    let stream = dial(address, BOUND).await.0.expect("the server listens");
    client.handshake(Box::new(stream), host, BOUND).await.0
}

/// What a new client with these roots sees of a server with this identity.
pub(crate) async fn seen(identity: &Identity, roots: &Roots) -> TlsInfo {
    let address = serve(config(identity, BOTH, GO_ALPN)).await;
    shake(&TlsClient::new(roots, GO_ALPN), address, HOST).await.expect("a bad certificate does not end the handshake").1
}
