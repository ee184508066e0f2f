//! A client that shows every frame and does nothing by itself: no acknowledgement, no window update.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use goferry_lab::certs::Authority;
use goferry_wire::h2::{Frame, FrameDecoder, PREFACE, Settings};
use goferry_wire::hpack::{Decoder, DecoderLimits, Encoder, HeaderField};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct RawClient {
    tls: StreamOwned<ClientConnection, TcpStream>,
    decoder: FrameDecoder,
    hpack: Decoder,
}

impl RawClient {
    pub(crate) fn connect(address: SocketAddr, authority: &Authority, settings: Settings) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .unwrap()
            .with_root_certificates(authority.roots())
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let connection = ClientConnection::new(Arc::new(config), address.ip().into()).unwrap();
        let tcp = TcpStream::connect(address).unwrap();
        tcp.set_nodelay(true).unwrap();
        let mut tls = StreamOwned::new(connection, tcp);
        tls.write_all(PREFACE).unwrap();
        let mut client = Self {
            tls,
            decoder: FrameDecoder::with_max_frame_size(1 << 20),
            hpack: Decoder::new(DecoderLimits::default()),
        };
        client.send(&Frame::Settings { ack: false, settings });
        client
    }

    pub(crate) fn send(&mut self, frame: &Frame) {
        self.tls.write_all(&frame.to_bytes()).unwrap();
    }

    pub(crate) fn get(&mut self, stream_id: u32, path: &str) {
        let fields = [(":method", "GET"), (":scheme", "https"), (":authority", "lab"), (":path", path)]
            .map(|(name, value)| HeaderField::new(name, value));
        let mut fragment = Vec::new();
        Encoder::new().encode(&fields, &mut fragment);
        let end_stream = true;
        self.send(&Frame::Headers {
            stream_id,
            fragment,
            priority: None,
            end_stream,
            end_headers: true,
            padding: None,
        });
    }

    /// Frames until one satisfies `last`, the connection closes, or `wait` is over.
    fn frames(&mut self, wait: Duration, last: impl Fn(&Frame) -> bool) -> (Vec<Frame>, bool) {
        let end = Instant::now() + wait;
        let mut frames = Vec::new();
        let mut buffer = [0; 16 * 1024];
        loop {
            for frame in self.decoder.by_ref() {
                let frame = frame.unwrap();
                let stop = last(&frame);
                frames.push(frame);
                if stop {
                    return (frames, true);
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return (frames, false);
            }
            self.tls.sock.set_read_timeout(Some(left)).unwrap();
            match self.tls.read(&mut buffer) {
                Ok(0) => return (frames, true),
                Ok(count) => self.decoder.push(&buffer[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return (frames, true),
            }
        }
    }

    pub(crate) fn frames_for(&mut self, wait: Duration) -> Vec<Frame> {
        self.frames(wait, |_| false).0
    }

    pub(crate) fn frames_until_close(&mut self) -> Vec<Frame> {
        let (frames, closed) = self.frames(PATIENCE, |_| false);
        assert!(closed, "still open: {frames:?}");
        frames
    }

    pub(crate) fn frames_until_end_of(&mut self, stream: u32) -> Vec<Frame> {
        let (frames, ended) = self.frames(PATIENCE, |frame| match frame {
            Frame::Data { stream_id, end_stream: true, .. } | Frame::Headers { stream_id, end_stream: true, .. } => {
                *stream_id == stream
            }
            Frame::RstStream { stream_id, .. } => *stream_id == stream,
            _ => false,
        });
        assert!(ended, "stream {stream} does not end: {frames:?}");
        frames
    }

    pub(crate) fn data_within(&mut self, stream: u32, wait: Duration) -> usize {
        data_of(&self.frames_for(wait), stream)
    }

    pub(crate) fn status(&mut self, frames: &[Frame], stream: u32) -> String {
        let block = frames.iter().find_map(|frame| match frame {
            Frame::Headers { stream_id, fragment, .. } if *stream_id == stream => Some(fragment),
            _ => None,
        });
        let fields = self.hpack.decode(block.expect("an answer")).unwrap();
        String::from_utf8(fields[0].value.clone()).unwrap()
    }
}

pub(crate) fn data_of(frames: &[Frame], stream: u32) -> usize {
    let lengths = frames.iter().map(|frame| match frame {
        Frame::Data { stream_id, data, .. } if *stream_id == stream => data.len(),
        _ => 0,
    });
    lengths.sum()
}
