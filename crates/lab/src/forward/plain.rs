//! Requests for `http://` URLs in absolute form (RFC 9112, 3.2.2), forwarded with connections kept on both sides.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::head::{Head, invalid};
use super::origin::{Target, connect};
use super::pump::{Down, ToClient, ToOrigin, body};
use super::{Shared, answer};

/// Headers that concern one connection only (RFC 9110, 7.6.1).
const HOP_BY_HOP: [&str; 6] = ["connection", "proxy-connection", "proxy-authorization", "keep-alive", "te", "upgrade"];

/// Interim (1xx) responses to one request, at most.
const MAX_INTERIM: usize = 16;

/// The connection to the origin of the last request, kept for the next.
pub(super) type Kept = Option<(Target, BufReader<TcpStream>)>;

/// A request in absolute form.
pub(super) struct PlainRequest<'a> {
    method: &'a str,
    pub(super) target: Target,
    path: String,
}

impl<'a> PlainRequest<'a> {
    /// Reads the method and the URL of a request line.
    pub(super) fn parse(method: &'a str, url: &str) -> Option<Self> {
        let scheme = url.get(..7)?;
        if !scheme.eq_ignore_ascii_case("http://") {
            return None;
        }
        let rest = &url[7..];
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Some(Self { method, target: Target::parse(authority, Some(80))?, path })
    }
}

/// Forwards one request and its response. Returns whether the client's connection can be used again.
pub(super) async fn forward<C: AsyncRead + AsyncWrite + Unpin>(
    client: &mut BufReader<C>,
    head: &Head,
    request: &PlainRequest<'_>,
    kept: &mut Kept,
    down: &mut Down<'_>,
    shared: &Shared,
) -> io::Result<bool> {
    let request_body = head.request_body()?;
    let mut origin = match kept.take().filter(|(target, _)| *target == request.target) {
        Some((_, origin)) => origin,
        None => match connect(&shared.config.names, &request.target).await {
            Ok(origin) => BufReader::new(origin),
            Err(unreachable) => {
                shared.counters.failure(unreachable.why);
                answer::send(client, &shared.counters, unreachable.status, false).await?;
                return Ok(false);
            }
        },
    };

    let start = format!("{} {} HTTP/1.1", request.method, request.path);
    let bytes = head.encode(&start, |name| is_hop_by_hop(head, name));
    shared.counters.up(bytes.len());
    origin.write_all(&bytes).await?;
    body(client, &mut ToOrigin(&shared.counters, &mut origin), request_body).await?;

    let (response, status) = response(client, &mut origin, down).await?;
    shared.counters.status(status);
    let response_body = response.response_body(request.method, status)?;
    let origin_keeps = response.keeps_connection() && response_body != super::head::Body::UntilClose;
    let keep = origin_keeps && head.keeps_connection();
    let start = response.start.clone();
    let mut bytes = response.encode(&start, |name| is_hop_by_hop(&response, name));
    if !keep {
        bytes.truncate(bytes.len() - 2);
        bytes.extend_from_slice(b"Connection: close\r\n\r\n");
    }
    let mut sink = ToClient(down, client);
    super::pump::Sink::put(&mut sink, &bytes).await?;
    body(&mut origin, &mut sink, response_body).await?;
    if origin_keeps {
        *kept = Some((request.target.clone(), origin));
    }
    if !keep {
        client.shutdown().await?;
    }
    Ok(keep)
}

/// Reads the final response, and forwards the interim ones before it.
async fn response<C: AsyncRead + AsyncWrite + Unpin>(
    client: &mut BufReader<C>,
    origin: &mut BufReader<TcpStream>,
    down: &mut Down<'_>,
) -> io::Result<(Head, u16)> {
    for _ in 0..MAX_INTERIM {
        let closed = || io::Error::new(io::ErrorKind::UnexpectedEof, "the origin closed without an answer");
        let response = Head::read(origin).await?.ok_or_else(closed)?;
        let status = response.status()?;
        if status == 101 {
            return Err(invalid("the origin switched protocols, which was not asked for"));
        }
        if status >= 200 {
            return Ok((response, status));
        }
        let start = response.start.clone();
        down.write(client, &response.encode(&start, |_| false)).await?;
    }
    Err(invalid("the origin sends interim responses without an end"))
}

fn is_hop_by_hop(head: &Head, name: &str) -> bool {
    HOP_BY_HOP.iter().any(|known| known.eq_ignore_ascii_case(name)) || head.has_token("connection", name)
}

#[cfg(test)]
mod tests {
    use super::PlainRequest;

    #[test]
    fn urls_are_split() {
        let split = |url| PlainRequest::parse("GET", url).map(|request| (request.target.to_string(), request.path));
        let is = |target: &str, path: &str| Some((target.to_owned(), path.to_owned()));
        assert_eq!(split("http://proxy.lab/a/@v/list?x=y"), is("proxy.lab:80", "/a/@v/list?x=y"));
        assert_eq!(split("HTTP://proxy.lab:8080"), is("proxy.lab:8080", "/"));
        assert_eq!(split("http://[::1]:8080?q"), is("[::1]:8080", "/?q"));
        for wrong in ["/a", "https://proxy.lab/", "http://", "http:///a", "http://user@proxy.lab/", "ftp", "日本語"]
        {
            assert!(split(wrong).is_none(), "{wrong}");
        }
    }
}
