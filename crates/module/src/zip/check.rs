//! What may be in a module zip (`golang.org/x/mod/zip.CheckZip`).

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::fmt;
use std::io::{Read, Seek};

use super::{Archive, MAX_GO_MOD, MAX_LICENSE, MAX_ZIP_FILE, ZipError};
use crate::module_version::ModuleVersion;
use crate::path::check_file_path;

/// The most refused files that are reported of one zip.
const MAX_INVALID: usize = 50;

/// The files of a zip, judged by name and declared size. Contents are judged when they are read.
#[derive(Clone, Debug, Default)]
pub struct CheckedZip {
    /// The indexes of the files, without directories, in the order of the zip.
    pub valid: Vec<usize>,
    /// The files that must not be there, at most 50.
    pub invalid: Vec<InvalidFile>,
    /// Whether the sizes add up to more than 500 MiB.
    pub too_large: bool,
}

impl CheckedZip {
    /// Whether the go command would take the zip.
    ///
    /// # Errors
    /// Where it would not.
    pub fn result(self) -> Result<Vec<usize>, ZipError> {
        if self.too_large {
            return Err(ZipError::ContentTooLarge);
        }
        if self.invalid.is_empty() { Ok(self.valid) } else { Err(ZipError::Invalid(self.invalid)) }
    }
}

/// A file that must not be in a module zip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidFile {
    /// Its name in the zip, cut to 256 characters.
    pub name: String,
    /// Why not, in the words of the go command.
    pub reason: String,
}

impl fmt::Display for InvalidFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.reason)
    }
}

/// Checks the names and declared sizes of a module's zip. Reads no file.
#[must_use]
pub fn check<R: Read + Seek>(module: &ModuleVersion, archive: &Archive<R>) -> CheckedZip {
    let mut rules = Rules::new(module);
    for (index, entry) in archive.entries().iter().enumerate() {
        rules.add(index, entry.name(), entry.size());
    }
    rules.checked
}

/// The rules, applied to one name after another.
pub(crate) struct Rules {
    prefix: String,
    /// The tree of names so far: the number of the directory and the folded name in it.
    seen: HashMap<(usize, String), Seen>,
    total: u64,
    pub(crate) checked: CheckedZip,
}

struct Seen {
    id: usize,
    name: String,
    is_dir: bool,
}

impl Rules {
    pub(crate) fn new(module: &ModuleVersion) -> Self {
        Self { prefix: module.zip_prefix(), seen: HashMap::new(), total: 0, checked: CheckedZip::default() }
    }

    pub(crate) fn add(&mut self, index: usize, full_name: &str, size: u64) {
        match self.judge(full_name, size) {
            Ok(true) => self.checked.valid.push(index),
            Ok(false) => {}
            Err(reason) if self.checked.invalid.len() < MAX_INVALID => {
                self.checked.invalid.push(InvalidFile { name: full_name.chars().take(256).collect(), reason });
            }
            Err(_) => {}
        }
    }

    /// Whether the entry is a file to keep.
    fn judge(&mut self, full_name: &str, size: u64) -> Result<bool, String> {
        let Some(name) = full_name.strip_prefix(&self.prefix) else {
            return Err(format!("path does not have prefix {:?}", self.prefix));
        };
        if name.is_empty() {
            return Ok(false);
        }
        let (name, is_dir) = name.strip_suffix('/').map_or((name, false), |name| (name, true));
        if !is_clean(name) {
            return Err("file path is not clean".to_owned());
        }
        check_file_path(name).map_err(|e| e.to_string())?;
        self.collide(name, is_dir)?;
        if is_dir {
            return Ok(false);
        }
        let base = name.rsplit('/').next().unwrap_or_default();
        if base.eq_ignore_ascii_case("go.mod") {
            if base != name {
                return Err("go.mod file not in module root directory".to_owned());
            }
            if name != "go.mod" {
                return Err("go.mod files must have lowercase names".to_owned());
            }
        }
        self.total = self.total.saturating_add(size);
        self.checked.too_large |= self.total > MAX_ZIP_FILE;
        for (special, limit) in [("go.mod", MAX_GO_MOD), ("LICENSE", MAX_LICENSE)] {
            if name == special && size > limit {
                return Err(format!("{special} file too large (max size is {limit} bytes)"));
            }
        }
        Ok(true)
    }

    /// `collisionChecker.check`: no two names that differ in case only, no file twice, no file that is a directory too.
    fn collide(&mut self, path: &str, is_dir: bool) -> Result<(), String> {
        let (mut parent, mut start) = (0, 0);
        for element in path.split('/') {
            let end = start + element.len();
            let is_last = end == path.len();
            let is_dir = is_dir || !is_last;
            let (upto, id) = (&path[..end], self.seen.len() + 1);
            match self.seen.entry((parent, fold(element))) {
                Slot::Vacant(slot) => {
                    slot.insert(Seen { id, name: element.to_owned(), is_dir });
                    parent = id;
                }
                Slot::Occupied(slot) => {
                    let seen = slot.get();
                    if seen.name != element {
                        let other = format!("{}{}", &path[..start], seen.name);
                        return Err(format!("case-insensitive file name collision: {other:?} and {upto:?}"));
                    }
                    if seen.is_dir != is_dir {
                        return Err(format!("entry {upto:?} is both a file and a directory"));
                    }
                    if !is_dir {
                        return Err(format!("multiple entries for file {upto:?}"));
                    }
                    parent = seen.id;
                }
            }
            start = end + 1;
        }
        Ok(())
    }
}

/// Whether `path.Clean` would change nothing.
fn is_clean(path: &str) -> bool {
    !path.is_empty() && path.split('/').enumerate().all(|(i, e)| !matches!(e, "." | "..") && (i == 0 || !e.is_empty()))
}

/// A key that is the same for names that differ in case only (`strToFold`, by way of upper and lower case).
fn fold(path: &str) -> String {
    let single = |mut chars: Box<dyn Iterator<Item = char>>, c| match (chars.next(), chars.next()) {
        (Some(only), None) => only,
        _ => c,
    };
    path.chars()
        .map(|c| {
            if c.is_ascii() {
                return c.to_ascii_lowercase();
            }
            let upper = single(Box::new(c.to_uppercase()), c);
            single(Box::new(upper.to_lowercase()), upper)
        })
        .collect()
}
