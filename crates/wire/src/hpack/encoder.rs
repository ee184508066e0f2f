//! Writing header blocks (RFC 7541, section 6).

use super::table::{Found, Table};
use super::{DEFAULT_TABLE_SIZE, HeaderField, huffman, integer};

/// What an encoder does with a field that is not in a table (RFC 7541, section 6.2). Sensitive fields are always
/// written as [`Indexing::Never`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Indexing {
    /// Written out and added to the dynamic table (6.2.1).
    Incremental,
    /// Written out (6.2.2). The dynamic table stays empty.
    #[default]
    Without,
    /// Written out, and nobody on the way may do otherwise (6.2.3). The dynamic table stays empty.
    Never,
}

/// Writes header blocks for one direction of a connection.
///
/// ```
/// use goferry_wire::hpack::{Encoder, HeaderField};
///
/// let mut block = Vec::new();
/// Encoder::new().encode(&[HeaderField::new(":method", "GET"), HeaderField::new(":path", "/")], &mut block);
/// assert_eq!(block, [0x82, 0x84]);
/// ```
#[derive(Debug)]
pub struct Encoder {
    table: Table,
    indexing: Indexing,
    huffman: bool,
    /// Table sizes to be announced at the start of the next block: the smallest since the last one, and the final.
    updates: Option<(usize, usize)>,
}

impl Encoder {
    /// An encoder that uses the static table only, and Huffman coding where it is not longer.
    pub fn new() -> Self {
        Self {
            table: Table::new(DEFAULT_TABLE_SIZE as usize),
            indexing: Indexing::default(),
            huffman: true,
            updates: None,
        }
    }

    /// The same with another way of indexing.
    #[must_use]
    pub fn with_indexing(self, indexing: Indexing) -> Self {
        Self { indexing, ..self }
    }

    /// The same with or without Huffman coding.
    #[must_use]
    pub fn with_huffman(self, huffman: bool) -> Self {
        Self { huffman, ..self }
    }

    /// Changes the size of the dynamic table, in octets, and announces that in the next block. It may not be more
    /// than the peer's SETTINGS_HEADER_TABLE_SIZE, which is for the caller to see to.
    pub fn set_table_size(&mut self, size: u32) {
        let size = size as usize;
        let smallest = self.updates.map_or(size, |(smallest, _)| smallest.min(size));
        self.updates = Some((smallest, size));
        self.table.set_max_size(size);
    }

    /// Appends the block for `fields` to `out`.
    pub fn encode<'a>(&mut self, fields: impl IntoIterator<Item = &'a HeaderField>, out: &mut Vec<u8>) {
        if let Some((smallest, last)) = self.updates.take() {
            if smallest < last {
                integer::encode(smallest as u64, 5, 0x20, out);
            }
            integer::encode(last as u64, 5, 0x20, out);
        }
        for field in fields {
            self.field(field, out);
        }
    }

    fn field(&mut self, field: &HeaderField, out: &mut Vec<u8>) {
        let indexing = if field.sensitive { Indexing::Never } else { self.indexing };
        let name = match self.table.find(&field.name, &field.value) {
            Some(Found::Field(index)) if indexing != Indexing::Never => {
                return integer::encode(index as u64, 7, 0x80, out);
            }
            Some(Found::Field(index) | Found::Name(index)) => index as u64,
            None => 0,
        };
        match indexing {
            Indexing::Incremental => integer::encode(name, 6, 0x40, out),
            Indexing::Without => integer::encode(name, 4, 0x00, out),
            Indexing::Never => integer::encode(name, 4, 0x10, out),
        }
        if name == 0 {
            self.string(&field.name, out);
        }
        self.string(&field.value, out);
        if indexing == Indexing::Incremental {
            self.table.insert(field.clone());
        }
    }

    fn string(&self, text: &[u8], out: &mut Vec<u8>) {
        let coded = huffman::encoded_len(text);
        if self.huffman && !text.is_empty() && coded <= text.len() {
            integer::encode(coded as u64, 7, 0x80, out);
            huffman::encode(text, out);
        } else {
            integer::encode(text.len() as u64, 7, 0x00, out);
            out.extend_from_slice(text);
        }
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}
