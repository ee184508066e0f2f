//! HTTP/2 in frames of its own, as Go's client would speak it, with everything seen written down.
//!
//! One task drives one connection: nothing happens between calls. The settings, windows and the
//! order of first frames are Go's (net/http/internal/http2/transport.go, `newClientConn`).

mod seen;
mod streams;

use std::time::{Duration, Instant};

use goferry_wire::h2::{ErrorCode, Frame, FrameDecoder, PREFACE, SettingId, Settings};
use goferry_wire::hpack::{Decoder, DecoderLimits, Encoder, HeaderField};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::error::{ErrorKind, NetError, Party, Phase};
use crate::exchange::{Exchange, Outcome, Request};
use crate::io::BoxStream;

pub use seen::{GoAwaySeen, H2Seen, ResetSeen};
use streams::{Inflow, Stream};

/// SETTINGS_INITIAL_WINDOW_SIZE of Go's client, in octets.
pub const GO_STREAM_WINDOW: u32 = 4 << 20;
/// What Go's client adds to the connection's window at once, in octets.
pub const GO_CONNECTION_WINDOW: u32 = 1 << 30;
/// SETTINGS_MAX_FRAME_SIZE of Go's client, in octets.
const GO_MAX_FRAME: u32 = 1 << 20;
/// What Go's client takes for MAX_CONCURRENT_STREAMS until the server's SETTINGS are there.
pub const GO_INITIAL_CONCURRENT: u32 = 100;
/// What Go's client takes for it where the server's SETTINGS do not say.
pub const GO_DEFAULT_CONCURRENT: u32 = 1000;
/// Fragments of a header block that are accepted: a block without end is hostile.
const MAX_HEADER_BLOCK: usize = 1 << 20;

/// Bounds of one [`H2::fetch`].
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// When to stop, whatever is open.
    pub total: Duration,
    /// After this long without a byte a PING is sent, and waited for as long again.
    pub stall: Duration,
    /// The most streams to have open at once, besides what the server allows.
    pub concurrency: u32,
}

/// A client connection.
pub struct H2 {
    io: BoxStream,
    authority: String,
    epoch: Instant,
    decoder: FrameDecoder,
    hpack: Decoder,
    encoder: Encoder,
    out: Vec<u8>,
    next_stream: u32,
    streams: Vec<Stream>,
    block: Option<(u32, Vec<u8>, bool)>,
    inflow: Inflow,
    ping: Option<(u64, Instant)>,
    pings: u64,
    dead: Option<NetError>,
    settings_seen: bool,
    last_read: Instant,
    /// Everything seen so far.
    pub seen: H2Seen,
}

impl H2 {
    /// Sends the connection preface, as Go does, and returns without waiting for the server's.
    ///
    /// # Errors
    /// Where the connection takes no bytes.
    pub async fn start(io: BoxStream, authority: &str) -> Result<H2, NetError> {
        let now = Instant::now();
        let mut h2 = H2 {
            io,
            authority: authority.to_owned(),
            epoch: now,
            decoder: FrameDecoder::with_max_frame_size(GO_MAX_FRAME),
            hpack: Decoder::new(DecoderLimits::default()),
            encoder: Encoder::new(),
            out: Vec::new(),
            next_stream: 1,
            streams: Vec::new(),
            block: None,
            inflow: Inflow::new(GO_CONNECTION_WINDOW + goferry_wire::h2::DEFAULT_WINDOW),
            ping: None,
            pings: 0,
            dead: None,
            settings_seen: false,
            last_read: now,
            seen: H2Seen::default(),
        };
        h2.out.extend_from_slice(PREFACE);
        let settings = Settings::new()
            .with(SettingId::EnablePush, 0)
            .with(SettingId::InitialWindowSize, GO_STREAM_WINDOW)
            .with(SettingId::MaxFrameSize, GO_MAX_FRAME)
            .with(SettingId::MaxHeaderListSize, 10 << 20);
        h2.queue(&Frame::Settings { ack: false, settings });
        h2.queue(&Frame::WindowUpdate { stream_id: 0, increment: GO_CONNECTION_WINDOW });
        h2.flush().await;
        match h2.dead.take() {
            Some(error) => Err(error),
            None => Ok(h2),
        }
    }

    /// Whether the connection takes new requests.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.dead.is_none() && self.seen.goaways.is_empty()
    }

    /// Why the connection ended, if it did.
    #[must_use]
    pub fn death(&self) -> Option<&NetError> {
        self.dead.as_ref()
    }

    /// Waits for the server's first SETTINGS.
    pub async fn wait_settings(&mut self, bound: Duration) {
        let until = Instant::now() + bound;
        while !self.settings_seen && self.dead.is_none() {
            if !self.read_until(until).await {
                return;
            }
        }
    }

    /// Sends `requests`, as many at once as `bounds` and the server allow, and reads until all are
    /// done or a bound is met. One exchange for each request, in their order.
    pub async fn fetch(&mut self, requests: &[Request], bounds: Bounds) -> Vec<Exchange> {
        let until = Instant::now() + bounds.total;
        self.last_read = Instant::now();
        let mut done: Vec<Option<Exchange>> = requests.iter().map(|_| None).collect();
        let mut next = 0;
        loop {
            while next < requests.len() && self.is_usable() && self.streams.len() < self.room(bounds.concurrency) {
                self.send(&requests[next], next);
                next += 1;
            }
            self.flush().await;
            self.collect(&mut done);
            if self.streams.is_empty() && (next == requests.len() || !self.is_usable()) {
                break;
            }
            let quiet_until = match self.ping {
                None => self.last_read + bounds.stall,
                Some((_, sent)) => sent + bounds.stall,
            };
            if self.read_until(until.min(quiet_until)).await {
                continue;
            }
            if self.dead.is_some() {
                continue;
            }
            let now = Instant::now();
            if now >= until || self.ping.is_some() {
                let answered = if self.ping.is_some() { Some(false) } else { None };
                self.stop_all(answered, &mut done);
                break;
            }
            if self.ping_answered_since(self.last_data()) {
                self.stop_all(Some(true), &mut done);
                break;
            }
            self.send_ping();
        }
        let now = self.epoch.elapsed();
        let unsent = |request: &Request| Exchange::new(request, 0, now);
        done.into_iter().zip(requests).map(|(exchange, request)| exchange.unwrap_or_else(|| unsent(request))).collect()
    }

    /// Measures one PING round trip.
    pub async fn ping(&mut self, bound: Duration) -> Option<Duration> {
        let until = Instant::now() + bound;
        self.send_ping();
        let before = self.seen.pings.len();
        self.flush().await;
        while self.dead.is_none() && self.seen.pings.len() == before {
            if !self.read_until(until).await {
                self.ping = None;
                return None;
            }
        }
        self.seen.pings.get(before).copied()
    }

    /// Reads for `how_long` without sending anything. Returns after how long the server closed the
    /// connection or sent GOAWAY, if it did.
    pub async fn idle(&mut self, how_long: Duration) -> Option<Duration> {
        let started = Instant::now();
        let until = started + how_long;
        let goaways = self.seen.goaways.len();
        while self.dead.is_none() && self.seen.goaways.len() == goaways {
            if !self.read_until(until).await {
                break;
            }
        }
        (self.dead.is_some() || self.seen.goaways.len() > goaways).then(|| started.elapsed())
    }

    /// Says GOAWAY and closes.
    pub async fn close(mut self) -> H2Seen {
        if self.dead.is_none() {
            self.queue(&Frame::GoAway { last_stream_id: 0, code: ErrorCode::NoError, debug_data: Vec::new() });
            self.flush().await;
            let _ = tokio::time::timeout(Duration::from_millis(200), self.io.shutdown()).await;
        }
        self.seen
    }

    fn room(&self, concurrency: u32) -> usize {
        let allowed = match &self.seen.settings {
            None => GO_INITIAL_CONCURRENT,
            Some((settings, _)) => settings.max_concurrent_streams().unwrap_or(GO_DEFAULT_CONCURRENT),
        };
        // A server that allows none still has to be asked once, to see what it does.
        allowed.min(concurrency).max(1) as usize
    }

    fn send(&mut self, request: &Request, index: usize) {
        let stream_id = self.next_stream;
        self.next_stream += 2;
        let mut fields = vec![
            HeaderField::new(":authority", self.authority.as_str()),
            HeaderField::new(":method", "GET"),
            HeaderField::new(":path", request.path.as_str()),
            HeaderField::new(":scheme", "https"),
        ];
        if let Some(authorization) = &request.authorization {
            let mut field = HeaderField::new("authorization", authorization.as_str());
            field.sensitive = true;
            fields.push(field);
        }
        fields.push(HeaderField::new("accept-encoding", "gzip"));
        fields.push(HeaderField::new("user-agent", USER_AGENT));
        let mut fragment = Vec::with_capacity(128);
        self.encoder.encode(&fields, &mut fragment);
        self.queue(&Frame::Headers { stream_id, fragment, priority: None, end_stream: true, end_headers: true, padding: None });
        self.streams.push(Stream::new(request, index, stream_id, self.epoch.elapsed()));
        self.seen.requests += 1;
        self.seen.most_open = self.seen.most_open.max(self.streams.len());
    }

    fn send_ping(&mut self) {
        self.pings += 1;
        self.ping = Some((self.pings, Instant::now()));
        self.queue(&Frame::Ping { ack: false, data: self.pings.to_be_bytes() });
    }

    fn last_data(&self) -> Instant {
        self.streams.iter().map(|stream| stream.last_progress).max().unwrap_or(self.epoch)
    }

    fn ping_answered_since(&self, since: Instant) -> bool {
        self.seen.last_ping_answer.is_some_and(|at| at > since)
    }

    fn queue(&mut self, frame: &Frame) {
        frame.encode(&mut self.out);
    }

    async fn flush(&mut self) {
        if self.out.is_empty() || self.dead.is_some() {
            return;
        }
        let bytes = std::mem::take(&mut self.out);
        // Requests are small; a peer that does not take them within this time is as good as dead.
        let bound = Duration::from_secs(5);
        let write = async {
            self.io.write_all(&bytes).await?;
            self.io.flush().await
        };
        match tokio::time::timeout(bound, write).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.lost_by(&error, "writing HTTP/2 frames"),
            Err(_) => self.lost(NetError::timed_out(Phase::Http2, Party::Upstream, "writing HTTP/2 frames", bound)),
        }
    }

    /// Reads once and handles what came. `false` when `until` passed, or the connection is dead.
    async fn read_until(&mut self, until: Instant) -> bool {
        self.flush().await;
        if self.dead.is_some() {
            return false;
        }
        let mut buffer = [0u8; 32 * 1024];
        let read = tokio::time::timeout_at(until.into(), self.io.read(&mut buffer)).await;
        match read {
            Err(_) => return false,
            Ok(Ok(0)) => {
                self.lost(NetError::new(Phase::Http2, ErrorKind::Closed, Party::Upstream, "the server closed the connection"));
            }
            Ok(Err(error)) => self.lost_by(&error, "reading HTTP/2 frames"),
            Ok(Ok(count)) => {
                self.last_read = Instant::now();
                self.decoder.push(&buffer[..count]);
                while let Some(frame) = self.decoder.next() {
                    match frame {
                        Ok(frame) => self.handle(frame),
                        Err(error) => self.broken(error.code, error.to_string()),
                    }
                    if self.dead.is_some() {
                        break;
                    }
                }
                self.flush().await;
            }
        }
        true
    }

    fn handle(&mut self, frame: Frame) {
        let now = self.epoch.elapsed();
        if self.seen.first_frame.is_none() {
            self.seen.first_frame = Some((frame.header().kind.to_string(), now));
            if !matches!(frame, Frame::Settings { ack: false, .. }) {
                let text = format!("the first frame is {}, not SETTINGS (RFC 9113, section 3.4)", frame.header().kind);
                self.seen.bad_preface = true;
                return self.broken(ErrorCode::ProtocolError, text);
            }
        }
        if let (Some((stream_id, ..)), false) = (&self.block, matches!(frame, Frame::Continuation { .. })) {
            let text = format!("a frame inside the header block of stream {stream_id} (RFC 9113, section 6.10)");
            return self.broken(ErrorCode::ProtocolError, text);
        }
        match frame {
            Frame::Settings { ack: true, .. } => self.seen.settings_acked = true,
            Frame::Settings { ack: false, settings } => self.settings(settings, now),
            Frame::Ping { ack: false, data } => self.queue(&Frame::Ping { ack: true, data }),
            Frame::Ping { ack: true, data } => {
                if let Some((number, sent)) = self.ping
                    && data == number.to_be_bytes()
                {
                    self.seen.pings.push(sent.elapsed());
                    self.seen.last_ping_answer = Some(Instant::now());
                    self.ping = None;
                }
            }
            Frame::GoAway { last_stream_id, code, debug_data } => self.goaway(last_stream_id, code, &debug_data, now),
            Frame::RstStream { stream_id, code } => self.reset(stream_id, code, now),
            Frame::WindowUpdate { .. } => self.seen.window_updates += 1,
            Frame::Headers { stream_id, fragment, end_stream, end_headers, .. } => {
                if end_headers { self.headers(stream_id, &fragment, end_stream, now) } else { self.block = Some((stream_id, fragment, end_stream)) }
            }
            Frame::Continuation { stream_id, fragment, end_headers } => self.continuation(stream_id, &fragment, end_headers, now),
            Frame::Data { stream_id, data, end_stream, padding } => {
                let counted = data.len() + padding.map_or(0, |octets| 1 + usize::from(octets));
                self.data(stream_id, &data, counted, end_stream, now);
            }
            Frame::PushPromise { .. } => {
                self.broken(ErrorCode::ProtocolError, "PUSH_PROMISE, though ENABLE_PUSH is 0 (RFC 9113, section 6.6)".into());
            }
            Frame::Priority { .. } | Frame::Unknown { .. } => {}
        }
    }

    fn settings(&mut self, settings: Settings, now: Duration) {
        if let Err(invalid) = settings.validate_from_server() {
            self.seen.bad_preface |= !self.settings_seen;
            if self.seen.settings.is_none() {
                self.seen.settings = Some((settings, now));
            }
            return self.broken(invalid.code, invalid.to_string());
        }
        if let Some(size) = settings.header_table_size() {
            self.encoder.set_table_size(size.min(4096));
        }
        if !self.settings_seen {
            self.settings_seen = true;
            self.seen.settings = Some((settings, now));
        } else if let Some((kept, _)) = &mut self.seen.settings
            && kept.len() < 256
        {
            settings.iter().take(16).for_each(|(id, value)| kept.push(id, value));
        }
        self.queue(&Frame::Settings { ack: true, settings: Settings::new() });
    }

    fn goaway(&mut self, last_stream_id: u32, code: ErrorCode, debug: &[u8], now: Duration) {
        if self.seen.goaways.len() >= 8 {
            return self.broken(ErrorCode::EnhanceYourCalm, "more than 8 GOAWAY frames".into());
        }
        self.seen.goaways.push(GoAwaySeen {
            code: code.to_string(),
            last_stream_id,
            debug: String::from_utf8_lossy(&debug[..debug.len().min(200)]).escape_debug().to_string(),
            after_requests: self.seen.requests,
            at: now,
        });
        for stream in &mut self.streams {
            if stream.exchange.stream_id > last_stream_id {
                stream.end(Outcome::GoneAway { code: code.to_string(), last_stream_id }, now);
            }
        }
    }

    fn reset(&mut self, stream_id: u32, code: ErrorCode, now: Duration) {
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.exchange.stream_id == stream_id) else { return };
        let seen = ResetSeen {
            code: code.to_string(),
            inside_body: stream.exchange.body_bytes > 0,
            after_headers: stream.exchange.status.is_some(),
            body_bytes: stream.exchange.body_bytes,
            path: stream.exchange.path.clone(),
        };
        if self.seen.resets.len() < 64 {
            self.seen.resets.push(seen);
        }
        stream.end(Outcome::Reset { code: code.to_string() }, now);
    }

    fn continuation(&mut self, stream_id: u32, fragment: &[u8], end_headers: bool, now: Duration) {
        let Some((block_stream, mut block, end_stream)) = self.block.take() else {
            return self.broken(ErrorCode::ProtocolError, "CONTINUATION without HEADERS (RFC 9113, section 6.10)".into());
        };
        if block_stream != stream_id || block.len() + fragment.len() > MAX_HEADER_BLOCK {
            let text = format!("the header block of stream {block_stream} has no end, or goes on in another stream");
            return self.broken(ErrorCode::EnhanceYourCalm, text);
        }
        block.extend_from_slice(fragment);
        if end_headers {
            self.headers(stream_id, &block, end_stream, now);
        } else {
            self.block = Some((block_stream, block, end_stream));
        }
    }

    fn headers(&mut self, stream_id: u32, block: &[u8], end_stream: bool, now: Duration) {
        // Every block must be decoded, known stream or not: the table is the connection's.
        let fields = match self.hpack.decode(block) {
            Ok(fields) => fields,
            Err(error) => {
                self.seen.hpack_broken = true;
                return self.broken(ErrorCode::CompressionError, error.to_string());
            }
        };
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.exchange.stream_id == stream_id) else { return };
        let stop = stream.headers(&fields, end_stream, now);
        if stop {
            self.queue(&Frame::RstStream { stream_id, code: ErrorCode::Cancel });
        }
    }

    fn data(&mut self, stream_id: u32, data: &[u8], counted: usize, end_stream: bool, now: Duration) {
        if let Some(increment) = self.inflow.consume(counted) {
            self.queue(&Frame::WindowUpdate { stream_id: 0, increment });
        }
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.exchange.stream_id == stream_id) else { return };
        if stream.exchange.status.is_none() {
            return self.broken(ErrorCode::ProtocolError, "DATA before HEADERS (RFC 9113, section 8.1)".into());
        }
        let (stop, update) = stream.data(data, counted, end_stream, now);
        if stop {
            self.queue(&Frame::RstStream { stream_id, code: ErrorCode::Cancel });
        } else if let (Some(increment), false) = (update, end_stream) {
            self.queue(&Frame::WindowUpdate { stream_id, increment });
        }
    }

    /// The peer broke the protocol: GOAWAY with the code, and the connection is over.
    fn broken(&mut self, code: ErrorCode, text: String) {
        self.seen.protocol_error = Some(text.clone());
        self.seen.protocol_error_code = Some(code.to_string());
        self.lost(NetError::new(Phase::Http2, ErrorKind::Protocol, Party::Upstream, text));
    }

    fn lost_by(&mut self, error: &std::io::Error, what: &str) {
        self.lost(NetError::io(Phase::Http2, Party::Upstream, what, error));
    }

    fn lost(&mut self, error: NetError) {
        let now = self.epoch.elapsed();
        for stream in &mut self.streams {
            let outcome = match self.seen.goaways.last() {
                Some(goaway) => Outcome::GoneAway { code: goaway.code.clone(), last_stream_id: goaway.last_stream_id },
                None => Outcome::Lost(error.clone()),
            };
            stream.end(outcome, now);
        }
        self.seen.ended = Some((error.clone(), now));
        self.dead.get_or_insert(error);
    }

    fn collect(&mut self, done: &mut [Option<Exchange>]) {
        let mut index = 0;
        while index < self.streams.len() {
            if self.streams[index].ended {
                let stream = self.streams.swap_remove(index);
                done[stream.index] = Some(stream.exchange);
            } else {
                index += 1;
            }
        }
    }

    fn stop_all(&mut self, ping_answered: Option<bool>, done: &mut [Option<Exchange>]) {
        let now = self.epoch.elapsed();
        for index in 0..self.streams.len() {
            self.streams[index].end(Outcome::Stalled { ping_answered }, now);
            let stream_id = self.streams[index].exchange.stream_id;
            self.queue(&Frame::RstStream { stream_id, code: ErrorCode::Cancel });
        }
        self.ping = None;
        self.collect(done);
    }
}

/// How goferry names itself: RFC 9110, section 10.1.5.
pub const USER_AGENT: &str = concat!("goferry/", env!("CARGO_PKG_VERSION"));
