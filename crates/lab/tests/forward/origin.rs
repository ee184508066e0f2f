//! Origins for the proxy: HTTP/1.1 and a few frames of HTTP/2, with or without TLS, on threads.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use goferry_lab::certs::{Authority, ClientAuth, LeafSpec, TlsVersions};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The body of every answer.
pub(crate) const BODY: &str = "hello from the origin";

/// The name in the origins' certificates.
pub(crate) const NAME: &str = "origin.lab";

/// A server that answers every request with [`BODY`], and `/big` with a million bytes.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Origin {
    pub(crate) fn plain() -> Self {
        Self::start(None)
    }

    pub(crate) fn tls(authority: &Authority, alpn: &[&str]) -> Self {
        let leaf = authority.leaf(&LeafSpec::good(&[NAME])).expect("a leaf");
        let config = leaf.server_config(alpn, TlsVersions::All, ClientAuth::None).expect("a configuration");
        Self::start(Some(Arc::new(config)))
    }

    pub(crate) fn with(config: ServerConfig) -> Self {
        Self::start(Some(Arc::new(config)))
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn start(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let (count, stopped) = (Arc::clone(&connections), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                let tls = tls.clone();
                std::thread::spawn(move || {
                    // Clients that fail a handshake on purpose are what some tests are about.
                    let _ = stream.and_then(|stream| serve(stream, tls));
                });
            }
        });
        Self { address, connections, stop, thread: Some(thread) }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let Some(tls) = tls else { return http1(stream) };
    let mut connection = ServerConnection::new(tls).map_err(io::Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    let h2 = connection.alpn_protocol() == Some(b"h2");
    let stream = StreamOwned::new(connection, stream);
    if h2 { http2(stream) } else { http1(stream) }
}

fn http1<S: Read + Write>(mut stream: S) -> io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    loop {
        if stream.read(&mut byte)? == 0 {
            return Ok(());
        }
        head.push(byte[0]);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let request = String::from_utf8_lossy(&head).into_owned();
        head.clear();
        let path = request.split(' ').nth(1).unwrap_or_default();
        let answer = match path {
            "/big" => format!("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{}", "x".repeat(1_000_000)),
            "/chunked" => {
                format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len())
            }
            "/headers" => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{request}", request.len()),
            _ => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{BODY}", BODY.len()),
        };
        stream.write_all(answer.as_bytes())?;
        stream.flush()?;
    }
}

/// Answers each HEADERS frame with `:status 200` and [`BODY`] (RFC 9113; index 8 of the static table is status 200).
fn http2<S: Read + Write>(mut stream: S) -> io::Result<()> {
    const HEADERS: u8 = 1;
    let mut preface = [0; 24];
    stream.read_exact(&mut preface)?;
    assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0])?;
    stream.flush()?;
    loop {
        let mut header = [0; 9];
        stream.read_exact(&mut header)?;
        let length = usize::from(header[1]) << 8 | usize::from(header[2]);
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload)?;
        if header[3] != HEADERS {
            continue;
        }
        let id = &header[5..9];
        stream.write_all(&[&[0, 0, 1, HEADERS, 4][..], id, &[0x88]].concat())?;
        let length = u8::try_from(BODY.len()).expect("a short body");
        stream.write_all(&[&[0, 0, length, 0, 1][..], id, BODY.as_bytes()].concat())?;
        stream.flush()?;
    }
}
