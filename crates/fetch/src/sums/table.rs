//! The content of one go.sum.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use goferry_module::gosum::MAX_GO_SUM;
use goferry_module::{GoSum, ModuleVersion, Version};
use goferry_net::Party;

use super::Hashed;
use crate::edit::shared_lock;
use crate::error::{FailKind, FetchError};

/// The first two fields of a line. Orders as the go command sorts (`golang.org/x/mod/module.Sort`): by path, by version
/// as semantic version, `/go.mod` last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    path: String,
    version: String,
}

impl Key {
    pub(super) fn of(module: &ModuleVersion, what: Hashed) -> Key {
        let suffix = match what {
            Hashed::Zip => "",
            Hashed::GoMod => "/go.mod",
        };
        Key { path: module.path().to_string(), version: format!("{}{suffix}", module.version()) }
    }

    fn split(&self) -> (&str, &str) {
        self.version.split_at(self.version.find('/').unwrap_or(self.version.len()))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let ((a, a_file), (b, b_file)) = (self.split(), other.split());
        // What is no version comes before every version.
        let by_version = || Version::parse(a).ok().cmp(&Version::parse(b).ok());
        self.path.cmp(&other.path).then_with(by_version).then_with(|| a.cmp(b)).then_with(|| a_file.cmp(b_file))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.path, self.version)
    }
}

/// Hashes by module version, in the order of the file, without doubles.
#[derive(Clone, Debug, Default)]
pub(super) struct Table(BTreeMap<Key, Vec<String>>);

impl Table {
    /// Reads a file; a missing one is empty.
    pub(super) fn read(file: &Path) -> Result<Table, FetchError> {
        let fail = |e: &io::Error| FetchError::local(format_args!("reading {}", file.display()), e);
        let open = match open(file) {
            Ok(open) => shared_lock(open, file)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Table::default()),
            Err(e) => return Err(fail(&e)),
        };
        Table::parse(file, &read_bounded(&open).map_err(|e| fail(&e))?)
    }

    pub(super) fn parse(file: &Path, data: &[u8]) -> Result<Table, FetchError> {
        let sum = GoSum::parse(&file.display().to_string(), data).map_err(|e| {
            FetchError::new(FailKind::Invalid, Party::Client, e.to_string())
                .with_advice(format!("delete the line, or restore {} from version control", file.display()))
        })?;
        let entry = |(path, version, hashes): (&str, &str, &[String])| {
            (Key { path: path.to_owned(), version: version.to_owned() }, hashes.to_vec())
        };
        Ok(Table(sum.iter().map(entry).collect()))
    }

    /// The same for a file that is to be written: one that is not text would not come out as it was.
    pub(super) fn parse_strict(file: &Path, data: &[u8]) -> Result<Table, FetchError> {
        if let Err(e) = std::str::from_utf8(data) {
            let what = format!("{} is not UTF-8 text at byte {}: it is not changed", file.display(), e.valid_up_to());
            return Err(FetchError::new(FailKind::Invalid, Party::Client, what));
        }
        Table::parse(file, data)
    }

    pub(super) fn hashes(&self, key: &Key) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether there is any hash, of whatever algorithm.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.0.contains_key(key)
    }

    /// Whether the hash is listed before any other `h1:` hash, which is the error.
    pub(super) fn find(&self, key: &Key, hash: &str) -> Option<Result<(), String>> {
        self.hashes(key).iter().find_map(|listed| match listed {
            same if same == hash => Some(Ok(())),
            other if other.starts_with("h1:") => Some(Err(other.clone())),
            _ => None,
        })
    }

    pub(super) fn add(&mut self, key: Key, hash: String) {
        self.0.entry(key).or_default().push(hash);
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Key) -> bool) {
        self.0.retain(|key, _| keep(key));
    }

    /// The lines of the file, without line ends, sorted.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut out = Vec::new();
        for (key, hashes) in &self.0 {
            let mut hashes: Vec<&String> = hashes.iter().collect();
            hashes.sort_unstable();
            out.extend(hashes.iter().map(|hash| format!("{} {} {hash}", key.path, key.version)));
        }
        out
    }
}

/// The number of the line that lists a hash, from 1.
pub(super) fn line_of(file: &Path, key: &Key, hash: &str) -> Option<usize> {
    // Without a lock: this process may hold the exclusive one.
    let data = read_bounded(&open(file).ok()?).ok()?;
    let is_it = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        line.split_whitespace().eq([key.path.as_str(), key.version.as_str(), hash])
    };
    data.split(|b| *b == b'\n').position(is_it).map(|index| index + 1)
}

fn open(file: &Path) -> io::Result<File> {
    if std::fs::metadata(file)?.is_file() {
        File::open(file)
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

/// One byte more than the largest go.sum at most, so that [`GoSum::parse`] can say that it is too large.
fn read_bounded(file: &File) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    file.take(MAX_GO_SUM as u64 + 1).read_to_end(&mut data)?;
    Ok(data)
}
