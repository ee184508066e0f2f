//! The escaped form of paths and versions, for file systems and servers that do not tell `A` from `a`: every upper-case
//! letter becomes `!` and the lower-case letter (`golang.org/x/mod/module.EscapePath`).

use std::fmt;

use crate::path::{ModulePath, check_version_element};

/// A module path in its escaped form, for example `github.com/!burnt!sushi/toml`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EscapedPath(String);

impl EscapedPath {
    /// Checks an escaped path, as it comes in a request or from a cache directory.
    ///
    /// # Errors
    /// Where it is not the escaped form of a valid module path.
    pub fn parse(escaped: &str) -> Result<Self, EscapeError> {
        Self::decode(escaped)?;
        Ok(Self(escaped.to_owned()))
    }

    /// The escaped text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The module path that this is the escaped form of.
    #[must_use]
    pub fn unescape(&self) -> ModulePath {
        Self::decode(&self.0).expect("checked when it was made")
    }

    pub(crate) fn of(path: &ModulePath) -> Self {
        Self(escape(path.as_str()))
    }

    fn decode(escaped: &str) -> Result<ModulePath, EscapeError> {
        let bad = |reason: String| EscapeError::new("module path", escaped, reason);
        let path = unescape(escaped).map_err(|reason| bad(reason.to_owned()))?;
        ModulePath::parse(&path).map_err(|e| bad(e.reason))
    }
}

impl fmt::Display for EscapedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The escaped form of a version or of a query such as a branch name (`module.EscapeVersion`).
///
/// # Errors
/// Where the text cannot be a file name or holds `!`.
pub fn escape_version(version: &str) -> Result<String, EscapeError> {
    let bad = |reason: String| EscapeError::new("version", version, reason);
    check_version_element(version).map_err(bad)?;
    if let Some(c) = version.chars().find(|c| *c == '!' || !c.is_ascii()) {
        return Err(bad(format!("invalid char {c:?}")));
    }
    Ok(escape(version))
}

/// The version or query of an escaped form (`module.UnescapeVersion`).
///
/// # Errors
/// Where it is not the escaped form of anything.
pub fn unescape_version(escaped: &str) -> Result<String, EscapeError> {
    let bad = |reason: String| EscapeError::new("version", escaped, reason);
    let version = unescape(escaped).map_err(|reason| bad(reason.to_owned()))?;
    check_version_element(&version).map_err(bad)?;
    Ok(version)
}

/// A text that has no escaped form, or is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid escaped {what} {text:?}: {reason}")]
pub struct EscapeError {
    /// `module path` or `version`.
    pub what: &'static str,
    /// The text, cut to 256 characters.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl EscapeError {
    fn new(what: &'static str, text: &str, reason: String) -> Self {
        Self { what, text: text.chars().take(256).collect(), reason }
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_ascii_uppercase() {
            out.push('!');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn unescape(escaped: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(escaped.len());
    let mut chars = escaped.chars();
    while let Some(c) = chars.next() {
        match c {
            '!' => match chars.next() {
                Some(l) if l.is_ascii_lowercase() => out.push(l.to_ascii_uppercase()),
                _ => return Err("'!' must be followed by a lower-case letter"),
            },
            'A'..='Z' => {
                return Err("upper-case letters must be escaped as '!' and the lower-case letter");
            }
            c if c.is_ascii() => out.push(c),
            _ => return Err("only ASCII can be escaped"),
        }
    }
    Ok(out)
}
