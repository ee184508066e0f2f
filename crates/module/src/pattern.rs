//! The glob lists of GOPRIVATE, GONOPROXY, GONOSUMDB and GOINSECURE.

/// Whether a path prefix of `target` matches one of the comma-separated globs, exactly as
/// `golang.org/x/mod/module.MatchPrefixPatterns` decides: empty and malformed globs are ignored, so are trailing slashes.
#[must_use]
pub fn match_prefix_patterns(globs: &str, target: &str) -> bool {
    matching_pattern(globs, target).is_some()
}

/// The first glob of the list that matches, as [`match_prefix_patterns`] finds it.
#[must_use]
pub fn matching_pattern<'a>(globs: &'a str, target: &str) -> Option<&'a str> {
    globs.split(',').map(|glob| glob.strip_suffix('/').unwrap_or(glob)).filter(|glob| !glob.is_empty()).find(|glob| {
        // A glob with N slashes is matched against the first N+1 elements of the target.
        let slashes = glob.matches('/').count();
        match target.match_indices('/').nth(slashes) {
            Some((end, _)) => path_match(glob, &target[..end]),
            None => target.matches('/').count() == slashes && path_match(glob, target),
        }
    })
}

/// The first glob of a list that is malformed and therefore matches nothing (`path.ErrBadPattern`).
#[must_use]
pub fn malformed_pattern(globs: &str) -> Option<&str> {
    globs.split(',').find(|glob| compile(glob).is_none())
}

/// `path.Match` with a malformed pattern matching nothing: `*` and `?` match within an element, `[...]` is a class with
/// ranges and `^`, `\` takes the next character as it is.
///
/// A star is retried from the last one only. Nothing but `/` ends what a star may take, and an earlier star that takes
/// more cannot help where the last one failed, so the time is at most pattern times name.
#[must_use]
pub fn path_match(pattern: &str, name: &str) -> bool {
    let Some(terms) = compile(pattern) else {
        return false;
    };
    let name: Vec<char> = name.chars().collect();
    let (mut t, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if t == terms.len() && n == name.len() {
            return true;
        }
        match terms.get(t) {
            Some(Term::Star) => {
                t += 1;
                retry = Some((t, n));
                continue;
            }
            Some(term) if n < name.len() && term.matches(name[n]) => {
                t += 1;
                n += 1;
                continue;
            }
            _ => {}
        }
        match retry {
            Some((star, from)) if from < name.len() && name[from] != '/' => {
                retry = Some((star, from + 1));
                t = star;
                n = from + 1;
            }
            _ => return false,
        }
    }
}

enum Term {
    Star,
    Any,
    Literal(char),
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Term {
    fn matches(&self, c: char) -> bool {
        match self {
            Self::Star => false,
            Self::Any => c != '/',
            Self::Literal(l) => *l == c,
            Self::Class { negated, ranges } => ranges.iter().any(|(lo, hi)| (*lo..=*hi).contains(&c)) != *negated,
        }
    }
}

fn compile(pattern: &str) -> Option<Vec<Term>> {
    let mut terms = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        terms.push(match c {
            '*' => Term::Star,
            '?' => Term::Any,
            '\\' => Term::Literal(chars.next()?),
            '[' => {
                let negated = chars.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                while ranges.is_empty() || chars.next_if_eq(&']').is_none() {
                    let lo = class_char(&mut chars)?;
                    let hi = if chars.next_if_eq(&'-').is_some() { class_char(&mut chars)? } else { lo };
                    ranges.push((lo, hi));
                }
                Term::Class { negated, ranges }
            }
            c => Term::Literal(c),
        });
    }
    Some(terms)
}

/// `getEsc` of Go's path/match.go: one character of a class, which must not be the last of the pattern.
fn class_char(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    let c = match chars.next()? {
        '-' | ']' => return None,
        '\\' => chars.next()?,
        c => c,
    };
    chars.peek().map(|_| c)
}
