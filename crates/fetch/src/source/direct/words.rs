//! What the go command's words mean, and as much of them as others need to read.

use goferry_net::Party;

use crate::error::{FailKind, FetchError};

/// Lines of the go command's words that are passed on: the first tell most.
const MAX_LINES: usize = 8;
/// Characters of them.
const MAX_TEXT: usize = 1024;

/// What is only said where there is no such repository, module or version (`cmd/go/internal/modfetch/coderepo.go`,
/// `codehost/git.go`, `cmd/go/internal/vcs/vcs.go`, `cmd/go/internal/web`; git's own words).
const ABSENT: [&str; 14] = [
    "unknown revision ",
    "no matching versions for query",
    "no commits",
    "invalid pseudo-version",
    "go.mod at revision ",
    " module path \"",
    "is not a tag)",
    "no go-import meta tags",
    ": 404 Not Found",
    ": 410 Gone",
    "does not appear to be a git repository",
    "ERROR: Repository not found",
    "' not found",
    "repository not found",
];

/// What is said where something kept the go command from finding out, whatever else it says.
const HINDERED: [&str; 14] = [
    "verifying ",
    "SECURITY ERROR",
    "could not read Username",
    "could not read Password",
    "terminal prompts disabled",
    "Authentication failed",
    "Permission denied",
    "Host key verification failed",
    "or you don't have permission",
    "Could not resolve host",
    "no such host",
    "timed out",
    "onnection refused",
    "disallowed",
];

/// What is said where credentials are missing, or may be.
const REFUSED: [&str; 6] = [
    "could not read Username",
    "could not read Password",
    "Authentication failed",
    "Permission denied",
    "or you don't have permission",
    // Every protocol that is tried failed, and the go command keeps the reasons to itself.
    "no secure protocol found for repository",
];

/// The error of a go command that was asked for `what`. "Not found" must stay that, and nothing else may become it: a
/// query goes on to other meanings of its words, and a go command with `,direct` goes around whoever says it.
pub(super) fn failed(what: &str, why: &str, cache: Option<&str>) -> FetchError {
    // `remote:` is what the server wants to be read, not what git found.
    let own = |line: &&str| !line.trim_start().trim_start_matches("fatal: ").starts_with("remote:");
    let any = |words: &[&str]| why.lines().filter(own).any(|line| words.iter().any(|word| line.contains(word)));
    let absent = any(&ABSENT) && !any(&HINDERED);
    let kind = if absent { FailKind::NotFound(404) } else { FailKind::GoCommand };
    let error = FetchError::new(kind, Party::Upstream, format!("go (direct): {what}: {}", short(what, why, cache)));
    if absent || !any(&REFUSED) {
        return error;
    }
    error.with_advice(
        "there is no such repository, or no credentials that it accepts where this go command runs: a line in .netrc, a \
         credential helper of git, or an SSH key",
    )
}

/// Whether the go command did not get to know where the repository is (`vcs.RepoRootForImportPath`).
pub(super) fn names_no_repository(why: &str) -> bool {
    ["unrecognized import path \"", "/ import path \""].iter().any(|words| why.contains(words))
}

/// The first lines, without what is known already, the place of the cache, and credentials.
fn short(what: &str, why: &str, cache: Option<&str>) -> String {
    let idle = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with("go: downloading ") && !line.starts_with("go: finding ")
    };
    let mut text = why.lines().filter(idle).take(MAX_LINES).map(str::trim_end).collect::<Vec<_>>().join("\n");
    if let Some(cache) = cache.filter(|cache| !cache.is_empty()) {
        text = text.replace(cache, "$GOMODCACHE");
    }
    let text = text.replace("?go-get=1", "");
    let text = text.strip_prefix("go: ").unwrap_or(&text);
    let text = text.strip_prefix("module ").unwrap_or(text);
    let text = text.strip_prefix(what).and_then(|text| text.strip_prefix(": ")).unwrap_or(text);
    let plain = |c: char| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c };
    let text = goferry_env::mask::urls(text);
    if text.is_empty() { "it says nothing".to_owned() } else { text.chars().take(MAX_TEXT).map(plain).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(why: &str) -> FailKind {
        failed("x", why, None).kind
    }

    /// As go 1.27.3 and 1.21.13 with git 2 say it.
    #[test]
    fn what_is_not_there() {
        for why in [
            "go: example.com/m@nobranch: invalid version: unknown revision nobranch",
            "go: module example.com/m/sub: no matching versions for query \"latest\"",
            "example.com/m@v1.0.0: invalid version: git ls-remote -q origin in /c/vcs/1: exit status 128:\n\tfatal: '/r/x.git' \
             does not appear to be a git repository\n\tfatal: Could not read from remote repository.",
            "git ls-remote: exit status 128:\n\tfatal: repository 'https://git.example.com/x/' not found",
            "git ls-remote: exit status 128:\n\tERROR: Repository not found.\n\tfatal: Could not read from remote repository.",
            "unrecognized import path \"example.com/x\": reading https://example.com/x?go-get=1: 404 Not Found",
            "unrecognized import path \"example.com/x\": parse https://example.com/x?go-get=1: no go-import meta tags ()",
            "example.com/m/sub@v1.0.0: invalid version: missing sub/go.mod at revision sub/v1.0.0",
            "example.com/m@v2.0.0: invalid version: go.mod has non-.../v2 module path \"example.com/m\" at revision v2.0.0",
            "m@v0.0.0-20200101000000-abcdefabcdef: invalid pseudo-version: does not match version-control timestamp",
        ] {
            assert_eq!(kind(why), FailKind::NotFound(404), "{why}");
        }
    }

    #[test]
    fn what_could_not_be_found_out() {
        for why in [
            "git ls-remote: exit status 128:\n\tfatal: could not read Username for 'https://git.example.com': terminal prompts \
             disabled\nConfirm the import path was entered correctly.",
            "git ls-remote: exit status 128:\n\tfatal: Authentication failed for 'https://git.example.com/x/'",
            "git@git.example.com: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            "ERROR: The project you were looking for could not be found or you don't have permission to view it.",
            "fatal: unable to access 'https://git.example.com/': Could not resolve host: git.example.com",
            "unrecognized import path \"x.invalid/x\": https fetch: Get \"https://x.invalid/x?go-get=1\": dial tcp: lookup \
             x.invalid: no such host",
            "reading https://example.com/x?go-get=1: 403 Forbidden",
            "no secure protocol found for repository",
            "exec: \"git\": executable file not found in $PATH",
            "GOVCS disallowed using git for public example.com/x",
            "example.com/m@v1.0.0: verifying module: reading https://sum.example.com/lookup/example.com/m@v1.0.0: 404 Not Found",
            "exit status 128:\n\tremote: unknown revision x\n\tfatal: the remote end hung up unexpectedly",
            "",
        ] {
            assert_eq!(kind(why), FailKind::GoCommand, "{why}");
        }
        assert!(failed("x", "fatal: Authentication failed", None).advice.is_some());
        assert!(failed("x", "exec: \"git\": not in $PATH", None).advice.is_none());
    }

    #[test]
    fn without_a_repository() {
        for why in [
            "unrecognized import path \"x.invalid/x\": https fetch: Get \"https://x.invalid/x\": dial tcp: no such host",
            "invalid github.com/ import path \"github.com/rsc\"",
        ] {
            assert!(names_no_repository(&failed("x", why, None).detail), "{why}");
        }
        assert!(!names_no_repository("fatal: unable to access 'https://git.example.com/': Could not resolve host"));
    }

    #[test]
    fn words_are_few_and_name_no_credentials() {
        let why = "go: downloading example.com/a v1.0.0\n\ngo: example.com/m@main: git ls-remote in /srv/mod/cache/vcs/12: exit \
                   status 128:\n\tfatal: unable to access 'https://user:secret@git.example.com/m/': \u{7}refused\n";
        let error = failed("example.com/m@main", why, Some("/srv/mod"));
        let expected = "go (direct): example.com/m@main: git ls-remote in $GOMODCACHE/cache/vcs/12: exit status 128:\n\tfatal: \
                        unable to access 'https://***@git.example.com/m/': \u{fffd}refused";
        assert_eq!(error.detail, expected);
        let long = failed("x", &"many words\n".repeat(1000), None);
        assert_eq!(long.detail.lines().count(), MAX_LINES);
        assert!(failed("x", &"y".repeat(100_000), None).detail.len() < 1100);
    }
}
