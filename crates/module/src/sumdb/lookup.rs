//! What a checksum database answers to `/lookup/MODULE@VERSION`: a record of the log and a signed tree head
//! (`golang.org/x/mod/sumdb/tlog`, `note.go`, `ParseRecord`; `golang.org/x/mod/sumdb`, `client.go`, `Client.Lookup`).

use super::tlog::{Hash, record_hash};

/// The longest answer that is read, in bytes. The go command knows no bound of its own.
pub const MAX_SIZE: usize = 1_000_000;

/// An answer, not yet trusted: first the tree head must be opened, then the record be found in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup<'a> {
    /// The number of the record in the log.
    pub id: u64,
    /// The record: lines of a go.sum, each ended by a newline.
    pub text: &'a str,
    /// The signed tree head, for [`super::TreeHead::open`]. The go command takes an empty one for a log without records.
    pub signed_tree: &'a [u8],
}

/// Why an answer is not of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// It is longer than [`MAX_SIZE`].
    #[error("the answer is longer than {MAX_SIZE} bytes")]
    TooLong,
    /// It is not of the form.
    #[error("malformed record data")]
    Malformed,
}

impl<'a> Lookup<'a> {
    /// Parses an answer: the number of the record, the lines of the record, an empty line, a signed tree head.
    ///
    /// The go command also parses negative numbers; no log has such a record, and here they are malformed.
    ///
    /// # Errors
    /// When it is not of the form, the record has control characters or is not UTF-8, or it is too long.
    pub fn parse(answer: &'a [u8]) -> Result<Self, LookupError> {
        if answer.len() > MAX_SIZE {
            return Err(LookupError::TooLong);
        }
        Self::parse_bounded(answer).ok_or(LookupError::Malformed)
    }

    /// The hash that the log must have as its record [`Lookup::id`].
    #[must_use]
    pub fn record_hash(&self) -> Hash {
        record_hash(self.text.as_bytes())
    }

    /// The go.sum lines of a module at a version, without newlines. The version may end in `/go.mod`.
    pub fn lines(&self, path: &str, version: &str) -> impl Iterator<Item = &'a str> {
        let prefix = format!("{path} {version} ");
        self.text.split('\n').filter(move |line| line.starts_with(&prefix))
    }

    fn parse_bounded(answer: &'a [u8]) -> Option<Self> {
        let end = answer.iter().position(|b| *b == b'\n')?;
        let id = std::str::from_utf8(&answer[..end]).ok()?.parse::<i64>().ok()?;
        let id = u64::try_from(id).ok()?;
        let rest = &answer[end + 1..];
        let end = rest.windows(2).position(|pair| pair == b"\n\n")?;
        let (text, signed_tree) = (&rest[..=end], &rest[end + 2..]);
        let text = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|b| b >= 0x20 || b == b'\n'))?;
        Some(Self { id, text, signed_tree })
    }
}
