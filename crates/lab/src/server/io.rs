//! A TCP stream that counts its bytes, can become a black hole, and can be cut.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::counters::Counters;

/// Controls of one connection, kept by the code above TLS.
#[derive(Debug)]
pub(super) struct Line {
    holed: AtomicBool,
    sent: AtomicU64,
    hole_after: Option<u64>,
    tcp: std::net::TcpStream,
}

impl Line {
    /// Nothing is sent or received from now on; TCP stays open.
    pub(super) fn become_black_hole(&self) {
        self.holed.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_black_hole(&self) -> bool {
        self.holed.load(Ordering::Relaxed)
    }

    /// Makes the coming close a TCP reset (`SO_LINGER` with time 0).
    pub(super) fn reset_on_close(&self) {
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        // A failure means that the connection is gone, which is what is wanted.
        let _gone = nix::sys::socket::setsockopt(&self.tcp.as_fd(), nix::sys::socket::sockopt::Linger, &linger);
    }

    /// Ends our direction with FIN, whatever TLS thinks of it.
    pub(super) fn fin(&self) {
        let _gone = self.tcp.shutdown(std::net::Shutdown::Write);
    }

    /// The kernel's smoothed estimate of the round trip time (`tcpi_rtt`, `tcp(7)`).
    pub(super) fn round_trip(&self) -> Duration {
        super::sys::tcp_rtt(self.tcp.as_raw_fd()).unwrap_or(Duration::from_millis(1))
    }
}

/// The stream below TLS.
#[derive(Debug)]
pub(super) struct LabStream {
    inner: TcpStream,
    line: Arc<Line>,
    counters: Arc<Counters>,
}

impl LabStream {
    /// Wraps an accepted connection.
    ///
    /// # Errors
    /// When the descriptor cannot be duplicated.
    pub(super) fn new(
        inner: TcpStream,
        hole_after: Option<u64>,
        counters: Arc<Counters>,
    ) -> io::Result<(Self, Arc<Line>)> {
        let tcp = std::net::TcpStream::from(inner.as_fd().try_clone_to_owned()?);
        let line = Arc::new(Line { holed: AtomicBool::new(false), sent: AtomicU64::new(0), hole_after, tcp });
        Ok((Self { inner, line: Arc::clone(&line), counters }, line))
    }
}

impl AsyncRead for LabStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.line.is_black_hole() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        let read = buf.filled().len() - before;
        self.counters.bytes_received.fetch_add(read as u64, Ordering::Relaxed);
        result
    }
}

impl AsyncWrite for LabStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.line.is_black_hole() {
            return Poll::Pending;
        }
        let mut allowed = buf.len();
        if let Some(limit) = self.line.hole_after {
            let left = limit.saturating_sub(self.line.sent.load(Ordering::Relaxed));
            if left == 0 {
                self.line.become_black_hole();
                return Poll::Pending;
            }
            allowed = allowed.min(usize::try_from(left).unwrap_or(usize::MAX));
        }
        let result = Pin::new(&mut self.inner).poll_write(cx, &buf[..allowed]);
        if let Poll::Ready(Ok(written)) = &result {
            self.line.sent.fetch_add(*written as u64, Ordering::Relaxed);
            self.counters.bytes_sent.fetch_add(*written as u64, Ordering::Relaxed);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.line.is_black_hole() {
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.line.is_black_hole() {
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
