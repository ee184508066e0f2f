//! The reader: end record, directory, files (PKWARE's APPNOTE.TXT, sections 4.3 and 4.4; Go's `archive/zip/reader.go`).

use std::io::{self, Read, Seek, SeekFrom, Write};

use flate2::Crc;
use flate2::read::DeflateDecoder;

use super::{MAX_ZIP_FILE, ZipError};

/// The largest directory that is read, in bytes. 25,000 files need about 4 MB.
const MAX_DIRECTORY: u64 = 64 << 20;

const END: u32 = 0x0605_4b50;
const END64: u32 = 0x0606_4b50;
const END64_LOCATOR: u32 = 0x0706_4b50;
const DIRECTORY_HEADER: u32 = 0x0201_4b50;
const LOCAL_HEADER: u32 = 0x0403_4b50;
const END_SIZE: usize = 22;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// A zip that is open for reading.
#[derive(Debug)]
pub struct Archive<R> {
    reader: R,
    entries: Vec<Entry>,
}

/// One entry of the directory.
#[derive(Clone, Debug)]
pub struct Entry {
    name: String,
    size: u64,
    compressed: u64,
    crc: u32,
    method: u16,
    described_later: bool,
    offset: u64,
}

impl Entry {
    /// The whole name, `path@version/file`. Nothing about it has been checked but that it is UTF-8.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The size that the directory says, in bytes. [`Archive::read`] holds the file to it.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether this is a directory.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.name.ends_with('/')
    }

    /// The size in the zip that the directory says, in bytes.
    #[must_use]
    pub fn compressed_size(&self) -> u64 {
        self.compressed
    }

    /// Where in the zip the file's own header begins, in bytes from the start. The content follows it.
    #[must_use]
    pub fn header_offset(&self) -> u64 {
        self.offset
    }

    /// How the content is packed.
    ///
    /// # Errors
    /// Where it is neither stored nor deflated.
    pub fn method(&self) -> Result<Method, ZipError> {
        match self.method {
            STORED => Ok(Method::Stored),
            DEFLATED => Ok(Method::Deflated),
            _ => Err(self.bad("unsupported compression method")),
        }
    }

    /// How many bytes the file's own header has, read from `bytes`, which begin with it. The content follows.
    ///
    /// # Errors
    /// Where no header is there, or `bytes` are fewer than [`HEADER_SIZE`].
    pub fn header_size(&self, bytes: &[u8]) -> Result<usize, ZipError> {
        if bytes.len() < HEADER_SIZE || u32_at(bytes, 0) != LOCAL_HEADER {
            return Err(self.bad("no file header where the directory says"));
        }
        Ok(HEADER_SIZE + usize::from(u16_at(bytes, 26)) + usize::from(u16_at(bytes, 28)))
    }

    /// Holds the CRC-32 of the content to what the directory says. As Go does: a zero is no checksum, unless it comes
    /// after the file.
    ///
    /// # Errors
    /// Where it is another.
    pub fn check_crc(&self, crc: u32) -> Result<(), ZipError> {
        if crc != self.crc && (self.crc != 0 || self.described_later) {
            return Err(self.bad("checksum error"));
        }
        Ok(())
    }

    /// An error about this file.
    #[must_use]
    pub fn bad(&self, reason: impl Into<String>) -> ZipError {
        ZipError::File { name: self.name.clone(), reason: reason.into() }
    }
}

/// How a file is packed in the zip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// As it is.
    Stored,
    /// Deflate (RFC 1951).
    Deflated,
}

/// The fixed part of a file's own header, in bytes (APPNOTE.TXT, section 4.3.7).
pub const HEADER_SIZE: usize = 30;

impl<R: Read + Seek> Archive<R> {
    /// Reads the directory of a zip.
    ///
    /// # Errors
    /// Where it is not a zip, is over 500 MiB, has bytes before its first file or is in several parts.
    pub fn open(mut reader: R) -> Result<Self, ZipError> {
        let size = reader.seek(SeekFrom::End(0))?;
        if size > MAX_ZIP_FILE {
            return Err(ZipError::TooLarge { size });
        }
        let directory = locate_directory(&mut reader, size)?;
        if directory.size > MAX_DIRECTORY {
            return Err(malformed(format!("directory of {} bytes, limit is {MAX_DIRECTORY}", directory.size)));
        }
        let mut bytes = vec![0; usize::try_from(directory.size).map_err(|_| malformed("directory too large"))?];
        reader.seek(SeekFrom::Start(directory.offset))?;
        reader.read_exact(&mut bytes)?;
        let mut rest = &bytes[..];
        let mut entries = Vec::new();
        while entries.len() as u64 != directory.entries {
            entries.push(entry(&mut rest, directory.offset)?);
        }
        if !rest.is_empty() {
            return Err(malformed("the directory has more entries than its end record says"));
        }
        Ok(Self { reader, entries })
    }

    /// All entries in the order of the directory.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// All entries in the order of the directory, without the reader.
    #[must_use]
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// The sum of all sizes that the directory says, in bytes.
    #[must_use]
    pub fn total_size(&self) -> u64 {
        self.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.size))
    }

    /// Writes the content of an entry to `sink`, inflated. Never writes more than [`Entry::size`] bytes.
    ///
    /// # Errors
    /// Where there is no such entry, where size or CRC are not what the directory says, where the method is neither
    /// stored nor deflated, and where reading or writing fails. Part of the content may have been written by then.
    pub fn read(&mut self, index: usize, sink: &mut impl Write) -> Result<(), ZipError> {
        let entry = self.entries.get(index).ok_or_else(|| malformed("no such entry"))?.clone();
        if entry.is_dir() {
            return if entry.size == 0 { Ok(()) } else { Err(entry.bad("a directory with content")) };
        }
        self.reader.seek(SeekFrom::Start(entry.offset))?;
        let mut header = [0; HEADER_SIZE];
        self.reader.read_exact(&mut header)?;
        self.reader.seek(SeekFrom::Start(entry.offset + entry.header_size(&header)? as u64))?;
        let packed = (&mut self.reader).take(entry.compressed);
        let crc = match entry.method()? {
            Method::Stored => copy(packed, sink, &entry)?,
            Method::Deflated => copy(DeflateDecoder::new(packed), sink, &entry)?,
        };
        entry.check_crc(crc)
    }
}

struct Directory {
    entries: u64,
    size: u64,
    offset: u64,
}

fn locate_directory<R: Read + Seek>(reader: &mut R, size: u64) -> Result<Directory, ZipError> {
    let tail_size = size.min(END_SIZE as u64 + 0xffff);
    let mut tail = vec![0; usize::try_from(tail_size).map_err(|_| malformed("too large"))?];
    reader.seek(SeekFrom::Start(size - tail_size))?;
    reader.read_exact(&mut tail)?;
    let last = tail.len().checked_sub(END_SIZE).ok_or_else(|| malformed("too short"))?;
    let at = (0..=last)
        .rev()
        .find(|&at| u32_at(&tail, at) == END)
        .ok_or_else(|| malformed("no end of directory record: the file is cut short or not a zip"))?;
    let end = &tail[at..];
    if at + END_SIZE + usize::from(u16_at(end, 20)) > tail.len() {
        return Err(malformed("comment cut short"));
    }
    let mut end_offset = size - tail_size + at as u64;
    let mut directory = Directory {
        entries: u64::from(u16_at(end, 10)),
        size: u64::from(u32_at(end, 12)),
        offset: u64::from(u32_at(end, 16)),
    };
    let parts = (u16_at(end, 4), u16_at(end, 6));
    if parts != (0, 0) && parts != (0xffff, 0xffff) {
        return Err(malformed("one part of several"));
    }
    let wide = directory.entries == 0xffff || directory.size == 0xffff_ffff || directory.offset == 0xffff_ffff;
    if wide && let Some(locator) = end_offset.checked_sub(20) {
        let mut bytes = [0; 20];
        reader.seek(SeekFrom::Start(locator))?;
        reader.read_exact(&mut bytes)?;
        if u32_at(&bytes, 0) == END64_LOCATOR {
            end_offset = u64_at(&bytes, 8);
            let mut bytes = [0; 56];
            reader.seek(SeekFrom::Start(end_offset))?;
            reader.read_exact(&mut bytes)?;
            if u32_at(&bytes, 0) != END64 {
                return Err(malformed("no 64-bit end record where its locator says"));
            }
            directory = Directory { entries: u64_at(&bytes, 32), size: u64_at(&bytes, 40), offset: u64_at(&bytes, 48) };
        }
    }
    if directory.offset.checked_add(directory.size) != Some(end_offset) {
        return Err(malformed("directory size and offset do not meet its end record"));
    }
    Ok(directory)
}

fn entry(rest: &mut &[u8], directory: u64) -> Result<Entry, ZipError> {
    let short = || malformed("directory cut short");
    let header = take(rest, 46).ok_or_else(short)?;
    if u32_at(header, 0) != DIRECTORY_HEADER {
        return Err(malformed("no directory header where one should be"));
    }
    let name = take(rest, usize::from(u16_at(header, 28))).ok_or_else(short)?;
    take(rest, usize::from(u16_at(header, 30)) + usize::from(u16_at(header, 32))).ok_or_else(short)?;
    let name = std::str::from_utf8(name)
        .map_err(|_| malformed(format!("file name is not UTF-8: {:?}", String::from_utf8_lossy(name))))?
        .to_owned();
    let flags = u16_at(header, 8);
    let (compressed, size, offset) = (u32_at(header, 20), u32_at(header, 24), u32_at(header, 42));
    let bad = |reason: &str| Err(ZipError::File { name: name.clone(), reason: reason.to_owned() });
    if flags & 1 != 0 {
        return bad("encrypted");
    }
    // Real offsets and sizes are below the limit of 500 MiB, so the 64-bit forms cannot be needed.
    if compressed == u32::MAX || size == u32::MAX || u64::from(offset) >= directory {
        return bad("size or offset beyond the zip");
    }
    Ok(Entry {
        size: u64::from(size),
        compressed: u64::from(compressed),
        crc: u32_at(header, 16),
        method: u16_at(header, 10),
        described_later: flags & 8 != 0,
        offset: u64::from(offset),
        name,
    })
}

/// Copies exactly the entry's size, and gives the checksum of what was copied.
fn copy(mut from: impl Read, sink: &mut impl Write, entry: &Entry) -> Result<u32, ZipError> {
    let bad = |reason: String| ZipError::File { name: entry.name.clone(), reason };
    let mut crc = Crc::new();
    let mut left = entry.size;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(bad(e.to_string())),
        };
        left = left
            .checked_sub(n as u64)
            .ok_or_else(|| bad(format!("uncompressed size is larger than declared size ({} bytes)", entry.size)))?;
        crc.update(&buffer[..n]);
        sink.write_all(&buffer[..n])?;
    }
    if left > 0 {
        return Err(bad(format!("{left} of {} bytes missing", entry.size)));
    }
    Ok(crc.sum())
}

fn take<'a>(rest: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(n)?;
    *rest = tail;
    Some(head)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

fn malformed(reason: impl Into<String>) -> ZipError {
    ZipError::Malformed(reason.into())
}
