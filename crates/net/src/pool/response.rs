//! An answer whose body is read as it comes.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout};

use super::connection::{GRACE, Lease, http1_failure, http2_failure};
use super::{Cause, Failure};
use crate::error::{ErrorKind, Phase};

/// The head of an answer, and its body to come.
pub struct Response {
    /// Status.
    pub status: u16,
    /// Header fields, at most 64 KiB of them.
    pub headers: HeaderMap,
    /// Content-Length.
    pub length: Option<u64>,
    /// Whether it came over HTTP/2.
    pub http2: bool,
    /// The body. Dropping it before its end cancels the stream, or closes an HTTP/1.1 connection.
    pub body: Body,
}

impl Response {
    /// The first value of a header field, where it is ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

pub(super) enum Inbound {
    Http2(h2::RecvStream),
    Http1(hyper::body::Incoming),
}

/// After so long without data nothing is withheld any more: the connection's window may be what is waited for.
const HOLD: Duration = Duration::from_millis(300);

/// A body as it comes.
pub struct Body {
    inbound: Inbound,
    lease: Option<Lease>,
    pause: Duration,
    left: Option<u64>,
    /// How many more bytes are wanted.
    wanted: u64,
    /// Bytes taken for which the stream's window was not opened again.
    withheld: usize,
    connection: u32,
    /// When it was last considered to ask another connection for the rest.
    looked: Instant,
}

impl Body {
    pub(super) fn new(inbound: Inbound, lease: Lease, pause: Duration, length: Option<u64>) -> Body {
        let connection = lease.shared.timeline.number();
        let looked = Instant::now();
        Body { inbound, lease: Some(lease), pause, left: length, wanted: u64::MAX, withheld: 0, connection, looked }
    }

    /// So many more bytes are wanted, and no others: over HTTP/2 the stream's window is not opened beyond them, so that the
    /// server sends nothing in vain once the body is dropped there.
    pub fn want(&mut self, bytes: u64) {
        self.wanted = bytes;
    }

    /// How many more bytes the server has sent, or may send by what the stream's window is now (RFC 9113 section 6.9). `None`
    /// over HTTP/1.1.
    pub fn granted(&mut self) -> Option<u64> {
        match &mut self.inbound {
            Inbound::Http2(stream) => Some(granted(stream, self.withheld)),
            Inbound::Http1(_) => None,
        }
    }

    /// The connection's number.
    #[must_use]
    pub fn connection(&self) -> u32 {
        self.connection
    }

    /// Notes on the connection's timeline that this request is sent again.
    pub fn note_retry(&self, why: &str) {
        if let Some(lease) = &self.lease {
            lease.shared.timeline.note(crate::timeline::Event::Retry { why: why.to_owned() });
        }
    }

    /// The next bytes; `None` at the end, which is checked against Content-Length.
    ///
    /// # Errors
    /// See [`Cause`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some(lease) = &self.lease else { return Ok(None) };
        let number = self.connection;
        let phase = if matches!(self.inbound, Inbound::Http2(_)) { Phase::Http2 } else { Phase::Http1 };
        let began = Instant::now();
        let outcome = loop {
            let patience = lease.patience();
            if self.looked.elapsed() >= patience {
                self.looked = Instant::now();
                let coming = match &mut self.inbound {
                    Inbound::Http2(stream) => granted(stream, self.withheld).min(self.left.unwrap_or(u64::MAX)),
                    Inbound::Http1(_) => u64::MAX,
                };
                if lease.may_move(patience, coming) {
                    return Err(lease.moved(phase));
                }
            }
            let hold = if self.withheld > 0 { HOLD } else { Duration::MAX };
            let next = async {
                match &mut self.inbound {
                    Inbound::Http2(stream) => match stream.data().await {
                        Some(Ok(data)) => {
                            self.wanted = self.wanted.saturating_sub(data.len() as u64);
                            self.withheld += data.len();
                            // What is taken is written to disk at once: the window opens again right away. What is withheld
                            // of a stream's window is missing in the connection's, and beyond its end a body has nothing.
                            let rest = self.left.map(|left| left.saturating_sub(data.len() as u64));
                            let more = match rest {
                                Some(rest) if self.wanted >= rest => u64::MAX,
                                _ => self.wanted.saturating_sub(granted(stream, self.withheld)),
                            };
                            let more = usize::try_from(more).unwrap_or(usize::MAX).min(self.withheld);
                            self.withheld -= more;
                            let _ = stream.flow_control().release_capacity(more);
                            Ok(Some(data))
                        }
                        Some(Err(error)) if error.is_reset() && !error.is_remote() => {
                            // This side found the stream at fault, not the connection: most often it was cut off on the
                            // server's far side, and has another length than announced.
                            let text = format!("the answer broke off: {error}");
                            Err(lease.fail(Cause::Lost, ErrorKind::Closed, phase, text))
                        }
                        Some(Err(error)) => Err(http2_failure(&error, number)),
                        None => Ok(None),
                    },
                    Inbound::Http1(body) => loop {
                        match body.frame().await {
                            Some(Ok(frame)) => {
                                if let Ok(data) = frame.into_data() {
                                    break Ok(Some(data));
                                }
                            }
                            Some(Err(error)) => break Err(http1_failure(&error, number)),
                            None => break Ok(None),
                        }
                    },
                }
            };
            let look = patience.saturating_sub(self.looked.elapsed()).max(Duration::from_millis(1));
            tokio::select! {
                biased;
                next = timeout(look.min(self.pause).min(hold), next) => if let Ok(outcome) = next {
                    break outcome;
                },
                () = lease.shared.stream_window.remind() => {}
            }
            if let Inbound::Http2(stream) = &mut self.inbound {
                // Tells the server of what was taken and not told of yet.
                let more = if began.elapsed() >= HOLD { std::mem::take(&mut self.withheld) } else { 0 };
                let _ = stream.flow_control().release_capacity(more);
            }
            if began.elapsed() >= self.pause {
                let text = format!("the answer stopped: nothing for {:.0} s", self.pause.as_secs_f64());
                return Err(lease.fail(Cause::Silent, ErrorKind::TimedOut, phase, text));
            }
        };
        match outcome {
            Ok(Some(data)) => {
                lease.received(data.len() as u64);
                if let Some(left) = &mut self.left {
                    // More than announced is an error of HTTP/2 that its library finds.
                    *left = left.saturating_sub(data.len() as u64);
                }
                Ok(Some(data))
            }
            Ok(None) => {
                if let Some(left) = self.left.filter(|left| *left > 0) {
                    let text = format!("the answer ended {left} bytes before its Content-Length");
                    return Err(lease.fail(Cause::Lost, ErrorKind::Closed, phase, text));
                }
                if let Some(mut lease) = self.lease.take() {
                    lease.complete();
                }
                Ok(None)
            }
            Err(failure) => {
                if failure.cause == Cause::Lost {
                    // The connection's own task knows more; it is about to say so.
                    tokio::time::sleep(GRACE).await;
                }
                Err(lease.failure(failure))
            }
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// See [`Cause`]; [`ErrorKind::TooLarge`] past `limit` bytes.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, Failure> {
        let mut all = Vec::new();
        while let Some(data) = self.chunk().await? {
            if all.len() + data.len() > limit {
                let text = format!("the answer has more than {limit} bytes");
                let lease = self.lease.as_ref();
                let error =
                    crate::error::NetError::new(Phase::Http2, ErrorKind::TooLarge, crate::error::Party::Upstream, text);
                let connection = lease.map_or(0, |lease| lease.shared.timeline.number());
                return Err(Failure { cause: Cause::Protocol, error, connection });
            }
            all.extend_from_slice(&data);
        }
        Ok(all.into())
    }
}

/// Bytes that have come and were not taken yet, and those that may come.
fn granted(stream: &mut h2::RecvStream, withheld: usize) -> u64 {
    let flow = stream.flow_control();
    let buffered = flow.used_capacity().saturating_sub(withheld);
    // Negative where the window was made smaller (RFC 9113 section 6.9.2).
    let capacity = flow.available_capacity().saturating_add_unsigned(buffered);
    u64::try_from(capacity).unwrap_or(0)
}
