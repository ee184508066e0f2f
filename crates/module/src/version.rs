//! Module versions.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::pseudo::PseudoVersion;
use crate::semver;

/// A valid semantic version with Go's leading `v`, for example `v1.2.3`, `v2.0.0+incompatible` or
/// `v0.0.0-20240102030405-abcdefabcdef`.
///
/// Short forms such as `v1` are valid and kept as written; [`Version::canonical`] completes them. Versions order by
/// precedence (`golang.org/x/mod/semver.Compare`), and by text where that is equal, as `semver.Sort` does.
///
/// A branch name or a commit is not a version: the go command calls that a query.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Version {
    text: String,
}

impl Version {
    /// Parses a version.
    ///
    /// # Errors
    /// Where the text is not a semantic version with a leading `v`.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        match semver::parse(text) {
            Some(_) => Ok(Self { text: text.to_owned() }),
            None => Err(VersionError::new(text, "must be of the form v1.2.3")),
        }
    }

    /// The version as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The full form: `v1` becomes `v1.0.0`, build metadata other than `+incompatible` goes
    /// (`golang.org/x/mod/module.CanonicalVersion`).
    #[must_use]
    pub fn canonical(&self) -> Self {
        let p = self.parts();
        let mut text = match p.short {
            "" => self.text[..self.text.len() - p.build.len()].to_owned(),
            short => format!("{}{short}", self.text),
        };
        if p.build == "+incompatible" {
            text.push_str(p.build);
        }
        Self { text }
    }

    /// Whether [`Version::canonical`] would change nothing. Only canonical versions are asked of a module proxy.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        let p = self.parts();
        p.short.is_empty() && (p.build.is_empty() || p.build == "+incompatible")
    }

    /// The major version with its `v`, for example `v2`.
    #[must_use]
    pub fn major(&self) -> &str {
        &self.text[..1 + self.parts().major.len()]
    }

    /// The part from `-` to before `+`, without the `-`; empty for a release.
    #[must_use]
    pub fn prerelease(&self) -> &str {
        self.parts().prerelease.strip_prefix('-').unwrap_or_default()
    }

    /// The part after `+`; empty where there is none.
    #[must_use]
    pub fn build(&self) -> &str {
        self.parts().build.strip_prefix('+').unwrap_or_default()
    }

    /// Whether this is a release of major version 2 or more of a module without a go.mod.
    #[must_use]
    pub fn is_incompatible(&self) -> bool {
        self.build() == "incompatible"
    }

    /// The parts of a pseudo-version, or `None` where this is a tagged version.
    #[must_use]
    pub fn pseudo(&self) -> Option<PseudoVersion<'_>> {
        PseudoVersion::of(self)
    }

    /// The Go release and platform where this is a version of the module `golang.org/toolchain`, for example
    /// `v0.0.1-go1.21.13.linux-amd64`. Such zips are about 75 MB, and are always verified with the checksum database.
    #[must_use]
    pub fn toolchain(&self) -> Option<ToolchainVersion<'_>> {
        let rest = self.text.strip_prefix("v0.0.1-go")?;
        let dot = rest.rfind('.')?;
        let (go, platform) = (&rest[..dot], &rest[dot + 1..]);
        let (os, arch) = platform.split_once('-')?;
        if os.is_empty() || arch.is_empty() || go.is_empty() {
            return None;
        }
        Some(ToolchainVersion { go, os, arch })
    }

    pub(crate) fn parts(&self) -> semver::Parts<'_> {
        semver::parse(&self.text).expect("a Version is valid from its construction on")
    }
}

/// What the version of a `golang.org/toolchain` module says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolchainVersion<'a> {
    /// The Go version without `go`, for example `1.21.13`.
    pub go: &'a str,
    /// GOOS, for example `linux`.
    pub os: &'a str,
    /// GOARCH, for example `amd64`.
    pub arch: &'a str,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(s: &str) -> Result<Self, VersionError> {
        Self::parse(s)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        semver::compare(&self.parts(), &other.parts()).then_with(|| self.text.cmp(&other.text))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A text that is not the version it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("version {version:?} invalid: {reason}")]
pub struct VersionError {
    /// The text.
    pub version: String,
    /// What is wrong with it, in the words of the go command.
    pub reason: String,
}

impl VersionError {
    pub(crate) fn new(version: &str, reason: impl Into<String>) -> Self {
        Self { version: version.chars().take(256).collect(), reason: reason.into() }
    }
}
