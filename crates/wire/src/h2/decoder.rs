//! Frames out of a stream of bytes, for an endpoint.

use super::{DEFAULT_MAX_FRAME_SIZE, FRAME_HEADER_LEN, Frame, FrameError, FrameHeader, MAX_MAX_FRAME_SIZE};

/// Cuts bytes into frames and reads them. The client's preface is not a frame: a server takes it off first.
///
/// Give it bytes with [`push`](Self::push), then take frames (it is an [`Iterator`]) until there is none. If that is
/// done after each push, it never keeps more than one frame, so at most `max_frame_size` + 9 octets, beside what was
/// pushed last.
///
/// After a frame that is larger than allowed it is out of step for good: it reports that once and then gives nothing.
/// Any other error leaves it at the next frame.
///
/// ```
/// use goferry_wire::h2::{Frame, FrameDecoder};
///
/// let ping = Frame::Ping { ack: false, data: *b"goferry!" };
/// let bytes = ping.to_bytes();
/// let mut decoder = FrameDecoder::new();
/// decoder.push(&bytes[..11]);
/// assert_eq!(decoder.next(), None);
/// decoder.push(&bytes[11..]);
/// assert_eq!(decoder.next(), Some(Ok(ping)));
/// ```
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    /// Octets at the start of `buffer` that were given out.
    taken: usize,
    max_frame_size: u32,
    lost: bool,
}

impl FrameDecoder {
    /// A decoder that accepts payloads of 16,384 octets, the default of SETTINGS_MAX_FRAME_SIZE.
    pub fn new() -> Self {
        Self::with_max_frame_size(DEFAULT_MAX_FRAME_SIZE)
    }

    /// A decoder for an endpoint that announced this SETTINGS_MAX_FRAME_SIZE, in octets. More than 2^24-1 cannot occur.
    pub fn with_max_frame_size(max_frame_size: u32) -> Self {
        Self { buffer: Vec::new(), taken: 0, max_frame_size: max_frame_size.min(MAX_MAX_FRAME_SIZE), lost: false }
    }

    /// Adds what was read. Does nothing once the decoder is out of step.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.lost {
            return;
        }
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Octets that were pushed and are not yet part of a frame that was given out. Not 0 at the end of the stream
    /// means that the peer stopped inside a frame.
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.taken
    }

    /// Whether a frame was larger than allowed, so that nothing after it can be read.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// The header of the frame that is being received, once its nine octets are there.
    pub fn pending(&self) -> Option<FrameHeader> {
        self.buffer[self.taken..].first_chunk::<FRAME_HEADER_LEN>().map(FrameHeader::decode)
    }
}

impl Default for FrameDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Iterator for FrameDecoder {
    type Item = Result<Frame, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        let header = self.pending()?;
        if header.length > self.max_frame_size {
            self.lost = true;
            self.buffer = Vec::new();
            self.taken = 0;
            return Some(Err(FrameError::too_large(header)));
        }
        let start = self.taken + FRAME_HEADER_LEN;
        let end = start + header.length as usize;
        let payload = self.buffer.get(start..end)?;
        self.taken = end;
        Some(Frame::decode(header, payload))
    }
}
