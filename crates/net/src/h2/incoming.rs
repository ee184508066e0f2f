//! What the server's frames do to a connection: as Go's client takes them, not more strictly
//! (net/http/internal/http2/transport.go, `clientConnReadLoop`).

use std::time::Duration;

use goferry_wire::h2::{ErrorCode, ErrorScope, Frame, FrameError, InvalidSetting, SettingId, Settings};
use tokio::time::Instant;

use super::{GoAwaySeen, H2, ResetSeen};
use crate::error::{ErrorKind, NetError, Party, Phase};
use crate::exchange::Outcome;

/// Fragments of a header block that are accepted: a block without end is hostile.
const MAX_HEADER_BLOCK: usize = 1 << 20;
/// Settings that are kept.
const MAX_SETTINGS: usize = 256;
/// The start of `HTTP/1.1 400 ...`, read as the length of a frame (`HTT`).
const HTTP1_AS_LENGTH: u32 = 0x48_5454;

impl H2 {
    pub(super) fn handle(&mut self, frame: Frame) {
        let now = self.epoch.elapsed();
        if self.seen.first_frame.is_none() {
            let kind = frame.header().kind;
            self.seen.first_frame = Some((kind.to_string(), now));
            // An acknowledgement will do, as it does for Go.
            if !matches!(frame, Frame::Settings { .. }) {
                let text = format!("the first frame is {kind}, not SETTINGS (RFC 9113, section 3.4)");
                self.seen.bad_preface = true;
                return self.broken(ErrorCode::ProtocolError, text);
            }
        }
        if let (Some((stream_id, ..)), false) = (&self.block, matches!(frame, Frame::Continuation { .. })) {
            let text = format!("a frame inside the header block of stream {stream_id} (RFC 9113, section 6.10)");
            return self.broken(ErrorCode::ProtocolError, text);
        }
        match frame {
            Frame::Settings { ack: true, .. } if self.seen.settings_acked => {
                self.broken(
                    ErrorCode::ProtocolError,
                    "a second acknowledgement of the one SETTINGS frame that was sent".into(),
                );
            }
            Frame::Settings { ack: true, .. } => self.seen.settings_acked = true,
            Frame::Settings { ack: false, settings } => self.settings(settings, now),
            Frame::Ping { ack: false, data } => self.queue(&Frame::Ping { ack: true, data }),
            Frame::Ping { ack: true, data } => {
                if let Some((number, sent)) = self.ping
                    && data == number.to_be_bytes()
                {
                    self.seen.pings.push(sent.elapsed());
                    self.last_ping_answer = Some(Instant::now());
                    self.ping = None;
                }
            }
            Frame::GoAway { last_stream_id, code, debug_data } => self.goaway(last_stream_id, code, &debug_data, now),
            Frame::RstStream { stream_id, code } => self.reset(stream_id, code, now),
            Frame::WindowUpdate { .. } => self.seen.window_updates = self.seen.window_updates.saturating_add(1),
            Frame::Headers { stream_id, fragment, end_stream, end_headers, .. } => {
                if end_headers {
                    self.headers(stream_id, &fragment, end_stream, now);
                } else {
                    self.block = Some((stream_id, fragment, end_stream));
                }
            }
            Frame::Continuation { stream_id, fragment, end_headers } => {
                self.continuation(stream_id, &fragment, end_headers, now);
            }
            Frame::Data { stream_id, data, end_stream, padding } => {
                let counted = data.len() + padding.map_or(0, |octets| 1 + usize::from(octets));
                self.data(stream_id, &data, counted, end_stream, now);
            }
            Frame::PushPromise { .. } => {
                self.broken(
                    ErrorCode::ProtocolError,
                    "PUSH_PROMISE, though ENABLE_PUSH is 0 (RFC 9113, section 6.6)".into(),
                );
            }
            Frame::Priority { .. } | Frame::Unknown { .. } => {}
        }
    }

    /// A frame that cannot be read.
    pub(super) fn malformed(&mut self, error: &FrameError) {
        if error.scope == ErrorScope::Stream {
            return self.stream_broken(error.header.stream_id, error.code, error.to_string());
        }
        let mut text = error.to_string();
        if self.seen.first_frame.is_none() {
            self.seen.bad_preface = true;
            if error.header.length == HTTP1_AS_LENGTH {
                "the server answers in HTTP/1.x where it chose HTTP/2".clone_into(&mut text);
            }
        }
        self.broken(error.code, text);
    }

    fn settings(&mut self, mut settings: Settings, now: Duration) {
        let refused = refused(&settings);
        if settings.len() > MAX_SETTINGS {
            settings = settings.iter().take(MAX_SETTINGS).collect();
        }
        if let Err(invalid) = refused {
            self.seen.bad_preface |= !self.settings_seen;
            self.seen.settings.get_or_insert((settings, now));
            return self.broken(invalid.code, invalid.to_string());
        }
        if let Some(size) = settings.header_table_size() {
            self.encoder.set_table_size(size.min(4096));
        }
        if !self.settings_seen {
            self.settings_seen = true;
            self.seen.settings = Some((settings, now));
        } else if let Some((kept, _)) = &mut self.seen.settings {
            let room = MAX_SETTINGS.saturating_sub(kept.len());
            settings.iter().take(room).for_each(|(id, value)| kept.push(id, value));
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
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.is_open(stream_id)) else {
            return;
        };
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
            return self
                .broken(ErrorCode::ProtocolError, "CONTINUATION without HEADERS (RFC 9113, section 6.10)".into());
        };
        if block_stream != stream_id {
            let text = format!("CONTINUATION of stream {stream_id} inside the header block of stream {block_stream}");
            return self.broken(ErrorCode::ProtocolError, text);
        }
        if block.len() + fragment.len() > MAX_HEADER_BLOCK {
            let text = format!("the header block of stream {block_stream} has more than {MAX_HEADER_BLOCK} octets");
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
            Err(error) if error.problem.is_limit() => {
                return self.broken(ErrorCode::EnhanceYourCalm, error.to_string());
            }
            Err(error) => {
                self.seen.hpack_broken = true;
                return self.broken(ErrorCode::CompressionError, error.to_string());
            }
        };
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.is_open(stream_id)) else {
            return;
        };
        match stream.headers(&fields, end_stream, now) {
            Ok(false) => {}
            Ok(true) => self.queue(&Frame::RstStream { stream_id, code: ErrorCode::Cancel }),
            Err((ErrorScope::Connection, text)) => self.broken(ErrorCode::ProtocolError, text.to_owned()),
            Err((ErrorScope::Stream, text)) => self.stream_broken(stream_id, ErrorCode::ProtocolError, text.to_owned()),
        }
    }

    fn data(&mut self, stream_id: u32, data: &[u8], counted: usize, end_stream: bool, now: Duration) {
        if stream_id >= self.next_stream {
            let text = format!("DATA on stream {stream_id}, which was never opened (RFC 9113, section 5.1)");
            return self.broken(ErrorCode::ProtocolError, text);
        }
        if let Some(increment) = self.inflow.consume(counted) {
            self.queue(&Frame::WindowUpdate { stream_id: 0, increment });
        }
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.is_open(stream_id)) else {
            return;
        };
        if stream.exchange.status.is_none() {
            let text = "DATA before HEADERS (RFC 9113, section 8.1)".to_owned();
            return self.stream_broken(stream_id, ErrorCode::ProtocolError, text);
        }
        let (stop, update) = stream.data(data, counted, end_stream, now);
        if stop {
            self.queue(&Frame::RstStream { stream_id, code: ErrorCode::Cancel });
        } else if let (Some(increment), false) = (update, end_stream) {
            self.queue(&Frame::WindowUpdate { stream_id, increment });
        }
    }

    /// The peer broke the protocol on one stream: RST_STREAM with the code; the others go on.
    fn stream_broken(&mut self, stream_id: u32, code: ErrorCode, text: String) {
        let now = self.epoch.elapsed();
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.is_open(stream_id)) else {
            return;
        };
        stream.end(Outcome::Lost(protocol(text.clone())), now);
        self.seen.protocol_error.get_or_insert(text);
        self.seen.protocol_error_code.get_or_insert(code.to_string());
        self.queue(&Frame::RstStream { stream_id, code });
    }

    /// The peer broke the protocol: GOAWAY with the code, and the connection is over.
    fn broken(&mut self, code: ErrorCode, text: String) {
        self.queue(&Frame::GoAway { last_stream_id: 0, code, debug_data: Vec::new() });
        self.seen.protocol_error = Some(text.clone());
        self.seen.protocol_error_code = Some(code.to_string());
        self.lost(protocol(text));
    }

    pub(super) fn lost_by(&mut self, error: &std::io::Error, what: &str) {
        self.lost(NetError::io(Phase::Http2, Party::Upstream, what, error));
    }

    pub(super) fn lost(&mut self, error: NetError) {
        let now = self.epoch.elapsed();
        for stream in &mut self.streams {
            let outcome = match self.seen.goaways.last() {
                Some(goaway) => Outcome::GoneAway { code: goaway.code.clone(), last_stream_id: goaway.last_stream_id },
                None => Outcome::Lost(error.clone()),
            };
            stream.end(outcome, now);
        }
        self.seen.ended.get_or_insert((error.clone(), now));
        self.dead.get_or_insert(error);
    }
}

fn protocol(text: String) -> NetError {
    NetError::new(Phase::Http2, ErrorKind::Protocol, Party::Upstream, text)
}

/// What Go's client refuses (net/http/internal/http2/http2.go, `Setting.Valid`): less than RFC 9113
/// does. It takes ENABLE_PUSH=1 from a server, and does not know NO_RFC7540_PRIORITIES.
fn refused(settings: &Settings) -> Result<(), InvalidSetting> {
    settings.iter().filter(|(id, _)| *id != SettingId::NoRfc7540Priorities).collect::<Settings>().validate()
}
