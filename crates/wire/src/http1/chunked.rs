//! The chunked transfer coding (RFC 9112, section 7.1).

use super::fields::Fields;
use super::reader::{HeadLimits, HeadProblem};

/// Octets of a line with a chunk's size and extensions, line end included.
const SIZE_LINE: usize = 4096;

/// A chunked body that is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("chunked body, octet {offset}: {problem} (RFC 9112, section 7.1)")]
pub struct ChunkedError {
    /// Where the line or chunk at fault starts, counted from 0, sizes and line ends included.
    pub offset: u64,
    /// What is wrong.
    pub problem: ChunkedProblem,
}

/// What is wrong with a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkedProblem {
    /// Not hexadecimal, none, or 2^64 and more.
    #[error("the chunk size is not a hexadecimal number below 2^64")]
    Size,
    /// A line that ends with LF alone, which hides where it ends from other readers.
    #[error("a chunk size line does not end with CR LF, or has a control character")]
    SizeLine,
    /// Too many extensions.
    #[error("a chunk size line has more than {SIZE_LINE} octets")]
    SizeLineTooLong,
    /// Another size than was said.
    #[error("no CR LF where the chunk should end")]
    ChunkEnd,
    /// In the trailers.
    #[error("trailer: {0}")]
    Trailer(HeadProblem),
    /// The stream ended.
    #[error("the connection ended before the last chunk and its empty line")]
    Ended,
}

/// Takes a chunked body apart. Keeps one line and the trailers, never content.
#[derive(Debug)]
pub struct ChunkedDecoder {
    state: State,
    limits: HeadLimits,
    /// The line that is being received.
    line: Vec<u8>,
    /// Octets of trailers so far.
    trailer_octets: usize,
    trailers: Fields,
    /// Octets before the line or chunk that is being received, and of it.
    start: u64,
    seen: u64,
    failed: Option<ChunkedError>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Size,
    /// Octets of content that are still to come.
    Data(u64),
    /// The CR LF after a chunk, of which so many octets have come.
    DataEnd(usize),
    Trailers,
    Done,
}

impl ChunkedDecoder {
    /// A decoder; `limits` are for the trailers.
    pub fn new(limits: HeadLimits) -> Self {
        Self {
            state: State::Size,
            limits,
            line: Vec::new(),
            trailer_octets: 0,
            trailers: Fields::new(),
            start: 0,
            seen: 0,
            failed: None,
        }
    }

    /// Takes what was read, hands the content in it to `sink`, and gives `Some` once the body is complete: how many
    /// octets of `bytes` were part of it.
    ///
    /// # Errors
    ///
    /// See [`ChunkedProblem`]. After one, every further call gives the same error.
    pub fn push(&mut self, bytes: &[u8], mut sink: impl FnMut(&[u8])) -> Result<Option<usize>, ChunkedError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut at = 0;
        while at < bytes.len() && !matches!(self.state, State::Done) {
            match self.step(&bytes[at..], &mut sink) {
                Ok(used) => at += used,
                Err(problem) => return Err(self.fail(problem)),
            }
        }
        Ok(matches!(self.state, State::Done).then_some(at))
    }

    /// Says that the stream has ended.
    ///
    /// # Errors
    ///
    /// [`ChunkedProblem::Ended`] if the body was not complete.
    pub fn finish(&mut self) -> Result<(), ChunkedError> {
        match (self.failed, self.state) {
            (Some(error), _) => Err(error),
            (None, State::Done) => Ok(()),
            (None, _) => Err(self.fail(ChunkedProblem::Ended)),
        }
    }

    /// The trailer fields, as far as they have come.
    pub fn trailers(&self) -> &Fields {
        &self.trailers
    }

    fn fail(&mut self, problem: ChunkedProblem) -> ChunkedError {
        let error = ChunkedError { offset: self.start, problem };
        self.failed = Some(error);
        error
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.start += self.seen;
        self.seen = 0;
    }

    /// Uses up some of `bytes`, which is not empty, and says how much.
    fn step(&mut self, bytes: &[u8], sink: &mut impl FnMut(&[u8])) -> Result<usize, ChunkedProblem> {
        let used = match self.state {
            State::Size => {
                let (used, whole) = self.take_line(bytes, SIZE_LINE).ok_or(ChunkedProblem::SizeLineTooLong)?;
                self.seen += used as u64;
                if whole {
                    let size = parse_size(&self.line)?;
                    self.line.clear();
                    self.enter(if size == 0 { State::Trailers } else { State::Data(size) });
                }
                used
            }
            State::Data(left) => {
                let used = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                sink(&bytes[..used]);
                self.seen += used as u64;
                match left - used as u64 {
                    0 => self.enter(State::DataEnd(0)),
                    left => self.state = State::Data(left),
                }
                used
            }
            State::DataEnd(have) => {
                if bytes[0] != b"\r\n"[have] {
                    return Err(ChunkedProblem::ChunkEnd);
                }
                self.seen += 1;
                if have == 0 {
                    self.state = State::DataEnd(1)
                } else {
                    self.enter(State::Size)
                }
                1
            }
            State::Trailers => {
                let limit = self.limits.bytes;
                let room = limit - self.trailer_octets;
                let (used, whole) =
                    self.take_line(bytes, room).ok_or(ChunkedProblem::Trailer(HeadProblem::TooLarge { limit }))?;
                self.seen += used as u64;
                if whole {
                    self.end_trailer_line()?;
                }
                used
            }
            State::Done => 0,
        };
        Ok(used)
    }

    /// Adds to `line` up to and with the next LF. Gives the octets used and whether there was an LF, or `None` if the
    /// line would have more than `limit` octets.
    fn take_line(&mut self, bytes: &[u8], limit: usize) -> Option<(usize, bool)> {
        let newline = bytes.iter().position(|octet| *octet == b'\n');
        let used = newline.map_or(bytes.len(), |place| place + 1);
        if self.line.len() + used > limit {
            return None;
        }
        self.line.extend_from_slice(&bytes[..used]);
        Some((used, newline.is_some()))
    }

    fn end_trailer_line(&mut self) -> Result<(), ChunkedProblem> {
        let line = std::mem::take(&mut self.line);
        self.trailer_octets += line.len();
        let content = line.strip_suffix(b"\n").unwrap_or(&line);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        if content.is_empty() {
            self.enter(State::Done);
            return Ok(());
        }
        self.trailers.parse_line(content, true, self.limits).map_err(ChunkedProblem::Trailer)?;
        self.enter(State::Trailers);
        Ok(())
    }
}

/// The size from a line that ends with LF. Extensions are skipped.
fn parse_size(line: &[u8]) -> Result<u64, ChunkedProblem> {
    let content = line.strip_suffix(b"\r\n").ok_or(ChunkedProblem::SizeLine)?;
    if content.iter().any(|octet| octet.is_ascii_control() && *octet != b'\t') {
        return Err(ChunkedProblem::SizeLine);
    }
    let size = content.split(|octet| *octet == b';').next().unwrap_or_default();
    let size = super::fields::trim(size);
    if size.is_empty() {
        return Err(ChunkedProblem::Size);
    }
    size.iter().try_fold(0_u64, |number, octet| {
        let digit = char::from(*octet).to_digit(16).ok_or(ChunkedProblem::Size)?;
        number.checked_mul(16).map(|number| number + u64::from(digit)).ok_or(ChunkedProblem::Size)
    })
}

/// Appends one chunk. An empty one would end the body, so nothing is written for empty `data`.
pub fn encode_chunk(data: &[u8], out: &mut Vec<u8>) {
    if !data.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends the last chunk with these trailer fields, which ends the body.
pub fn encode_last_chunk(trailers: &Fields, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    trailers.encode(out);
    out.extend_from_slice(b"\r\n");
}
