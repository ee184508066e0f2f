//! Reading header blocks (RFC 7541, section 6), with bounds.

use super::huffman::{self, HuffmanError};
use super::integer::{self, IntegerError};
use super::table::{STATIC, Table};
use super::{DEFAULT_TABLE_SIZE, HeaderField};

/// What a decoder accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecoderLimits {
    /// Octets of dynamic table: what was announced as SETTINGS_HEADER_TABLE_SIZE.
    pub table_size: u32,
    /// Octets of one header list, each field counted with 32 more: what was announced as
    /// SETTINGS_MAX_HEADER_LIST_SIZE.
    pub list_size: usize,
    /// Fields in one header list.
    pub fields: usize,
}

impl Default for DecoderLimits {
    /// 4,096 octets of table, 256 KiB of list, 1,000 fields.
    fn default() -> Self {
        Self { table_size: DEFAULT_TABLE_SIZE, list_size: 256 * 1024, fields: 1000 }
    }
}

/// A header block that could not be decoded. Both sides' tables are out of step from here on, so it ends the connection
/// with COMPRESSION_ERROR (RFC 9113, section 4.3); where a limit was met, with what the caller prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("header block, octet {offset}: {problem} (RFC 7541)")]
pub struct HpackError {
    /// Where the representation that is at fault starts in the block, counted from 0.
    pub offset: usize,
    /// What is wrong with it.
    pub problem: HpackProblem,
}

/// What is wrong in a header block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HpackProblem {
    /// Section 6.
    #[error("the block ends inside a field")]
    Truncated,
    /// Section 5.1.
    #[error("an integer is larger than 32 bits")]
    IntegerTooLarge,
    /// Section 5.2.
    #[error(transparent)]
    Huffman(#[from] HuffmanError),
    /// Sections 2.3.3 and 6.1.
    #[error("index {index} is in no table: the static one ends at 61, the dynamic one has {dynamic} fields")]
    Index {
        /// The index.
        index: u32,
        /// Fields in the dynamic table at that moment.
        dynamic: usize,
    },
    /// Section 6.3.
    #[error("the dynamic table is to be {size} octets, more than the {limit} that SETTINGS_HEADER_TABLE_SIZE allows")]
    TableSize {
        /// What the peer wants.
        size: u32,
        /// What it may have.
        limit: u32,
    },
    /// Section 4.2.
    #[error("a dynamic table size update is not at the start of the block")]
    LateTableSize,
    /// Section 4.2.
    #[error("more than two dynamic table size updates in one block")]
    ManyTableSizes,
    /// Section 4.2.
    #[error("SETTINGS_HEADER_TABLE_SIZE was lowered to {limit} and the block does not start with a size update")]
    MissingTableSize {
        /// The lowered limit.
        limit: u32,
    },
    /// [`DecoderLimits::list_size`].
    #[error("the header list is larger than the limit of {limit} octets")]
    ListSize {
        /// The limit.
        limit: usize,
    },
    /// [`DecoderLimits::fields`].
    #[error("the header list has more than {limit} fields")]
    Fields {
        /// The limit.
        limit: usize,
    },
    /// An earlier block had an error.
    #[error("an earlier header block was broken, nothing after it can be decoded")]
    Poisoned,
}

impl HpackProblem {
    /// Whether a limit of ours was met, rather than the format broken.
    pub fn is_limit(self) -> bool {
        matches!(self, Self::ListSize { .. } | Self::Fields { .. })
    }
}

/// Reads header blocks of one direction of a connection, all of them and in order.
#[derive(Debug)]
pub struct Decoder {
    limits: DecoderLimits,
    table: Table,
    /// The limit was lowered below the table's size: the next block has to start with a size update.
    update_due: bool,
    poisoned: bool,
}

impl Decoder {
    /// A decoder for an endpoint that announced these limits.
    pub fn new(limits: DecoderLimits) -> Self {
        // What was not acknowledged does not count yet, so the peer starts with the default.
        let table = Table::new(DEFAULT_TABLE_SIZE.min(limits.table_size) as usize);
        Self { limits, table, update_due: false, poisoned: false }
    }

    /// Changes SETTINGS_HEADER_TABLE_SIZE, in octets, when the peer has acknowledged it.
    pub fn set_table_size_limit(&mut self, limit: u32) {
        self.limits.table_size = limit;
        if self.table.max_size() > limit as usize {
            self.table.set_max_size(limit as usize);
            self.update_due = true;
        }
    }

    /// Octets in the dynamic table, each field counted with 32 more.
    pub fn table_size(&self) -> usize {
        self.table.size()
    }

    /// Fields in the dynamic table.
    pub fn table_len(&self) -> usize {
        self.table.len()
    }

    /// Decodes a whole block: the fragments of HEADERS or PUSH_PROMISE and all CONTINUATIONs, put together.
    ///
    /// # Errors
    ///
    /// See [`HpackProblem`]. After one, every further call fails with [`HpackProblem::Poisoned`].
    pub fn decode(&mut self, block: &[u8]) -> Result<Vec<HeaderField>, HpackError> {
        if self.poisoned {
            return Err(HpackError { offset: 0, problem: HpackProblem::Poisoned });
        }
        let mut reader = Reader { block, at: 0 };
        let mut start = 0;
        self.fields(&mut reader, &mut start).map_err(|problem| {
            self.poisoned = true;
            HpackError { offset: start, problem }
        })
    }

    fn fields(&mut self, reader: &mut Reader<'_>, start: &mut usize) -> Result<Vec<HeaderField>, HpackProblem> {
        let mut fields = Vec::new();
        let mut size = 0;
        let mut updates = 0;
        while let Some(first) = reader.peek() {
            *start = reader.at;
            if first & 0xe0 == 0x20 {
                if !fields.is_empty() {
                    return Err(HpackProblem::LateTableSize);
                }
                updates += 1;
                if updates > 2 {
                    return Err(HpackProblem::ManyTableSizes);
                }
                self.update_table_size(reader.integer(5)?)?;
                continue;
            }
            if self.update_due {
                return Err(HpackProblem::MissingTableSize { limit: self.limits.table_size });
            }
            let field = self.field(reader, first)?;
            size += field.size();
            if size > self.limits.list_size {
                return Err(HpackProblem::ListSize { limit: self.limits.list_size });
            }
            if fields.len() == self.limits.fields {
                return Err(HpackProblem::Fields { limit: self.limits.fields });
            }
            fields.push(field);
        }
        Ok(fields)
    }

    fn update_table_size(&mut self, size: u32) -> Result<(), HpackProblem> {
        let limit = self.limits.table_size;
        if size > limit {
            return Err(HpackProblem::TableSize { size, limit });
        }
        self.table.set_max_size(size as usize);
        self.update_due = false;
        Ok(())
    }

    fn field(&mut self, reader: &mut Reader<'_>, first: u8) -> Result<HeaderField, HpackProblem> {
        if first & 0x80 != 0 {
            let (name, value) = self.at(reader.integer(7)?)?;
            return Ok(HeaderField::new(name, value));
        }
        let incremental = first & 0x40 != 0;
        let index = reader.integer(if incremental { 6 } else { 4 })?;
        let limit = self.limits.list_size;
        let name = if index == 0 { reader.string(limit)? } else { self.at(index)?.0.to_vec() };
        let value = reader.string(limit)?;
        let sensitive = !incremental && first & 0x10 != 0;
        let field = HeaderField { name, value, sensitive };
        if incremental {
            self.table.insert(field.clone());
        }
        Ok(field)
    }

    fn at(&self, index: u32) -> Result<(&[u8], &[u8]), HpackProblem> {
        self.table.get(index as usize).ok_or(HpackProblem::Index { index, dynamic: self.table.len() })
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(DecoderLimits::default())
    }
}

const _: () = assert!(STATIC.len() == 61);

/// The block, and how far it has been read.
struct Reader<'a> {
    block: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.block.get(self.at).copied()
    }

    fn integer(&mut self, bits: u32) -> Result<u32, HpackProblem> {
        let (value, used) = integer::decode(&self.block[self.at..], bits).map_err(|error| match error {
            IntegerError::Truncated => HpackProblem::Truncated,
            IntegerError::TooLarge => HpackProblem::IntegerTooLarge,
        })?;
        self.at += used;
        Ok(value)
    }

    /// A string literal (section 5.2) of at most `limit` octets as sent.
    fn string(&mut self, limit: usize) -> Result<Vec<u8>, HpackProblem> {
        let huffman = self.peek().ok_or(HpackProblem::Truncated)? & 0x80 != 0;
        let length = self.integer(7)? as usize;
        if length > limit {
            return Err(HpackProblem::ListSize { limit });
        }
        let bytes: &'a [u8] = self.block[self.at..].get(..length).ok_or(HpackProblem::Truncated)?;
        self.at += length;
        if huffman { Ok(huffman::decode(bytes)?) } else { Ok(bytes.to_vec()) }
    }
}
