//! One request on a connection of its own.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// How long nothing may come.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer that are read.
const MAX: u64 = 64 << 20;

/// An answer to [`ask`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// The status line and the header fields, in lower case.
    pub head: String,
    /// What came after the head, as text.
    pub body: String,
}

/// Asks a server (host and port) for a path over HTTP/1.1, with more header fields, each of which ends with CR LF. The
/// answer is what comes until the server closes, as the request tells it to.
///
/// # Errors
/// When there is no connection, nothing comes for 30 s, or what comes is no answer.
pub fn ask(authority: &str, method: &str, path: &str, fields: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    parse(&answer).ok_or_else(|| io::Error::other(format!("no answer: {answer:?}")))
}

fn parse(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
}
