//! The state of one HTTP/2 connection: frames in, frames out, and the faults between.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use goferry_wire::h2::{ErrorCode, Frame, FrameDecoder, Settings};
use goferry_wire::hpack::{Decoder, DecoderLimits};
use tokio::time::Instant;

use super::super::behaviour::{CutHow, Goaway, Http2, LastStream, SettingsTiming};
use super::super::io::Line;
use super::super::plan::{Asked, Planner};
use super::streams::{Stream, Streams, Throttle};

/// Output made ahead of the socket, in bytes: little, so that streams share the connection fairly.
pub(super) const OUTPUT_TARGET: usize = 48 * 1024;
/// Bytes of body in a frame.
const MAX_DATA: u64 = 16 * 1024;
/// Bytes of an unfinished header block that are kept.
const MAX_HEADER_BLOCK: usize = 256 * 1024;
/// Control frames that wait for the client to read, in bytes.
const MAX_CONTROL: usize = 1024 * 1024;
/// Streams kept at most, answered or not.
const MAX_STREAMS: usize = 10_000;

/// How a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Nothing more can be said.
    Closed,
    /// All was said: close in an orderly way.
    Drained,
    /// Cut.
    Cut(CutHow),
}

/// One connection.
#[derive(Debug)]
pub(super) struct Session {
    planner: Arc<Planner>,
    pub(super) line: Arc<Line>,
    options: Http2,
    connection: u64,
    decoder: FrameDecoder,
    hpack: Decoder,
    block: Option<(u32, Vec<u8>)>,
    pub(super) streams: Streams,
    control: Vec<u8>,
    pub(super) window: i64,
    initial_window: i64,
    pub(super) max_frame: u64,
    requests: u64,
    last_stream: u32,
    settings_at: Option<Instant>,
    accept_until: Option<u32>,
    idle_since: Instant,
    pub(super) stop: Option<Stop>,
    pub(super) endless_headers: Option<u32>,
}

impl Session {
    pub(super) fn new(planner: Arc<Planner>, line: Arc<Line>, connection: u64, now: Instant) -> Self {
        let options = planner.behaviour.http2.clone();
        let settings_at = match options.settings_timing {
            SettingsTiming::After(wait) => Some(now + wait),
            SettingsTiming::AtOnce | SettingsTiming::AfterPing => Some(now),
            SettingsTiming::Never => None,
        };
        Self {
            planner,
            line,
            options,
            connection,
            decoder: FrameDecoder::new(),
            hpack: Decoder::new(DecoderLimits::default()),
            block: None,
            streams: Streams::default(),
            control: Vec::new(),
            window: 65_535,
            initial_window: 65_535,
            max_frame: MAX_DATA,
            requests: 0,
            last_stream: 0,
            settings_at,
            accept_until: None,
            idle_since: now,
            stop: None,
            endless_headers: None,
        }
    }

    /// How to end, once all output is written.
    pub(super) fn stop(&self) -> Option<Stop> {
        self.stop.or_else(|| (self.accept_until.is_some() && self.streams.is_empty()).then_some(Stop::Drained))
    }

    /// When [`produce`](Self::produce) may have something without having received anything.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let idle = self
            .options
            .idle_close
            .filter(|_| self.streams.is_empty() && self.accept_until.is_none())
            .map(|limit| self.idle_since + limit);
        [self.settings_at, self.streams.wake_at(Instant::now()), idle].into_iter().flatten().min()
    }

    /// Appends what can be sent at `now`.
    pub(super) fn produce(&mut self, now: Instant, out: &mut Vec<u8>) {
        if let Some(at) = self.settings_at {
            if now < at {
                return;
            }
            self.settings_at = None;
            if self.options.settings_timing == SettingsTiming::AfterPing {
                self.send(out, &Frame::Ping { ack: false, data: *b"too soon" });
            }
            let settings = self.options.settings.clone();
            self.send(out, &Frame::Settings { ack: false, settings });
        }
        if let Some(id) = self.endless_headers {
            self.more_headers(id, out);
            return;
        }
        out.append(&mut self.control);
        self.close_idle(now, out);
        let limit = self.options.concurrency.map_or(usize::MAX, |concurrency| concurrency.max.max(1));
        while out.len() < OUTPUT_TARGET && self.stop.is_none() && self.endless_headers.is_none() {
            let Some(id) = self.streams.next(now, self.window, limit) else {
                break;
            };
            self.serve(id, now, out);
            if self.streams.is_empty() {
                self.idle_since = now;
            }
        }
    }

    /// Takes in what the client sent.
    ///
    /// # Errors
    /// Where the client broke the protocol; the connection is then of no use.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.decoder.push(bytes);
        while let Some(frame) = self.decoder.next() {
            let frame = frame.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            self.planner.counters.frame_received(frame.header().kind);
            self.frame(frame)?;
        }
        if self.control.len() > MAX_CONTROL {
            return Err(invalid("the client causes answers and does not read them"));
        }
        Ok(())
    }

    fn frame(&mut self, frame: Frame) -> io::Result<()> {
        match frame {
            Frame::Settings { ack: false, settings } => self.client_settings(&settings),
            Frame::Ping { ack: false, data } => self.queue(&Frame::Ping { ack: true, data }),
            Frame::WindowUpdate { stream_id: 0, increment } => self.window += i64::from(increment),
            Frame::WindowUpdate { stream_id, increment } => {
                if let Some(stream) = self.streams.get_mut(stream_id) {
                    stream.window += i64::from(increment);
                }
            }
            Frame::RstStream { stream_id, .. } => {
                self.streams.remove(stream_id);
                self.idle_since = Instant::now();
            }
            Frame::Headers { stream_id, fragment, end_headers, .. } => {
                self.block = Some((stream_id, fragment));
                if end_headers {
                    self.request()?;
                }
            }
            Frame::Continuation { fragment, end_headers, .. } => {
                let Some((_, block)) = &mut self.block else {
                    return Err(invalid("CONTINUATION without HEADERS"));
                };
                if block.len() + fragment.len() > MAX_HEADER_BLOCK {
                    return Err(invalid("a header block of more than 256 KiB"));
                }
                block.extend_from_slice(&fragment);
                if end_headers {
                    self.request()?;
                }
            }
            Frame::Data { .. } => {
                let increment = frame.flow_controlled_len();
                if increment > 0 {
                    self.queue(&Frame::WindowUpdate { stream_id: 0, increment });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn client_settings(&mut self, settings: &Settings) {
        if let Some(window) = settings.initial_window_size() {
            let delta = i64::from(window) - self.initial_window;
            self.initial_window += delta;
            self.streams.add_to_windows(delta);
        }
        if let Some(size) = settings.max_frame_size() {
            self.max_frame = u64::from(size).min(MAX_DATA);
        }
        self.queue(&Frame::Settings { ack: true, settings: Settings::new() });
    }

    fn request(&mut self) -> io::Result<()> {
        let Some((id, block)) = self.block.take() else {
            return Ok(());
        };
        let fields = self.hpack.decode(&block).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if id <= self.last_stream || self.accept_until.is_some_and(|last| id > last) {
            return Ok(());
        }
        self.last_stream = id;
        let field = |name: &[u8]| {
            fields
                .iter()
                .find(|field| field.name == name)
                .map(|field| String::from_utf8_lossy(&field.value).into_owned())
        };
        let asked = Asked {
            method: field(b":method").unwrap_or_default(),
            path: field(b":path").unwrap_or_default(),
            range: field(b"range"),
            if_range: field(b"if-range"),
        };
        if self.requests == 0 {
            self.planner.counters.used_connections.fetch_add(1, Ordering::Relaxed);
        }
        self.requests += 1;
        let goaway = self.options.goaway.filter(|goaway| goaway.after_requests == self.requests);
        let (plan, _count) = self.planner.plan(&asked, self.connection, id);
        let refused = self.options.concurrency.is_some_and(|limit| limit.refuse && self.streams.len() >= limit.max);
        if refused || self.streams.len() >= MAX_STREAMS {
            self.queue(&Frame::RstStream { stream_id: id, code: ErrorCode::RefusedStream });
        } else if goaway.is_none_or(|goaway| goaway.last_stream != LastStream::Zero) {
            let stream = Stream {
                ready_at: Instant::now() + plan.think,
                plan,
                headers_sent: false,
                head_only: asked.method == "HEAD",
                sent: 0,
                window: self.initial_window,
                throttle: self.options.stream_window.map(Throttle::new),
                stalled: false,
                _active: self.planner.counters.begin(),
            };
            self.streams.insert(id, stream);
        }
        if let Some(goaway) = goaway {
            self.goaway(goaway);
        }
        Ok(())
    }

    fn goaway(&mut self, goaway: Goaway) {
        let last_stream_id = match goaway.last_stream {
            LastStream::Honest => self.last_stream,
            LastStream::Lying => 1,
            LastStream::Zero => 0,
        };
        self.queue(&Frame::GoAway { last_stream_id, code: goaway.code, debug_data: Vec::new() });
        self.accept_until = Some(self.last_stream);
        if goaway.close_at_once {
            self.stop = Some(Stop::Cut(CutHow::Fin));
        }
    }

    fn close_idle(&mut self, now: Instant, out: &mut Vec<u8>) {
        let Some(limit) = self.options.idle_close else {
            return;
        };
        if self.streams.is_empty() && self.accept_until.is_none() && now >= self.idle_since + limit {
            let last = self.last_stream;
            self.send(out, &Frame::GoAway { last_stream_id: last, code: ErrorCode::NoError, debug_data: Vec::new() });
            self.accept_until = Some(last);
        }
    }

    fn queue(&mut self, frame: &Frame) {
        let mut control = std::mem::take(&mut self.control);
        self.send(&mut control, frame);
        self.control = control;
    }

    pub(super) fn send(&self, out: &mut Vec<u8>, frame: &Frame) {
        self.planner.counters.frame_sent(frame.header().kind);
        frame.encode(out);
    }
}

fn invalid(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem.to_owned())
}
