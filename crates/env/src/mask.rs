//! Keeping credentials out of everything that is printed.

/// What stands in place of a credential.
pub const MASK: &str = "***";

/// Replaces the user information and the query of every URL in `text` by `***`.
///
/// Works on lists (`,`, `|`, blanks) and on `user:password@host` without a scheme, as `HTTPS_PROXY` allows. It errs
/// towards masking: a password with an unescaped `/` is masked as well.
#[must_use]
pub fn urls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let is_sep = |c: char| c.is_whitespace() || matches!(c, ',' | '|' | '"' | '\'' | '`' | '<' | '>');
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(is_sep).unwrap_or(rest.len());
        let (token, tail) = rest.split_at(end);
        token_into(token, &mut out);
        let mut chars = tail.chars();
        if let Some(c) = chars.next() {
            out.push(c);
        }
        rest = chars.as_str();
    }
    out
}

fn token_into(token: &str, out: &mut String) {
    let (prefix, rest) = match token.find("://") {
        Some(i) => token.split_at(i + 3),
        None => match token.rfind('=') {
            Some(i) if !token[i..].contains("@v") => token.split_at(i + 1),
            _ => ("", token),
        },
    };
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let at = match rest[..authority_end].rfind('@') {
        Some(at) => Some(at),
        None if has_scheme(prefix) => rest[authority_end..]
            .rfind('@')
            .map(|at| at + authority_end)
            .filter(|_| !plain_authority(&rest[..authority_end])),
        None => None,
    };
    out.push_str(prefix);
    match at {
        Some(at) if has_scheme(prefix) || rest[..at].contains(':') => {
            out.push_str(MASK);
            query_into(&rest[at..], out);
        }
        _ if has_scheme(prefix) => query_into(rest, out),
        _ => out.push_str(rest),
    }
}

/// A query may be a token: `https://goproxy.example.com?token=...`.
fn query_into(rest: &str, out: &mut String) {
    match rest.split_once('?') {
        Some((before, query)) if !query.is_empty() => {
            out.push_str(before);
            out.push('?');
            out.push_str(MASK);
        }
        _ => out.push_str(rest),
    }
}

fn has_scheme(prefix: &str) -> bool {
    prefix.ends_with("://")
}

/// Whether what precedes the first slash is a host with an optional numeric port, and so cannot be half a credential.
fn plain_authority(authority: &str) -> bool {
    if authority.starts_with('[') {
        return true;
    }
    match authority.split_once(':') {
        None => true,
        Some((_, port)) => !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::urls;

    #[test]
    fn user_information_is_masked_and_nothing_else() {
        for (given, want) in [
            ("https://goproxy.example.com,direct", "https://goproxy.example.com,direct"),
            ("https://u:p@goproxy.example.com|off", "https://***@goproxy.example.com|off"),
            ("https://token@goproxy.example.com/x", "https://***@goproxy.example.com/x"),
            ("u:p@proxy.example.com:3128", "***@proxy.example.com:3128"),
            ("http://u:p/q@proxy.example.com", "http://***@proxy.example.com"),
            ("https://goproxy.example.com/a@v1.0.0", "https://goproxy.example.com/a@v1.0.0"),
            ("https://goproxy.example.com:8443/a@v1", "https://goproxy.example.com:8443/a@v1"),
            ("ENV HTTPS_PROXY=http://u:p@h.example.com X=1", "ENV HTTPS_PROXY=http://***@h.example.com X=1"),
            ("export HTTPS_PROXY='u:p@h.example.com'", "export HTTPS_PROXY='***@h.example.com'"),
            ("https://h.example.com/p?token=t|direct", "https://h.example.com/p?***|direct"),
            ("https://u:p@h.example.com?token=t", "https://***@h.example.com?***"),
            ("http://http://u:p@h.example.com", "http://***@h.example.com"),
            ("go install example.com/m@v1.0.0", "go install example.com/m@v1.0.0"),
        ] {
            assert_eq!(urls(given), want, "{given}");
        }
    }
}
