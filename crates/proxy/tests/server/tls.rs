//! TLS.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use goferry_proxy::config::{Listen, Tls};
use goferry_wire::h2::ErrorCode;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto};

use crate::http2::{Client, END_HEADERS, END_STREAM, GOAWAY, HEADERS, request};
use crate::world::{MOD, Reply, Served, ZIP, closes, get, large};

type Secure = StreamOwned<ClientConnection, TcpStream>;

/// TLS to the server by a client that trusts `authority` alone; an error where it does not trust the server.
pub(crate) fn connect(served: &Served, authority: &[u8], alpn: &[&str]) -> std::io::Result<Secure> {
    connect_as(served, authority, alpn, "localhost")
}

/// The same with another name for it.
pub(crate) fn connect_as(
    served: &Served,
    authority: &[u8],
    alpn: &[&str],
    name: &'static str,
) -> std::io::Result<Secure> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(name).unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), served.connect());
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

struct Pair {
    dir: TempDir,
}

impl Pair {
    fn new() -> (Pair, String) {
        let pair = Pair { dir: TempDir::new().unwrap() };
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        pair.write(&cert.pem(), &signing_key);
        (pair, cert.pem())
    }

    fn write(&self, cert: &str, key: &KeyPair) {
        fs::write(self.dir.path().join("key.pem"), key.serialize_pem()).unwrap();
        fs::write(self.dir.path().join("cert.pem"), cert).unwrap();
    }

    fn tls(&self) -> Option<Tls> {
        let file = |name: &str| self.dir.path().join(name);
        Some(Tls::Files { cert: file("cert.pem"), key: file("key.pem") })
    }
}

#[test]
fn both_versions_of_http() {
    let (pair, pem) = Pair::new();
    let served = Served::new(|config| config.tls = pair.tls());
    assert!(served.server.urls()[0].starts_with("https://127.0.0.1:"));
    let mut secure = connect(&served, pem.as_bytes(), &["http/1.1"]).unwrap();
    secure.write_all(get(MOD, "").as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut secure).status, 200);
    secure.write_all(get(ZIP, "").as_bytes()).unwrap();
    assert!(Reply::read(&mut secure).body == large());
    // Without ALPN it is HTTP/1.1.
    let mut secure = connect(&served, pem.as_bytes(), &[]).unwrap();
    secure.write_all(get(MOD, "").as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut secure).status, 200);
    let secure = connect(&served, pem.as_bytes(), &["h2", "http/1.1"]).unwrap();
    assert_eq!(secure.conn.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(Client::new(secure).get(1, MOD), 200);
    // Nothing in common: refused in the handshake (RFC 7301 section 3.2).
    assert!(connect(&served, pem.as_bytes(), &["h3"]).is_err());
}

#[test]
fn plain_text_is_told_where_it_is() {
    let (pair, pem) = Pair::new();
    let served = Served::new(|config| config.tls = pair.tls());
    let reply = served.ask(get(MOD, ""));
    assert!(reply.head.starts_with("http/1.1 400 "), "something stands before it: {:?}", reply.head);
    assert!(String::from_utf8_lossy(&reply.body).contains("https://"), "{}", reply.head);
    // Nothing in common, and one that only looks whether somebody listens: that is no failure.
    assert!(connect(&served, pem.as_bytes(), &["h3"]).is_err());
    drop(served.connect());
    let mut socket = connect(&served, pem.as_bytes(), &["http/1.1"]).unwrap();
    socket.write_all(get("/metrics", "").as_bytes()).unwrap();
    let metrics = Reply::read(&mut socket);
    assert_eq!(["not_tls", "tls", "timeout", "too_many"].map(|reason| metrics.refused(reason)), [1, 1, 0, 0]);
}

#[test]
fn a_handshake_that_does_not_come_is_not_waited_for() {
    let (pair, pem) = Pair::new();
    let served = Served::new(|config| {
        config.tls = pair.tls();
        config.limits.header_time = Duration::from_secs(1);
    });
    let mut silent = served.connect();
    let mut half = served.connect();
    half.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    for socket in [&mut silent, &mut half] {
        assert!(closes(socket) < Duration::from_secs(8));
    }
    assert!(connect(&served, pem.as_bytes(), &["h2"]).is_ok());
}

#[test]
fn a_new_certificate_is_shown_and_a_bad_one_is_not() {
    let (pair, old) = Pair::new();
    let served = Served::new(|config| config.tls = pair.tls());
    let trusted = |pem: &str| connect(&served, pem.as_bytes(), &["h2"]).is_ok();
    assert!(trusted(&old));
    // Half of a new pair, as it is while it is written: the old one is shown.
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let new = cert.pem();
    fs::write(pair.dir.path().join("cert.pem"), &new).unwrap();
    thread::sleep(Duration::from_millis(2500));
    assert!(trusted(&old) && !trusted(&new));
    pair.write(&new, &signing_key);
    eventually(|| trusted(&new), "the new certificate is not shown");
    assert!(!trusted(&old));
    // Rubbish, and no file at all.
    fs::write(pair.dir.path().join("cert.pem"), "rubbish").unwrap();
    thread::sleep(Duration::from_millis(2500));
    assert!(trusted(&new));
    fs::remove_file(pair.dir.path().join("key.pem")).unwrap();
    thread::sleep(Duration::from_millis(2500));
    assert!(trusted(&new));
}

fn eventually(mut check: impl FnMut() -> bool, otherwise: &str) {
    let began = Instant::now();
    while !check() {
        assert!(began.elapsed() < Duration::from_secs(15), "{otherwise}");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_certificate_for_trials() {
    let served = Served::new(|config| config.tls = Some(Tls::SelfSigned));
    let authority = served.server.authority().unwrap();
    // The store may not be written here.
    assert!(!authority.starts_with(crate::world::store()));
    let pem = fs::read(&authority).unwrap();
    let secure = connect(&served, &pem, &["h2"]).unwrap();
    assert_eq!(Client::new(secure).get(1, MOD), 200);
    let everywhere = Served::new(|config| {
        config.tls = Some(Tls::SelfSigned);
        config.listen = vec![Listen::Tcp("0.0.0.0:0".parse().unwrap())];
    });
    assert!(everywhere.server.urls()[0].starts_with("https://localhost:"));
    assert_removed(served, &authority);
}

/// With the server its file goes.
fn assert_removed(mut served: Served, authority: &Path) {
    served.stop();
    served.ended();
    drop(served);
    eventually(|| !authority.exists(), "the file of the authority is left");
}

#[test]
fn one_too_many_is_told_so_within_tls() {
    let (pair, pem) = Pair::new();
    let served = Served::new(|config| {
        config.tls = pair.tls();
        config.limits.connections = 1;
    });
    let mut first = Client::new(connect(&served, pem.as_bytes(), &["h2"]).unwrap());
    assert_eq!(first.get(1, MOD), 200);
    let mut second = Client::new(connect(&served, pem.as_bytes(), &["h2"]).unwrap());
    let goaway = second.until(|frame| frame.kind == GOAWAY);
    assert_eq!(goaway.error(), Some(ErrorCode::NoError));
    let mut third = connect(&served, pem.as_bytes(), &["http/1.1"]).unwrap();
    third.write_all(get(MOD, "").as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut third).status, 503);
    assert_eq!(first.get(3, MOD), 200);
}

#[test]
fn who_takes_nothing_within_tls_is_given_up() {
    let (pair, pem) = Pair::new();
    let served = Served::new(|config| {
        config.tls = pair.tls();
        config.limits.stall = Duration::from_secs(1);
    });
    let mut lazy = connect(&served, pem.as_bytes(), &["http/1.1"]).unwrap();
    lazy.write_all(get(ZIP, "").as_bytes()).unwrap();
    let mut client = Client::with_window(connect(&served, pem.as_bytes(), &["h2"]).unwrap(), 1 << 30);
    client.frame(8, 0, 0, &(1_u32 << 30).to_be_bytes());
    client.frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", ZIP));
    thread::sleep(Duration::from_secs(4));
    for io in [&mut lazy, client.io()] {
        let mut taken = Vec::new();
        let _ = io.read_to_end(&mut taken);
        assert!(taken.len() < 20 << 20, "{} bytes came", taken.len());
    }
}
