//! One worker: it inflates files, holds them to their declared size and checksum, hashes and writes them.

use std::io::{BufReader, Read, Write as _};

use flate2::bufread::DeflateDecoder;
use goferry_module::dirhash::FileHasher;
use goferry_module::zip::{Entry, Method, ZipError};
use libdeflater::{Crc, DecompressionError, Decompressor, crc32};

use super::Failure;
use super::source::{Chunk, LARGE_FILE, Source};
use super::tree::Writer;

/// The pieces that large files are streamed in, in bytes.
const PIECE: usize = 256 << 10;

/// Buffers above this size are given back when a worker has done its zip, in bytes.
const KEEP: usize = 1 << 20;

/// A worker's buffers.
pub(super) struct Worker {
    inflate: Decompressor,
    packed: Vec<u8>,
    content: Vec<u8>,
}

impl Default for Worker {
    fn default() -> Self {
        Self { inflate: Decompressor::new(), packed: Vec::new(), content: Vec::new() }
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Worker({} + {} bytes)", self.packed.len(), self.content.len())
    }
}

impl Worker {
    /// All files of a chunk: their sums go to `sums`, with their indexes.
    pub(super) fn chunk(
        &mut self,
        source: &Source,
        entries: &[Entry],
        chunk: &Chunk,
        prefix: usize,
        mut writer: Option<&mut Writer<'_, '_>>,
        sums: &mut Vec<(usize, [u8; 32])>,
    ) -> Result<(), Failure> {
        if let [only] = chunk.entries[..]
            && is_large(&entries[only])
        {
            sums.push((only, self.stream(source, &entries[only], prefix, writer)?));
            return Ok(());
        }
        let bytes = source.span(chunk.start, chunk.end, &mut self.packed)?;
        for &index in &chunk.entries {
            let entry = &entries[index];
            if entry.is_dir() {
                if entry.size() != 0 {
                    return Err(entry.bad("a directory with content").into());
                }
                sums.push((index, sha256(&[])));
                continue;
            }
            let packed = packed(entry, bytes, chunk.start)?;
            let content = inflate(&mut self.inflate, entry, packed, &mut self.content)?;
            entry.check_crc(crc32(content))?;
            sums.push((index, sha256(content)));
            if let Some(writer) = &mut writer {
                writer.write(&entry.name()[prefix..], content)?;
            }
        }
        for buffer in [&mut self.packed, &mut self.content] {
            if buffer.len() > KEEP {
                *buffer = Vec::new();
            }
        }
        Ok(())
    }

    /// A large file, piece by piece.
    fn stream(
        &mut self,
        source: &Source,
        entry: &Entry,
        prefix: usize,
        writer: Option<&mut Writer<'_, '_>>,
    ) -> Result<[u8; 32], Failure> {
        let start = entry.header_offset();
        let header_end = source.size().min(start.saturating_add(goferry_module::zip::HEADER_SIZE as u64));
        let header = source.span(start, header_end, &mut self.packed)?;
        let start = start + entry.header_size(header)? as u64;
        let mut packed = BufReader::with_capacity(PIECE, source.stream(start, start + entry.compressed_size()));
        let mut content: Box<dyn Read> = match entry.method()? {
            Method::Stored => Box::new(packed),
            Method::Deflated => Box::new(DeflateDecoder::new(&mut packed)),
        };
        let name = &entry.name()[prefix..];
        let mut file = writer.map(|writer| writer.create(name).map(|file| (writer, file))).transpose()?;
        let (mut sum, mut crc, mut left) = (FileHasher::new(), Crc::new(), entry.size());
        self.content.resize(PIECE.max(self.content.len()), 0);
        loop {
            let n = match content.read(&mut self.content[..PIECE]) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(entry.bad(e.to_string()).into()),
            };
            left = left.checked_sub(n as u64).ok_or_else(|| too_long(entry))?;
            let piece = &self.content[..n];
            crc.update(piece);
            sum.update(piece);
            if let Some((writer, file)) = &mut file {
                file.write_all(piece).map_err(|e| Failure::Here(writer.failed(name, &e)))?;
            }
        }
        if left > 0 {
            return Err(too_short(entry, left).into());
        }
        entry.check_crc(crc.sum())?;
        Ok(sum.finish())
    }
}

fn is_large(entry: &Entry) -> bool {
    !entry.is_dir() && entry.size().max(entry.compressed_size()) > LARGE_FILE
}

/// The packed bytes of an entry within `bytes`, which begin at `start` in the zip.
fn packed<'b>(entry: &Entry, bytes: &'b [u8], start: u64) -> Result<&'b [u8], ZipError> {
    let cut = || entry.bad("cut short, or it overlaps the next file");
    let at = usize::try_from(entry.header_offset() - start).map_err(|_| cut())?;
    let bytes = bytes.get(at..).ok_or_else(cut)?;
    let header = entry.header_size(bytes)?;
    let size = usize::try_from(entry.compressed_size()).map_err(|_| cut())?;
    bytes.get(header..).and_then(|bytes| bytes.get(..size)).ok_or_else(cut)
}

/// The content of an entry, exactly as long as its directory entry says.
fn inflate<'b>(
    inflate: &mut Decompressor,
    entry: &Entry,
    packed: &'b [u8],
    buffer: &'b mut Vec<u8>,
) -> Result<&'b [u8], ZipError> {
    let size = usize::try_from(entry.size()).map_err(|_| too_long(entry))?;
    let content = match entry.method()? {
        Method::Stored if packed.len() > size => return Err(too_long(entry)),
        Method::Stored => packed,
        Method::Deflated => {
            if buffer.len() < size {
                buffer.resize(size, 0);
            }
            let n = inflate.deflate_decompress(packed, &mut buffer[..size]).map_err(|e| match e {
                DecompressionError::InsufficientSpace => too_long(entry),
                DecompressionError::BadData => entry.bad("damaged: not valid deflate data"),
            })?;
            &buffer[..n]
        }
    };
    if content.len() < size {
        return Err(too_short(entry, (size - content.len()) as u64));
    }
    Ok(content)
}

fn too_long(entry: &Entry) -> ZipError {
    entry.bad(format!("uncompressed size is larger than declared size ({} bytes)", entry.size()))
}

fn too_short(entry: &Entry, missing: u64) -> ZipError {
    entry.bad(format!("{missing} of {} bytes missing", entry.size()))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sum = FileHasher::new();
    sum.update(bytes);
    sum.finish()
}
