//! Tree heads: how many records a log has, and the hash over all of them (`golang.org/x/mod/sumdb/tlog`, `note.go`).

use std::fmt;

use super::note::{Note, NoteError, Verifier};
use super::tlog::{EMPTY_TREE, Hash};

/// The longest text of a tree head, in bytes.
pub const MAX_SIZE: usize = 1_000_000;

const FIRST_LINE: &str = "go.sum database tree";

/// The state of a log at one size. Its text form is three lines: `go.sum database tree`, the size in decimal, the hash
/// in base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// The number of records, at most [`super::tlog::MAX_RECORDS`].
    pub size: u64,
    /// The hash of the log.
    pub hash: Hash,
}

/// Why a text is no tree head that can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The text is not of the form.
    #[error(
        "malformed tree note: expected \"go.sum database tree\", a size and a hash on lines of their own, \
         in at most {MAX_SIZE} bytes"
    )]
    Malformed,
    /// The note around it cannot be trusted.
    #[error("reading tree note: {0}")]
    Note(#[from] NoteError),
}

impl TreeHead {
    /// The log without records, where every client begins.
    pub const EMPTY: Self = Self { size: 0, hash: EMPTY_TREE };

    /// Parses the text of a tree head. Lines after the third are left for later forms of it, and ignored.
    ///
    /// # Errors
    /// When the text is not of the form, or longer than [`MAX_SIZE`].
    pub fn parse(text: &str) -> Result<Self, TreeError> {
        Self::parse_text(text).ok_or(TreeError::Malformed)
    }

    /// Opens a signed tree head: the body of `/latest`, the end of a look-up, or a client's `latest` file.
    ///
    /// An empty file stands for [`TreeHead::EMPTY`] to the go command; here it is an error, so that the caller decides.
    ///
    /// # Errors
    /// When the note is malformed or not signed by any of `known`, or does not hold a tree head.
    pub fn open(message: &[u8], known: &[Verifier]) -> Result<Self, TreeError> {
        Self::parse(&Note::open(message, known)?.text)
    }

    fn parse_text(text: &str) -> Option<Self> {
        if text.len() > MAX_SIZE {
            return None;
        }
        let mut lines = text.splitn(4, '\n');
        let (first, size, hash, _rest) = (lines.next()?, lines.next()?, lines.next()?, lines.next()?);
        let canonical = |n: &i64| *n >= 0 && n.to_string() == size;
        let size = size.parse().ok().filter(canonical)?.unsigned_abs();
        Some(Self { size, hash: Hash::parse(hash)? }).filter(|_| first == FIRST_LINE)
    }
}

impl fmt::Display for TreeHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}\n{}\n{}", self.size, self.hash)
    }
}
