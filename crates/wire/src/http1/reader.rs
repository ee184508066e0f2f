//! Heads out of a stream of bytes.

use super::fields::Fields;
use super::head::{RequestHead, ResponseHead};

/// How large a head may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Octets of the whole head, line ends included.
    pub bytes: usize,
    /// Header fields.
    pub fields: usize,
}

impl Default for HeadLimits {
    /// 64 KiB and 256 fields.
    fn default() -> Self {
        Self { bytes: 64 * 1024, fields: 256 }
    }
}

/// A head that is not one. Nothing after it on the connection can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("HTTP/1 head, line {line}: {problem}{}", shown(.excerpt))]
pub struct HeadError {
    /// Line at fault, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: HeadProblem,
    /// The start of that line with everything unprintable escaped, at most 80 octets of it.
    pub excerpt: String,
}

fn shown(excerpt: &str) -> String {
    if excerpt.is_empty() { String::new() } else { format!(": \"{excerpt}\"") }
}

/// What is wrong with a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadProblem {
    /// RFC 9112, section 4.
    #[error("the response does not start with `HTTP/`")]
    NotHttp,
    /// RFC 9112, section 2.3.
    #[error("the version is not HTTP/1.x")]
    Version,
    /// RFC 9112, section 4.
    #[error("the status code is not three digits, the first not 0, with one blank before it")]
    Status,
    /// RFC 9112, section 4.
    #[error("the reason phrase has a control character")]
    Reason,
    /// RFC 9112, section 3.
    #[error("the request line is not a method, a target and a version with one blank between them")]
    RequestLine,
    /// RFC 9110, section 9.1.
    #[error("the method is not a token")]
    Method,
    /// RFC 9112, section 3.2.
    #[error("the request target is not printable ASCII")]
    Target,
    /// RFC 9112, section 5.
    #[error("the field has no colon")]
    NoColon,
    /// RFC 9112, section 5.1.
    #[error("there is a blank between field name and colon")]
    BlankBeforeColon,
    /// RFC 9110, section 5.1.
    #[error("the field name is not a token")]
    FieldName,
    /// RFC 9110, section 5.5.
    #[error("the field value has a control character")]
    FieldValue,
    /// RFC 9112, section 5.2.
    #[error("the field value is folded, which a request may not do")]
    Fold,
    /// RFC 9112, section 2.2.
    #[error("a line that starts with a blank follows the first line")]
    FoldFirst,
    /// [`HeadLimits::bytes`].
    #[error("the head is larger than the limit of {limit} octets")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// [`HeadLimits::fields`].
    #[error("the head has more than {limit} fields")]
    TooManyFields {
        /// The limit.
        limit: usize,
    },
    /// The stream ended.
    #[error("the connection ended inside the head, after {octets} octets of it")]
    Ended {
        /// Octets of the head that had come.
        octets: usize,
    },
}

/// What can be read by a [`HeadReader`]: [`ResponseHead`] and [`RequestHead`].
pub trait Head: private::Parse {}

impl Head for ResponseHead {}
impl Head for RequestHead {}

mod private {
    use super::{Fields, HeadProblem};

    /// How the two kinds of head differ.
    pub trait Parse: Sized {
        /// What the first line has to start with, as far as that is known.
        const START: &'static [u8];
        /// Whether folded fields are read (as one line) rather than refused.
        const FOLDS: bool;
        /// Whether empty lines may come first.
        const EMPTY_LINES_FIRST: bool;

        /// Reads the first line.
        fn parse_line(line: &[u8]) -> Result<Self, HeadProblem>;

        /// Where the fields go.
        fn fields_mut(&mut self) -> &mut Fields;
    }
}

impl private::Parse for ResponseHead {
    const START: &'static [u8] = b"HTTP/";
    const FOLDS: bool = true;
    const EMPTY_LINES_FIRST: bool = false;

    fn parse_line(line: &[u8]) -> Result<Self, HeadProblem> {
        Self::parse_line(line)
    }

    fn fields_mut(&mut self) -> &mut Fields {
        &mut self.fields
    }
}

impl private::Parse for RequestHead {
    const START: &'static [u8] = b"";
    const FOLDS: bool = false;
    const EMPTY_LINES_FIRST: bool = true;

    fn parse_line(line: &[u8]) -> Result<Self, HeadProblem> {
        Self::parse_line(line)
    }

    fn fields_mut(&mut self) -> &mut Fields {
        &mut self.fields
    }
}

/// Reads heads, one after another, from bytes as they arrive. Keeps no more than [`HeadLimits`] allow.
///
/// Lines may end with LF alone (RFC 9112, section 2.2). A response that does not start with `HTTP/` is noticed at its
/// first wrong octet, not at the end of its first line, which may never come.
///
/// ```
/// use goferry_wire::http1::{HeadReader, ResponseHead};
///
/// let mut reader = HeadReader::<ResponseHead>::default();
/// assert_eq!(reader.push(b"HTTP/1.1 200 O")?, None);
/// let (head, used) = reader.push(b"K\r\nContent-Length: 2\r\n\r\nhi")?.expect("complete");
/// assert_eq!((head.status, head.fields.get("content-length"), used), (200, Some(&b"2"[..]), 24));
/// # Ok::<(), goferry_wire::http1::HeadError>(())
/// ```
#[derive(Debug)]
pub struct HeadReader<H> {
    limits: HeadLimits,
    head: Option<H>,
    /// The line that is being received.
    line: Vec<u8>,
    /// Its number.
    number: usize,
    /// Octets of this head.
    used: usize,
    failed: Option<HeadError>,
}

impl<H: Head> HeadReader<H> {
    /// A reader with these limits.
    pub fn new(limits: HeadLimits) -> Self {
        Self { limits, head: None, line: Vec::new(), number: 1, used: 0, failed: None }
    }

    /// Takes what was read. When that completes a head, gives it and how many octets of `bytes` belong to it; the
    /// rest is body or the next head. The reader is then ready for another head.
    ///
    /// # Errors
    ///
    /// See [`HeadProblem`]. After one, every further call gives the same error.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<(H, usize)>, HeadError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let newline = rest.iter().position(|octet| *octet == b'\n');
            let take = newline.map_or(rest.len(), |place| place + 1);
            let room = self.limits.bytes - self.used;
            self.line.extend_from_slice(&rest[..take.min(room)]);
            self.check_start()?;
            if take > room {
                return self.fail(HeadProblem::TooLarge { limit: self.limits.bytes }, 0);
            }
            self.used += take;
            at += take;
            if newline.is_some()
                && let Some(head) = self.end_line()?
            {
                return Ok(Some((head, at)));
            }
        }
        Ok(None)
    }

    /// Says that the stream has ended.
    ///
    /// # Errors
    ///
    /// If it ended inside a head: [`HeadProblem::Ended`].
    pub fn finish(&mut self) -> Result<(), HeadError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        match self.used {
            0 => Ok(()),
            octets => self.fail(HeadProblem::Ended { octets }, self.line.len()),
        }
    }

    /// Octets of the head that is being received.
    pub fn used(&self) -> usize {
        self.used
    }

    /// The part of the current line that has come: after an error, what it was about.
    pub fn current_line(&self) -> &[u8] {
        &self.line
    }

    fn check_start(&mut self) -> Result<(), HeadError> {
        if self.number > 1 {
            return Ok(());
        }
        match self.line.iter().zip(H::START).position(|(got, wanted)| got != wanted) {
            Some(place) => self.fail(HeadProblem::NotHttp, place + 1),
            None => Ok(()),
        }
    }

    fn end_line(&mut self) -> Result<Option<H>, HeadError> {
        let line = std::mem::take(&mut self.line);
        let content = line.strip_suffix(b"\n").unwrap_or(&line);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        let result = match &mut self.head {
            None if content.is_empty() && H::EMPTY_LINES_FIRST => Ok(()),
            None => H::parse_line(content).map(|head| self.head = Some(head)),
            Some(_) if content.is_empty() => {
                self.number = 1;
                self.used = 0;
                return Ok(self.head.take());
            }
            Some(head) => head.fields_mut().parse_line(content, H::FOLDS, self.limits),
        };
        if let Err(problem) = result {
            let octets = content.len();
            self.line = line;
            return self.fail(problem, octets);
        }
        self.number += 1;
        Ok(None)
    }

    /// Fails with the first `octets` of the current line as the excerpt.
    fn fail<T>(&mut self, problem: HeadProblem, octets: usize) -> Result<T, HeadError> {
        let excerpt = self.line[..octets.min(self.line.len()).min(80)].escape_ascii().to_string();
        let error = HeadError { line: self.number, problem, excerpt };
        self.failed = Some(error.clone());
        Err(error)
    }
}

impl<H: Head> Default for HeadReader<H> {
    fn default() -> Self {
        Self::new(HeadLimits::default())
    }
}
