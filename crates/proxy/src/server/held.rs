//! Writes that wait until all requests that have come were begun: then many small answers go out together.
//!
//! The h2 library writes whenever it is asked for the next request. A client that asks for many files at once would be
//! answered with a write, and over TLS a record, for each of them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Whether writes are held back. Who says so polls the connection again when they no longer are, in the same turn of its
/// task: a write that is held back wakes nobody.
#[derive(Clone, Default)]
pub(super) struct Hold(Arc<AtomicBool>);

impl Hold {
    pub(super) fn set(&self, held: bool) {
        self.0.store(held, Ordering::Relaxed);
    }
}

/// A connection whose writes may be held back.
pub(super) struct Held<I> {
    io: I,
    hold: Hold,
}

impl<I> Held<I> {
    pub(super) fn new(io: I, hold: Hold) -> Held<I> {
        Held { io, hold }
    }

    fn is_held(&self) -> bool {
        self.hold.0.load(Ordering::Relaxed)
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Held<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Held<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_held() { Poll::Pending } else { Pin::new(&mut self.io).poll_write(context, bytes) }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_held() { Poll::Pending } else { Pin::new(&mut self.io).poll_write_vectored(context, bytes) }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_held() { Poll::Pending } else { Pin::new(&mut self.io).poll_flush(context) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
