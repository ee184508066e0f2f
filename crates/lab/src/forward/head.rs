//! HTTP/1.1 heads: a start line and header lines, bounded, and where the body ends (RFC 9112).

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Bytes of a head, at most.
const MAX_HEAD: usize = 64 * 1024;

/// A start line and its headers, as received.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) start: String,
    pub(super) headers: Vec<(String, Vec<u8>)>,
}

/// How the end of a body is known (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Length(u64),
    Chunked,
    UntilClose,
}

impl Head {
    /// Reads a head. `None`: the peer closed before its first byte.
    pub(super) async fn read<R: AsyncBufRead + Unpin>(reader: &mut R) -> io::Result<Option<Self>> {
        let mut left = MAX_HEAD;
        let mut start = line(reader, &mut left).await?;
        if start.as_ref().is_some_and(Vec::is_empty) {
            // One empty line before a request is to be forgiven (RFC 9112, 2.2).
            start = line(reader, &mut left).await?;
        }
        let Some(start) = start else { return Ok(None) };
        let start = String::from_utf8(start).map_err(|_| invalid("the start line is not text"))?;
        let mut headers = Vec::new();
        loop {
            let Some(header) = line(reader, &mut left).await? else {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed inside a head"));
            };
            if header.is_empty() {
                return Ok(Some(Self { start, headers }));
            }
            let colon =
                header.iter().position(|byte| *byte == b':').ok_or_else(|| invalid("a header without a colon"))?;
            let name = std::str::from_utf8(&header[..colon]).map_err(|_| invalid("a header name is not text"))?;
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err(invalid("a header name is empty or has white space"));
            }
            headers.push((name.to_owned(), header[colon + 1..].trim_ascii().to_vec()));
        }
    }

    /// The first value of a header, if it is text.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Whether a comma-separated header holds `token`, without regard to case.
    pub(super) fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name).flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(token))
    }

    /// The body of a request with this head.
    pub(super) fn request_body(&self) -> io::Result<Body> {
        if self.get("transfer-encoding").is_some() {
            return if self.has_token("transfer-encoding", "chunked") {
                Ok(Body::Chunked)
            } else {
                Err(invalid("a transfer-encoding without chunked in a request"))
            };
        }
        Ok(Body::Length(self.content_length()?.unwrap_or(0)))
    }

    /// The body of a response with this head and `status` to a request with `method`.
    pub(super) fn response_body(&self, method: &str, status: u16) -> io::Result<Body> {
        if method == "HEAD" || status == 204 || status == 304 {
            return Ok(Body::Length(0));
        }
        if self.get("transfer-encoding").is_some() {
            let chunked = self.has_token("transfer-encoding", "chunked");
            return Ok(if chunked { Body::Chunked } else { Body::UntilClose });
        }
        Ok(self.content_length()?.map_or(Body::UntilClose, Body::Length))
    }

    /// The status of a response.
    pub(super) fn status(&self) -> io::Result<u16> {
        let mut words = self.start.split(' ');
        if !words.next().is_some_and(|version| version.starts_with("HTTP/1.")) {
            return Err(invalid("the origin's status line does not begin with HTTP/1."));
        }
        let status = words.next().and_then(|word| word.parse().ok());
        status.filter(|status| (100..=999).contains(status)).ok_or_else(|| invalid("the origin's status is no number"))
    }

    /// Whether the peer keeps the connection after this message (RFC 9112, 9.3).
    pub(super) fn keeps_connection(&self) -> bool {
        if self.has_token("connection", "close") || self.has_token("proxy-connection", "close") {
            return false;
        }
        !self.start.contains("HTTP/1.0") || self.has_token("connection", "keep-alive")
    }

    /// The head as bytes, without the headers that `drop_header` names.
    pub(super) fn encode(&self, start: &str, drop_header: impl Fn(&str) -> bool) -> Vec<u8> {
        let mut bytes = format!("{start}\r\n").into_bytes();
        for (name, value) in self.headers.iter().filter(|(name, _)| !drop_header(name)) {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers
            .iter()
            .filter(move |(header, _)| header.eq_ignore_ascii_case(name))
            .filter_map(|(_, value)| std::str::from_utf8(value).ok())
    }

    fn content_length(&self) -> io::Result<Option<u64>> {
        let mut lengths = self.all("content-length");
        let Some(first) = lengths.next() else {
            return Ok(None);
        };
        if lengths.any(|other| other != first) {
            return Err(invalid("two different content-length headers"));
        }
        if !first.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid("content-length is no number"));
        }
        first.parse().map(Some).map_err(|_| invalid("content-length is no number"))
    }
}

pub(super) fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Reads one line without its end, taking its length from `left`. `None`: the peer closed before its first byte.
pub(super) async fn line<R: AsyncBufRead + Unpin>(reader: &mut R, left: &mut usize) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = (&mut *reader).take(*left as u64).read_until(b'\n', &mut line).await?;
    *left -= read;
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        return Ok(Some(line));
    }
    if *left == 0 {
        return Err(invalid("a head or a chunk line is too long"));
    }
    if read == 0 { Ok(None) } else { Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed inside a line")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Option<Head>> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let mut reader = bytes;
        runtime.block_on(Head::read(&mut reader))
    }

    fn head(bytes: &[u8]) -> Head {
        read(bytes).expect("a head").expect("not empty")
    }

    #[test]
    fn a_head_is_split() {
        let head = head(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Foo , Close\r\n\r\nrest");
        assert_eq!(head.start, "GET / HTTP/1.1");
        assert_eq!(head.get("HOST"), Some("a"));
        assert!(head.has_token("connection", "close"));
        assert!(!head.keeps_connection());
        assert_eq!(head.request_body().unwrap(), Body::Length(0));
        assert_eq!(head.encode("X", |name| name == "Connection"), b"X\r\nHost: a\r\n\r\n");
    }

    #[test]
    fn bodies_follow_rfc_9112() {
        let with = |headers: &str| head(format!("HTTP/1.1 200 OK\r\n{headers}\r\n").as_bytes());
        assert_eq!(with("").response_body("GET", 200).unwrap(), Body::UntilClose);
        assert_eq!(with("Content-Length: 7\r\n").response_body("GET", 200).unwrap(), Body::Length(7));
        assert_eq!(with("Content-Length: 7\r\n").response_body("HEAD", 200).unwrap(), Body::Length(0));
        assert_eq!(with("Content-Length: 7\r\n").response_body("GET", 304).unwrap(), Body::Length(0));
        let both = with("Transfer-Encoding: chunked\r\nContent-Length: 7\r\n");
        assert_eq!(both.response_body("GET", 200).unwrap(), Body::Chunked);
        assert!(with("Content-Length: 7\r\nContent-Length: 8\r\n").response_body("GET", 200).is_err());
        assert!(with("Content-Length: +7\r\n").response_body("GET", 200).is_err());
    }

    #[test]
    fn hostile_heads_are_refused() {
        assert!(read(b"").unwrap().is_none());
        assert!(read(b"GET / HT").is_err());
        assert!(read(b"GET / HTTP/1.1\r\nno colon\r\n\r\n").is_err());
        assert!(read(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n").is_err());
        assert!(read(b"\xff\xfe\r\n\r\n").is_err());
        assert!(read(&vec![b'a'; MAX_HEAD + 1]).is_err());
        let endless = [b"GET / HTTP/1.1\r\n".to_vec(), b"A: b\r\n".repeat(MAX_HEAD)].concat();
        assert!(read(&endless).is_err());
    }
}
