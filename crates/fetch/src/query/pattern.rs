//! Patterns of module paths (`cmd/internal/pkgpattern.MatchPattern`).

/// What stands for an element `vendor` that is not the last one: no wildcard matches it.
const VENDOR: &str = "\0";

/// Whether a module path matches a pattern in which `...` is any text. `/...` at the end also matches nothing, so that
/// `example.com/m/...` matches `example.com/m`. No wildcard matches an element `vendor` that is not the last.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    if pattern.contains(VENDOR) || path.contains(VENDOR) {
        return false;
    }
    let (pattern, path) = (mark_vendor(pattern), mark_vendor(path));
    let vendor_end = format!("{VENDOR}/...");
    if let Some(start) = pattern.strip_suffix(&vendor_end)
        && (start.is_empty() || start.ends_with('/'))
    {
        // A pattern that begins with "vendor/" gets a slash in front of it in the go command, too.
        let start = start.strip_suffix('/').unwrap_or(start);
        return glob(&format!("{start}/vendor"), &path) || glob(&format!("{start}/{vendor_end}"), &path);
    }
    match pattern.strip_suffix("/...") {
        Some(start) => glob(start, &path) || glob(&pattern, &path),
        None => glob(&pattern, &path),
    }
}

/// Matches a text with a pattern in which `...` is any text without [`VENDOR`]. The leftmost place of each piece is the
/// right one: a later place would only widen the gap before it.
fn glob(pattern: &str, text: &str) -> bool {
    let pieces: Vec<&str> = pattern.split("...").collect();
    let [first, middle @ .., last] = pieces.as_slice() else { return pattern == text };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    for piece in middle {
        let Some(at) = rest.find(piece) else { return false };
        if rest[..at].contains(VENDOR) {
            return false;
        }
        rest = &rest[at + piece.len()..];
    }
    rest.strip_suffix(*last).is_some_and(|gap| !gap.contains(VENDOR))
}

/// `vendor` elements but the last become [`VENDOR`].
fn mark_vendor(path: &str) -> String {
    let Some((elements, last)) = path.rsplit_once('/') else { return path.to_owned() };
    let marked: Vec<&str> = elements.split('/').map(|e| if e == "vendor" { VENDOR } else { e }).collect();
    format!("{}/{last}", marked.join("/"))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn matches_as_the_go_command_does() {
        for (pattern, path, want) in [
            ("...", "foo", true),
            ("net", "net", true),
            ("net", "net/http", false),
            ("net/http", "net", false),
            ("net...", "net", true),
            ("net...", "net/http", true),
            ("net...", "netchan", true),
            ("net...", "not/http", false),
            ("net/...", "net", true),
            ("net/...", "net/http", true),
            ("net/...", "netchan", false),
            ("...a...b", "xaxb", true),
            ("...a...b", "xbxa", false),
            ("a...a", "a", false),
            ("a...a", "aa", true),
            ("abc.../def", "abcxyz/def", true),
            ("abc.../def", "abcxyz/ghi", false),
            ("x/vendor/...", "x/vendor", true),
            ("x/vendor/...", "x/vendor/y", true),
            ("x/...", "x/vendor", true),
            ("x/...", "x/vendor/y", false),
            ("x/.../vendor/y", "x/a/vendor/y", true),
            (".../vendor/...", "x/vendor/y", true),
            (".../vendor/...", "x/y", false),
            ("vendor/...", "vendor/y", false),
            ("cmd/vendor", "cmd/vendor", true),
            ("a.c", "abc", false),
            ("....", "x.", true),
            ("....", "x", false),
        ] {
            assert_eq!(matches(pattern, path), want, "{pattern} {path}");
        }
    }

    #[test]
    fn long_patterns_take_no_long_time() {
        let (pattern, path) = ("a...".repeat(5_000) + "b", "a".repeat(50_000));
        assert!(!matches(&pattern, &path));
    }
}
