//! The scripted server.

use std::future::Future;
use std::time::Duration;

use goferry_net::Exchange;
use goferry_net::Request;
use goferry_net::h2::{Bounds, H2};
use goferry_wire::h2::{ErrorCode, Frame, FrameDecoder, PREFACE, Settings};
use goferry_wire::hpack::{Decoder, DecoderLimits, Encoder, HeaderField};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// The server's end of a connection.
pub(crate) struct Mock {
    pub(crate) io: DuplexStream,
    decoder: FrameDecoder,
    hpack: Decoder,
    encoder: Encoder,
}

/// A client whose server runs `script` after it has read the client's preface.
pub(crate) async fn against<F: Future<Output = ()> + Send + 'static>(
    script: impl FnOnce(Mock) -> F + Send + 'static,
) -> H2 {
    let (client, io) = tokio::io::duplex(1 << 20);
    tokio::spawn(async move {
        let mut mock = Mock {
            io,
            decoder: FrameDecoder::new(),
            hpack: Decoder::new(DecoderLimits::default()),
            encoder: Encoder::new(),
        };
        let mut preface = [0u8; PREFACE.len()];
        mock.io.read_exact(&mut preface).await.expect("the client sends its preface");
        assert_eq!(&preface, PREFACE);
        script(mock).await;
    });
    H2::start(Box::new(client), "goproxy.example.com").await.expect("the connection takes the preface")
}

/// 10 s in all, 1 s of silence, 100 streams.
pub(crate) const BOUNDS: Bounds =
    Bounds { total: Duration::from_secs(10), enough: None, stall: Duration::from_secs(1), concurrency: 100 };

/// Fetches `/0`, `/1` and so on at once, keeping a little of each body.
pub(crate) async fn fetch(h2: &mut H2, count: usize) -> Vec<Exchange> {
    fetch_within(h2, count, BOUNDS).await
}

pub(crate) async fn fetch_within(h2: &mut H2, count: usize, bounds: Bounds) -> Vec<Exchange> {
    let requests: Vec<Request> = (0..count).map(|n| Request { keep: 100, ..Request::get(format!("/{n}")) }).collect();
    let exchanges = h2.fetch(&requests, bounds).await;
    assert_eq!(exchanges.len(), count);
    exchanges
}

/// Fetches `/0`.
pub(crate) async fn fetch_one(h2: &mut H2) -> Exchange {
    fetch(h2, 1).await.remove(0)
}

impl Mock {
    /// The client's next frame; `None` once it has gone.
    pub(crate) async fn recv(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.decoder.next() {
                return Some(frame.expect("the client's frames are well-formed"));
            }
            let mut buffer = [0u8; 4096];
            match self.io.read(&mut buffer).await {
                Ok(count) if count > 0 => self.decoder.push(&buffer[..count]),
                _ => return None,
            }
        }
    }

    /// The client's next frame that is not one of its preface, an acknowledgement or a window update.
    pub(crate) async fn recv_telling(&mut self) -> Option<Frame> {
        loop {
            match self.recv().await? {
                Frame::Settings { .. } | Frame::WindowUpdate { .. } => {}
                frame => return Some(frame),
            }
        }
    }

    /// The stream and header fields of the client's next request.
    pub(crate) async fn request(&mut self) -> (u32, Vec<HeaderField>) {
        match self.recv_telling().await {
            Some(Frame::Headers { stream_id, fragment, end_headers: true, .. }) => {
                (stream_id, self.hpack.decode(&fragment).expect("the client's header block decodes"))
            }
            other => panic!("a request was expected, not {other:?}"),
        }
    }

    /// Reads whatever comes until the client goes.
    pub(crate) async fn linger(&mut self) {
        while self.recv().await.is_some() {}
    }

    pub(crate) async fn send(&mut self, frame: Frame) {
        self.send_bytes(&frame.to_bytes()).await;
    }

    /// Sends bytes as they are; a client that has gone is no error.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.io.write_all(bytes).await;
    }

    /// SETTINGS without a value.
    pub(crate) async fn send_settings(&mut self) {
        self.send(Frame::Settings { ack: false, settings: Settings::new() }).await;
    }

    /// A whole header list in one HEADERS frame.
    pub(crate) async fn send_headers(&mut self, stream_id: u32, fields: &[(&str, &str)], end_stream: bool) {
        let fragment = self.block(fields);
        self.send(headers(stream_id, fragment, end_stream, true)).await;
    }

    pub(crate) fn block(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
        let fields: Vec<HeaderField> = fields.iter().map(|(name, value)| HeaderField::new(*name, *value)).collect();
        let mut fragment = Vec::new();
        self.encoder.encode(&fields, &mut fragment);
        fragment
    }

    pub(crate) async fn send_data(&mut self, stream_id: u32, data: &[u8], end_stream: bool) {
        self.send(Frame::Data { stream_id, data: data.to_vec(), end_stream, padding: None }).await;
    }

    /// 200 and `ok`.
    pub(crate) async fn answer(&mut self, stream_id: u32) {
        self.send_headers(stream_id, &[(":status", "200"), ("content-length", "2")], false).await;
        self.send_data(stream_id, b"ok", true).await;
    }

    pub(crate) async fn send_goaway(&mut self, last_stream_id: u32, code: ErrorCode) {
        self.send(Frame::GoAway { last_stream_id, code, debug_data: b"bye".to_vec() }).await;
    }
}

pub(crate) fn headers(stream_id: u32, fragment: Vec<u8>, end_stream: bool, end_headers: bool) -> Frame {
    Frame::Headers { stream_id, fragment, priority: None, end_stream, end_headers, padding: None }
}

/// Waits for a script's verdict, sent at its end.
pub(crate) async fn verdict<T>(receiver: tokio::sync::oneshot::Receiver<T>) -> T {
    receiver.await.expect("the script came to its end")
}
