//! Flow control (RFC 9113 section 5.2): how much a server may send before it is taken.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

/// What one stream may have in flight where there is one connection: the bandwidth-delay product of 1 Gbit/s at 130 ms.
const STREAM: u32 = 16 << 20;
/// The least and the most that it may have where several connections share the work. They take work from each other, and what a
/// server may send already cannot be taken from it.
pub(super) const STREAM_LEAST: u32 = 512 << 10;
const STREAM_MOST: u32 = 2 << 20;
/// What the first connection may have in flight as a whole.
const FIRST: u32 = 32 << 20;
/// And each further one: they exist because one flow carries little.
const FURTHER: u32 = 8 << 20;

/// After how long without data a stream's window is looked at, where windows were made smaller.
const REMIND: Duration = Duration::from_millis(50);

/// What the connection of this number may have in flight as a whole.
pub(super) fn of_connection(number: u32) -> u32 {
    if number == 1 { FIRST } else { FURTHER }
}

/// What one stream may have in flight on one of so many connections, which may have `room` bytes outstanding (some round
/// trips of what it carries), where it was `now`: twice as much, so that it never waits for the window, and in steps.
///
/// On a path that `loses`, no more than the least: many flows share it, and a window that is opened for all streams at once
/// (SETTINGS, RFC 9113 section 6.9.2) lets the server send what a stream has given to another meanwhile.
pub(super) fn of_stream(connections: usize, room: u64, now: u32, loses: bool) -> u32 {
    if connections <= 1 {
        return STREAM;
    }
    if loses {
        return STREAM_LEAST;
    }
    let wanted = room.min(STREAM_MOST.into()).saturating_mul(2).next_power_of_two();
    let wanted = u32::try_from(wanted).unwrap_or(u32::MAX).clamp(STREAM_LEAST, STREAM_MOST);
    // To make it smaller costs a round trip, and is not worth it for little.
    if wanted > now || wanted <= now / 4 { wanted } else { now }
}

/// What one stream of a connection may have in flight (SETTINGS_INITIAL_WINDOW_SIZE, RFC 9113 section 6.9.2).
pub(super) struct StreamWindow {
    wanted: AtomicU32,
    told: AtomicU32,
    shrank: AtomicBool,
    shrinks: Notify,
    changed: Notify,
}

impl StreamWindow {
    pub(super) fn new(size: u32) -> StreamWindow {
        StreamWindow {
            wanted: AtomicU32::new(size),
            told: AtomicU32::new(size),
            shrank: AtomicBool::new(false),
            shrinks: Notify::new(),
            changed: Notify::new(),
        }
    }

    /// What the server was told last.
    pub(super) fn size(&self) -> u32 {
        self.told.load(Ordering::Relaxed)
    }

    /// Completes when a stream that had no data meanwhile is to be looked at; never while the window was not made smaller.
    ///
    /// What was taken of a stream is told to the server once it is at least half of what is left of the window, and that is
    /// considered when more is taken. A window made smaller can leave nothing, so that no more comes.
    pub(super) async fn remind(&self) {
        let shrinks = self.shrinks.notified();
        if !self.shrank.load(Ordering::Relaxed) {
            shrinks.await;
        }
        tokio::time::sleep(REMIND).await;
    }

    /// From now on so much; nothing happens where it is so already.
    pub(super) fn set(&self, size: u32) {
        self.wanted.store(size, Ordering::Relaxed);
        if self.size() != size {
            if size < self.size() && !self.shrank.swap(true, Ordering::Relaxed) {
                self.shrinks.notify_waiters();
            }
            self.changed.notify_one();
        }
    }
}

/// Runs a connection to its end, and tells the server of another window for streams when there is one.
pub(super) async fn drive<T: AsyncRead + AsyncWrite + Unpin>(
    mut connection: h2::client::Connection<T, Bytes>,
    window: &StreamWindow,
) -> Result<(), h2::Error> {
    loop {
        tokio::select! {
            biased;
            () = window.changed.notified() => {
                let wanted = window.wanted.load(Ordering::Relaxed);
                // There is no other before the server has acknowledged the last one: whoever wants it says so again.
                if connection.set_initial_window_size(wanted).is_ok() {
                    window.told.store(wanted, Ordering::Relaxed);
                }
            }
            ended = &mut connection => return ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_stream_has_what_its_connection_carries() {
        assert_eq!(of_stream(1, 0, STREAM_LEAST, false), STREAM);
        assert_eq!(of_stream(2, 0, STREAM, false), STREAM_LEAST);
        // 1.2 MB/s at 50 ms, and 25 MB/s.
        assert_eq!(of_stream(16, 180_000, STREAM, false), STREAM_LEAST);
        assert_eq!(of_stream(16, 600_000, STREAM_LEAST, false), 2 << 20);
        assert_eq!(of_stream(16, u64::MAX, STREAM_LEAST, false), STREAM_MOST);
        assert_eq!(of_stream(16, u64::MAX, STREAM, false), STREAM_MOST);
        assert_eq!(of_stream(2, 400_000, STREAM_MOST, false), STREAM_MOST, "half of it is not worth a change");
        assert_eq!(of_stream(16, u64::MAX, STREAM_MOST, true), STREAM_LEAST);
        assert_eq!(of_stream(1, 0, STREAM_LEAST, true), STREAM);
    }

    #[tokio::test]
    async fn the_server_is_told_of_another_window() {
        let (near, far) = tokio::io::duplex(1 << 20);
        let server = tokio::spawn(async move {
            let mut connection =
                h2::server::Builder::new().max_send_buffer_size(64 << 20).handshake::<_, Bytes>(far).await.unwrap();
            let mut granted = Vec::new();
            let mut answers = Vec::new();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                let mut body = respond.send_response(http::Response::new(()), false).unwrap();
                body.reserve_capacity(32 << 20);
                granted.push(body.capacity());
                answers.push(body);
                if granted.len() == 2 {
                    connection.graceful_shutdown();
                    drop(std::mem::take(&mut answers));
                }
            }
            granted
        });
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(STREAM).initial_connection_window_size(FIRST);
        let (sender, connection) = builder.handshake::<_, Bytes>(near).await.unwrap();
        let window = Arc::new(StreamWindow::new(STREAM));
        let driven = Arc::clone(&window);
        let driver = tokio::spawn(async move { drive(connection, &driven).await });
        let ask = || http::Request::get("https://proxy.example.com/").body(()).unwrap();
        let mut sender = sender.ready().await.unwrap();
        let (first, _) = sender.send_request(ask(), true).unwrap();
        first.await.unwrap();
        window.set(1 << 20);
        while window.size() != 1 << 20 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut sender = sender.ready().await.unwrap();
        let (second, _) = sender.send_request(ask(), true).unwrap();
        let _ = second.await;
        poll_fn(|cx| sender.poll_ready(cx)).await.ok();
        drop(sender);
        let _ = driver.await;
        let granted = server.await.unwrap();
        assert_eq!(granted, [16 << 20, 1 << 20]);
    }
}
