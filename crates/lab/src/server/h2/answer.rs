//! Answers, frame by frame, and what goes wrong inside them.

use goferry_wire::h2::Frame;
use goferry_wire::hpack::{Encoder, HeaderField};
use tokio::time::Instant;

use super::super::plan::{Accident, End};
use super::session::{OUTPUT_TARGET, Session, Stop};

/// A header block of one index far outside of any table (RFC 7541 section 2.3.3: a decoding error).
const CORRUPT_BLOCK: [u8; 4] = [0xff, 0xff, 0xff, 0x7f];

impl Session {
    /// Writes the next frame of a stream that can be served.
    pub(super) fn serve(&mut self, id: u32, now: Instant, out: &mut Vec<u8>) {
        let (window, max_frame) = (self.window, self.max_frame);
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        if !stream.headers_sent {
            self.serve_headers(id, out);
            return;
        }
        let throttled = stream.throttle.as_mut().map_or(u64::MAX, |throttle| throttle.available(now));
        let allowed = u64::try_from(stream.window.min(window)).unwrap_or(0).min(max_frame).min(throttled);
        let data = stream.plan.chunk(stream.sent, usize::try_from(allowed).unwrap_or(0)).to_vec();
        let length = data.len() as u64;
        stream.sent += length;
        stream.window -= length.cast_signed();
        if let Some(throttle) = &mut stream.throttle {
            throttle.sent(now, length, self.line.round_trip());
        }
        self.window -= length.cast_signed();
        let done = stream.left() == Some(0);
        let end_stream = done && matches!(stream.plan.end, End::Complete | End::After(_, Accident::Truncate));
        if length > 0 || end_stream {
            self.send(out, &Frame::Data { stream_id: id, data, end_stream, padding: None });
        }
        if done {
            self.finish(id, out);
        }
    }

    fn serve_headers(&mut self, id: u32, out: &mut Vec<u8>) {
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        let end = stream.plan.end;
        if let End::ResetAtOnce(code) = end {
            self.streams.remove(id);
            self.send(out, &Frame::RstStream { stream_id: id, code });
            return;
        }
        stream.headers_sent = true;
        let mut fields = vec![HeaderField::new(":status", stream.plan.status.to_string())];
        fields.extend(stream.plan.headers.iter().map(|(name, value)| HeaderField::new(*name, value.as_str())));
        let mut fragment = Vec::new();
        if end == End::CorruptHeaders {
            fragment.extend_from_slice(&CORRUPT_BLOCK);
        } else {
            Encoder::new().encode(&fields, &mut fragment);
        }
        let end_headers = end != End::EndlessHeaders;
        let end_stream = end_headers && stream.left() == Some(0) && (end == End::Complete || stream.head_only);
        self.send(
            out,
            &Frame::Headers { stream_id: id, fragment, priority: None, end_stream, end_headers, padding: None },
        );
        if !end_headers {
            self.endless_headers = Some(id);
        }
        if end_stream || end == End::CorruptHeaders {
            self.streams.remove(id);
        }
    }

    /// Fills `out` with more of a header block that never ends; nothing else is sent from then on.
    pub(super) fn more_headers(&self, id: u32, out: &mut Vec<u8>) {
        let fields: Vec<_> = (0..100).map(|n| HeaderField::new(format!("x-endless-{n}"), "x".repeat(100))).collect();
        while out.len() < OUTPUT_TARGET {
            let mut fragment = Vec::new();
            Encoder::new().encode(&fields, &mut fragment);
            self.send(out, &Frame::Continuation { stream_id: id, fragment, end_headers: false });
        }
    }

    /// All bytes of a stream that will ever be sent have been sent: what now?
    fn finish(&mut self, id: u32, out: &mut Vec<u8>) {
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        match stream.plan.end {
            End::After(_, Accident::Stall) => {
                stream.stalled = true;
                return;
            }
            End::After(_, Accident::Reset(code)) => self.send(out, &Frame::RstStream { stream_id: id, code }),
            End::After(_, Accident::Cut(how)) => self.stop = Some(Stop::Cut(how)),
            _ => {}
        }
        self.streams.remove(id);
    }
}
