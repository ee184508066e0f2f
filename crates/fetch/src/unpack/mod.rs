//! Module zips in one pass: every file is inflated once, and while it is in memory it is checked, hashed and written.
//!
//! [`Unpacker`] is the machine's share of work: a number of workers that all zips share. A zip begins on one worker;
//! where others are idle they join it, so that one large zip at the end keeps all cores busy. Memory is bounded: a
//! worker holds at most one file's packed bytes and one file's content, each up to 8 MiB; larger files are streamed.
//!
//! What is written here is not visible to anyone: the folder that it goes to is temporary, and [`crate::cache`] decides,
//! with the hash, whether it becomes the module's folder.

mod entry;
mod source;
mod tree;

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

use goferry_module::zip::{Archive, Entry, MAX_ZIP_FILE, ZipError, check};
use goferry_module::{DirHash, ModuleVersion};

use self::entry::Worker;
pub(crate) use self::source::Source;
use self::source::{Chunk, chunks};
use self::tree::Tree;
pub(crate) use self::tree::remove_tree;
use crate::error::{FailKind, FetchError};

/// A zip, read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// The `h1:` hash of its files, as in go.sum.
    pub hash: DirHash,
    /// How many files it has, without directories.
    pub files: usize,
    /// How many bytes they have in all, inflated.
    pub bytes: u64,
}

/// Workers that all zips share.
#[derive(Debug)]
pub struct Unpacker {
    idle: Mutex<usize>,
    freed: Condvar,
    /// The buffers of workers that are idle, to be used again.
    buffers: Mutex<Vec<Worker>>,
}

impl Default for Unpacker {
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().map_or(2, usize::from))
    }
}

impl Unpacker {
    /// With so many workers, at least one. [`Unpacker::default`] has one for each core.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self { idle: Mutex::new(workers.max(1)), freed: Condvar::new(), buffers: Mutex::default() }
    }

    /// Reads a module's zip once, and writes its files below `into`, which must exist and be empty. Without `into` the
    /// zip is checked and hashed only. Waits for an idle worker, then works on the calling thread.
    ///
    /// Files get mode 0444 less the umask, directories 0777 less the umask, as the go command has it until it takes the
    /// right to write from the directories (`golang.org/x/mod/zip.Unzip`).
    ///
    /// # Errors
    /// [`FailKind::Invalid`] where the go command would not take the zip, or a file of it is damaged; the message names
    /// the file. [`FailKind::Local`] where this machine could not read or write. What has been written by then is still
    /// there.
    pub fn unpack(&self, module: &ModuleVersion, zip: &Path, into: Option<&Path>) -> Result<Unpacked, FetchError> {
        let file = File::open(zip).map_err(|e| FetchError::local(format_args!("opening {}", zip.display()), &e))?;
        self.run(module, &Source::of_file(file, zip)?, into, false)
    }

    /// The same; with `read_only` the right to write is taken from all directories at the end.
    pub(crate) fn run(
        &self,
        module: &ModuleVersion,
        source: &Source,
        into: Option<&Path>,
        read_only: bool,
    ) -> Result<Unpacked, FetchError> {
        let worker = self.wait();
        let invalid = |error: ZipError| zip_error(module, error);
        let archive = Archive::open(source.reader()).map_err(invalid)?;
        if archive.total_size() > MAX_ZIP_FILE {
            return Err(invalid(ZipError::ContentTooLarge));
        }
        let files = check(module, &archive).result().map_err(invalid)?;
        let entries = archive.into_entries();
        let packed = entries.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.compressed_size()));
        if packed > source.size() {
            return Err(invalid(ZipError::Malformed("files overlap in the zip".to_owned())));
        }
        let prefix = module.zip_prefix().len();
        let names = || files.iter().map(|index| &entries[*index].name()[prefix..]);
        let tree = into.map(|root| Tree::make(root, names())).transpose()?;
        let job = Job {
            module,
            source,
            entries: &entries,
            prefix,
            tree: tree.as_ref(),
            chunks: chunks(&entries, source.size()),
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            sums: Mutex::new(vec![[0; 32]; entries.len()]),
            failed: Mutex::new(None),
        };
        std::thread::scope(|scope| job.work(scope, self, worker));
        if let Some(error) = lock(&job.failed).take() {
            return Err(error);
        }
        if let Some(tree) = tree.as_ref().filter(|_| read_only) {
            tree.make_read_only();
        }
        let sums = job.sums.into_inner().unwrap_or_else(PoisonError::into_inner);
        let hash = DirHash::hash1(entries.iter().map(Entry::name).zip(sums))
            .map_err(|e| invalid(ZipError::Malformed(e.to_string())))?;
        Ok(Unpacked { hash, files: files.len(), bytes: files.iter().map(|index| entries[*index].size()).sum() })
    }

    fn wait(&self) -> Busy<'_> {
        let mut idle = lock(&self.idle);
        while *idle == 0 {
            idle = self.freed.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
        *idle -= 1;
        drop(idle);
        Busy::new(self)
    }

    fn try_take(&self) -> Option<Busy<'_>> {
        let mut idle = lock(&self.idle);
        *idle = idle.checked_sub(1)?;
        drop(idle);
        Some(Busy::new(self))
    }
}

/// A worker that is at work; idle again when dropped.
struct Busy<'a> {
    unpacker: &'a Unpacker,
    worker: Worker,
}

impl<'a> Busy<'a> {
    fn new(unpacker: &'a Unpacker) -> Self {
        let worker = lock(&unpacker.buffers).pop().unwrap_or_default();
        Self { unpacker, worker }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        lock(&self.unpacker.buffers).push(std::mem::take(&mut self.worker));
        *lock(&self.unpacker.idle) += 1;
        self.unpacker.freed.notify_one();
    }
}

/// One zip that is being read by one or more workers.
struct Job<'a> {
    module: &'a ModuleVersion,
    source: &'a Source,
    entries: &'a [Entry],
    /// How many bytes of each name are `path@version/`.
    prefix: usize,
    tree: Option<&'a Tree<'a>>,
    chunks: Vec<Chunk>,
    /// The next chunk that nobody has taken.
    next: AtomicUsize,
    stop: AtomicBool,
    /// The SHA-256 of each entry.
    sums: Mutex<Vec<[u8; 32]>>,
    /// The first error.
    failed: Mutex<Option<FetchError>>,
}

impl<'a> Job<'a> {
    fn work<'s>(&'s self, scope: &'s Scope<'s, '_>, unpacker: &'s Unpacker, mut busy: Busy<'s>) {
        let mut writer = self.tree.map(Tree::writer);
        let mut done = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let Some(chunk) = self.chunks.get(self.next.fetch_add(1, Ordering::Relaxed)) else { break };
            if self.next.load(Ordering::Relaxed) < self.chunks.len()
                && let Some(another) = unpacker.try_take()
            {
                scope.spawn(move || self.work(scope, unpacker, another));
            }
            let each = busy.worker.chunk(self.source, self.entries, chunk, self.prefix, writer.as_mut(), &mut done);
            if let Err(error) = each {
                self.stop.store(true, Ordering::Relaxed);
                let error = match error {
                    Failure::Zip(error) => zip_error(self.module, error),
                    Failure::Here(error) => error,
                };
                lock(&self.failed).get_or_insert(error);
            }
        }
        let mut sums = lock(&self.sums);
        for (index, sum) in done {
            sums[index] = sum;
        }
    }
}

/// Why a file could not be read or written.
enum Failure {
    /// The zip.
    Zip(ZipError),
    /// This machine.
    Here(FetchError),
}

impl From<ZipError> for Failure {
    fn from(error: ZipError) -> Self {
        Self::Zip(error)
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self::Here(error)
    }
}

fn zip_error(module: &ModuleVersion, error: ZipError) -> FetchError {
    match error {
        ZipError::Io(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            FetchError::local(format_args!("reading the zip of {module}"), &error)
        }
        error => FetchError { kind: FailKind::Invalid, ..FetchError::invalid(format!("zip of {module}: {error}")) },
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
