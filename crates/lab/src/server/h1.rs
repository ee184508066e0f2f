//! HTTP/1.1 as the origin speaks it: one request after another on a connection, none pipelined.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::behaviour::CutHow;
use super::io::Line;
use super::plan::{Accident, Asked, End, Plan, Planner};
use super::{linger, wait_for_close};

/// Bytes of a request head that are read before the client is refused.
const MAX_HEAD: usize = 64 * 1024;

/// Serves a connection to its end.
pub(super) async fn serve<S>(mut stream: S, line: Arc<Line>, planner: Arc<Planner>, connection: u64) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let options = planner.behaviour.http1.clone();
    let mut buffer = Vec::new();
    let mut first = true;
    loop {
        let head = tokio::select! {
            head = read_head(&mut stream, &mut buffer) => head?,
            () = idle(options.idle_close), if !first => None,
        };
        let Some(head) = head else {
            return linger(stream).await;
        };
        if first {
            planner.counters.used_connections.fetch_add(1, Ordering::Relaxed);
            first = false;
        }
        let Some((asked, client_closes)) = request(&head) else {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await?;
            return linger(stream).await;
        };
        let (mut plan, _count) = planner.plan(&asked, connection, 0);
        let _active = planner.counters.begin();
        tokio::time::sleep(plan.think).await;
        let close = options.connection_close || client_closes || plan.end == End::Endless;
        if close {
            plan.headers.push(("connection", "close".to_owned()));
        }
        if !answer(&mut stream, &line, &plan, asked.method == "HEAD", options.body_delay).await? {
            return Ok(());
        }
        if close {
            return linger(stream).await;
        }
    }
}

async fn idle(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// Sends an answer; false if the connection is not to be used any more.
async fn answer<S>(stream: &mut S, line: &Line, plan: &Plan, head_only: bool, body_delay: Duration) -> io::Result<bool>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match plan.end {
        End::Never => {
            wait_for_close(stream).await;
            return Ok(false);
        }
        // These are of HTTP/2 only and never planned here.
        End::ResetAtOnce(_) | End::CorruptHeaders | End::EndlessHeaders => return Ok(false),
        End::Complete | End::After(..) | End::Endless => {}
    }
    stream.write_all(head_bytes(plan).as_bytes()).await?;
    if !body_delay.is_zero() {
        stream.flush().await?;
        tokio::time::sleep(body_delay).await;
    }
    if head_only {
        stream.flush().await?;
        return Ok(true);
    }
    let mut sent = 0;
    while plan.sendable().is_none_or(|all| sent < all) {
        let chunk = plan.chunk(sent, 64 * 1024);
        stream.write_all(chunk).await?;
        sent += chunk.len() as u64;
    }
    stream.flush().await?;
    let End::After(_, accident) = plan.end else {
        return Ok(true);
    };
    match accident {
        Accident::Reset(_) | Accident::Cut(CutHow::Rst) => line.reset_on_close(),
        Accident::Cut(CutHow::Fin) | Accident::Truncate => {
            line.fin();
            wait_for_close(stream).await;
        }
        Accident::Stall => wait_for_close(stream).await,
    }
    Ok(false)
}

fn head_bytes(plan: &Plan) -> String {
    let mut head = format!("HTTP/1.1 {} {}\r\n", plan.status, reason(plan.status));
    for (name, value) in &plan.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        416 => "Range Not Satisfiable",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

/// The next request head, or `None` where the client closed between requests.
async fn read_head<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> io::Result<Option<String>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.drain(..end + 4);
            return Ok(Some(head));
        }
        if buffer.len() > MAX_HEAD {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the request head is larger than 64 KiB"));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// What is asked, and whether the client asks to close.
fn request(head: &str) -> Option<(Asked, bool)> {
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, path, version) = (words.next()?, words.next()?, words.next()?);
    if !version.starts_with("HTTP/1.") || !path.starts_with('/') {
        return None;
    }
    let mut asked = Asked { method: method.to_owned(), path: path.to_owned(), ..Asked::default() };
    let mut closes = version == "HTTP/1.0";
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "connection" => closes |= value.eq_ignore_ascii_case("close"),
            "range" => asked.range = Some(value.to_owned()),
            "if-range" => asked.if_range = Some(value.to_owned()),
            _ => {}
        }
    }
    Some((asked, closes))
}

#[cfg(test)]
mod tests {
    use super::request;

    #[test]
    fn a_request_head_says_what_is_asked_and_whether_to_close() {
        let said = |head: &str| request(head).map(|(asked, closes)| (asked.method, asked.path, asked.range, closes));
        assert_eq!(said("GET /a HTTP/1.1\r\nHost: x"), Some(("GET".into(), "/a".into(), None, false)));
        assert_eq!(said("GET /a HTTP/1.1\r\nconnection:  CLOSE"), Some(("GET".into(), "/a".into(), None, true)));
        let range = "GET /a HTTP/1.1\r\nRange: bytes=5-";
        assert_eq!(said(range), Some(("GET".into(), "/a".into(), Some("bytes=5-".into()), false)));
        assert_eq!(said("PRI * HTTP/2.0"), None);
        assert_eq!(said("nonsense"), None);
    }
}
