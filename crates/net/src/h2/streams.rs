//! One open stream, and flow control of what comes in.

use std::time::Duration;

use goferry_wire::h2::ErrorScope;
use goferry_wire::hpack::HeaderField;
use tokio::time::Instant;

use super::GO_STREAM_WINDOW;
use crate::error::{ErrorKind, NetError, Party, Phase};
use crate::exchange::{Exchange, Outcome, Request};

/// The receiving side of a window, given back as Go gives it back: at 4 KiB unsent, or when that
/// doubles what is available (net/http/internal/http2/flow.go, `inflow.add`).
#[derive(Debug)]
pub(super) struct Inflow {
    available: u32,
    unsent: u32,
}

impl Inflow {
    pub(super) fn new(available: u32) -> Inflow {
        Inflow { available, unsent: 0 }
    }

    pub(super) fn consume(&mut self, octets: usize) -> Option<u32> {
        let octets = u32::try_from(octets).unwrap_or(u32::MAX);
        self.available = self.available.saturating_sub(octets);
        self.unsent = self.unsent.saturating_add(octets);
        if self.unsent == 0 || (self.unsent < 4096 && self.unsent < self.available) {
            return None;
        }
        self.available = self.available.saturating_add(self.unsent);
        Some(std::mem::take(&mut self.unsent))
    }
}

/// What is wrong with a header list, and what it ends with Go's client.
pub(super) type BadHeaders = (ErrorScope, &'static str);

/// An open stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) index: usize,
    pub(super) exchange: Exchange,
    pub(super) ended: bool,
    pub(super) last_progress: Instant,
    keep: usize,
    stop_after: Option<u64>,
    inflow: Inflow,
}

impl Stream {
    pub(super) fn new(request: &Request, index: usize, stream_id: u32, sent: Duration) -> Stream {
        Stream {
            index,
            exchange: Exchange::new(request, stream_id, sent),
            ended: false,
            last_progress: Instant::now(),
            keep: request.keep,
            stop_after: request.stop_after,
            inflow: Inflow::new(GO_STREAM_WINDOW),
        }
    }

    pub(super) fn end(&mut self, outcome: Outcome, now: Duration) {
        if !self.ended {
            self.ended = true;
            self.exchange.took = now.saturating_sub(self.exchange.sent);
            self.exchange.outcome = outcome;
        }
    }

    /// Whether this is stream `stream_id`, and not at its end.
    pub(super) fn is_open(&self, stream_id: u32) -> bool {
        self.exchange.stream_id == stream_id && !self.ended
    }

    /// Takes a header list. `true` when this side has enough and the stream is to be cancelled.
    ///
    /// # Errors
    /// What is wrong with it, and what has to end.
    pub(super) fn headers(
        &mut self,
        fields: &[HeaderField],
        end_stream: bool,
        now: Duration,
    ) -> Result<bool, BadHeaders> {
        self.last_progress = Instant::now();
        if self.exchange.status.is_some() {
            if !end_stream {
                return Err((ErrorScope::Connection, "trailers without END_STREAM (RFC 9113, section 8.1)"));
            }
            self.finish(now);
            return Ok(false);
        }
        let status = fields.iter().find(|field| field.name == b":status");
        let status = status.filter(|field| field.value.len() == 3 && field.value.iter().all(u8::is_ascii_digit));
        let status = status.and_then(|field| std::str::from_utf8(&field.value).ok()?.parse::<u16>().ok());
        let Some(status) = status.filter(|status| *status >= 100) else {
            return Err((ErrorScope::Stream, "response headers without a valid :status (RFC 9113, section 8.3.2)"));
        };
        if status < 200 {
            let text = "an interim response with END_STREAM (RFC 9113, section 8.1)";
            return if end_stream { Err((ErrorScope::Stream, text)) } else { Ok(false) };
        }
        self.exchange.status = Some(status);
        self.exchange.ttfb = Some(now.saturating_sub(self.exchange.sent));
        let plain = fields.iter().filter(|field| !field.name.starts_with(b":"));
        plain.for_each(|field| self.exchange.push_header(&field.name, &field.value));
        if end_stream {
            self.finish(now);
        }
        Ok(self.stop_if_enough(now))
    }

    /// Takes data. Whether to cancel, and what to give back to the window.
    pub(super) fn data(&mut self, data: &[u8], counted: usize, end_stream: bool, now: Duration) -> (bool, Option<u32>) {
        self.last_progress = Instant::now();
        self.exchange.push_body(data, self.keep, now.saturating_sub(self.exchange.sent));
        if end_stream {
            self.finish(now);
        }
        (self.stop_if_enough(now), self.inflow.consume(counted))
    }

    fn finish(&mut self, now: Duration) {
        let without_body = matches!(self.exchange.status, Some(204 | 304));
        let announced = self.exchange.content_length().filter(|_| !without_body);
        let had = self.exchange.body_bytes;
        let outcome = match announced {
            Some(length) if had < length => Outcome::Truncated,
            Some(length) if had > length => {
                let text = format!("{had} octets of body where Content-Length says {length} (RFC 9113, section 8.1.1)");
                Outcome::Lost(NetError::new(Phase::Http2, ErrorKind::Protocol, Party::Upstream, text))
            }
            _ => Outcome::Complete,
        };
        self.end(outcome, now);
    }

    fn stop_if_enough(&mut self, now: Duration) -> bool {
        let enough = self.stop_after.is_some_and(|limit| self.exchange.body_bytes >= limit);
        if enough && !self.ended {
            self.end(Outcome::Stopped, now);
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::Inflow;

    #[test]
    fn a_window_is_given_back_as_go_does() {
        let mut inflow = Inflow::new(4 << 20);
        assert_eq!(inflow.consume(100), None);
        assert_eq!(inflow.consume(3995), None);
        assert_eq!(inflow.consume(1), Some(4096));
        assert_eq!(inflow.consume(16_384), Some(16_384));
        let mut small = Inflow::new(1000);
        assert_eq!(small.consume(500), Some(500));
    }
}
