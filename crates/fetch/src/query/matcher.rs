//! Which versions a query matches, by their text alone (`cmd/go/internal/modload/query.go`, `newQueryMatcher`).

use std::cmp::Ordering;

use goferry_module::path::split_path_version;
use goferry_module::{ModulePath, Version};

use super::error::QueryError;

/// What a query means.
#[derive(Debug)]
pub(super) enum Meaning {
    /// The name of one thing: a whole version, a branch, a commit. It is asked for as it is.
    Revision,
    /// A choice from the versions that there are.
    Choice(Matcher),
}

/// A choice from the versions that there are.
#[derive(Debug)]
pub(super) struct Matcher {
    /// What a version begins with.
    prefix: String,
    bound: Option<(Bound, Precedence)>,
    /// The lowest version that matches is taken, not the highest.
    pub(super) prefer_lower: bool,
    /// Where no tagged version matches, the latest commit may do.
    pub(super) may_use_latest: bool,
    /// `+incompatible` versions are as good as others.
    pub(super) prefer_incompatible: bool,
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    AtLeast,
    Above,
    AtMost,
    Below,
}

impl Matcher {
    /// Whether the version's text fits; exclusions and retractions are another matter.
    pub(super) fn matches(&self, version: &Version) -> bool {
        version.as_str().starts_with(&self.prefix)
            && self.bound.as_ref().is_none_or(|(bound, limit)| {
                let order = precedence(version).cmp(limit);
                match bound {
                    Bound::AtLeast => order != Ordering::Less,
                    Bound::Above => order == Ordering::Greater,
                    Bound::AtMost => order != Ordering::Greater,
                    Bound::Below => order == Ordering::Less,
                }
            })
    }

    /// Whether every version fits.
    pub(super) fn is_open(&self) -> bool {
        self.prefix.is_empty() && self.bound.is_none()
    }
}

/// What `query` means for the module `path`, of which `selected` is in use now.
///
/// # Errors
/// Where a range has no version or an ambiguous one, and for `patch` without a version to start from.
pub(super) fn meaning(path: &str, query: &str, selected: Option<&Version>) -> Result<Meaning, QueryError> {
    let mut matcher = Matcher {
        prefix: String::new(),
        bound: None,
        prefer_lower: false,
        may_use_latest: false,
        prefer_incompatible: selected.is_some_and(|v| v.as_str().ends_with("+incompatible")),
    };
    match (query, selected) {
        ("latest", _) | ("upgrade", None) => matcher.may_use_latest = true,
        ("patch", None) => {
            return Err(QueryError::query("@patch starts from the version that is required, and none is")
                .with_advice(format!("name the minor version, such as {path}@v1.2, or use {path}@latest")));
        }
        ("upgrade" | "patch", Some(selected)) => {
            matcher.may_use_latest = selected.pseudo().is_some();
            if query == "patch" {
                matcher.prefix = format!("{}.", major_minor(selected));
            }
            matcher.bound = Some((Bound::AtLeast, precedence(selected)));
        }
        _ => return other(path, query, matcher),
    }
    Ok(Meaning::Choice(matcher))
}

/// Whether the query names one revision, so that exclusions and retractions do not count (`IsRevisionQuery`).
pub(super) fn is_revision(query: &str) -> bool {
    let choice = matches!(query, "latest" | "upgrade" | "patch")
        || query.starts_with(['<', '>'])
        || Version::parse(query).is_ok_and(|version| is_prefix(&version));
    !choice
}

/// Whether the major version of `version` may belong to `path`, which need not be one that can be downloaded
/// (`module.CheckPathMajor`).
pub(super) fn major_fits(path: &str, version: &Version) -> bool {
    let Some((_, major)) = split_path_version(path) else { return false };
    // Only the suffix counts; the rest may be a path that only a replacement can provide.
    let host = if major.starts_with('.') { "gopkg.in/m" } else { "example.com/m" };
    ModulePath::parse(&format!("{host}{major}")).is_ok_and(|path| path.check_version(version).is_ok())
}

/// `v1` and `v1.2`, which stand for all versions that begin so (`gover.ModIsPrefix`).
fn is_prefix(version: &Version) -> bool {
    let text = version.as_str();
    !text.contains(['-', '+']) && text.matches('.').count() < 2
}

/// Ranges, prefixes and revisions.
fn other(path: &str, query: &str, mut matcher: Matcher) -> Result<Meaning, QueryError> {
    let range = [("<=", Bound::AtMost), ("<", Bound::Below), (">=", Bound::AtLeast), (">", Bound::Above)]
        .into_iter()
        .find_map(|(operator, bound)| Some((operator, bound, query.strip_prefix(operator)?)));
    if let Some((operator, bound, text)) = range {
        let Ok(version) = Version::parse(text) else {
            return Err(QueryError::query(format!("invalid semantic version {text:?} in range {query:?}"))
                .with_advice("write a version after the operator, such as \">=v1.2.3\", and quote it in the shell"));
        };
        // "<=v1.2" may or may not include v1.2.3, since "@v1.2" may mean it.
        if is_prefix(&version) && matches!(bound, Bound::AtMost | Bound::Above) {
            return Err(QueryError::query(format!("ambiguous semantic version {text:?} in range {query:?}"))
                .with_advice(format!("write all three numbers: \"{operator}{}\"", version.canonical())));
        }
        matcher.prefer_lower = matches!(bound, Bound::AtLeast | Bound::Above);
        matcher.bound = Some((bound, precedence(&version)));
        matcher.prefer_incompatible |= !major_fits(path, &version);
        return Ok(Meaning::Choice(matcher));
    }
    match Version::parse(query) {
        Ok(version) if is_prefix(&version) => {
            matcher.prefix = format!("{query}.");
            // "v1.2" is not to match prereleases of v1.2.0.
            matcher.bound = Some((Bound::AtLeast, precedence(&version)));
            matcher.prefer_incompatible |= !major_fits(path, &version);
            Ok(Meaning::Choice(matcher))
        }
        _ => Ok(Meaning::Revision),
    }
}

/// A version as it counts in comparisons: complete, without build metadata.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Precedence(Version);

/// What `golang.org/x/mod/semver.Compare` compares. The order of [`Version`] itself tells `v1.0.0` from `v1.0.0+meta`.
pub(super) fn precedence(version: &Version) -> Precedence {
    let text = version.as_str();
    let release = text.split_once('+').map_or(text, |(release, _)| release);
    Precedence(Version::parse(release).map_or_else(|_| version.clone(), |version| version.canonical()))
}

/// `v1.2` of `v1.2.3` (`semver.MajorMinor`).
fn major_minor(version: &Version) -> String {
    let text = version.canonical();
    let mut dots = text.as_str().match_indices('.').map(|(at, _)| at);
    dots.nth(1).map_or_else(|| text.as_str().to_owned(), |at| text.as_str()[..at].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    fn matched(path: &str, query: &str, selected: Option<&str>, versions: &[&str]) -> Vec<String> {
        let Meaning::Choice(matcher) = meaning(path, query, selected.map(version).as_ref()).unwrap() else {
            panic!("{query} is a revision")
        };
        versions.iter().filter(|v| matcher.matches(&version(v))).map(|v| (*v).to_owned()).collect()
    }

    #[test]
    fn prefixes_ranges_and_what_they_leave_out() {
        let versions = ["v1.2.0-rc.1", "v1.2.0", "v1.2.9", "v1.20.0", "v2.0.0+incompatible", "v2.1.0+incompatible"];
        for (query, want) in [
            ("v1", &["v1.2.0-rc.1", "v1.2.0", "v1.2.9", "v1.20.0"][..]),
            ("v1.2", &["v1.2.0", "v1.2.9"]),
            ("<v1.2", &["v1.2.0-rc.1"]),
            ("<=v1.2.0", &["v1.2.0-rc.1", "v1.2.0"]),
            (">v1.2.9", &["v1.20.0", "v2.0.0+incompatible", "v2.1.0+incompatible"]),
            (">v2.0.0", &["v2.1.0+incompatible"]),
            (">=v2", &["v2.0.0+incompatible", "v2.1.0+incompatible"]),
        ] {
            assert_eq!(matched("example.com/m", query, None, &versions), want, "{query}");
        }
        assert_eq!(matched("example.com/m", "patch", Some("v1.2.0"), &versions), ["v1.2.0", "v1.2.9"]);
        assert_eq!(matched("example.com/m", "upgrade", Some("v2.0.0+incompatible"), &versions).len(), 2);
    }

    #[test]
    fn revisions_and_choices() {
        for query in ["v1.2.3", "v1.2.3+meta", "v1.2.3-rc", "main", "none", "", "abcdef123456", "v1.x", "1.2.3"] {
            assert!(is_revision(query), "{query}");
            assert!(matches!(meaning("example.com/m", query, None), Ok(Meaning::Revision)), "{query}");
        }
        for query in ["v1", "v1.2", "latest", "upgrade", "patch", "<x", ">"] {
            assert!(!is_revision(query), "{query}");
        }
    }

    #[test]
    fn ranges_that_mean_nothing() {
        for query in ["<", "<x", ">=1.2.3", ">v1", "<=v1.2", ">=v1.2.3,<v2"] {
            assert!(matches!(meaning("example.com/m", query, None), Err(QueryError::Query { .. })), "{query}");
        }
        assert!(matches!(meaning("example.com/m", "patch", None), Err(QueryError::Query { .. })));
    }

    #[test]
    fn major_versions_and_paths() {
        for (path, v, want) in [
            ("example.com/m", "v1.0.0", true),
            ("example.com/m", "v2.0.0", false),
            ("example.com/m", "v2.0.0+incompatible", true),
            ("example.com/m/v2", "v2", true),
            ("local/v3", "v3.1.0", true),
            ("local", "v3.1.0", false),
            ("gopkg.in/yaml.v2", "v2.0.0", true),
            ("gopkg.in/yaml.v2", "v1.0.0", false),
            ("example.com/m/v1", "v1.0.0", false),
        ] {
            assert_eq!(major_fits(path, &version(v)), want, "{path} {v}");
        }
    }
}
