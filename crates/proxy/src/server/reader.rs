//! The content of an answer, piece by piece.

use std::fs::File;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustix::io::{Errno, ReadWriteFlags};
use tokio::task::JoinHandle;

use super::load::Load;
use crate::answer::Content;
use crate::exchange::Exchange;

/// A read's buffer, and how many bytes of it were read.
type Read = io::Result<(Vec<u8>, usize)>;

/// Gives the content of an answer in pieces.
pub(super) struct Reader {
    content: Content,
    exchange: Exchange,
    load: Arc<Load>,
    /// Whether it is counted as one that reads from a file.
    counted: bool,
    /// Where the buffer of a piece comes back to when it was sent.
    spare: Arc<Spare>,
    /// A read that has to wait for the disk.
    waiting: Option<JoinHandle<Read>>,
}

impl Reader {
    pub(super) fn new(content: Content, mut exchange: Exchange, load: &Arc<Load>) -> Reader {
        if content.length() == Some(0) {
            exchange.complete();
        }
        let counted = matches!(content, Content::File { .. });
        if counted {
            load.readers.fetch_add(1, Ordering::Relaxed);
        }
        Reader { content, exchange, load: Arc::clone(load), counted, spare: Arc::default(), waiting: None }
    }

    /// Bytes to come, where that is known.
    pub(super) fn left(&self) -> Option<u64> {
        self.content.length()
    }

    /// How many bytes are to be read at once.
    pub(super) fn piece(&self) -> usize {
        self.load.piece()
    }

    /// The next piece, of at most `most` bytes where it comes from a file; `None` at the end.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>, most: usize) -> Poll<Option<io::Result<Bytes>>> {
        let piece = ready!(self.poll_piece(context, most));
        if let Some(Ok(bytes)) = &piece {
            self.exchange.sent(bytes.len());
        }
        if piece.is_none() || self.left() == Some(0) {
            self.exchange.complete();
        }
        Poll::Ready(piece)
    }

    fn poll_piece(&mut self, context: &mut Context<'_>, most: usize) -> Poll<Option<io::Result<Bytes>>> {
        match &mut self.content {
            Content::Empty => Poll::Ready(None),
            Content::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                self.content = Content::Empty;
                Poll::Ready((!bytes.is_empty()).then_some(Ok(bytes)))
            }
            Content::Stream(receiver) => receiver.poll_recv(context).map(|bytes| bytes.map(Ok)),
            Content::File { length: 0, .. } => Poll::Ready(None),
            Content::File { file, from, length } => {
                let read = match &mut self.waiting {
                    Some(waiting) => {
                        let read = ready!(Pin::new(waiting).poll(context));
                        self.waiting = None;
                        read.unwrap_or_else(|error| Err(io::Error::other(error)))
                    }
                    None => {
                        let size = usize::try_from(*length).unwrap_or(usize::MAX).min(most.max(1));
                        match read_cached(file, *from, size, self.spare.take(size)) {
                            Ok(read) => read,
                            Err(buffer) => {
                                let (file, from) = (Arc::clone(file), *from);
                                let read = move || read_now(&file, from, size, buffer);
                                self.waiting = Some(tokio::task::spawn_blocking(read));
                                return self.poll_piece(context, most);
                            }
                        }
                    }
                };
                let piece = read.map(|(buffer, count)| {
                    *from += count as u64;
                    *length = length.saturating_sub(count as u64);
                    Piece::share(buffer, count, &self.spare)
                });
                Poll::Ready(Some(piece))
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.counted {
            self.load.readers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A buffer that was used before: one that is made anew for each piece would be zeroed each time.
#[derive(Default)]
struct Spare(Mutex<Option<Vec<u8>>>);

impl Spare {
    fn take(&self, size: usize) -> Vec<u8> {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match spare {
            // One from when there were few clients is too large once there are many.
            Some(buffer) if buffer.len() >= size && buffer.len() / 2 <= size => buffer,
            _ => vec![0; size],
        }
    }
}

/// A piece on its way to the client.
struct Piece {
    buffer: Vec<u8>,
    count: usize,
    home: Arc<Spare>,
}

impl Piece {
    fn share(buffer: Vec<u8>, count: usize, home: &Arc<Spare>) -> Bytes {
        Bytes::from_owner(Piece { buffer, count, home: Arc::clone(home) })
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.count]
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // Where the reader is gone already, nobody needs it.
        if Arc::strong_count(&self.home) > 1 {
            let buffer = std::mem::take(&mut self.buffer);
            *self.home.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(buffer);
        }
    }
}

/// What of the file is in memory already; the buffer comes back where the disk would have to be waited for
/// (`RWF_NOWAIT`, Linux 4.14).
fn read_cached(file: &File, from: u64, size: usize, mut buffer: Vec<u8>) -> Result<Read, Vec<u8>> {
    #[cfg(target_os = "linux")]
    {
        let mut slices = [IoSliceMut::new(&mut buffer[..size])];
        match rustix::io::preadv2(file, &mut slices, from, ReadWriteFlags::NOWAIT) {
            Ok(count) if count > 0 => return Ok(Ok((buffer, count))),
            Ok(_) => return Ok(Err(io::ErrorKind::UnexpectedEof.into())),
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INTR | Errno::NOSYS | Errno::INVAL) => {}
            Err(error) => return Ok(Err(error.into())),
        }
    }
    let _ = (file, from, size, &mut buffer);
    Err(buffer)
}

fn read_now(file: &File, from: u64, size: usize, mut buffer: Vec<u8>) -> Read {
    let count = file.read_at(&mut buffer[..size], from)?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((buffer, count))
}
