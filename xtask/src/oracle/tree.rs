//! Two folders, file by file: names, kinds, bytes and modes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What a report shows of a line that differs, in characters, and how many of them are before the difference.
const EXCERPT: usize = 70;
const BEFORE: usize = 25;

/// What may differ in a GOPATH by necessity, and why. Everything else must be the same.
pub(crate) const MAY_DIFFER: [(&str, &str); 3] = [
    (
        "pkg/mod/cache/lock",
        "an empty file that is locked while go.sum is written; which command needs the lock is a matter of its own order",
    ),
    (
        "pkg/mod/cache/download/**/*.lock",
        "empty files that are locked while a version or a list is written; no go command reads them",
    ),
    (
        "the order of fields in pkg/mod/cache/download/**/*.info, against another go command than the newest",
        "go 1.21 writes an Origin's Ref before its Hash, the newest after it (cmd/go/internal/modfetch/codehost, Origin); \
         the values are compared",
    ),
];

/// Times are not compared: a file's time is that of its download.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    kind: Kind,
    mode: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Folder,
    File(u64),
    Link(PathBuf),
    Other,
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compared {
    /// Files that are in both.
    pub(crate) files: usize,
    /// One line each.
    pub(crate) differences: Vec<String>,
}

impl Compared {
    /// Both results as one.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.files += other.files;
        self.differences.extend(other.differences);
        self
    }
}

/// Whether `.info` files must have the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Infos {
    /// They must.
    Bytes,
    /// They must be the same JSON.
    Values,
}

/// Compares `ours` with `reference`; a folder that is missing is an empty one.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn compare(reference: &Path, ours: &Path, infos: Infos) -> io::Result<Compared> {
    let (theirs, mine) = (entries(reference)?, entries(ours)?);
    let mut compared = Compared::default();
    for (name, entry) in &theirs {
        let Some(other) = mine.get(name) else {
            compared.differences.push(format!("{name}: missing"));
            continue;
        };
        if matches!(entry.kind, Kind::File(_)) {
            compared.files += 1;
        }
        let (left, right) = (reference.join(name), ours.join(name));
        if infos == Infos::Values && name.ends_with(".info") && entry.mode == other.mode && same_json(&left, &right) {
            continue;
        }
        if let Some(what) = different(entry, other, &left, &right)? {
            compared.differences.push(format!("{name}: {what}"));
        }
    }
    let more = mine.keys().filter(|name| !theirs.contains_key(*name));
    compared.differences.extend(more.map(|name| format!("{name}: not the go command's")));
    Ok(compared)
}

fn different(reference: &Entry, ours: &Entry, left: &Path, right: &Path) -> io::Result<Option<String>> {
    if reference.mode != ours.mode {
        return Ok(Some(format!("mode {:o}, not {:o}", ours.mode, reference.mode)));
    }
    match (&reference.kind, &ours.kind) {
        (Kind::File(theirs), Kind::File(mine)) if theirs != mine => {
            let shown = first_line(left, right)?;
            Ok(Some(format!("{mine} bytes, not {theirs}{shown}")))
        }
        (Kind::File(_), Kind::File(_)) if fs::read(left)? != fs::read(right)? => {
            Ok(Some(format!("other bytes{}", first_line(left, right)?)))
        }
        (theirs, mine) if !matches!(theirs, Kind::File(_)) && theirs != mine => {
            Ok(Some(format!("{mine:?}, not {theirs:?}")))
        }
        (Kind::File(_), mine) if !matches!(mine, Kind::File(_)) => Ok(Some(format!("{mine:?}, not a file"))),
        _ => Ok(None),
    }
}

fn same_json(left: &Path, right: &Path) -> bool {
    let read = |file: &Path| serde_json::from_slice::<Value>(&fs::read(file).ok()?).ok();
    read(left).zip(read(right)).is_some_and(|(left, right)| left == right)
}

/// Where two texts differ: the line, and what follows there.
fn first_line(reference: &Path, ours: &Path) -> io::Result<String> {
    let (theirs, mine) = (fs::read(reference)?, fs::read(ours)?);
    let (Ok(theirs), Ok(mine)) = (String::from_utf8(theirs), String::from_utf8(mine)) else {
        return Ok(String::new());
    };
    let number = theirs.lines().zip(mine.lines()).take_while(|(left, right)| left == right).count();
    let line = |text: &str| text.lines().nth(number).unwrap_or("the end").chars().collect::<Vec<_>>();
    let (theirs, mine) = (line(&theirs), line(&mine));
    let same = theirs.iter().zip(&mine).take_while(|(left, right)| left == right).count();
    let from = same.saturating_sub(BEFORE);
    let excerpt = |text: &[char]| text[from..].iter().take(EXCERPT).collect::<String>();
    Ok(format!("; line {}: {:?}, not {:?}", number + 1, excerpt(&mine), excerpt(&theirs)))
}

fn entries(root: &Path) -> io::Result<BTreeMap<String, Entry>> {
    let mut found = BTreeMap::new();
    if root.is_dir() {
        walk(root, root, &mut found)?;
    }
    Ok(found)
}

fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, Entry>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        if may_differ(&name) {
            continue;
        }
        let metadata = fs::symlink_metadata(&path)?;
        let kind = match metadata.file_type() {
            kind if kind.is_dir() => Kind::Folder,
            kind if kind.is_file() => Kind::File(metadata.size()),
            kind if kind.is_symlink() => Kind::Link(fs::read_link(&path)?),
            _ => Kind::Other,
        };
        if kind == Kind::Folder {
            walk(root, &path, found)?;
        }
        found.insert(name, Entry { kind, mode: metadata.permissions().mode() & 0o7777 });
    }
    Ok(())
}

/// Whether [`MAY_DIFFER`] names it.
fn may_differ(name: &str) -> bool {
    name == MAY_DIFFER[0].0 || (name.starts_with("pkg/mod/cache/download/") && name.ends_with(".lock"))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn tree(files: &[(&str, &str, u32)]) -> TempDir {
        let folder = TempDir::new().unwrap();
        for (name, text, mode) in files {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(*mode)).unwrap();
        }
        folder
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        let reference = tree(&[("a", "1\n2\n", 0o444), ("b", "x", 0o444), ("d/e", "", 0o444), ("f", "", 0o444)]);
        let ours = tree(&[("a", "1\n3\n", 0o444), ("b", "x", 0o644), ("d/e", "more", 0o444), ("f/g", "", 0o444)]);
        fs::set_permissions(ours.path().join("f"), fs::Permissions::from_mode(0o444)).unwrap();
        let compared = compare(reference.path(), ours.path(), Infos::Bytes).unwrap();
        assert_eq!(compared.files, 4);
        let starts = ["a: other bytes; line 2: \"3\", not \"2\"", "b: mode 644, not 444", "d/e: 4 bytes, not 0"];
        for start in starts {
            assert!(compared.differences.iter().any(|line| line.starts_with(start)), "{start}: {compared:?}");
        }
        assert!(compared.differences.contains(&"f: Folder, not a file".to_owned()));
        assert!(compared.differences.contains(&"f/g: not the go command's".to_owned()));
        assert_eq!(compared.differences.len(), 5);
    }

    #[test]
    fn what_may_differ_is_left_out_and_nothing_else() {
        let lock = "pkg/mod/cache/download/m/@v/v1.0.0.lock";
        let reference = tree(&[(lock, "", 0o644), ("pkg/mod/cache/lock", "", 0o644), ("pkg/mod/m/x.lock", "", 0o444)]);
        let ours = tree(&[("pkg/mod/cache/download/m/@v/list.lock", "", 0o600)]);
        let compared = compare(reference.path(), ours.path(), Infos::Bytes).unwrap();
        assert_eq!(compared.differences, ["pkg/mod/m: missing", "pkg/mod/m/x.lock: missing"]);
    }

    #[test]
    fn the_same_is_the_same() {
        let files = [("a/b", "text", 0o444), ("c", "", 0o600)];
        let compared = compare(tree(&files).path(), tree(&files).path(), Infos::Bytes).unwrap();
        assert_eq!(compared, Compared { files: 2, differences: Vec::new() });
        let nowhere = Path::new("/nowhere");
        assert_eq!(compare(nowhere, nowhere, Infos::Bytes).unwrap(), Compared::default());
    }

    #[test]
    fn the_order_of_an_info_counts_only_among_bytes() {
        let (reference, ours) =
            (tree(&[("v.info", r#"{"A":1,"B":2}"#, 0o644)]), tree(&[("v.info", r#"{"B":2,"A":1}"#, 0o644)]));
        let differences = |infos| compare(reference.path(), ours.path(), infos).unwrap().differences.len();
        assert_eq!((differences(Infos::Bytes), differences(Infos::Values)), (1, 0));
        let other = tree(&[("v.info", r#"{"B":3,"A":1}"#, 0o644)]);
        assert_eq!(compare(reference.path(), other.path(), Infos::Values).unwrap().differences.len(), 1);
    }
}
