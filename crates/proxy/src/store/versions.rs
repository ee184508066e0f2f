//! Which versions of a module the store has, for `list` and `@latest` where the upstream may not be asked.

use std::collections::HashSet;
use std::fs;

use goferry_module::escape::unescape_version;
use goferry_module::{FileKind, ModulePath, ModuleVersion, Version};

use super::Store;

/// Names of one folder that are looked at.
const MAX_NAMES: usize = 200_000;

impl Store {
    /// The versions that can be used without an upstream, lowest first, pseudo-versions among them (a `list` has none,
    /// and the go command passes them over there): those with `.mod` and `.zip`. The layout's `list` has those with a
    /// `.mod` only, too: whoever chose one of these as the highest could not go on, while a lower one is there whole.
    /// Asked for by name they are given. Reads one folder; blocks.
    #[must_use]
    pub fn versions(&self, path: &ModulePath) -> Vec<Version> {
        self.with(path, &["mod", "zip"])
    }

    /// What `@latest` is without an upstream: the highest release with `.info`, `.mod` and `.zip`, else the highest
    /// pre-release, else the highest pseudo-version (`latest` in modfetch/coderepo.go). Blocks.
    #[must_use]
    pub fn latest(&self, path: &ModulePath) -> Option<Version> {
        let rank = |version: &Version| match version {
            version if version.pseudo().is_some() => 0,
            version if !version.prerelease().is_empty() => 1,
            _ => 2,
        };
        let usable = |version: &Version| {
            ModuleVersion::new(path.clone(), version.clone())
                .is_ok_and(|module| self.cache().read_info(&module).is_some())
        };
        let mut versions = self.with(path, &["info", "mod", "zip"]);
        // Stable: of two of one rank the higher one stays behind the lower.
        versions.sort_by_key(rank);
        versions.into_iter().rev().find(usable)
    }

    fn with(&self, path: &ModulePath, extensions: &[&str]) -> Vec<Version> {
        let folder = self.dir().join(format!("{}/@v", path.escape()));
        let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
        let names: HashSet<String> =
            entries.take(MAX_NAMES).flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        let mut versions: Vec<Version> = names
            .iter()
            .filter_map(|name| {
                let escaped = name.strip_suffix(".mod")?;
                if !extensions.iter().all(|extension| names.contains(&format!("{escaped}.{extension}"))) {
                    return None;
                }
                let version = Version::parse(&unescape_version(escaped).ok()?).ok()?;
                let module = ModuleVersion::new(path.clone(), version).ok()?;
                let kinds = [FileKind::Mod, FileKind::Zip];
                let files = module.version().is_canonical()
                    && kinds.iter().all(|kind| self.cache().file(&module, *kind).is_file());
                files.then(|| module.version().clone())
            })
            .collect();
        versions.sort();
        versions
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Folder, path};
    use super::*;

    fn names(versions: &[Version]) -> Vec<&str> {
        versions.iter().map(Version::as_str).collect()
    }

    #[test]
    fn whole_versions_lowest_first() {
        let folder = Folder::new();
        for version in ["v1.10.0", "v1.9.0", "v1.11.0-rc.1", "v0.0.0-20240102030405-abcdefabcdef"] {
            folder.add(version, &["info", "mod", "zip"]);
        }
        folder.add("v1.12.0", &["info", "mod"]);
        folder.add("v1.8.0", &["mod", "zip"]);
        folder.add("v1.7.0", &["zip"]);
        folder.add("v2.0.0", &["info", "mod", "zip"]);
        folder.add("main", &["info", "mod", "zip"]);
        folder.add("v1.13.0", &["lock", "zip.goferry-part-0"]);
        let store = folder.store();
        let whole = ["v0.0.0-20240102030405-abcdefabcdef", "v1.8.0", "v1.9.0", "v1.10.0", "v1.11.0-rc.1"];
        assert_eq!(names(&store.versions(&path())), whole);
        assert_eq!(store.latest(&path()).unwrap().as_str(), "v1.10.0");
        let other = ModulePath::parse("example.com/other").unwrap();
        assert!(store.versions(&other).is_empty() && store.latest(&other).is_none());
    }

    #[test]
    fn the_latest_of_no_release() {
        let folder = Folder::new();
        folder.add("v0.0.0-20240102030405-abcdefabcdef", &["info", "mod", "zip"]);
        folder.add("v0.0.0-20250102030405-abcdefabcdef", &["info", "mod", "zip"]);
        assert_eq!(folder.store().latest(&path()).unwrap().as_str(), "v0.0.0-20250102030405-abcdefabcdef");
        folder.add("v0.1.0-rc.1", &["info", "mod", "zip"]);
        assert_eq!(folder.store().latest(&path()).unwrap().as_str(), "v0.1.0-rc.1");
        // Nothing can be said of a release without a sound .info.
        folder.add("v0.1.0", &["mod", "zip"]);
        folder.add("v0.2.0", &["mod", "zip"]);
        std::fs::write(folder.file("v0.2.0", "info"), b"").unwrap();
        assert_eq!(folder.store().latest(&path()).unwrap().as_str(), "v0.1.0-rc.1");
    }
}
