//! The content of an answer, piece by piece.

use std::fs::File;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustix::io::{Errno, ReadWriteFlags};
use tokio::task::JoinHandle;

use crate::answer::Content;
use crate::exchange::Exchange;

/// Gives the content of an answer in pieces.
pub(super) struct Reader {
    content: Content,
    exchange: Exchange,
    /// A read that has to wait for the disk.
    waiting: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Reader {
    pub(super) fn new(content: Content, mut exchange: Exchange) -> Reader {
        if content.length() == Some(0) {
            exchange.complete();
        }
        Reader { content, exchange, waiting: None }
    }

    /// Bytes to come, where that is known.
    pub(super) fn left(&self) -> Option<u64> {
        self.content.length()
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
                        match read_cached(file, *from, size) {
                            Some(read) => read,
                            None => {
                                let (file, from) = (Arc::clone(file), *from);
                                self.waiting = Some(tokio::task::spawn_blocking(move || read_now(&file, from, size)));
                                return self.poll_piece(context, most);
                            }
                        }
                    }
                };
                if let Ok(bytes) = &read {
                    *from += bytes.len() as u64;
                    *length = length.saturating_sub(bytes.len() as u64);
                }
                Poll::Ready(Some(read))
            }
        }
    }
}

/// What of the file is in memory already; `None` where the disk would have to be waited for (`RWF_NOWAIT`, Linux 4.14).
fn read_cached(file: &File, from: u64, size: usize) -> Option<io::Result<Bytes>> {
    #[cfg(target_os = "linux")]
    {
        let mut buffer = vec![0; size];
        match rustix::io::preadv2(file, &mut [IoSliceMut::new(&mut buffer)], from, ReadWriteFlags::NOWAIT) {
            Ok(count) if count > 0 => {
                buffer.truncate(count);
                return Some(Ok(buffer.into()));
            }
            Ok(_) => return Some(Err(io::ErrorKind::UnexpectedEof.into())),
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INTR | Errno::NOSYS | Errno::INVAL) => {}
            Err(error) => return Some(Err(error.into())),
        }
    }
    let _ = (file, from, size);
    None
}

fn read_now(file: &File, from: u64, size: usize) -> io::Result<Bytes> {
    let mut buffer = vec![0; size];
    let count = file.read_at(&mut buffer, from)?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    buffer.truncate(count);
    Ok(buffer.into())
}
