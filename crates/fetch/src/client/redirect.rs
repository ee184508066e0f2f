//! Where a redirect leads, and where none may lead.

use goferry_net::pool::Response;
use goferry_net::{Origin, Party};

use crate::error::{FailKind, FetchError};

/// Redirects that are followed (net/http/client.go, `defaultCheckRedirect`).
const MAX_REDIRECTS: usize = 10;

/// Where a redirect leads.
pub(super) fn redirect(
    origin: &Origin,
    target: &str,
    response: &Response,
    count: usize,
) -> Result<(Origin, String), FetchError> {
    let url = format!("{origin}{target}");
    let fail = |what: String| FetchError::new(FailKind::Status(response.status), Party::Upstream, what);
    if count > MAX_REDIRECTS {
        return Err(fail(format!("GET {url}: stopped after {MAX_REDIRECTS} redirects")));
    }
    let Some(location) = response.header("location") else {
        return Err(fail(format!("GET {url}: {} without a Location", response.status)));
    };
    let (next, target) = resolve(origin, target, location)
        .ok_or_else(|| fail(format!("GET {url}: redirected to {location:?}, which is no http or https URL")))?;
    if origin.https && !next.https {
        // cmd/go/internal/web/http.go, checkRedirect.
        return Err(fail(format!("GET {url}: redirected from secure URL to insecure URL {location}")));
    }
    Ok((next, target))
}

/// A reference against the URL that it came with (RFC 3986 section 5.2, for http and https).
fn resolve(origin: &Origin, target: &str, location: &str) -> Option<(Origin, String)> {
    let location = location.split('#').next().unwrap_or(location);
    let absolute = if let Some(rest) = location.strip_prefix("//") {
        format!("{}://{rest}", origin.scheme())
    } else {
        location.to_owned()
    };
    let https = absolute.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"));
    let http = absolute.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("http://"));
    if https || http {
        let rest = &absolute[if https { 8 } else { 7 }..];
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let authority = authority.rsplit('@').next()?;
        let (host, port) = match authority.strip_prefix('[') {
            Some(six) => {
                let (host, port) = six.split_once(']')?;
                (host, port.strip_prefix(':'))
            }
            None => match authority.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = match port {
            None | Some("") => {
                if https {
                    443
                } else {
                    80
                }
            }
            Some(port) => port.parse().ok()?,
        };
        if host.is_empty() {
            return None;
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        return Some((Origin { https, host: host.to_ascii_lowercase(), port }, path));
    }
    if absolute.split(['/', '?']).next().is_some_and(|first| first.contains(':')) {
        return None;
    }
    let path = if absolute.starts_with('/') {
        absolute
    } else {
        let directory = target.split('?').next().and_then(|path| path.rfind('/')).map_or("/", |at| &target[..=at]);
        dotless(&format!("{directory}{absolute}"))
    };
    Some((origin.clone(), path))
}

/// Takes `.` and `..` out of a path.
fn dotless(path: &str) -> String {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let path = format!("/{}", parts.join("/"));
    query.map_or(path.clone(), |query| format!("{path}?{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(https: bool, host: &str, port: u16) -> Origin {
        Origin { https, host: host.to_owned(), port }
    }

    #[test]
    fn locations_resolve() {
        let here = origin(true, "goproxy.example.com", 443);
        let at = |location: &str| resolve(&here, "/a/b/@v/list?x", location);
        assert_eq!(at("/c"), Some((here.clone(), "/c".to_owned())));
        assert_eq!(at("../c"), Some((here.clone(), "/a/b/c".to_owned())));
        assert_eq!(at("c?d=../e"), Some((here.clone(), "/a/b/@v/c?d=../e".to_owned())));
        assert_eq!(at("//Other.example.com"), Some((origin(true, "other.example.com", 443), "/".to_owned())));
        assert_eq!(at("http://[::1]:81/x"), Some((origin(false, "::1", 81), "/x".to_owned())));
        assert_eq!(at("HTTPS://u:p@h.example.com?q#f"), Some((origin(true, "h.example.com", 443), "/?q".to_owned())));
        for bad in ["ftp://h/", "mailto:a", "https:///x", "https://h:99999/"] {
            assert_eq!(at(bad), None, "{bad}");
        }
    }
}
