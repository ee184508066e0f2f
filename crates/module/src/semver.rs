//! Semantic versions as Go understands them (`golang.org/x/mod/semver`): a leading `v`, `v1` and `v1.2` as short forms,
//! numbers of any length, no leading zeros.

use std::cmp::Ordering;

/// The parts of a valid version, borrowed from its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) major: &'a str,
    pub(crate) minor: &'a str,
    pub(crate) patch: &'a str,
    /// What a short form (`v1`, `v1.2`) leaves out: `.0.0`, `.0` or nothing.
    pub(crate) short: &'static str,
    /// With its leading `-`, or empty.
    pub(crate) prerelease: &'a str,
    /// With its leading `+`, or empty.
    pub(crate) build: &'a str,
}

/// Splits a version into its parts; `None` where it is not valid.
pub(crate) fn parse(v: &str) -> Option<Parts<'_>> {
    let (major, rest) = int(v.strip_prefix('v')?)?;
    let mut p = Parts { major, minor: "0", patch: "0", short: "", prerelease: "", build: "" };
    if rest.is_empty() {
        p.short = ".0.0";
        return Some(p);
    }
    let rest = {
        let (minor, rest) = int(rest.strip_prefix('.')?)?;
        p.minor = minor;
        rest
    };
    if rest.is_empty() {
        p.short = ".0";
        return Some(p);
    }
    let (patch, rest) = int(rest.strip_prefix('.')?)?;
    p.patch = patch;
    let plus = rest.find('+').unwrap_or(rest.len());
    (p.prerelease, p.build) = rest.split_at(plus);
    let prerelease_ok = p.prerelease.is_empty()
        || p.prerelease
            .strip_prefix('-')?
            .split('.')
            .all(|id| identifier(id) && !(is_num(id) && id.len() > 1 && id.starts_with('0')));
    let build_ok = p.build.is_empty() || p.build[1..].split('.').all(identifier);
    (prerelease_ok && build_ok).then_some(p)
}

/// Precedence of two valid versions. Build metadata does not count.
pub(crate) fn compare(a: &Parts<'_>, b: &Parts<'_>) -> Ordering {
    compare_int(a.major, b.major)
        .then_with(|| compare_int(a.minor, b.minor))
        .then_with(|| compare_int(a.patch, b.patch))
        .then_with(|| compare_prerelease(a.prerelease, b.prerelease))
}

/// Compares decimal numbers of any length that have no leading zeros. An empty string is the smallest.
pub(crate) fn compare_int(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Cuts a decimal number without leading zeros from the front.
pub(crate) fn int(s: &str) -> Option<(&str, &str)> {
    let end = s.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(s.len());
    if end == 0 || (end > 1 && s.starts_with('0')) {
        return None;
    }
    Some(s.split_at(end))
}

fn compare_prerelease(a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let (mut xs, mut ys) = (a[1..].split('.'), b[1..].split('.'));
    loop {
        match (xs.next(), ys.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => {
                let order = match (is_num(x), is_num(y)) {
                    (true, false) => Ordering::Less,
                    (false, true) => Ordering::Greater,
                    (true, true) => compare_int(x, y),
                    (false, false) => x.cmp(y),
                };
                if order != Ordering::Equal {
                    return order;
                }
            }
        }
    }
}

fn identifier(s: &str) -> bool {
    !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_num(s: &str) -> bool {
    s.bytes().all(|b| b.is_ascii_digit())
}
