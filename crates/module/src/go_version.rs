//! Versions of Go itself, as in the `go` line and in toolchain names (`internal/gover`, `go/version`,
//! `cmd/go/internal/gover/toolchain.go`).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::semver::{compare_int, int};

/// A Go version such as `1.21`, `1.21rc1` or `1.21.3`. From 1.21 on `1.21 < 1.21rc1 < 1.21.0`; before, `1.20` is
/// `1.20.0`. Versions that the go command holds to be the same are equal here: `1.20 == 1.20.0`.
#[derive(Clone)]
pub struct GoVersion {
    text: String,
    major: String,
    minor: String,
    patch: String,
    kind: String,
    pre: String,
}

impl GoVersion {
    /// Parses a version without the prefix `go`.
    ///
    /// # Errors
    /// Where `internal/gover.IsValid` says no.
    pub fn parse(text: &str) -> Result<Self, GoVersionError> {
        Self::parts(text).ok_or_else(|| GoVersionError {
            text: text.chars().take(128).collect(),
            expected: "a Go version such as 1.21, 1.21rc1 or 1.21.3",
        })
    }

    /// The version as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The language version: `1.21` for `1.21rc1` and for `1.21.3`.
    #[must_use]
    pub fn language(&self) -> String {
        if self.major == "1" && self.minor == "0" {
            return self.major.clone();
        }
        format!("{}.{}", self.major, self.minor)
    }

    /// Whether this is `1.minor` or later, prereleases of `1.minor` included.
    #[must_use]
    pub fn at_least(&self, minor: u32) -> bool {
        compare_int(&self.major, "1").then_with(|| compare_int(&self.minor, &minor.to_string())) != Ordering::Less
    }

    /// Whether this is a language version (`1.21`) and not the name of a release.
    #[must_use]
    pub fn is_language(&self) -> bool {
        self.patch.is_empty() && self.kind.is_empty()
    }

    fn parts(text: &str) -> Option<Self> {
        let version = |major: &str, minor: &str, patch: &str, kind: &str, pre: &str| Self {
            text: text.to_owned(),
            major: major.to_owned(),
            minor: minor.to_owned(),
            patch: patch.to_owned(),
            kind: kind.to_owned(),
            pre: pre.to_owned(),
        };
        let (major, rest) = int(text)?;
        if rest.is_empty() {
            return Some(version(major, "0", "0", "", ""));
        }
        let (minor, rest) = int(rest.strip_prefix('.')?)?;
        if rest.is_empty() {
            let patch = if compare_int(minor, "21") == Ordering::Less { "0" } else { "" };
            return Some(version(major, minor, patch, "", ""));
        }
        if let Some(rest) = rest.strip_prefix('.') {
            let (patch, rest) = int(rest)?;
            return rest.is_empty().then(|| version(major, minor, patch, "", ""));
        }
        let kind_end = rest.bytes().position(|b| b.is_ascii_digit()).unwrap_or(rest.len());
        let (kind, rest) = rest.split_at(kind_end);
        if kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_lowercase()) {
            return None;
        }
        if rest.is_empty() {
            return Some(version(major, minor, "", kind, ""));
        }
        let (pre, rest) = int(rest)?;
        rest.is_empty().then(|| version(major, minor, "", kind, pre))
    }
}

/// The name of a Go toolchain, such as `go1.21.13` or `go1.22.1-custom`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    name: String,
    version: GoVersion,
}

impl Toolchain {
    /// Parses a toolchain name. `default`, `local`, `path` and `auto` are settings, not names.
    ///
    /// # Errors
    /// Where `gover.FromToolchain` finds no version in the name.
    pub fn parse(name: &str) -> Result<Self, GoVersionError> {
        let version = name
            .strip_prefix("go")
            .filter(|_| !name.contains(['\\', '/']))
            .map(|v| v.split([' ', '\t', '-']).next().unwrap_or_default())
            .and_then(GoVersion::parts);
        match version {
            Some(version) => Ok(Self { name: name.to_owned(), version }),
            None => Err(GoVersionError {
                text: name.chars().take(128).collect(),
                expected: "a toolchain name such as go1.21.13",
            }),
        }
    }

    /// The name as written.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The Go version in the name, without a custom suffix.
    #[must_use]
    pub fn version(&self) -> &GoVersion {
        &self.version
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Display for GoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for GoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for GoVersion {
    type Err = GoVersionError;

    fn from_str(s: &str) -> Result<Self, GoVersionError> {
        Self::parse(s)
    }
}

impl Ord for GoVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_int(&self.major, &other.major)
            .then_with(|| compare_int(&self.minor, &other.minor))
            .then_with(|| compare_int(&self.patch, &other.patch))
            .then_with(|| self.kind.cmp(&other.kind))
            .then_with(|| compare_int(&self.pre, &other.pre))
    }
}

impl PartialOrd for GoVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for GoVersion {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for GoVersion {}

/// A text that is not a Go version or toolchain name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid {text:?}: expected {expected}")]
pub struct GoVersionError {
    /// The text.
    pub text: String,
    /// What should stand there.
    pub expected: &'static str,
}
