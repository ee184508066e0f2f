//! The heads of the frames that a client of HTTP/2 sends, counted: the library bounds what a flood of them may keep in
//! memory, this bounds what it may cost to read. Where a request has a body, what follows goes through [`Trailers`].
//!
//! | flood | bound |
//! |---|---|
//! | streams reset before they were accepted (CVE-2023-44487) | the library: `max_pending_accept_reset_streams` |
//! | streams reset later | here: `Limits::resets` in 10 s |
//! | PING, SETTINGS, PRIORITY | here: [`CONTROL`] in 10 s |
//! | CONTINUATION (CVE-2024-27316) | the library: what the largest head needs, and a quarter; here: `Limits::header_time` |
//! | small DATA frames | the library: `data_frame_budget` |

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::patient::Alarm;
use super::trailers::Trailers;
use crate::config::Limits;

/// Bytes of a frame's head (RFC 9113 section 4.1).
pub(super) const HEAD: usize = 9;
/// Kinds of frames (RFC 9113 section 6).
pub(super) const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub(super) const CONTINUATION: u8 = 9;
/// Of HEADERS and CONTINUATION: nothing of the header block follows.
pub(super) const END_HEADERS: u8 = 4;
/// The time that frames are counted in.
const WINDOW: Duration = Duration::from_secs(10);
/// PING, SETTINGS and PRIORITY frames in that time. A go command that measures its bandwidth by PINGs sends one a round trip.
const CONTROL: usize = 10_000;

/// The head of a frame.
#[derive(Clone, Copy)]
pub(super) struct Head(pub(super) [u8; HEAD]);

impl Head {
    /// `length` takes three bytes.
    pub(super) fn new(length: usize, kind: u8, flags: u8, stream: u32) -> Head {
        let [a, b, c, d] = stream.to_be_bytes();
        Head([(length >> 16) as u8, (length >> 8) as u8, length as u8, kind, flags, a, b, c, d])
    }

    /// Bytes of the payload.
    pub(super) fn length(&self) -> usize {
        usize::from(self.0[0]) << 16 | usize::from(self.0[1]) << 8 | usize::from(self.0[2])
    }

    pub(super) fn kind(&self) -> u8 {
        self.0[3]
    }

    pub(super) fn flags(&self) -> u8 {
        self.0[4]
    }

    pub(super) fn stream(&self) -> u32 {
        u32::from_be_bytes([self.0[5] & 0x7f, self.0[6], self.0[7], self.0[8]])
    }
}

/// Finds the heads of frames in what is read, however it is cut.
struct Scanner {
    head: [u8; HEAD],
    have: usize,
    /// Bytes of the payload to come.
    left: usize,
    /// Whether a header block has begun and not ended.
    block: bool,
    /// Whether it ends with the payload that is coming.
    ends: bool,
}

impl Scanner {
    /// What is read first is `skipped` bytes that are no frame.
    fn new(skipped: usize) -> Scanner {
        Scanner { head: [0; HEAD], have: 0, left: skipped, block: false, ends: false }
    }

    /// Gives the head of each frame that begins, and where in the bytes its payload begins.
    fn scan(&mut self, all: &[u8], mut begun: impl FnMut(Head, usize)) {
        let mut bytes = all;
        loop {
            let skip = self.left.min(bytes.len());
            self.left -= skip;
            bytes = &bytes[skip..];
            if self.left == 0 && self.ends {
                (self.ends, self.block) = (false, false);
            }
            if bytes.is_empty() {
                return;
            }
            let take = (HEAD - self.have).min(bytes.len());
            self.head[self.have..self.have + take].copy_from_slice(&bytes[..take]);
            self.have += take;
            bytes = &bytes[take..];
            if self.have < HEAD {
                return;
            }
            self.have = 0;
            let head = Head(self.head);
            self.left = head.length();
            if matches!(head.kind(), HEADERS | CONTINUATION) {
                self.block = true;
                self.ends = head.flags() & END_HEADERS != 0;
            }
            begun(head, all.len() - bytes.len());
        }
    }

    /// Whether something has begun that a client sends in one go.
    fn within(&self) -> bool {
        self.block || self.have > 0
    }
}

/// How many in a [`WINDOW`].
struct Rate {
    since: Instant,
    count: usize,
}

impl Rate {
    fn new() -> Rate {
        Rate { since: Instant::now(), count: 0 }
    }

    /// One more; whether that makes more than `limit`.
    fn exceeds(&mut self, limit: usize) -> bool {
        let now = Instant::now();
        if now - self.since > WINDOW {
            (self.since, self.count) = (now, 0);
        }
        self.count += 1;
        self.count > limit
    }
}

/// Counts what is read, and fails where a header block does not come to its end.
pub(super) struct Counted<I> {
    io: I,
    scanner: Scanner,
    resets: Rate,
    control: Rate,
    limit: usize,
    flood: Arc<AtomicBool>,
    head: Duration,
    since: Option<Instant>,
    alarm: Alarm,
    trailers: Trailers,
}

impl<I> Counted<I> {
    /// `preface` bytes come before the first frame; more streams reset than `limits` says, and `flood` is set.
    pub(super) fn new(io: I, preface: usize, limits: &Limits, flood: Arc<AtomicBool>) -> Counted<I> {
        Counted {
            io,
            scanner: Scanner::new(preface),
            resets: Rate::new(),
            control: Rate::new(),
            limit: limits.resets,
            flood,
            head: limits.header_time,
            since: None,
            alarm: Alarm::default(),
            trailers: Trailers::new(limits.streams as usize),
        }
    }
}

impl<I: AsyncRead + Unpin> Counted<I> {
    /// Reads, and counts what was read. Where all of it is held back, `buffer` is as it was, and that is no end.
    fn poll_counted(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        let read = &buffer.filled()[before..];
        let ended = read.is_empty();
        let mut over = false;
        let mut aside = self.trailers.watching().then_some(0);
        self.scanner.scan(read, |head, payload| match head.kind() {
            RST_STREAM => over |= self.resets.exceeds(self.limit),
            PRIORITY | SETTINGS | PING => over |= self.control.exceeds(CONTROL),
            HEADERS if aside.is_none() && Trailers::begins(&head) => {
                self.trailers.begin(&head);
                aside = Some(payload);
            }
            _ => {}
        });
        if over {
            self.flood.store(true, Ordering::Relaxed);
        }
        if let Some(from) = aside {
            self.trailers.take(&read[from..]);
            buffer.set_filled(before + from);
            self.trailers.give(buffer);
        }
        Poll::Ready(Ok(ended || buffer.filled().len() > before))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Counted<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.trailers.give(buffer) {
            return Poll::Ready(Ok(()));
        }
        while let Poll::Ready(read) = this.poll_counted(context, buffer) {
            if !this.scanner.within() {
                this.since = None;
            }
            if read? {
                return Poll::Ready(Ok(()));
            }
        }
        if this.scanner.within() {
            let since = *this.since.get_or_insert_with(Instant::now);
            ready!(this.alarm.poll(context, since + this.head));
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the head of a request did not come")));
        }
        Poll::Pending
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Counted<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_shutdown(context))?;
        // What is still coming is read: closed before, TCP resets, and what was said last is lost (RFC 9112 section 9.6).
        // Whoever shuts down bounds the time.
        while self.flood.load(Ordering::Relaxed) {
            let mut bytes = [MaybeUninit::uninit(); 4096];
            let mut buffer = ReadBuf::uninit(&mut bytes);
            let read = ready!(Pin::new(&mut self.io).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let mut frame = vec![0, 0, u8::try_from(payload).unwrap(), kind, flags, 0, 0, 0, 1];
        frame.extend(vec![0xff; payload]);
        frame
    }

    #[test]
    fn heads_are_found_however_they_are_cut() {
        let mut bytes = vec![7; 24];
        for (kind, flags, payload) in
            [(SETTINGS, 0, 6), (HEADERS, 0, 40), (CONTINUATION, END_HEADERS, 30), (PING, 0, 8)]
        {
            bytes.extend(frame(kind, flags, payload));
        }
        for cut in [1, 2, 5, 9, 10, 33, 1000] {
            let mut scanner = Scanner::new(24);
            let mut kinds = Vec::new();
            for piece in bytes.chunks(cut) {
                scanner.scan(piece, |head, _| kinds.push(head.kind()));
            }
            assert_eq!(kinds, [SETTINGS, HEADERS, CONTINUATION, PING], "cut at {cut}");
            assert!(!scanner.within(), "cut at {cut}");
        }
    }

    #[test]
    fn a_header_block_is_open_until_its_last_byte() {
        let mut scanner = Scanner::new(0);
        let block = frame(HEADERS, END_HEADERS, 20);
        scanner.scan(&block[..block.len() - 1], |_, _| {});
        assert!(scanner.within());
        scanner.scan(&block[block.len() - 1..], |_, _| {});
        assert!(!scanner.within());
        scanner.scan(&frame(HEADERS, 0, 20), |_, _| {});
        assert!(scanner.within());
        scanner.scan(&frame(CONTINUATION, END_HEADERS, 0), |_, _| {});
        scanner.scan(&[], |_, _| {});
        assert!(!scanner.within());
        scanner.scan(&[0, 0], |_, _| {});
        assert!(scanner.within());
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_forgets() {
        let mut rate = Rate::new();
        assert!((0..100).all(|_| !rate.exceeds(100)));
        assert!(rate.exceeds(100));
        tokio::time::advance(WINDOW + Duration::from_secs(1)).await;
        assert!(!rate.exceeds(100));
    }
}
