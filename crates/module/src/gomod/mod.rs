//! go.mod and go.work (`golang.org/x/mod/modfile`).
//!
//! ```text
//! bytes → lex (tokens) → syntax (lines and blocks) → directives (GoMod, GoWork)
//! ```
//!
//! Lines are interpreted as they are read, so that a large file costs the memory of what it says and no tree. Paths are
//! strings: a main or replaced module may have a path that no proxy could serve.
//!
//! [`update`] changes a go.mod, and [`format()`] formats one. For that there is a tree, which keeps comments and order:
//!
//! ```text
//! bytes → lex → tree ← edit, require, sort; tree → print → bytes
//! ```

mod bytes;
mod directives;
mod edit;
mod error;
mod lex;
mod print;
mod quote;
mod require;
mod resolved;
mod sort;
mod syntax;
#[cfg(test)]
mod tests;
mod tree;
mod work;

pub use self::edit::{format, update};
pub use self::error::{ParseError, ParseErrors};
pub use self::resolved::ResolvedVersions;
pub use self::work::{GoWork, Use};

use std::sync::LazyLock;

use crate::go_version::GoVersion;
use crate::module_version::ModuleVersion;
use crate::path::ModulePath;
use crate::version::Version;

/// The largest go.mod or go.work that is read, in bytes: the limit of a go.mod in a module zip
/// (`golang.org/x/mod/zip.MaxGoMod`).
pub const MAX_GO_MOD: usize = 16 << 20;

/// What a go.mod says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoMod {
    /// The `module` line.
    pub module: Option<Module>,
    /// The `go` line.
    pub go: Option<GoLine>,
    /// The `toolchain` line.
    pub toolchain: Option<ToolchainLine>,
    /// The `godebug` lines. They change programs, never the go command itself.
    pub godebug: Vec<Godebug>,
    /// The `require` lines.
    pub requires: Vec<Require>,
    /// The `replace` lines.
    pub replaces: Vec<Replace>,
    /// The `exclude` lines.
    pub excludes: Vec<Exclude>,
    /// The `retract` lines.
    pub retracts: Vec<Retract>,
    /// The `tool` lines.
    pub tools: Vec<PathLine>,
    /// The `ignore` lines.
    pub ignores: Vec<PathLine>,
}

impl GoMod {
    /// Parses the go.mod of a main module. `file` is used in errors only. As in `modfile.Parse` without a version
    /// fixer, versions must be semantic versions and are made canonical; a branch name is an error.
    ///
    /// # Errors
    /// With file, line and column, for everything that `go mod edit` refuses, and for a file over [`MAX_GO_MOD`].
    pub fn parse(file: &str, data: &[u8]) -> Result<Self, ParseErrors> {
        Self::parse_with(file, data, &ResolvedVersions::default())
    }

    /// As [`GoMod::parse`], with the versions that [`GoMod::queries`] stand for.
    ///
    /// # Errors
    /// As [`GoMod::parse`].
    pub fn parse_with(file: &str, data: &[u8], resolved: &ResolvedVersions) -> Result<Self, ParseErrors> {
        directives::parse_mod(file, data, directives::Mode::Main, resolved)
    }

    /// Parses the go.mod of a dependency: unknown directives, and those that only count in the main module (`replace`,
    /// `exclude`, `tool`, ...), are left out (`modfile.ParseLax`).
    ///
    /// # Errors
    /// With file, line and column.
    pub fn parse_lax(file: &str, data: &[u8]) -> Result<Self, ParseErrors> {
        directives::parse_mod(file, data, directives::Mode::Dependency, &ResolvedVersions::default())
    }

    /// The Go version of the `go` line; `None` without one, or where it is not a Go version that can be compared.
    #[must_use]
    pub fn go_version(&self) -> Option<GoVersion> {
        GoVersion::parse(&self.go.as_ref()?.version).ok()
    }

    /// Whether the module graph is pruned: the `go` line says 1.17 or later, so that go.mod lists every module that its
    /// packages need (`cmd/go/internal/gover.ExplicitIndirectVersion`). Prereleases such as 1.17rc1 are below 1.17.
    #[must_use]
    pub fn is_pruned(&self) -> bool {
        static PRUNED: LazyLock<GoVersion> = LazyLock::new(|| GoVersion::parse("1.17").expect("a Go version"));
        self.go_version().is_some_and(|go| go >= *PRUNED)
    }

    /// The replacement of a module version, as the go command chooses it: the line with that version before the line
    /// without one, the last line of each where there are several.
    #[must_use]
    pub fn replacement(&self, path: &str, version: &Version) -> Option<&Replace> {
        let of_path = || self.replaces.iter().rev().filter(|replace| replace.old_path == path);
        of_path()
            .find(|replace| replace.old_version.as_ref() == Some(version))
            .or_else(|| of_path().find(|replace| replace.old_version.is_none()))
    }
}

/// The `module` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The module's path, unchecked: a main module may have any.
    pub path: String,
    /// The message after `Deprecated:` in the comments of the line.
    pub deprecated: Option<String>,
    /// The line, from 1.
    pub line: usize,
}

/// The `go` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoLine {
    /// As written: `1.21`, `1.21.3`, `1.21rc1`.
    pub version: String,
    /// The line, from 1.
    pub line: usize,
}

/// The `toolchain` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolchainLine {
    /// As written: `go1.21.13`, `default`. [`crate::Toolchain::parse`] reads it.
    pub name: String,
    /// The line, from 1.
    pub line: usize,
}

/// A `godebug` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Godebug {
    /// Before `=`.
    pub key: String,
    /// After `=`.
    pub value: String,
    /// The line, from 1.
    pub line: usize,
}

/// A `require` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Require {
    /// The module's path; only its major version suffix has been checked.
    pub path: String,
    /// The version, canonical.
    pub version: Version,
    /// Whether the line has the comment `// indirect`.
    pub indirect: bool,
    /// The line, from 1.
    pub line: usize,
}

impl Require {
    /// The module version as it can be asked of a proxy; `None` where the path is one that only a replacement can
    /// provide.
    #[must_use]
    pub fn module_version(&self) -> Option<ModuleVersion> {
        module_version(&self.path, &self.version)
    }
}

/// A `replace` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replace {
    /// The replaced module's path.
    pub old_path: String,
    /// The replaced version; `None` for all versions.
    pub old_version: Option<Version>,
    /// What stands in its place.
    pub new: Replacement,
    /// The line, from 1.
    pub line: usize,
}

/// The right side of a `replace` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// A directory, relative to the file or absolute: nothing is downloaded.
    Directory(String),
    /// A module version.
    Module {
        /// Its path, unchecked.
        path: String,
        /// Its version, canonical.
        version: Version,
    },
}

impl Replacement {
    /// The module version as it can be asked of a proxy; `None` for a directory or a path that no proxy can serve.
    #[must_use]
    pub fn module_version(&self) -> Option<ModuleVersion> {
        match self {
            Self::Directory(_) => None,
            Self::Module { path, version } => module_version(path, version),
        }
    }
}

/// An `exclude` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exclude {
    /// The module's path.
    pub path: String,
    /// The excluded version, canonical.
    pub version: Version,
    /// The line, from 1.
    pub line: usize,
}

/// A `retract` line: both bounds are retracted, and all between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retract {
    /// The lowest retracted version.
    pub low: Version,
    /// The highest retracted version.
    pub high: Version,
    /// The comments of the line, or of its block.
    pub rationale: String,
    /// The line, from 1.
    pub line: usize,
}

/// A `tool` or `ignore` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathLine {
    /// The package path or directory.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
}

fn module_version(path: &str, version: &Version) -> Option<ModuleVersion> {
    ModuleVersion::new(ModulePath::parse(path).ok()?, version.clone()).ok()
}
