//! Header compression for HTTP/2 (RFC 7541).
//!
//! [`Decoder`] reads header blocks as an endpoint has to, with bounds on everything. [`Encoder`] writes them; unless
//! told otherwise it uses the static table only, so that a block means the same on every connection.

mod decoder;
mod encoder;
mod huffman;
mod integer;
mod table;

pub use decoder::{Decoder, DecoderLimits, HpackError, HpackProblem};
pub use encoder::{Encoder, Indexing};
pub use huffman::HuffmanError;

use std::fmt;

/// Octets of dynamic table both sides start with (RFC 9113, section 6.5.2, SETTINGS_HEADER_TABLE_SIZE).
pub const DEFAULT_TABLE_SIZE: u32 = 4096;

/// Octets that each field counts beyond its name and value (RFC 7541, section 4.1; RFC 9113, section 6.5.2).
pub const FIELD_OVERHEAD: usize = 32;

/// A field: pseudo-header, header or trailer. In HTTP/2 names are lower case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HeaderField {
    /// Name.
    pub name: Vec<u8>,
    /// Value; not necessarily UTF-8.
    pub value: Vec<u8>,
    /// Never to be put into a compression table (RFC 7541, section 7.1.3).
    pub sensitive: bool,
}

impl HeaderField {
    /// A field that is not sensitive.
    pub fn new(name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), value: value.into(), sensitive: false }
    }

    /// Octets this counts against a table or a list: name, value and 32 (RFC 7541, section 4.1).
    pub fn size(&self) -> usize {
        self.name.len() + self.value.len() + FIELD_OVERHEAD
    }
}

impl fmt::Debug for HeaderField {
    /// `name: value`; the value of a sensitive field is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.sensitive { "(sensitive)".into() } else { self.value.escape_ascii().to_string() };
        write!(f, "\"{}: {}\"", self.name.escape_ascii(), value)
    }
}
