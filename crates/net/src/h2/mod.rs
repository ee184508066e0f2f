//! HTTP/2 in frames of its own, as Go's client would speak it, with everything seen written down.
//!
//! One task drives one connection: nothing happens between calls. The settings, windows and the
//! order of first frames are Go's (net/http/internal/http2/transport.go, `newClientConn`).

mod incoming;
mod seen;
mod streams;

use std::time::Duration;

use goferry_wire::h2::{ErrorCode, Frame, FrameDecoder, PREFACE, SettingId, Settings};
use goferry_wire::hpack::{Decoder, DecoderLimits, Encoder, HeaderField};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

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
/// How long a peer may take no octet. Requests are small: after this it is as good as dead.
const WRITE_BOUND: Duration = Duration::from_secs(5);
/// How long the last words to a peer, and the end of the connection, may take.
const PARTING_BOUND: Duration = Duration::from_millis(200);

/// Bounds of one [`H2::fetch`].
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// When to stop, whatever is open.
    pub total: Duration,
    /// When to stop what still makes progress: such exchanges end as [`Outcome::Stopped`]. What makes
    /// none is watched on, until `stall` or `total` says what it is.
    pub enough: Option<Duration>,
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
    last_ping_answer: Option<Instant>,
    /// When the call that is under way has to be over: no write may take longer.
    until: Instant,
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
            last_ping_answer: None,
            until: now + WRITE_BOUND,
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
        self.until = Instant::now() + bound;
        while !self.settings_seen && self.dead.is_none() {
            if !self.read_until(self.until).await || Instant::now() >= self.until {
                return;
            }
        }
    }

    /// Sends `requests`, as many at once as `bounds` and the server allow, and reads until all are
    /// done or a bound is met. One exchange for each request, in their order.
    pub async fn fetch(&mut self, requests: &[Request], bounds: Bounds) -> Vec<Exchange> {
        let started = Instant::now();
        let until = started + bounds.total;
        let enough = |now: Instant| bounds.enough.is_some_and(|enough| now > started + enough);
        self.until = until;
        self.last_read = started;
        // The answer to an earlier call's PING would say nothing about these requests.
        self.ping = None;
        let mut done: Vec<Option<Exchange>> = requests.iter().map(|_| None).collect();
        let mut next = 0;
        loop {
            // What has ended makes room.
            self.collect(&mut done);
            while next < requests.len()
                && self.is_usable()
                && !enough(Instant::now())
                && self.streams.len() < self.room(bounds.concurrency)
            {
                self.send(&requests[next], next);
                next += 1;
            }
            self.flush().await;
            self.collect(&mut done);
            if self.streams.is_empty() && (next == requests.len() || !self.is_usable() || enough(Instant::now())) {
                break;
            }
            // Octets that came after the PING count: its answer may wait behind them.
            let quiet_since = self.ping.map_or(self.last_read, |(_, sent)| self.last_read.max(sent));
            let quiet_until = quiet_since + bounds.stall;
            let data_before = self.last_data();
            let read = self.read_until(until.min(quiet_until)).await;
            let now = Instant::now();
            if read && enough(now) && self.last_data() > data_before {
                self.stop_all(&Outcome::Stopped, &mut done);
            }
            if self.dead.is_some() || (read && now < until) {
                continue;
            }
            let unanswered = self.ping.is_some();
            let answered = self.last_ping_answer.is_some_and(|at| at > self.last_data());
            if now >= until || unanswered || answered {
                let waited = self.ping.is_some_and(|(_, sent)| now >= sent + bounds.stall);
                let ping_answered = if answered { Some(true) } else { waited.then_some(false) };
                self.stop_all(&Outcome::Stalled { ping_answered }, &mut done);
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
        self.until = until;
        self.send_ping();
        let before = self.seen.pings.len();
        self.flush().await;
        while self.dead.is_none() && self.seen.pings.len() == before {
            if !self.read_until(until).await || Instant::now() >= until {
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
        self.until = until;
        let goaways = self.seen.goaways.len();
        while self.dead.is_none() && self.seen.goaways.len() == goaways {
            if !self.read_until(until).await || Instant::now() >= until {
                break;
            }
        }
        (self.dead.is_some() || self.seen.goaways.len() > goaways).then(|| started.elapsed())
    }

    /// Says GOAWAY and closes.
    pub async fn close(mut self) -> H2Seen {
        if self.dead.is_none() {
            self.until = Instant::now() + PARTING_BOUND;
            self.queue(&Frame::GoAway { last_stream_id: 0, code: ErrorCode::NoError, debug_data: Vec::new() });
            self.flush().await;
            let _ = tokio::time::timeout(PARTING_BOUND, self.io.shutdown()).await;
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
        // The server's SETTINGS_MAX_FRAME_SIZE is never less than this.
        let mut parts = fragment.chunks(goferry_wire::h2::DEFAULT_MAX_FRAME_SIZE as usize);
        let first = parts.next().unwrap_or_default().to_vec();
        let end_headers = parts.len() == 0;
        self.queue(&Frame::Headers {
            stream_id,
            fragment: first,
            priority: None,
            end_stream: true,
            end_headers,
            padding: None,
        });
        while let Some(part) = parts.next() {
            self.queue(&Frame::Continuation { stream_id, fragment: part.to_vec(), end_headers: parts.len() == 0 });
        }
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

    fn queue(&mut self, frame: &Frame) {
        frame.encode(&mut self.out);
    }

    async fn flush(&mut self) {
        if self.out.is_empty() || self.dead.is_some() {
            return;
        }
        let bytes = std::mem::take(&mut self.out);
        let left = self.until.saturating_duration_since(Instant::now());
        let bound = left.clamp(PARTING_BOUND, WRITE_BOUND);
        match tokio::time::timeout(bound, write_all(&mut self.io, &bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                // What the peer said before it closed is still to be read: most of all a GOAWAY.
                self.read_rest().await;
                self.lost_by(&error, "writing HTTP/2 frames");
            }
            Err(_) => self.lost(NetError::timed_out(Phase::Http2, Party::Upstream, "writing HTTP/2 frames", bound)),
        }
    }

    /// Reads what is left on a connection that takes no more octets.
    async fn read_rest(&mut self) {
        let until = Instant::now() + PARTING_BOUND;
        let mut buffer = [0u8; 32 * 1024];
        while self.dead.is_none() && Instant::now() < until {
            match tokio::time::timeout_at(until, self.io.read(&mut buffer)).await {
                Ok(Ok(0)) => self.closed(),
                Ok(Ok(count)) => self.take(&buffer[..count]),
                // Above all a TLS alert: it says why.
                Ok(Err(error)) => self.lost_by(&error, "reading HTTP/2 frames"),
                Err(_) => return,
            }
        }
    }

    fn closed(&mut self) {
        self.lost(NetError::new(Phase::Http2, ErrorKind::Closed, Party::Upstream, "the server closed the connection"));
    }

    fn take(&mut self, bytes: &[u8]) {
        self.decoder.push(bytes);
        while let Some(frame) = self.decoder.next() {
            match frame {
                Ok(frame) => self.handle(frame),
                Err(error) => self.malformed(&error),
            }
            if self.dead.is_some() {
                break;
            }
        }
    }

    /// Reads once and handles what came. `false` when `until` passed, or the connection is dead.
    /// Where octets are always there it may be `true` past `until`: callers look at the clock.
    async fn read_until(&mut self, until: Instant) -> bool {
        self.flush().await;
        if self.dead.is_some() {
            return false;
        }
        let mut buffer = [0u8; 32 * 1024];
        let read = tokio::time::timeout_at(until, self.io.read(&mut buffer)).await;
        match read {
            Err(_) => return false,
            Ok(Ok(0)) => self.closed(),
            Ok(Err(error)) => self.lost_by(&error, "reading HTTP/2 frames"),
            Ok(Ok(count)) => {
                self.last_read = Instant::now();
                self.take(&buffer[..count]);
                if self.dead.is_some() {
                    self.part().await;
                }
                self.flush().await;
            }
        }
        true
    }

    /// Sends the last words, where there are some, to a peer that broke the protocol.
    async fn part(&mut self) {
        let bytes = std::mem::take(&mut self.out);
        let _ = tokio::time::timeout(PARTING_BOUND, write_all(&mut self.io, &bytes)).await;
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

    fn stop_all(&mut self, outcome: &Outcome, done: &mut [Option<Exchange>]) {
        let now = self.epoch.elapsed();
        for index in 0..self.streams.len() {
            self.streams[index].end(outcome.clone(), now);
            let stream_id = self.streams[index].exchange.stream_id;
            self.queue(&Frame::RstStream { stream_id, code: ErrorCode::Cancel });
        }
        self.ping = None;
        self.collect(done);
    }
}

async fn write_all(io: &mut BoxStream, bytes: &[u8]) -> std::io::Result<()> {
    io.write_all(bytes).await?;
    io.flush().await
}

/// How goferry names itself: RFC 9110, section 10.1.5.
pub const USER_AGENT: &str = concat!("goferry/", env!("CARGO_PKG_VERSION"));
