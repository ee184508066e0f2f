//! A module at a version, and the files that a module proxy keeps of it.

use std::fmt;

use crate::escape::escape_version;
use crate::path::ModulePath;
use crate::version::{Version, VersionError};

/// A module path and a canonical version that may belong together.
///
/// Orders by path, then by version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleVersion {
    path: ModulePath,
    version: Version,
}

/// The files of one version of a module (<https://go.dev/ref/mod#goproxy-protocol>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// `.info`: version and time as JSON.
    Info,
    /// `.mod`: the go.mod file.
    Mod,
    /// `.zip`: the source.
    Zip,
}

impl FileKind {
    /// The extension, without a dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Mod => "mod",
            Self::Zip => "zip",
        }
    }
}

impl ModuleVersion {
    /// Joins a path and a version (`golang.org/x/mod/module.Check`).
    ///
    /// # Errors
    /// Where the version is not canonical or its major version is not that of the path.
    pub fn new(path: ModulePath, version: Version) -> Result<Self, VersionError> {
        if !version.is_canonical() {
            let canonical = version.canonical();
            return Err(VersionError::new(version.as_str(), format!("not canonical, should be {canonical}")));
        }
        path.check_version(&version)?;
        Ok(Self { path, version })
    }

    /// The module path.
    #[must_use]
    pub fn path(&self) -> &ModulePath {
        &self.path
    }

    /// The version, canonical.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The version in its escaped form, as in file names.
    #[must_use]
    pub fn escaped_version(&self) -> String {
        escape_version(self.version.as_str()).expect("the characters of a semantic version can be escaped")
    }

    /// The path of a file below the URL of a module proxy, with a leading slash:
    /// `/github.com/!burnt!sushi/toml/@v/v1.2.3.zip`.
    #[must_use]
    pub fn proxy_path(&self, kind: FileKind) -> String {
        format!("/{}/@v/{}.{}", self.path.escape(), self.escaped_version(), kind.extension())
    }

    /// What every name in the module's zip begins with: `path@version/`.
    #[must_use]
    pub fn zip_prefix(&self) -> String {
        format!("{}@{}/", self.path, self.version)
    }
}

impl ModulePath {
    /// The path of the list of versions below the URL of a module proxy: `/example.com/m/@v/list`.
    #[must_use]
    pub fn list_path(&self) -> String {
        format!("/{}/@v/list", self.escape())
    }

    /// The path of the latest version below the URL of a module proxy: `/example.com/m/@latest`.
    #[must_use]
    pub fn latest_path(&self) -> String {
        format!("/{}/@latest", self.escape())
    }
}

impl fmt::Display for ModuleVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.path, self.version)
    }
}
