//! What a client is told before it is asked anything: that there are too many already, that this is no port for it.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// How long it may take to read that.
const LINGER: Duration = Duration::from_secs(2);
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 5\r\n\
    Connection: close\r\nContent-Length: 41\r\n\r\ntoo many connections; try again in a bit\n";
/// An empty SETTINGS frame, and a GOAWAY that says that no stream was looked at, with no error: all may be asked again on
/// another connection (RFC 9113 section 6.8).
const GO_AWAY: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Says so, and closes the connection.
pub(super) async fn refuse<I>(io: I, http2: bool)
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    say(io, if http2 { GO_AWAY } else { TOO_MANY }).await;
}

/// Says this and nothing else, and closes the connection.
pub(super) async fn say<I>(mut io: I, words: &[u8])
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let _ = timeout(LINGER, async {
        io.write_all(words).await?;
        io.shutdown().await?;
        // Closed with bytes unread, the connection would be reset, and what was said lost.
        let mut rest = [0; 4096];
        while io.read(&mut rest).await? > 0 {}
        Ok::<_, std::io::Error>(())
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_have_the_length_that_they_say() {
        let text = std::str::from_utf8(TOO_MANY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{}", body.len());
    }
}
