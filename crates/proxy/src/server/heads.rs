//! How long a client of HTTP/1.1 may think, and how long it may take to say what it wants.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::patient::Alarm;

/// Between two requests.
const IDLE: u64 = 0;
/// Something of a head has come, not all of it.
const HEAD: u64 = 1;
/// A request is being answered.
const BUSY: u64 = 2;
/// The bits of the three.
const BITS: u32 = 2;

/// What a connection is at, and since when.
pub(super) struct Phase {
    began: Instant,
    /// Milliseconds from the beginning, and what it is at.
    state: AtomicU64,
}

impl Phase {
    /// A head has begun.
    pub(super) fn new() -> Arc<Phase> {
        Arc::new(Phase { began: Instant::now(), state: AtomicU64::new(HEAD) })
    }

    /// A head has come.
    pub(super) fn busy(&self) {
        self.state.store(BUSY, Ordering::Relaxed);
    }

    /// An answer was given.
    pub(super) fn idle(&self) {
        self.set(IDLE);
    }

    fn set(&self, phase: u64) {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX >> BITS);
        self.state.store(millis << BITS | phase, Ordering::Relaxed);
    }

    fn get(&self) -> (u64, Instant) {
        let state = self.state.load(Ordering::Relaxed);
        (state & ((1 << BITS) - 1), self.began + Duration::from_millis(state >> BITS))
    }
}

/// Fails where the client takes longer.
pub(super) struct Heads<I> {
    io: I,
    phase: Arc<Phase>,
    head: Duration,
    idle: Duration,
    alarm: Alarm,
}

impl<I> Heads<I> {
    pub(super) fn new(io: I, phase: Arc<Phase>, head: Duration, idle: Duration) -> Heads<I> {
        Heads { io, phase, head, idle, alarm: Alarm::default() }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Heads<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        let (phase, since) = self.phase.get();
        if read.is_ready() {
            if phase == IDLE && buffer.filled().len() > before {
                self.phase.set(HEAD);
            }
            return read;
        }
        let (limit, text) = match phase {
            IDLE => (self.idle, "nothing more was asked for"),
            HEAD => (self.head, "the head of a request did not come"),
            _ => {
                // When the answer is given nobody may ask here again. The timer is there already then, and asks.
                let deadline = Instant::now() + self.idle;
                let _ = self.alarm.poll(context, deadline);
                return Poll::Pending;
            }
        };
        ready!(self.alarm.poll(context, since + limit));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Heads<I> {
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
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
