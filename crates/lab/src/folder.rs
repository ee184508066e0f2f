//! What is in a folder: names, modes, contents; and what two folders do not have in common.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

/// Bytes of a file that [`differences`] shows.
const SHOWN: usize = 2000;

/// The mode of anything in a folder and, of files, the content.
pub type Entry = (u32, Option<Vec<u8>>);

/// All below a folder, by its name from there. What goes away meanwhile is left out; nothing is followed.
///
/// # Panics
/// Where a name is not UTF-8.
#[must_use]
pub fn snapshot(root: &Path) -> BTreeMap<String, Entry> {
    let mut all = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(meta) = fs::symlink_metadata(&path) else { continue };
            let content = meta.is_file().then(|| fs::read(&path).unwrap_or_default());
            let name = path.strip_prefix(root).ok().and_then(Path::to_str).expect("names of tests are UTF-8");
            all.insert(name.to_owned(), (meta.mode(), content));
            if meta.is_dir() {
                folders.push(path);
            }
        }
    }
    all
}

/// The files below a folder, by their names from there, as text.
#[must_use]
pub fn texts(root: &Path) -> BTreeMap<String, String> {
    let text = |content: Vec<u8>| String::from_utf8_lossy(&content).into_owned();
    snapshot(root).into_iter().filter_map(|(name, (_, content))| Some((name, text(content?)))).collect()
}

/// What the go command's folder and ours do not have in common: names, modes, contents.
#[must_use]
pub fn differences(go: &BTreeMap<String, Entry>, ours: &BTreeMap<String, Entry>) -> Vec<String> {
    let text = |(mode, content): &Entry| {
        let content = content.as_deref().map(|bytes| String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]));
        format!("{mode:o} {}", content.unwrap_or_default())
    };
    let mut all = Vec::new();
    for (name, entry) in go {
        match ours.get(name) {
            None => all.push(format!("{name}: only the go command has it: {}", text(entry))),
            Some(our) if our != entry => all.push(format!("{name}: go: {}\nours: {}", text(entry), text(our))),
            Some(_) => {}
        }
    }
    for (name, entry) in ours.iter().filter(|(name, _)| !go.contains_key(*name)) {
        all.push(format!("{name}: only we have it: {}", text(entry)));
    }
    all
}

/// Lets a test remove a folder that a go command filled: it makes folders that nobody may write.
pub fn make_writable(root: &Path) {
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        if let Ok(meta) = fs::symlink_metadata(&folder) {
            let _ = fs::set_permissions(&folder, fs::Permissions::from_mode(meta.mode() | 0o700));
        }
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        folders.extend(entries.filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_folders_do_not_have_in_common() {
        let folders = [(); 2].map(|()| tempfile::TempDir::new().unwrap());
        let [go, ours] = [0, 1].map(|which| folders[which].path());
        for root in [go, ours] {
            fs::create_dir(root.join("d")).unwrap();
            fs::write(root.join("d/same"), "same").unwrap();
            fs::write(root.join("d/mode"), "").unwrap();
        }
        assert_eq!(differences(&snapshot(go), &snapshot(ours)), [""; 0]);
        fs::write(go.join("gone"), "g").unwrap();
        fs::write(ours.join("new"), "n").unwrap();
        fs::write(ours.join("d/same"), "other").unwrap();
        fs::set_permissions(ours.join("d/mode"), fs::Permissions::from_mode(0o100_600)).unwrap();
        let found = differences(&snapshot(go), &snapshot(ours));
        let names: Vec<&str> = found.iter().map(|line| line.split(':').next().unwrap()).collect();
        assert_eq!(names, ["d/mode", "d/same", "gone", "new"], "{found:?}");
        assert_eq!(texts(go)["d/same"], "same");
    }

    #[test]
    fn read_only_folders_can_go() {
        let folder = tempfile::TempDir::new().unwrap();
        let deep = folder.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        for path in [&deep, deep.parent().unwrap()] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o500)).unwrap();
        }
        make_writable(folder.path());
        assert_eq!(fs::metadata(&deep).unwrap().mode() & 0o777, 0o700);
        fs::remove_dir_all(folder.path().join("a")).unwrap();
    }
}
