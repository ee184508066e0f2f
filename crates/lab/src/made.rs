//! Modules made up by hand, one at a time, for tests that need just these; a [`Universe`](crate::universe::Universe) has as
//! many as one likes.

use std::fs::{self, File};
use std::io::{self, Cursor, Write as _};
use std::path::Path;

use goferry_module::zip::create_module_zip;
use goferry_module::{DirHash, FileKind, ModulePath, ModuleVersion, Version};

/// A module at a version, and what a module proxy has of it.
#[derive(Debug, Clone)]
pub struct Made {
    /// Which it is.
    pub module: ModuleVersion,
    /// The `.info` file: version and a time.
    pub info: String,
    /// The go.mod file.
    pub go_mod: String,
    /// The zip.
    pub zip: Vec<u8>,
    /// The hash of the zip.
    pub zip_hash: DirHash,
    /// The hash of the go.mod file.
    pub go_mod_hash: DirHash,
}

/// The module that `path@version` names.
///
/// # Panics
/// Where it names none.
#[must_use]
pub fn module(name: &str) -> ModuleVersion {
    let named = || {
        let (path, version) = name.split_once('@')?;
        ModuleVersion::new(ModulePath::parse(path).ok()?, Version::parse(version).ok()?).ok()
    };
    named().unwrap_or_else(|| panic!("{name} is no module at a version"))
}

/// A go.mod file with this go line, if it is not empty, and a line for each of `requires`, which are `path@version`.
#[must_use]
pub fn go_mod(module: &ModuleVersion, go: &str, requires: impl IntoIterator<Item = String>) -> String {
    let mut text = format!("module {}\n", module.path());
    if !go.is_empty() {
        text.push_str(&format!("\ngo {go}\n"));
    }
    for require in requires {
        text.push_str(&format!("\nrequire {}\n", require.replace('@', " ")));
    }
    text
}

/// The `.info` file with an Origin, as a public module proxy gives it for a tag in a git repository.
#[must_use]
pub fn with_origin(info: &str) -> String {
    let hash = "0123456789012345678901234567890123456789";
    let origin = format!(r#""VCS":"git","URL":"https://git.example.com/x","Hash":"{hash}","Ref":"refs/tags/x""#);
    format!("{},\"Origin\":{{{origin}}}}}", info.trim_end_matches('}'))
}

impl Made {
    /// A module with this go.mod file, and these files in its zip besides. An `+incompatible` one has no go.mod in its zip.
    ///
    /// # Panics
    /// Where there can be no such zip.
    #[must_use]
    pub fn new(module: ModuleVersion, go_mod: String, files: &[(&str, &[u8])]) -> Made {
        let mut all = files.to_vec();
        if !module.version().is_incompatible() {
            all.push(("go.mod", go_mod.as_bytes()));
        }
        let zip = create_module_zip(&module, all).expect("files of tests can be in a module");
        Made {
            info: format!(r#"{{"Version":"{}","Time":"2024-01-02T03:04:05Z"}}"#, module.version()),
            zip_hash: DirHash::of_zip(Cursor::new(&zip)).expect("it is a zip"),
            go_mod_hash: DirHash::of_go_mod(go_mod.as_bytes()),
            module,
            go_mod,
            zip,
        }
    }

    /// Its lines in go.sum, which are its record in a checksum database.
    #[must_use]
    pub fn go_sum(&self) -> String {
        let (path, version) = (self.module.path(), self.module.version());
        format!("{path} {version} {}\n{path} {version}/go.mod {}\n", self.zip_hash, self.go_mod_hash)
    }

    /// Its files, each with its path at a module proxy.
    #[must_use]
    pub fn files(&self) -> [(String, &[u8]); 3] {
        let path = |kind| self.module.proxy_path(kind);
        [
            (path(FileKind::Info), self.info.as_bytes()),
            (path(FileKind::Mod), self.go_mod.as_bytes()),
            (path(FileKind::Zip), &self.zip),
        ]
    }

    /// Writes its files to where a module proxy that is a folder has them, and the version to the list there, unless it is a
    /// pseudo-version.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn publish(&self, folder: &Path) -> io::Result<()> {
        self.write(folder)?;
        let list = folder.join(&self.module.path().list_path()[1..]);
        if self.module.version().pseudo().is_none() {
            let mut list = File::options().create(true).append(true).open(list)?;
            list.write_all(format!("{}\n", self.module.version()).as_bytes())?;
        }
        Ok(())
    }

    /// Writes its files to where a store, or the module cache's `cache/download`, has them, with the hash of the zip.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn store(&self, folder: &Path) -> io::Result<()> {
        self.write(folder)?;
        let zip = folder.join(&self.module.proxy_path(FileKind::Zip)[1..]);
        fs::write(zip.with_extension("ziphash"), self.zip_hash.to_string())
    }

    fn write(&self, folder: &Path) -> io::Result<()> {
        for (path, content) in self.files() {
            let file = folder.join(&path[1..]);
            if let Some(parent) = file.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(file, content)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::texts;

    #[test]
    fn an_info_with_an_origin_is_json() {
        let info = with_origin(r#"{"Version":"v1.0.0","Time":"2024-01-02T03:04:05Z"}"#);
        let info: serde_json::Value = serde_json::from_str(&info).unwrap();
        assert_eq!((&info["Version"], &info["Origin"]["VCS"]), (&"v1.0.0".into(), &"git".into()));
    }

    #[test]
    fn a_folder_is_a_proxy_of_what_was_published() {
        let folder = tempfile::TempDir::new().unwrap();
        for name in
            ["example.com/Mod@v1.0.0", "example.com/Mod@v1.1.0", "example.com/Mod@v0.0.0-20240102030405-abcdefabcdef"]
        {
            let module = module(name);
            let go_mod = go_mod(&module, "1.20", ["example.com/other@v1.2.3".to_owned()]);
            let made = Made::new(module, go_mod, &[("x.go", b"package x\n")]);
            made.publish(folder.path()).unwrap();
            assert!(made.go_sum().starts_with(&name.replace('@', " ")), "{}", made.go_sum());
        }
        let files = texts(folder.path());
        assert_eq!(files.len(), 10, "{:?}", files.keys());
        assert_eq!(files["example.com/!mod/@v/list"], "v1.0.0\nv1.1.0\n");
        let go_mod = "module example.com/Mod\n\ngo 1.20\n\nrequire example.com/other v1.2.3\n";
        assert_eq!(files["example.com/!mod/@v/v1.0.0.mod"], go_mod);
    }

    #[test]
    fn a_store_has_the_hash() {
        let folder = tempfile::TempDir::new().unwrap();
        let made = Made::new(module("example.com/m@v1.0.0"), "module example.com/m\n".to_owned(), &[]);
        made.store(folder.path()).unwrap();
        let hash = fs::read_to_string(folder.path().join("example.com/m/@v/v1.0.0.ziphash")).unwrap();
        assert_eq!(hash, made.zip_hash.to_string());
        assert_eq!(fs::read(folder.path().join("example.com/m/@v/v1.0.0.zip")).unwrap(), made.zip);
    }
}
