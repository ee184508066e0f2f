//! Pseudo-versions: versions made of a commit's time and identifier (`golang.org/x/mod/module/pseudo.go`).

use crate::version::Version;

/// The parts of a pseudo-version such as `v1.2.4-0.20240102030405-abcdefabcdef`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PseudoVersion<'a> {
    /// What stands before the time: `vX.0.0`, `vX.Y.(Z+1)-0` or `vX.Y.Z-pre.0`.
    prefix: &'a str,
    /// The commit's time in UTC, 14 digits: `YYYYMMDDhhmmss`. Digits only are checked, not the calendar.
    pub timestamp: &'a str,
    /// The commit's identifier, 12 hexadecimal digits for git.
    pub rev: &'a str,
    build: &'a str,
}

impl<'a> PseudoVersion<'a> {
    /// The parts of `version`, or `None` where it is not a pseudo-version.
    #[must_use]
    pub fn of(version: &'a Version) -> Option<Self> {
        let parts = version.parts();
        if !parts.short.is_empty() {
            return None;
        }
        let text = version.as_str();
        let build = parts.build;
        let (head, rev) = text[..text.len() - build.len()].rsplit_once('-')?;
        if rev.is_empty() || !rev.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        // The time follows the last '-' ("vX.0.0-TIME") or a later '.' ("vX.Y.Z-pre.0.TIME").
        let dash = head.rfind('-')?;
        let cut = match head.rfind('.') {
            Some(dot) if dot > dash => dot,
            _ => dash,
        };
        let (prefix, timestamp) = (&head[..cut], &head[cut + 1..]);
        if timestamp.len() != 14 || !timestamp.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let shaped = match prefix.split_once('-') {
            None => cut == dash && parts.minor == "0" && parts.patch == "0",
            Some((_, pre)) => cut != dash && (pre == "0" || pre.ends_with(".0")),
        };
        shaped.then_some(Self { prefix, timestamp, rev, build })
    }

    /// The tagged version that this one follows; `None` where there is none (`vX.0.0-TIME-REV`) or where the
    /// pseudo-version is one that cannot follow anything (`v1.0.0-0.TIME-REV`).
    #[must_use]
    pub fn base(&self) -> Option<Version> {
        let (release, pre) = self.prefix.split_once('-')?;
        let text = if pre == "0" {
            let (head, patch) = release.rsplit_once('.')?;
            format!("{head}.{}{}", decrement(patch)?, self.build)
        } else {
            format!("{release}-{}{}", pre.strip_suffix(".0")?, self.build)
        };
        Version::parse(&text).ok()
    }
}

/// One less than a decimal number of any length; `None` for zero.
fn decrement(decimal: &str) -> Option<String> {
    let mut digits = decimal.as_bytes().to_vec();
    let last = digits.iter().rposition(|&d| d != b'0')?;
    digits[last] -= 1;
    digits[last + 1..].fill(b'9');
    let text = String::from_utf8(digits).ok()?;
    match text.strip_prefix('0') {
        Some(rest) if !rest.is_empty() => Some(rest.to_owned()),
        _ => Some(text),
    }
}
