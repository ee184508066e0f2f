//! Module paths and the rules for paths inside modules (`golang.org/x/mod/module/module.go`).

use std::fmt;
use std::str::FromStr;

use crate::escape::EscapedPath;
use crate::unicode::is_letter;
use crate::version::{Version, VersionError};

/// File names that Windows reserves, whatever their extension and case.
const WINDOWS_NAMES: [&str; 22] = [
    "CON", "PRN", "AUX", "NUL", "COM1", "COM2", "COM3", "COM4", "COM5", "COM6", "COM7", "COM8", "COM9", "LPT1", "LPT2",
    "LPT3", "LPT4", "LPT5", "LPT6", "LPT7", "LPT8", "LPT9",
];

/// A module path that can be downloaded, for example `golang.org/x/text` or `gopkg.in/yaml.v3`.
///
/// It satisfies `module.CheckPath`: its first element is a lower-case domain name with a dot, and its major version
/// suffix is well-formed. The main module and replaced modules may have other paths; go.mod keeps those as strings.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModulePath(String);

impl ModulePath {
    /// Checks a module path.
    ///
    /// # Errors
    /// Where `module.CheckPath` refuses it; the reason is the go command's.
    pub fn parse(path: &str) -> Result<Self, PathError> {
        check_module_path(path).map_err(|reason| PathError::new("module", path, reason))?;
        Ok(Self(path.to_owned()))
    }

    /// The path as written in go.mod.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path without its major version suffix, and the suffix: empty, `/v2` and up, or `.v1` and up for gopkg.in.
    #[must_use]
    pub fn split_major(&self) -> (&str, &str) {
        split_path_version(&self.0).unwrap_or((&self.0, ""))
    }

    /// The path as it stands in URLs and in the module cache.
    #[must_use]
    pub fn escape(&self) -> EscapedPath {
        EscapedPath::of(self)
    }

    /// Whether a version may belong to this path: `v2.x` only to `/v2`, `v0.x` and `v1.x` only to no suffix.
    ///
    /// # Errors
    /// Where it may not, with the major version that was expected (`module.CheckPathMajor`).
    pub fn check_version(&self, version: &Version) -> Result<(), VersionError> {
        check_path_major(version, self.split_major().1)
    }
}

impl fmt::Display for ModulePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ModulePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ModulePath {
    type Err = PathError;

    fn from_str(s: &str) -> Result<Self, PathError> {
        Self::parse(s)
    }
}

/// A path that breaks the rules for its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed {kind} path {path:?}: {reason}")]
pub struct PathError {
    /// `module` or `file`.
    pub kind: &'static str,
    /// The path, cut to 256 characters.
    pub path: String,
    /// What is wrong with it, in the words of the go command.
    pub reason: String,
}

impl PathError {
    fn new(kind: &'static str, path: &str, reason: String) -> Self {
        Self { kind, path: path.chars().take(256).collect(), reason }
    }
}

/// Checks the slash-separated path of a file inside a module (`module.CheckFilePath`).
///
/// # Errors
/// Where the path is absolute, not clean, or has characters or names that some system cannot hold.
pub fn check_file_path(path: &str) -> Result<(), PathError> {
    check_path(path, Kind::File).map_err(|reason| PathError::new("file", path, reason))
}

/// Splits a path into its prefix and its major version suffix (`module.SplitPathVersion`). `None` where the suffix
/// looks like one but is not allowed: `/v1`, `/v0`, `/v02`, `/v1.2`, or a gopkg.in path without `.vN`.
#[must_use]
pub fn split_path_version(path: &str) -> Option<(&str, &str)> {
    if path.starts_with("gopkg.in/") {
        return split_gopkg_in(path);
    }
    let digits = path.len() - path.bytes().rev().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    if digits == path.len() || !path[..digits].ends_with("/v") {
        return Some((path, ""));
    }
    let (prefix, major) = path.split_at(digits - 2);
    let number = &major[2..];
    if number.contains('.') || number.starts_with('0') || number == "1" {
        return None;
    }
    Some((prefix, major))
}

/// Whether `version` may stand for a module whose path has the given major suffix (`module.CheckPathMajor`).
pub(crate) fn check_path_major(version: &Version, major: &str) -> Result<(), VersionError> {
    let major = if major.starts_with(".v") { major.strip_suffix("-unstable").unwrap_or(major) } else { major };
    // An old bug made such pseudo-versions for gopkg.in paths; they are in use.
    if version.as_str().starts_with("v0.0.0-") && major == ".v1" {
        return Ok(());
    }
    let have = version.major();
    let want = if major.is_empty() {
        if have == "v0" || have == "v1" || version.is_incompatible() {
            return Ok(());
        }
        "v0 or v1"
    } else {
        &major[1..]
    };
    if have == want {
        return Ok(());
    }
    Err(VersionError::new(version.as_str(), format!("should be {want}, not {have}")))
}

/// Checks a single element that stands for a version in a URL (`checkElem(v, filePath)`).
pub(crate) fn check_version_element(version: &str) -> Result<(), String> {
    if version.contains('/') {
        return Err("invalid char '/'".to_owned());
    }
    check_element(version, Kind::File)
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Module,
    File,
}

fn check_module_path(path: &str) -> Result<(), String> {
    check_path(path, Kind::Module)?;
    let first = path.split('/').next().unwrap_or_default();
    if !first.contains('.') {
        return Err("missing dot in first path element".to_owned());
    }
    if let Some(c) = first.chars().find(|c| !matches!(c, '-' | '.' | '0'..='9' | 'a'..='z')) {
        return Err(format!("invalid char {c:?} in first path element"));
    }
    if split_path_version(path).is_none() {
        return Err("invalid version".to_owned());
    }
    Ok(())
}

fn check_path(path: &str, kind: Kind) -> Result<(), String> {
    let bad = |reason: &str| Err(reason.to_owned());
    if path.is_empty() {
        return bad("empty string");
    }
    if path.starts_with('-') && kind != Kind::File {
        return bad("leading dash");
    }
    if path.contains("//") {
        return bad("double slash");
    }
    if path.ends_with('/') {
        return bad("trailing slash");
    }
    path.split('/').try_for_each(|element| check_element(element, kind))
}

fn check_element(element: &str, kind: Kind) -> Result<(), String> {
    if element.is_empty() {
        return Err("empty path element".to_owned());
    }
    if element.bytes().all(|b| b == b'.') {
        return Err(format!("invalid path element {element:?}"));
    }
    if element.starts_with('.') && kind == Kind::Module {
        return Err("leading dot in path element".to_owned());
    }
    if element.ends_with('.') {
        return Err("trailing dot in path element".to_owned());
    }
    let allowed = |c: &char| match kind {
        Kind::Module => c.is_ascii_alphanumeric() || "-._~".contains(*c),
        Kind::File if c.is_ascii() => c.is_ascii_alphanumeric() || "!#$%&()+,-.=@[]^_{}~ ".contains(*c),
        Kind::File => is_letter(*c),
    };
    if let Some(c) = element.chars().find(|c| !allowed(c)) {
        return Err(format!("invalid char {c:?}"));
    }
    let short = element.split('.').next().unwrap_or_default();
    if WINDOWS_NAMES.iter().any(|name| name.eq_ignore_ascii_case(short)) {
        return Err(format!("{short:?} disallowed as path element component on Windows"));
    }
    if kind == Kind::File {
        return Ok(());
    }
    if let Some((_, digits)) = short.rsplit_once('~')
        && !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
    {
        return Err("trailing tilde and digits in path element".to_owned());
    }
    Ok(())
}

fn split_gopkg_in(path: &str) -> Option<(&str, &str)> {
    let stem = path.strip_suffix("-unstable").unwrap_or(path);
    let digits = stem.len() - stem.bytes().rev().take_while(u8::is_ascii_digit).count();
    if !stem[..digits].ends_with(".v") {
        return None;
    }
    let (prefix, major) = path.split_at(digits - 2);
    // The suffix of "gopkg.in/x.v-unstable" has no number, but Go's check sees "-" where a digit would be.
    let rest = &major[2..];
    if rest.is_empty() || (rest.starts_with('0') && major != ".v0") {
        return None;
    }
    Some((prefix, major))
}
