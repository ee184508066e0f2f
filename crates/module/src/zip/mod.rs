//! Module zips: reading, checking and making them (`golang.org/x/mod/zip`).
//!
//! The reader is its own and stricter than general ones: it sees every entry of the directory in its order, also two of
//! one name, so that what is checked here is what the go command would unpack.

mod check;
mod create;
mod reader;
#[cfg(test)]
mod tests;

pub use self::check::{CheckedZip, InvalidFile, check};
pub use self::create::create_module_zip;
pub use self::reader::{Archive, Entry, HEADER_SIZE, Method};

/// The largest module zip, and the largest sum of the sizes of its files, in bytes.
pub const MAX_ZIP_FILE: u64 = 500 << 20;

/// The largest go.mod in a module zip, in bytes.
pub const MAX_GO_MOD: u64 = 16 << 20;

/// The largest LICENSE in a module zip, in bytes.
pub const MAX_LICENSE: u64 = 16 << 20;

/// Why a zip cannot be read, used or made.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    /// Reading or writing failed.
    #[error("reading module zip: {0}")]
    Io(#[from] std::io::Error),
    /// It is not a zip, or not a whole one.
    #[error("not a valid zip file: {0}")]
    Malformed(String),
    /// The zip itself is over the limit.
    #[error("module zip file is too large ({size} bytes; limit is {MAX_ZIP_FILE} bytes)")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
    },
    /// Its files together are over the limit.
    #[error("total uncompressed size of module contents too large (max size is {MAX_ZIP_FILE} bytes)")]
    ContentTooLarge,
    /// A file is not what its header says.
    #[error("{name}: {reason}")]
    File {
        /// The file's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Files that must not be in a module zip.
    #[error("{} (and {} more)", .0[0], .0.len() - 1)]
    Invalid(Vec<InvalidFile>),
}
