//! A connection whose other end must take what is written to it.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// A moment that is waited for. It moves often and is reached seldom: the timer is left alone where it rings too early.
#[derive(Default)]
pub(super) struct Alarm {
    armed: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Alarm {
    /// Ready when `deadline` is over.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let (rings, timer) = self.armed.get_or_insert_with(|| (deadline, Box::pin(sleep_until(deadline))));
        if deadline < *rings {
            timer.as_mut().reset(deadline);
            *rings = deadline;
        }
        loop {
            ready!(timer.as_mut().poll(context));
            if *rings >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
            *rings = deadline;
        }
    }
}

/// Fails where a write had to wait so long without a byte being taken.
pub(super) struct Patient<I> {
    io: I,
    limit: Duration,
    since: Option<Instant>,
    alarm: Alarm,
    end: fn(&I),
}

impl<I> Patient<I> {
    /// `end` is called when this is dropped.
    pub(super) fn new(io: I, limit: Duration, end: fn(&I)) -> Patient<I> {
        Patient { io, limit, since: None, alarm: Alarm::default(), end }
    }

    /// What was written; where nothing could be, the time counts.
    fn judge(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.since = None;
            return written;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        ready!(self.alarm.poll(context, since + self.limit));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing of what is sent to it")))
    }
}

impl<I> Drop for Patient<I> {
    fn drop(&mut self) {
        (self.end)(&self.io);
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Patient<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Patient<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, data);
        self.judge(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, data);
        self.judge(context, written)
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (server, mut client) = duplex(1000);
        let mut server = Patient::new(server, Duration::from_secs(5), |_| {});
        let began = Instant::now();
        let error = server.write_all(&[0; 5000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), 5);
        drop(server);
        let mut all = Vec::new();
        client.read_to_end(&mut all).await.unwrap();
        assert_eq!(all.len(), 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_one_is_not() {
        let (server, mut client) = duplex(1000);
        let mut server = Patient::new(server, Duration::from_secs(5), |_| {});
        let reads = tokio::spawn(async move {
            let mut taken = 0;
            let mut buffer = [0; 500];
            while taken < 5000 {
                tokio::time::sleep(Duration::from_secs(4)).await;
                taken += client.read(&mut buffer).await.unwrap();
            }
        });
        server.write_all(&[0; 5000]).await.unwrap();
        reads.await.unwrap();
    }
}
