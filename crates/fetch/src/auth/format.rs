//! What goes into and comes out of the commands of GOAUTH (`cmd/go/internal/auth/{userauth,gitauth,httputils}.go`).

use std::fmt::Write as _;

use super::Headers;
use crate::client::Refusal;

/// Blocks of URLs, an empty line, headers, an empty line (`parseUserAuth`). Gives a URL and its headers, a later block
/// after an earlier one. Errors never quote the text.
pub(super) fn parse_blocks(text: &str) -> Result<Vec<(String, Headers)>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut urls = Vec::new();
        loop {
            let line = next_line(&mut rest).ok_or("invalid format: missing empty line after URLs")?;
            match line {
                "" => break,
                url if is_request_uri(url) => urls.push(url.to_owned()),
                _ => return Err("invalid format: a line before the headers is not a URL".to_owned()),
            }
        }
        let mut headers = Headers::new();
        loop {
            let line = next_line(&mut rest).ok_or("invalid format: missing empty line after headers")?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(": ").ok_or("invalid format: invalid header line")?;
            let value = value.trim();
            if !is_field_name(name) || !is_field_value(value) {
                return Err("invalid format: invalid header line".to_owned());
            }
            headers.push((canonical(name), value.to_owned()));
        }
        out.extend(urls.into_iter().map(|url| (url, headers.clone())));
    }
    Ok(out)
}

fn next_line<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let (line, after) = rest.split_once('\n')?;
    *rest = after;
    Some(line)
}

/// `url.ParseRequestURI`, as far as it matters for a prefix: an absolute path, or a scheme and what follows it.
fn is_request_uri(text: &str) -> bool {
    if text.bytes().any(|b| b.is_ascii_control()) {
        return false;
    }
    match text.split_once(':') {
        _ if text.starts_with('/') => true,
        Some((scheme, rest)) => {
            let good = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
            let host = rest.strip_prefix("//").map(|r| r.split('/').next().unwrap_or_default());
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.bytes().all(good)
                && rest.starts_with('/')
                && !host.is_some_and(|host| host.contains([' ', '<', '>', '"']))
        }
        None => false,
    }
}

fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn is_field_value(value: &str) -> bool {
    value.bytes().all(|b| !b.is_ascii_control() || b == b'\t')
}

/// `textproto.CanonicalMIMEHeaderKey` of a valid name: `x-token` becomes `X-Token`.
fn canonical(name: &str) -> String {
    let mut upper = true;
    let letter = |c: char| {
        let out = if upper { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        upper = c == '-';
        out
    };
    name.chars().map(letter).collect()
}

/// A status line and headers, as a command reads them from its standard input (`writeResponseToStdin`).
pub(super) fn response(refusal: &Refusal) -> String {
    let reason = http::StatusCode::from_u16(refusal.status).ok().and_then(|s| s.canonical_reason()).unwrap_or("");
    let mut out = format!("HTTP/1.1 {} {reason}", refusal.status).trim_end().to_owned();
    out.push('\n');
    let mut names: Vec<String> = Vec::new();
    for (name, _) in &refusal.headers {
        let name = canonical(name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in names {
        let values = refusal.headers.iter().filter(|(n, _)| canonical(n) == name).map(|(_, v)| v.as_str());
        let _ = writeln!(out, "{name}: {}", values.collect::<Vec<_>>().join(", ").replace(['\r', '\n'], " "));
    }
    out.push('\n');
    out
}

/// What `git credential fill` gave.
#[derive(Default)]
pub(super) struct Fill {
    /// Scheme, host and path; empty where there is none.
    pub(super) prefix: String,
    pub(super) username: String,
    pub(super) password: String,
}

/// `parseGitAuth`.
pub(super) fn parse_git(text: &str) -> Fill {
    let mut fill = Fill::default();
    let (mut protocol, mut host, mut path, mut url) = ("", "", "", None);
    for (key, value) in text.lines().filter_map(|line| line.trim().split_once('=')) {
        match key {
            "protocol" => protocol = value,
            "host" => host = value,
            "path" => path = value,
            "username" => value.clone_into(&mut fill.username),
            "password" => value.clone_into(&mut fill.password),
            "url" if is_request_uri(value) => url = Some(value),
            _ => {}
        }
    }
    fill.prefix = match url {
        Some(url) => url.to_owned(),
        None if host.is_empty() => String::new(),
        None => {
            let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
            format!("{protocol}://{host}{slash}{path}")
        }
    };
    fill
}
