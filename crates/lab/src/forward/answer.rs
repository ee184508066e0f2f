//! The proxy's own answers.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::counts::Counters;

/// The realm that a 407 names.
const REALM: &str = "goferry lab";

/// Sends `status` with a short text. The connection is kept when `keep` says so.
pub(super) async fn send<W: AsyncWrite + Unpin>(
    writer: &mut W,
    counters: &Counters,
    status: u16,
    keep: bool,
) -> io::Result<()> {
    let reason = reason(status);
    let body = format!("{status} {reason}, says the proxy\n");
    let challenge =
        if status == 407 { format!("Proxy-Authenticate: Basic realm=\"{REALM}\"\r\n") } else { String::new() };
    let connection = if keep { "" } else { "Connection: close\r\nProxy-Connection: close\r\n" };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} {reason}\r\n{challenge}{connection}Content-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    counters.status(status);
    writer.write_all(answer.as_bytes()).await?;
    writer.flush().await?;
    if !keep {
        writer.shutdown().await?;
    }
    Ok(())
}

/// Tells the client that its tunnel is open.
pub(super) async fn established<W: AsyncWrite + Unpin>(writer: &mut W, counters: &Counters) -> io::Result<()> {
    counters.status(200);
    writer.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    writer.flush().await
}

/// Sends 200 and header lines until the client goes away.
pub(super) async fn endless_headers<W: AsyncWrite + Unpin>(
    writer: &mut W,
    counters: &Counters,
    every: Duration,
) -> io::Result<()> {
    counters.status(200);
    writer.write_all(b"HTTP/1.1 200 OK\r\n").await?;
    let mut number = 0_u64;
    loop {
        writer.write_all(format!("X-Filler-{number}: {:040}\r\n", 0).as_bytes()).await?;
        number += 1;
        if every.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(every).await;
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        407 => "Proxy Authentication Required",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Refused",
    }
}
