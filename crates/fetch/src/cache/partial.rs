//! Zips that arrive in pieces and survive a kill, under names that the go command does not remove.
//!
//! A piece that begins at byte N of the zip is the file `V.zip.goferry-part-N`; its length says how much has arrived.
//! `V.zip.goferry-part.json` says of what. The file of byte 0 is locked while a process works on the pieces. Where
//! another process holds it for long, pieces get names of their own, `V.zip.goferry-part-x<random>-N`; those are removed
//! when this ends, or by the next [`ModCache::install`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use goferry_module::zip::MAX_ZIP_FILE;
use goferry_module::{FileKind, ModuleVersion};
use serde::{Deserialize, Serialize};

use super::install::Zip;
use super::lock::{open_lock, try_lock};
use super::{ModCache, random, read_bounded};
use crate::error::FetchError;

/// What follows `V.zip` in the names of pieces.
pub(super) const PART: &str = ".goferry-part";

/// The largest description that is read, in bytes.
const MAX_DESCRIPTION: u64 = 64 << 10;

/// The most pieces that are looked at.
const MAX_SEGMENTS: usize = 256;

/// Whose bytes the pieces are: two answers that agree in this are pieces of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The URL that was asked, without credentials: the file can be read by others.
    pub url: String,
    /// The `ETag`, as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The `Last-Modified`, as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    /// The size of the whole zip in bytes, where it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// A piece that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    /// Where in the zip it begins, in bytes.
    pub start: u64,
    /// How many bytes have arrived.
    pub length: u64,
}

impl Segment {
    /// Where in the zip the next byte would be.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }
}

/// The pieces of one zip, locked against other processes until this is dropped.
#[derive(Debug)]
pub struct PartialZip {
    dir: PathBuf,
    /// What the names of all pieces begin with.
    prefix: String,
    /// Whether the names are this process's own, and nobody will resume.
    private: bool,
    origin: Option<Origin>,
    /// The piece of byte 0, locked.
    first: File,
}

impl ModCache {
    /// Opens what has arrived of a zip, or nothing yet. Where another process is at it, waits up to `wait` for it to
    /// end, and then begins under names of its own. After a wait, look at [`ModCache::state`]: the other may have
    /// installed the zip.
    ///
    /// # Errors
    /// [`FailKind::Local`](crate::FailKind::Local) where files cannot be created, read or locked.
    pub fn partial_zip(&self, module: &ModuleVersion, wait: Duration) -> Result<PartialZip, FetchError> {
        let dir = self.make_dir(module.path())?;
        let zip = self.file(module, FileKind::Zip);
        let name = zip.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let mut prefix = format!("{name}{PART}");
        let mut private = false;
        let began = Instant::now();
        let first = loop {
            let path = dir.join(format!("{prefix}-0"));
            if let Some(file) = open_first(&path)? {
                break file;
            }
            if began.elapsed() < wait {
                std::thread::sleep(Duration::from_millis(10));
            } else {
                prefix = format!("{name}{PART}-x{:016x}", random());
                private = true;
            }
        };
        let mut parts = PartialZip { dir, prefix, private, origin: None, first };
        let description = read_bounded(&parts.description(), MAX_DESCRIPTION);
        parts.origin = description.and_then(|text| serde_json::from_slice(&text).ok());
        if parts.origin.is_none() {
            parts.clear()?;
        }
        Ok(parts)
    }

    /// Removes pieces of a zip that is in the cache: another command fetched it after a kill of this one.
    pub fn discard_pieces(&self, module: &ModuleVersion) {
        let mut description = self.file(module, FileKind::Zip).into_os_string();
        description.push(format!("{PART}.json"));
        if Path::new(&description).exists()
            && let Ok(parts) = self.partial_zip(module, Duration::ZERO)
        {
            parts.discard();
        }
    }
}

impl PartialZip {
    /// Whose bytes the pieces are, where there are any.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// Says whose bytes will be written. What is there of another origin is removed.
    ///
    /// # Errors
    /// [`FailKind::Local`](crate::FailKind::Local) where that cannot be written.
    pub fn set_origin(&mut self, origin: Origin) -> Result<(), FetchError> {
        if self.origin.as_ref() == Some(&origin) {
            return Ok(());
        }
        self.clear()?;
        let path = self.description();
        let text = serde_json::to_vec(&origin).unwrap_or_default();
        fs::write(&path, text).map_err(|e| FetchError::local(format_args!("writing {}", path.display()), &e))?;
        self.origin = Some(origin);
        Ok(())
    }

    /// What has arrived, by start; without pieces that are empty. Pieces may overlap after a kill.
    ///
    /// # Errors
    /// [`FailKind::Local`](crate::FailKind::Local) where the folder cannot be read.
    pub fn segments(&self) -> Result<Vec<Segment>, FetchError> {
        let mut segments = self.pieces()?;
        segments.retain(|segment| segment.length > 0);
        Ok(segments)
    }

    /// All pieces, by start; a kill may have left empty ones.
    fn pieces(&self) -> Result<Vec<Segment>, FetchError> {
        let failed = |e: io::Error| FetchError::local(format_args!("reading {}", self.dir.display()), &e);
        let mut segments = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed)?.flatten() {
            let name = entry.file_name();
            let Some(start) = name.to_str().and_then(|name| self.start_of(name)) else { continue };
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_file() && segments.len() < MAX_SEGMENTS {
                segments.push(Segment { start, length: meta.len() });
            }
        }
        segments.sort();
        Ok(segments)
    }

    /// How many bytes have arrived from byte 0 on without a gap.
    ///
    /// # Errors
    /// As [`PartialZip::segments`].
    pub fn contiguous(&self) -> Result<u64, FetchError> {
        let mut end = 0;
        for segment in self.segments()? {
            if segment.start > end {
                break;
            }
            end = end.max(segment.end());
        }
        Ok(end)
    }

    /// Goes on writing the piece that begins at byte `start`, after what has arrived of it. Nothing is taken from byte
    /// `limit` of the zip on, nor above 500 MiB. The writer may be used on another thread.
    ///
    /// # Errors
    /// [`FailKind::Local`](crate::FailKind::Local) where the file cannot be opened.
    pub fn segment(&self, start: u64, limit: u64) -> Result<SegmentWriter, FetchError> {
        let path = self.piece(start);
        let open = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
            let length = file.seek(SeekFrom::End(0))?;
            Ok(SegmentWriter { file, arrived: Segment { start, length }, limit: limit.min(MAX_ZIP_FILE) })
        };
        open().map_err(|e| FetchError::local(format_args!("opening {}", path.display()), &e))
    }

    /// Joins all pieces into one file of `total` bytes, to be installed.
    ///
    /// # Errors
    /// [`FailKind::Invalid`](crate::FailKind::Invalid) where bytes are missing or too many; what has arrived stays.
    /// [`FailKind::Local`](crate::FailKind::Local) where the pieces cannot be read or written.
    pub fn join(mut self, total: u64) -> Result<Zip, FetchError> {
        let path = self.piece(0);
        let mut end = self.first.metadata().map_err(|e| self.failed(&path, &e))?.len();
        for segment in self.pieces()? {
            if segment.start == 0 {
                continue;
            }
            if segment.start > end && segment.length > 0 {
                break;
            }
            let piece = self.piece(segment.start);
            if segment.end() > end {
                let mut append = || {
                    let mut from = File::open(&piece)?;
                    from.seek(SeekFrom::Start(end - segment.start))?;
                    self.first.seek(SeekFrom::Start(end))?;
                    io::copy(&mut from.take(segment.end() - end), &mut self.first)
                };
                end += append().map_err(|e| self.failed(&path, &e))?;
            }
            fs::remove_file(&piece).map_err(|e| self.failed(&piece, &e))?;
        }
        if end != total {
            return Err(FetchError::invalid(format!("{end} bytes of the zip have arrived, expected {total}")));
        }
        Ok(Zip::of_parts(self))
    }

    /// Removes all that has arrived. Does nothing where it has become the zip of the cache.
    pub fn discard(self) {
        if self.is_ours() {
            let _ = self.clear();
            let _ = fs::remove_file(self.piece(0));
        }
    }

    /// The file of byte 0, which is the whole zip once the pieces are joined.
    pub(super) fn whole(&self) -> PathBuf {
        self.piece(0)
    }

    /// After the whole zip has been renamed: removes the rest.
    pub(super) fn installed(&self) {
        let _ = fs::remove_file(self.description());
    }

    /// Whether the locked file still has its name, and has not become the zip of the cache.
    fn is_ours(&self) -> bool {
        let there = fs::metadata(self.piece(0));
        there.is_ok_and(|there| self.first.metadata().is_ok_and(|open| same(&there, &open)))
    }

    fn clear(&self) -> Result<(), FetchError> {
        for segment in self.pieces()? {
            if segment.start != 0 {
                let _ = fs::remove_file(self.piece(segment.start));
            }
        }
        let _ = fs::remove_file(self.description());
        self.first.set_len(0).map_err(|e| self.failed(&self.piece(0), &e))
    }

    fn start_of(&self, name: &str) -> Option<u64> {
        let digits = name.strip_prefix(&self.prefix)?.strip_prefix('-')?;
        let start = digits.parse().ok().filter(|start| *start < MAX_ZIP_FILE)?;
        (digits == format!("{start}")).then_some(start)
    }

    fn piece(&self, start: u64) -> PathBuf {
        self.dir.join(format!("{}-{start}", self.prefix))
    }

    fn description(&self) -> PathBuf {
        self.dir.join(format!("{}.json", self.prefix))
    }

    fn failed(&self, path: &Path, error: &io::Error) -> FetchError {
        FetchError::local(format_args!("writing {}", path.display()), error)
    }
}

impl Drop for PartialZip {
    fn drop(&mut self) {
        // An empty piece says nothing, and pieces with names of their own nobody will find.
        if self.is_ours() && (self.private || self.segments().is_ok_and(|segments| segments.is_empty())) {
            let _ = self.clear();
            let _ = fs::remove_file(self.piece(0));
        }
    }
}

/// Writes one piece.
#[derive(Debug)]
pub struct SegmentWriter {
    file: File,
    arrived: Segment,
    limit: u64,
}

impl SegmentWriter {
    /// What has arrived of the piece, with what has been written here.
    #[must_use]
    pub fn arrived(&self) -> Segment {
        self.arrived
    }
}

impl Write for SegmentWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let left = usize::try_from(self.limit.saturating_sub(self.arrived.end())).unwrap_or(usize::MAX);
        if buf.len() > left {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {} bytes", self.limit)));
        }
        let n = self.file.write(buf)?;
        self.arrived.length += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Removes pieces with names of their own whose process is gone. `name` is one of their names.
pub(super) fn remove_private_if_left(dir: &Path, name: &str) {
    let prefix = name.strip_suffix(".json").or_else(|| name.rsplit_once('-').map(|(prefix, _)| prefix));
    let first = dir.join(format!("{}-0", prefix.unwrap_or(name)));
    let left = match File::open(&first) {
        Ok(file) => try_lock(&file, &first).unwrap_or(false),
        Err(e) => e.kind() == io::ErrorKind::NotFound,
    };
    if left {
        let _ = fs::remove_file(dir.join(name));
    }
}

/// Opens and locks the piece of byte 0, or says that another process has it.
fn open_first(path: &Path) -> Result<Option<File>, FetchError> {
    loop {
        let failed = |e: io::Error| FetchError::local(format_args!("opening {}", path.display()), &e);
        let file = open_lock(path).map_err(failed)?;
        if !try_lock(&file, path)? {
            return Ok(None);
        }
        // Its last owner may have renamed or removed it in between.
        let open = file.metadata().map_err(failed)?;
        if fs::metadata(path).is_ok_and(|there| same(&there, &open)) {
            return Ok(Some(file));
        }
    }
}

fn same(a: &fs::Metadata, b: &fs::Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}
