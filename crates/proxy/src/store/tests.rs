//! What the tests of the store share.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use goferry_module::zip::create_module_zip;
use goferry_module::{DirHash, ModulePath, ModuleVersion, Version};
use tempfile::TempDir;

use super::Store;
use crate::config::SourceMode;

pub(super) fn path() -> ModulePath {
    ModulePath::parse("example.com/M").unwrap()
}

pub(super) fn module(version: &str) -> ModuleVersion {
    ModuleVersion::new(path(), Version::parse(version).unwrap()).unwrap()
}

/// A folder in the layout of the module cache, made by hand.
pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Folder {
        Folder(TempDir::new().unwrap())
    }

    pub(super) fn dir(&self) -> &Path {
        self.0.path()
    }

    /// The folder as a module cache that nobody may write.
    pub(super) fn store(&self) -> Arc<Store> {
        Arc::new(Store::open(self.dir(), SourceMode::Frozen, 1 << 20).unwrap())
    }

    pub(super) fn file(&self, version: &str, extension: &str) -> PathBuf {
        self.dir().join(format!("example.com/!m/@v/{version}.{extension}"))
    }

    /// Files of a version of `example.com/M`, sound where the version is.
    pub(super) fn add(&self, version: &str, extensions: &[&str]) {
        fs::create_dir_all(self.dir().join("example.com/!m/@v")).unwrap();
        for extension in extensions {
            let content = match *extension {
                "info" => format!(r#"{{"Version":"{version}","Time":"2024-01-02T03:04:05Z"}}"#).into_bytes(),
                "mod" => b"module example.com/M\n".to_vec(),
                "zip" => zip(version),
                "ziphash" => DirHash::of_zip(std::io::Cursor::new(zip(version))).unwrap().to_string().into_bytes(),
                _ => Vec::new(),
            };
            fs::write(self.file(version, extension), content).unwrap();
        }
    }
}

fn zip(version: &str) -> Vec<u8> {
    let Ok(version) = Version::parse(version) else { return Vec::new() };
    let Ok(module) = ModuleVersion::new(path(), version) else { return Vec::new() };
    let files = [("go.mod", b"module example.com/M\n".as_slice()), ("m.go", b"package m\n".as_slice())];
    create_module_zip(&module, files.map(|(name, data)| (name, data.to_vec()))).unwrap()
}
