//! Byte streams of any make, and a passive tap on them.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A byte stream: a socket, TLS on it, or TLS in TLS.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A boxed [`Stream`].
pub type BoxStream = Box<dyn Stream>;

/// Something that is shown each byte that was read, and says nothing.
pub trait Tap: Send {
    /// Shows the next bytes, in order.
    fn read(&mut self, bytes: &[u8]);
}

/// A stream whose reads are shown to a [`Tap`].
pub struct Tapped<S, T> {
    inner: S,
    tap: Arc<Mutex<T>>,
}

impl<S, T> Tapped<S, T> {
    /// Puts `tap` on `inner`.
    pub fn new(inner: S, tap: Arc<Mutex<T>>) -> Self {
        Tapped { inner, tap }
    }
}

impl<S: AsyncRead + Unpin, T: Tap> AsyncRead for Tapped<S, T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        let new = &buf.filled()[before..];
        if !new.is_empty()
            && let Ok(mut tap) = self.tap.lock()
        {
            tap.read(new);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin, T> AsyncWrite for Tapped<S, T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
