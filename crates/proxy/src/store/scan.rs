//! What is in the folder of a store, by looking at names, sizes and times. Of files only `list` is read, and no symbolic
//! link is followed.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use goferry_fetch::{FailKind, FetchError};
use goferry_module::escape::{EscapedPath, unescape_version};
use goferry_module::{ModulePath, ModuleVersion, Version};
use goferry_net::Party;

use super::OWN;

/// Folders within each other that are looked at.
const MAX_DEPTH: usize = 128;

/// What a store has.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// The versions, by path and version.
    pub versions: Vec<Held>,
    /// What is no file of a version.
    pub others: Vec<Other>,
    /// The modules whose `list` does not name the versions that have a `.mod`.
    pub stale_lists: Vec<ModulePath>,
    /// Space of `list` and lock files.
    pub lists: u64,
    /// Space of the checksum database's answers.
    pub sumdb: u64,
    /// Space of what is goferry's own, without the next two.
    pub own: u64,
    /// Space of the module cache of the go commands that clone.
    pub direct: u64,
    /// Space of the quarantine.
    pub quarantine: u64,
    /// What could not be looked at, and why.
    pub unreadable: Vec<String>,
}

/// The files of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The version.
    pub module: ModuleVersion,
    /// Space of the `.info`.
    pub info: Option<u64>,
    /// Space of the `.mod`.
    pub go_mod: Option<u64>,
    /// Space of the `.zip`.
    pub zip: Option<u64>,
    /// Space of the `.ziphash`.
    pub ziphash: Option<u64>,
    /// When the zip was used last, where there is one.
    pub zip_used: Option<SystemTime>,
    /// When `.info` or `.mod` were used last, where there is one.
    pub small_used: Option<SystemTime>,
}

impl Held {
    /// Space of all of them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.zip_bytes() + self.small_bytes()
    }

    /// Space of `.zip` and `.ziphash`.
    #[must_use]
    pub fn zip_bytes(&self) -> u64 {
        self.zip.unwrap_or(0) + self.ziphash.unwrap_or(0)
    }

    /// Space of `.info` and `.mod`.
    #[must_use]
    pub fn small_bytes(&self) -> u64 {
        self.info.unwrap_or(0) + self.go_mod.unwrap_or(0)
    }

    /// When any of them was used last.
    #[must_use]
    pub fn used(&self) -> Option<SystemTime> {
        self.zip_used.max(self.small_used)
    }
}

/// Something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Where it is, below the store.
    pub path: PathBuf,
    /// What it is.
    pub kind: OtherKind,
    /// Its space.
    pub bytes: u64,
    /// When it was changed last.
    pub changed: SystemTime,
}

/// What something else is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherKind {
    /// A file that is being written, or that a killed process left.
    Temporary,
    /// What has arrived of a zip; fetching goes on there.
    Partial,
    /// Nothing that a store has.
    Stray,
    /// A symbolic link; what it leads to is not looked at.
    Link,
}

impl OtherKind {
    /// A word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            OtherKind::Temporary => "temporary",
            OtherKind::Partial => "partial",
            OtherKind::Stray => "stray",
            OtherKind::Link => "symbolic link",
        }
    }
}

impl Scan {
    /// Looks at a folder. What vanishes meanwhile was not there.
    ///
    /// # Errors
    /// [`FailKind::Local`] where the folder itself cannot be read.
    pub fn of(dir: &Path) -> Result<Scan, FetchError> {
        let failed = |error: &io::Error| FetchError::local(format_args!("reading {}", dir.display()), error);
        fs::read_dir(dir).map_err(|error| failed(&error))?;
        let mut walk = Walk { root: dir, scan: Scan::default(), versions: BTreeMap::new() };
        walk.folder(Path::new(""), 0);
        let Walk { mut scan, versions, .. } = walk;
        scan.versions = versions.into_values().collect();
        scan.versions.sort_by(|a, b| {
            let key = |held: &Held| (held.module.path().as_str().to_owned(), held.module.version().clone());
            key(a).cmp(&key(b))
        });
        Ok(scan)
    }

    /// Space of all.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let others = self.others.iter().map(|other| other.bytes).sum::<u64>();
        let versions = self.versions.iter().map(Held::bytes).sum::<u64>();
        versions + others + self.lists + self.sumdb + self.own + self.direct + self.quarantine
    }

    /// Says whether a folder is a store: goferry has made it, or it has a folder `@v` with files of versions.
    ///
    /// # Errors
    /// [`FailKind::Local`] where it is none, with what might have been meant.
    pub fn refuse_other_folders(&self, dir: &Path) -> Result<(), FetchError> {
        let made = fs::symlink_metadata(dir.join(OWN)).is_ok_and(|meta| meta.is_dir());
        if made || !self.versions.is_empty() {
            return Ok(());
        }
        let text = format!("{} is not a store: it has no {OWN} and no MODULE/@v/VERSION.mod or .zip", dir.display());
        let below = dir.join("cache/download");
        let advice = if below.is_dir() {
            format!("this is a module cache; its files are in {}", below.display())
        } else {
            "name the folder that goferry serve --store was given, or $(go env GOMODCACHE)/cache/download".to_owned()
        };
        Err(FetchError::new(FailKind::Local(Some(io::ErrorKind::InvalidInput)), Party::Client, text)
            .with_advice(advice))
    }
}

/// A time as RFC 3339 has it, in UTC.
#[must_use]
pub fn rfc3339(when: SystemTime) -> String {
    jiff::Timestamp::try_from(when).map(|when| when.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default()
}

/// The space that a file takes: its blocks, at least its length.
pub(super) fn space(meta: &Metadata) -> u64 {
    meta.len().max(meta.blocks().saturating_mul(512))
}

/// When a file was used last, as far as its times tell.
pub(super) fn used(meta: &Metadata) -> SystemTime {
    let at = |seconds: i64, nanoseconds: i64| {
        let whole = Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanoseconds).unwrap_or(0));
        SystemTime::UNIX_EPOCH + whole
    };
    at(meta.atime(), meta.atime_nsec()).max(at(meta.mtime(), meta.mtime_nsec()))
}

/// A file in a folder `@v`.
#[derive(Debug, PartialEq, Eq)]
enum Name<'a> {
    /// Escaped version and extension.
    Of(&'a str, Extension),
    List,
    Other(OtherKind),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    Info,
    Mod,
    Zip,
    Ziphash,
    /// Those of the go command: `V.lock`, `V.partial`.
    Lock,
}

fn name(name: &str) -> Name<'_> {
    if name == "list" {
        return Name::List;
    }
    if name.contains(".zip.goferry-part") {
        return Name::Other(OtherKind::Partial);
    }
    if is_temporary(name) {
        return Name::Other(OtherKind::Temporary);
    }
    let extension = match name.rsplit_once('.') {
        Some((_, "info")) => Extension::Info,
        Some((_, "mod")) => Extension::Mod,
        Some((_, "zip")) => Extension::Zip,
        Some((_, "ziphash")) => Extension::Ziphash,
        Some((_, "lock" | "partial")) => Extension::Lock,
        _ => return Name::Other(OtherKind::Stray),
    };
    Name::Of(name.rsplit_once('.').map_or("", |(version, _)| version), extension)
}

/// Whether the name is one of a file that is to be renamed: those of the go command end in `.tmp` too.
fn is_temporary(name: &str) -> bool {
    name.ends_with(".tmp") || name.starts_with(".new-")
}

struct Walk<'a> {
    root: &'a Path,
    scan: Scan,
    versions: BTreeMap<(String, String), Held>,
}

impl Walk<'_> {
    fn folder(&mut self, below: &Path, depth: usize) {
        let path = self.root.join(below);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable(&path, &error),
        };
        let is_files = below.file_name().is_some_and(|name| name == "@v");
        let module = if is_files { module_of(below) } else { None };
        let mut versions = (Vec::new(), None);
        for entry in entries {
            let (name, meta) = match entry.and_then(|entry| Ok((entry.file_name(), entry.metadata()?))) {
                Ok(found) => found,
                Err(error) => {
                    self.unreadable(&path, &error);
                    continue;
                }
            };
            let at = below.join(&name);
            let name = name.to_str().unwrap_or("");
            if meta.is_symlink() {
                self.other(at, OtherKind::Link, &meta, 0);
            } else if meta.is_dir() {
                match (depth, name) {
                    (0, OWN) => self.own(&at),
                    (0, "sumdb") => self.scan.sumdb += self.tree(&at, 0, true),
                    // No module path has such a part.
                    _ if is_files || name.starts_with('.') || name.is_empty() || depth >= MAX_DEPTH => {
                        let bytes = self.tree(&at, 0, false);
                        self.other(at, OtherKind::Stray, &meta, bytes);
                    }
                    _ => self.folder(&at, depth + 1),
                }
            } else if let (Some(module), true) = (&module, meta.is_file()) {
                self.file(module, at, name, &meta, &mut versions);
            } else {
                let kind = if is_temporary(name) { OtherKind::Temporary } else { OtherKind::Stray };
                self.other(at, kind, &meta, space(&meta));
            }
        }
        if let Some(module) = module {
            let (mut there, list) = versions;
            there.sort();
            let text: String = there.iter().map(|version: &Version| format!("{version}\n")).collect();
            // Of the length that it should have it may still be zeros: a process was killed while it wrote.
            let same = match list {
                None => text.is_empty(),
                Some(length) => {
                    length == text.len() as u64 && fs::read(path.join("list")).is_ok_and(|list| list == text.as_bytes())
                }
            };
            if !same {
                self.scan.stale_lists.push(module);
            }
        }
    }

    fn file(
        &mut self,
        module: &ModulePath,
        at: PathBuf,
        text: &str,
        meta: &Metadata,
        (there, list): &mut (Vec<Version>, Option<u64>),
    ) {
        let (escaped, extension) = match name(text) {
            Name::List => {
                *list = Some(meta.len());
                self.scan.lists += space(meta);
                return;
            }
            Name::Of(_, Extension::Lock) => {
                self.scan.lists += space(meta);
                return;
            }
            Name::Other(kind) => return self.other(at, kind, meta, space(meta)),
            Name::Of(escaped, extension) => (escaped, extension),
        };
        let version = unescape_version(escaped).ok().and_then(|text| Version::parse(&text).ok());
        let version = version.filter(Version::is_canonical);
        let Some(Ok(version)) = version.map(|version| ModuleVersion::new(module.clone(), version)) else {
            return self.other(at, OtherKind::Stray, meta, space(meta));
        };
        // As the go command: a name that had to be escaped is not in its list.
        if extension == Extension::Mod && version.version().as_str() == escaped {
            there.push(version.version().clone());
        }
        let key = (module.as_str().to_owned(), escaped.to_owned());
        let held = self.versions.entry(key).or_insert_with(|| Held {
            module: version,
            info: None,
            go_mod: None,
            zip: None,
            ziphash: None,
            zip_used: None,
            small_used: None,
        });
        let (slot, time) = match extension {
            Extension::Info => (&mut held.info, Some(&mut held.small_used)),
            Extension::Mod => (&mut held.go_mod, Some(&mut held.small_used)),
            // Whoever reads a zip to check it changes its time; that of the hash beside it is set on use only.
            Extension::Zip => (&mut held.zip, None),
            _ => (&mut held.ziphash, Some(&mut held.zip_used)),
        };
        *slot = Some(space(meta));
        match time {
            Some(time) => *time = (*time).max(Some(used(meta))),
            None => held.zip_used = held.zip_used.max(meta.modified().ok()),
        }
    }

    fn own(&mut self, at: &Path) {
        let entries = match fs::read_dir(self.root.join(at)) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable(&self.root.join(at), &error),
        };
        for entry in entries.flatten() {
            let at = at.join(entry.file_name());
            let Ok(meta) = entry.metadata() else { continue };
            let bytes = if meta.is_dir() { self.tree(&at, 0, entry.file_name() != "direct") } else { space(&meta) };
            *match entry.file_name().to_str() {
                Some("quarantine") => &mut self.scan.quarantine,
                Some("direct") => &mut self.scan.direct,
                _ => &mut self.scan.own,
            } += bytes;
        }
    }

    /// The space of all below a folder; with `temporaries` those are told of, and counted there.
    fn tree(&mut self, at: &Path, depth: usize, temporaries: bool) -> u64 {
        let mut bytes = 0;
        let Ok(entries) = fs::read_dir(self.root.join(at)) else { return 0 };
        for entry in entries.flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            let name = entry.file_name();
            if meta.is_dir() && depth < MAX_DEPTH {
                bytes += self.tree(&at.join(name), depth + 1, temporaries);
            } else if temporaries && meta.is_file() && name.to_str().is_some_and(is_temporary) {
                self.other(at.join(name), OtherKind::Temporary, &meta, space(&meta));
            } else {
                bytes += space(&meta);
            }
        }
        bytes
    }

    fn other(&mut self, path: PathBuf, kind: OtherKind, meta: &Metadata, bytes: u64) {
        let changed = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        self.scan.others.push(Other { path, kind, bytes, changed });
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        if error.kind() != io::ErrorKind::NotFound {
            self.scan.unreadable.push(format!("{}: {error}", path.display()));
        }
    }
}

/// The module whose files a folder `…/@v` has.
fn module_of(below: &Path) -> Option<ModulePath> {
    let escaped = below.parent()?.to_str()?;
    EscapedPath::parse(escaped).ok().map(|path| path.unescape())
}

#[cfg(test)]
mod tests {
    use super::super::tests::Folder;
    use super::*;

    #[test]
    fn what_is_there() {
        let folder = Folder::new();
        folder.add("v1.0.0", &["info", "mod", "zip", "ziphash", "lock"]);
        folder.add("v1.1.0", &["info", "mod"]);
        folder.add("v1.2.0", &["zip.goferry-part-0", "zip.goferry-part.json", "mod.goferry-01.tmp", "sum"]);
        folder.add("main", &["info"]);
        let dir = folder.dir();
        fs::write(dir.join("example.com/!m/@v/list"), "v1.0.0\n").unwrap();
        for (path, size) in [
            ("sumdb/sum.example.com/tile/8/0/000", 8192),
            (".goferry/pins/example.com/!m/@v/v1.0.0", 100),
            (".goferry/quarantine/x", 5000),
            (".goferry/pins/.new-x", 10),
            (".git/config", 3),
            ("README", 3),
        ] {
            fs::create_dir_all(dir.join(path).parent().unwrap()).unwrap();
            fs::write(dir.join(path), vec![1; size]).unwrap();
        }
        std::os::unix::fs::symlink("/etc", dir.join("etc")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.join("example.com/!m/@v/v1.3.0.zip")).unwrap();
        let scan = Scan::of(dir).unwrap();
        let versions: Vec<String> = scan.versions.iter().map(|held| held.module.to_string()).collect();
        assert_eq!(versions, ["example.com/M@v1.0.0", "example.com/M@v1.1.0"]);
        let [first, second] = &scan.versions[..] else { panic!() };
        assert!(first.zip.is_some() && first.ziphash.is_some() && first.info.is_some() && first.zip_used.is_some());
        assert!(second.zip.is_none() && second.go_mod.is_some() && second.zip_used.is_none());
        let mut others: Vec<String> =
            scan.others.iter().map(|other| format!("{} {}", other.kind.name(), other.path.display())).collect();
        others.sort();
        assert_eq!(
            others,
            [
                "partial example.com/!m/@v/v1.2.0.zip.goferry-part-0",
                "partial example.com/!m/@v/v1.2.0.zip.goferry-part.json",
                "stray .git",
                "stray README",
                "stray example.com/!m/@v/main.info",
                "stray example.com/!m/@v/v1.2.0.sum",
                "symbolic link etc",
                "symbolic link example.com/!m/@v/v1.3.0.zip",
                "temporary .goferry/pins/.new-x",
                "temporary example.com/!m/@v/v1.2.0.mod.goferry-01.tmp",
            ]
        );
        assert_eq!(scan.stale_lists, [super::super::tests::path()]);
        assert!(scan.sumdb >= 8192 && scan.quarantine >= 5000 && scan.own >= 100 && scan.bytes() > 13_292);
        assert!(scan.refuse_other_folders(dir).is_ok());
    }

    #[test]
    fn a_folder_that_is_no_store() {
        let folder = Folder::new();
        fs::create_dir_all(folder.dir().join("cache/download")).unwrap();
        fs::write(folder.dir().join("v1.0.0.zip"), b"x").unwrap();
        let scan = Scan::of(folder.dir()).unwrap();
        let error = scan.refuse_other_folders(folder.dir()).unwrap_err();
        assert!(error.to_string().contains("is not a store"), "{error}");
        assert!(error.advice.unwrap().contains("cache/download"));
        assert!(Scan::of(&folder.dir().join("nothing")).is_err());
    }
}
