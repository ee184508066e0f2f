//! Moving bytes: counted, and cut where the configuration says so.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::TcpStream;

use super::counts::Counters;
use super::head::{Body, invalid, line};
use super::{Cut, Shared};

const BUFFER: usize = 32 * 1024;

/// Bytes of a chunk's size line, and of all its trailer lines, at most.
const MAX_CHUNK_LINE: usize = 8 * 1024;

/// The way down to the client of one connection.
pub(super) struct Down<'a> {
    counters: &'a Counters,
    cut: Option<Cut>,
    socket: OwnedFd,
}

impl<'a> Down<'a> {
    /// For the connection `client`.
    pub(super) fn new(client: &TcpStream, shared: &'a Shared) -> io::Result<Self> {
        let socket = client.as_fd().try_clone_to_owned()?;
        Ok(Self { counters: &shared.counters, cut: shared.config.cut, socket })
    }

    /// Writes and flushes `bytes`, or as much of them as may pass, and then fails.
    pub(super) async fn write<W: AsyncWrite + Unpin>(&mut self, writer: &mut W, bytes: &[u8]) -> io::Result<()> {
        let Some(cut) = &mut self.cut else {
            self.counters.down(bytes.len());
            writer.write_all(bytes).await?;
            return writer.flush().await;
        };
        let passing = usize::try_from(cut.after).unwrap_or(usize::MAX).min(bytes.len());
        cut.after -= passing as u64;
        let (end, reset) = (cut.after == 0, cut.reset);
        self.counters.down(passing);
        writer.write_all(&bytes[..passing]).await?;
        writer.flush().await?;
        if !end {
            return Ok(());
        }
        if reset {
            self.reset_on_close()?;
        }
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cut, as configured"))
    }

    fn reset_on_close(&self) -> io::Result<()> {
        let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
        setsockopt(&self.socket, sockopt::Linger, &at_once).map_err(io::Error::from)
    }
}

/// Forwards both ways until both sides have ended, or one fails.
pub(super) async fn both<C, O>(client: C, origin: O, down: &mut Down<'_>) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
    O: AsyncRead + AsyncWrite + Unpin,
{
    let counters = down.counters;
    let (mut client_reader, mut client_writer) = split(client);
    let (mut origin_reader, mut origin_writer) = split(origin);
    let upwards = async {
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = client_reader.read(&mut buffer).await?;
            if read == 0 {
                return origin_writer.shutdown().await;
            }
            counters.up(read);
            origin_writer.write_all(&buffer[..read]).await?;
            origin_writer.flush().await?;
        }
    };
    let downwards = async {
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = origin_reader.read(&mut buffer).await?;
            if read == 0 {
                return client_writer.shutdown().await;
            }
            down.write(&mut client_writer, &buffer[..read]).await?;
        }
    };
    tokio::try_join!(upwards, downwards).map(|((), ())| ())
}

/// Where the bytes of a body go.
pub(super) trait Sink {
    /// Writes all of `bytes`.
    async fn put(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// To the client.
pub(super) struct ToClient<'a, 'b, W>(pub(super) &'a mut Down<'b>, pub(super) &'a mut W);

/// To the origin.
pub(super) struct ToOrigin<'a, W>(pub(super) &'a Counters, pub(super) &'a mut W);

impl<W: AsyncWrite + Unpin> Sink for ToClient<'_, '_, W> {
    async fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write(self.1, bytes).await
    }
}

impl<W: AsyncWrite + Unpin> Sink for ToOrigin<'_, W> {
    async fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.up(bytes.len());
        self.1.write_all(bytes).await
    }
}

/// Forwards one body, as it is framed.
pub(super) async fn body<R, S>(reader: &mut R, sink: &mut S, body: Body) -> io::Result<()>
where
    R: AsyncBufRead + Unpin,
    S: Sink,
{
    match body {
        Body::Length(length) => exactly(reader, sink, length).await,
        Body::Chunked => chunks(reader, sink).await,
        Body::UntilClose => loop {
            let bytes = reader.fill_buf().await?;
            if bytes.is_empty() {
                return Ok(());
            }
            let read = bytes.len();
            sink.put(bytes).await?;
            reader.consume(read);
        },
    }
}

async fn exactly<R: AsyncBufRead + Unpin, S: Sink>(reader: &mut R, sink: &mut S, mut left: u64) -> io::Result<()> {
    while left > 0 {
        let bytes = reader.fill_buf().await?;
        if bytes.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed inside a body"));
        }
        let read = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        sink.put(&bytes[..read]).await?;
        reader.consume(read);
        left -= read as u64;
    }
    Ok(())
}

async fn chunks<R: AsyncBufRead + Unpin, S: Sink>(reader: &mut R, sink: &mut S) -> io::Result<()> {
    loop {
        let mut left = MAX_CHUNK_LINE;
        let size = required_line(reader, &mut left).await?;
        sink.put(&[&size[..], b"\r\n"].concat()).await?;
        let digits = size.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let size = std::str::from_utf8(digits)
            .ok()
            .filter(|digits| !digits.starts_with('+'))
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .ok_or_else(|| invalid("a chunk's size is no number"))?;
        if size == 0 {
            break;
        }
        exactly(reader, sink, size).await?;
        let end = required_line(reader, &mut left).await?;
        if !end.is_empty() {
            return Err(invalid("a chunk is longer than its size"));
        }
        sink.put(b"\r\n").await?;
    }
    let mut left = MAX_CHUNK_LINE;
    loop {
        let trailer = required_line(reader, &mut left).await?;
        sink.put(&[&trailer[..], b"\r\n"].concat()).await?;
        if trailer.is_empty() {
            return Ok(());
        }
    }
}

async fn required_line<R: AsyncBufRead + Unpin>(reader: &mut R, left: &mut usize) -> io::Result<Vec<u8>> {
    let line = line(reader, left).await?;
    line.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "closed inside a chunked body"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Kept(Vec<u8>);

    impl Sink for Kept {
        async fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
    }

    fn forward(framed: Body, bytes: &[u8]) -> (io::Result<()>, Vec<u8>, usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut reader = bytes;
        let mut kept = Kept(Vec::new());
        let result = runtime.block_on(body(&mut reader, &mut kept, framed));
        (result, kept.0, reader.len())
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        let (result, kept, rest) = forward(Body::Length(3), b"abcdef");
        assert!(result.is_ok());
        assert_eq!((kept.as_slice(), rest), (b"abc".as_slice(), 3));

        let chunked = b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\nGET";
        let (result, kept, rest) = forward(Body::Chunked, chunked);
        assert!(result.is_ok());
        assert_eq!((kept.as_slice(), rest), (&chunked[..chunked.len() - 3], 3));

        let (result, kept, _) = forward(Body::UntilClose, b"abc");
        assert!(result.is_ok());
        assert_eq!(kept, b"abc");
    }

    #[test]
    fn broken_bodies_are_errors() {
        for chunked in [&b"3\r\nab"[..], b"3\r\nabcd\r\n0\r\n\r\n", b"x\r\n", b"+3\r\nabc\r\n", b"0\r\nT: v\r\n", b""] {
            assert!(forward(Body::Chunked, chunked).0.is_err(), "{}", chunked.escape_ascii());
        }
        assert!(forward(Body::Length(4), b"abc").0.is_err());
        assert!(forward(Body::Chunked, &vec![b'1'; MAX_CHUNK_LINE + 1]).0.is_err());
    }
}
