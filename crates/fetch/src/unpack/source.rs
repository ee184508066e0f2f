//! Where the bytes of a zip come from, and in which pieces they are worked on.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use goferry_module::zip::{Entry, HEADER_SIZE, MAX_ZIP_FILE, ZipError};

use crate::error::FetchError;

/// Up to this size a zip is read into memory whole, in bytes.
const SMALL_ZIP: u64 = 2 << 20;

/// A piece of a zip that one worker takes: about so many bytes, packed, of as many files as that may be.
const CHUNK: u64 = 512 << 10;

/// The largest file that is held in memory, packed and inflated, in bytes. Larger ones are streamed.
pub(super) const LARGE_FILE: u64 = 8 << 20;

/// The bytes of a zip.
pub(crate) enum Source {
    /// In memory.
    Memory(Bytes),
    /// In a file.
    File {
        /// The file, open for reading.
        file: File,
        /// Its size when it was opened, in bytes.
        size: u64,
        /// Its name.
        path: PathBuf,
    },
}

impl Source {
    /// Of an open file; reads it into memory where it is small.
    pub(crate) fn of_file(mut file: File, path: &Path) -> Result<Self, FetchError> {
        let failed = |error: &io::Error| FetchError::local(format_args!("reading {}", path.display()), error);
        let size = file.metadata().map_err(|e| failed(&e))?.len();
        if size <= SMALL_ZIP {
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1);
            (&mut file).take(SMALL_ZIP + 1).read_to_end(&mut bytes).map_err(|e| failed(&e))?;
            return Ok(Self::Memory(bytes.into()));
        }
        Ok(Self::File { file, size, path: path.to_owned() })
    }

    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    /// All of it, for reading the directory.
    pub(super) fn reader(&self) -> Box<dyn ReadSeek + '_> {
        match self {
            Self::Memory(bytes) => Box::new(Cursor::new(&bytes[..])),
            Self::File { file, .. } => Box::new(file),
        }
    }

    /// The bytes from `start` to `end`, in memory. `buffer` is used where they must be read first.
    pub(super) fn span<'b>(&'b self, start: u64, end: u64, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], ZipError> {
        let cut = || ZipError::Malformed("a file lies beyond the end of the zip".to_owned());
        match self {
            Self::Memory(bytes) => {
                let range = usize::try_from(start).map_err(|_| cut())?..usize::try_from(end).map_err(|_| cut())?;
                bytes.get(range).ok_or_else(cut)
            }
            Self::File { file, size, .. } => {
                if end > *size {
                    return Err(cut());
                }
                let length = end.checked_sub(start).and_then(|n| usize::try_from(n).ok()).ok_or_else(cut)?;
                if buffer.len() < length {
                    buffer.resize(length, 0);
                }
                file.read_exact_at(&mut buffer[..length], start)?;
                Ok(&buffer[..length])
            }
        }
    }

    /// The bytes from `start` to `end`, piece by piece.
    pub(super) fn stream(&self, start: u64, end: u64) -> Stream<'_> {
        Stream { source: self, at: start, end }
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory(bytes) => write!(f, "Memory({} bytes)", bytes.len()),
            Self::File { size, path, .. } => write!(f, "File({}, {size} bytes)", path.display()),
        }
    }
}

/// What reading the directory needs.
pub(super) trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

/// A part of a zip, read piece by piece.
pub(super) struct Stream<'a> {
    source: &'a Source,
    at: u64,
    end: u64,
}

impl Read for Stream<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let want = buf.len().min(left);
        let n = match self.source {
            Source::Memory(bytes) => {
                let from = usize::try_from(self.at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
                (&from[..want.min(from.len())]).read(buf)?
            }
            Source::File { file, .. } => file.read_at(&mut buf[..want], self.at)?,
        };
        self.at += n as u64;
        Ok(n)
    }
}

/// Files that lie together in the zip.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Their indexes, by offset.
    pub(super) entries: Vec<usize>,
    /// Where the first begins, in bytes from the start of the zip.
    pub(super) start: u64,
    /// Where the last ends at the latest.
    pub(super) end: u64,
}

/// The whole zip in chunks, in the order of their offsets. A large file is a chunk of its own.
pub(super) fn chunks(entries: &[Entry], size: u64) -> Vec<Chunk> {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|index| entries[*index].header_offset());
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut content = 0_u64;
    for (place, &index) in order.iter().enumerate() {
        let entry = &entries[index];
        let start = entry.header_offset();
        // A header is at most its fixed part, a name and an extra field.
        let furthest = start.saturating_add(HEADER_SIZE as u64 + 2 * 0xffff).saturating_add(entry.compressed_size());
        let next = order.get(place + 1).map_or(size, |next| entries[*next].header_offset());
        let end = next.min(furthest).min(size);
        content = content.saturating_add(entry.size());
        match chunks.last_mut() {
            Some(last)
                if end.saturating_sub(last.start) <= CHUNK && content <= 4 * CHUNK && entry.size() <= LARGE_FILE =>
            {
                last.entries.push(index);
                last.end = last.end.max(end);
            }
            _ => {
                chunks.push(Chunk { entries: vec![index], start, end });
                content = entry.size();
            }
        }
    }
    debug_assert!(size <= MAX_ZIP_FILE);
    chunks
}
