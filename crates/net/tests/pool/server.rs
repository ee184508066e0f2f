//! Servers on loopback that do what a script says, one script a connection.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use goferry_wire::h2::{ErrorCode, Frame, FrameDecoder, PREFACE, SettingId, Settings};
use goferry_wire::hpack::{Decoder, DecoderLimits, Encoder, HeaderField};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub(crate) const H2: &[&[u8]] = &[b"h2"];
pub(crate) const H1: &[&[u8]] = &[b"http/1.1"];
pub(crate) const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];

/// A byte stream, plain or TLS.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Listens until it is dropped; so do its connections.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) https: bool,
    /// The certificate that is to be trusted.
    pub(crate) root: Vec<u8>,
    accepted: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Counts an open connection.
struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Server {
    /// Runs `script` for each connection, which has a number from 1 on.
    pub(crate) async fn plain<F, W>(script: F) -> Server
    where
        F: Fn(usize, TcpStream) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        Server::listen(TcpListener::bind("127.0.0.1:0").await.unwrap(), script).await
    }

    pub(crate) async fn listen<F, W>(listener: TcpListener, script: F) -> Server
    where
        F: Fn(usize, TcpStream) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().unwrap();
        let (accepted, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counts = (Arc::clone(&accepted), Arc::clone(&open));
        let task = tokio::spawn(async move {
            // Dropped with this task: all connections end then.
            let mut running = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let number = counts.0.fetch_add(1, Ordering::SeqCst) + 1;
                counts.1.fetch_add(1, Ordering::SeqCst);
                let guard = Guard(Arc::clone(&counts.1));
                let work = script(number, stream);
                running.spawn(async move {
                    work.await;
                    drop(guard);
                });
            }
        });
        Server { address, https: false, root: Vec::new(), accepted, open, task }
    }

    /// The same after a TLS handshake with these protocols.
    pub(crate) async fn tls<F, W>(alpn: &[&[u8]], script: F) -> Server
    where
        F: Fn(usize, TlsStream<TcpStream>) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let (config, root) = identity(alpn);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let script = Arc::new(script);
        let mut server = Server::plain(move |number, stream| {
            let (acceptor, script) = (acceptor.clone(), Arc::clone(&script));
            async move {
                if let Ok(tls) = acceptor.accept(stream).await {
                    script(number, tls).await;
                }
            }
        })
        .await;
        (server.https, server.root) = (true, root);
        server
    }

    /// HTTP/2 over TLS: the script begins after the client's preface.
    pub(crate) async fn h2<F, W>(alpn: &[&[u8]], script: F) -> Server
    where
        F: Fn(Conn) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let script = Arc::new(script);
        Server::tls(alpn, move |number, io| {
            let script = Arc::clone(&script);
            async move {
                if let Some(conn) = Conn::new(number, io).await {
                    script(conn).await;
                }
            }
        })
        .await
    }

    /// Connections accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Connections whose script still runs.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

fn identity(alpn: &[&[u8]]) -> (ServerConfig, Vec<u8>) {
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned(), "::1".to_owned()];
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    let root = certificate.der().to_vec();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    (config, root)
}

/// A request that arrived.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) stream: u32,
    pub(crate) path: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Asked {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }
}

/// The server's end of an HTTP/2 connection.
pub(crate) struct Conn {
    pub(crate) number: usize,
    io: Box<TlsStream<TcpStream>>,
    decoder: FrameDecoder,
    hpack: Decoder,
    encoder: Encoder,
    /// Streams that the client gave up.
    pub(crate) cancelled: Vec<u32>,
    /// Each SETTINGS_INITIAL_WINDOW_SIZE that the client said.
    pub(crate) windows: Vec<u32>,
    /// By how much the client opened each window, 0 being the connection's (WINDOW_UPDATE).
    pub(crate) opened: HashMap<u32, usize>,
    /// How long a PING waits for its answer; `None`: for ever.
    pub(crate) pong: Option<Duration>,
}

impl Conn {
    async fn new(number: usize, io: TlsStream<TcpStream>) -> Option<Conn> {
        let mut conn = Conn {
            number,
            io: Box::new(io),
            decoder: FrameDecoder::with_max_frame_size(1 << 20),
            hpack: Decoder::new(DecoderLimits::default()),
            encoder: Encoder::new(),
            cancelled: Vec::new(),
            windows: Vec::new(),
            opened: HashMap::new(),
            pong: Some(Duration::ZERO),
        };
        let mut preface = [0u8; PREFACE.len()];
        conn.io.read_exact(&mut preface).await.ok()?;
        assert_eq!(&preface, PREFACE);
        Some(conn)
    }

    async fn recv(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.decoder.next() {
                return Some(frame.expect("the client's frames are well-formed"));
            }
            let mut buffer = [0u8; 16 << 10];
            match self.io.read(&mut buffer).await {
                Ok(count) if count > 0 => self.decoder.push(&buffer[..count]),
                _ => return None,
            }
        }
    }

    /// The next frame; PINGs are answered, and resets and windows noted meanwhile. `None` once the client has gone.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        loop {
            match self.recv().await? {
                Frame::Ping { ack: false, data } => {
                    if let Some(pause) = self.pong {
                        tokio::time::sleep(pause).await;
                        self.send(Frame::Ping { ack: true, data }).await;
                    }
                }
                frame => {
                    match &frame {
                        Frame::RstStream { stream_id, .. } => self.cancelled.push(*stream_id),
                        Frame::Settings { settings, .. } => self.windows.extend(settings.initial_window_size()),
                        Frame::WindowUpdate { stream_id, increment } => {
                            *self.opened.entry(*stream_id).or_default() += *increment as usize;
                        }
                        _ => {}
                    }
                    return Some(frame);
                }
            }
        }
    }

    /// The next request. `None` once the client has gone.
    pub(crate) async fn request(&mut self) -> Option<Asked> {
        loop {
            if let Frame::Headers { stream_id, fragment, end_headers: true, .. } = self.frame().await? {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let fields = self.hpack.decode(&fragment).expect("the client's header block decodes");
                let fields: Vec<(String, String)> =
                    fields.iter().map(|field| (text(&field.name), text(&field.value))).collect();
                let path = fields.iter().find(|(name, _)| name == ":path").map(|(_, path)| path.clone()).unwrap();
                return Some(Asked { stream: stream_id, path, fields });
            }
        }
    }

    /// A request that comes within `bound`.
    pub(crate) async fn request_within(&mut self, bound: Duration) -> Option<Asked> {
        tokio::time::timeout(bound, self.request()).await.ok().flatten()
    }

    /// Reads on until the client goes.
    pub(crate) async fn linger(mut self) {
        while self.request().await.is_some() {}
    }

    /// Answers every request with its path until the client goes.
    pub(crate) async fn serve(mut self) {
        while let Some(asked) = self.request().await {
            self.answer(asked.stream, asked.path.as_bytes()).await;
        }
    }

    pub(crate) async fn send(&mut self, frame: Frame) {
        self.send_bytes(&frame.to_bytes()).await;
    }

    /// Bytes as they are; a client that has gone is no error.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.io.write_all(bytes).await;
        let _ = self.io.flush().await;
    }

    /// SETTINGS, with a limit of streams where one is given.
    pub(crate) async fn settings(&mut self, streams: Option<u32>) {
        let mut settings = Settings::new();
        if let Some(streams) = streams {
            settings.push(SettingId::MaxConcurrentStreams, streams);
        }
        self.send(Frame::Settings { ack: false, settings }).await;
    }

    /// Acknowledges the oldest SETTINGS of the client that is not.
    pub(crate) async fn acknowledge(&mut self) {
        self.send(Frame::Settings { ack: true, settings: Settings::new() }).await;
    }

    pub(crate) async fn head(&mut self, stream: u32, status: u16, fields: &[(&str, &str)], end: bool) {
        let status = status.to_string();
        let mut all = vec![HeaderField::new(":status", status.as_str())];
        all.extend(fields.iter().map(|(name, value)| HeaderField::new(*name, *value)));
        let mut fragment = Vec::new();
        self.encoder.encode(&all, &mut fragment);
        let frame = Frame::Headers {
            stream_id: stream,
            fragment,
            priority: None,
            end_stream: end,
            end_headers: true,
            padding: None,
        };
        self.send(frame).await;
    }

    pub(crate) async fn data(&mut self, stream: u32, data: &[u8], end: bool) {
        let mut chunks = data.chunks(16 << 10).peekable();
        if data.is_empty() {
            self.send(Frame::Data { stream_id: stream, data: Vec::new(), end_stream: end, padding: None }).await;
        }
        while let Some(chunk) = chunks.next() {
            let end_stream = end && chunks.peek().is_none();
            self.send(Frame::Data { stream_id: stream, data: chunk.to_vec(), end_stream, padding: None }).await;
        }
    }

    /// 200 with a body of announced length.
    pub(crate) async fn answer(&mut self, stream: u32, body: &[u8]) {
        self.head(stream, 200, &[("content-length", &body.len().to_string())], false).await;
        self.data(stream, body, true).await;
    }

    pub(crate) async fn goaway(&mut self, last_stream_id: u32, code: ErrorCode) {
        self.send(Frame::GoAway { last_stream_id, code, debug_data: Vec::new() }).await;
    }

    pub(crate) async fn reset(&mut self, stream: u32, code: ErrorCode) {
        self.send(Frame::RstStream { stream_id: stream, code }).await;
    }

    /// Ends TLS and TCP as one should.
    pub(crate) async fn close(mut self) {
        let _ = self.io.shutdown().await;
        // What the client still sends would turn the FIN into an RST.
        let _ = tokio::time::timeout(Duration::from_millis(300), self.linger()).await;
    }

    /// FIN without close_notify: TLS truncation.
    pub(crate) async fn truncate(self) {
        let (mut tcp, _) = self.io.into_inner();
        let _ = tcp.shutdown().await;
        let _ = tokio::time::timeout(Duration::from_millis(300), tcp.read_to_end(&mut Vec::new())).await;
    }

    /// RST.
    pub(crate) fn abort(self) {
        let (tcp, _) = self.io.into_inner();
        tcp.set_zero_linger().unwrap();
    }

    /// Reads nothing and sends nothing any more.
    pub(crate) async fn freeze(self) {
        let io = self.io;
        std::future::pending::<()>().await;
        drop(io);
    }
}

/// The server's end of an HTTP/1.1 connection.
pub(crate) struct Text<T> {
    pub(crate) io: T,
    buffer: Vec<u8>,
}

impl<T: Io> Text<T> {
    pub(crate) fn new(io: T) -> Text<T> {
        Text { io, buffer: Vec::new() }
    }

    /// The next request; `None` once the client has gone.
    pub(crate) async fn request(&mut self) -> Option<Asked> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            let mut more = [0u8; 4096];
            match self.io.read(&mut more).await {
                Ok(count) if count > 0 => self.buffer.extend_from_slice(&more[..count]),
                _ => return None,
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let path = lines.next()?.split(' ').nth(1)?.to_owned();
        let fields = lines.filter_map(|line| line.split_once(": "));
        let fields = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Some(Asked { stream: 0, path, fields })
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.io.write_all(bytes).await;
        let _ = self.io.flush().await;
    }

    /// A status, header lines as they are (each with its CRLF), and a body of announced length.
    pub(crate) async fn reply(&mut self, status: u16, lines: &str, body: &[u8]) {
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{lines}\r\n", body.len());
        self.send(&[head.as_bytes(), body].concat()).await;
    }

    /// Answers every request with its path.
    pub(crate) async fn serve(mut self) {
        while let Some(asked) = self.request().await {
            self.reply(200, "", asked.path.as_bytes()).await;
        }
    }
}
