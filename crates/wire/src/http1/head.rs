//! Request and response heads (RFC 9112, sections 3 and 4).

use std::fmt;

use super::fields::{Fields, token, trim};
use super::reader::HeadProblem;

/// The version of a message. Only 1.x can be read: what comes before and after has another format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// The x in HTTP/1.x. Above 1 means the same as 1 (RFC 9110, section 2.5).
    pub minor: u8,
}

impl Version {
    /// HTTP/1.0
    pub const HTTP_10: Self = Self { minor: 0 };
    /// HTTP/1.1
    pub const HTTP_11: Self = Self { minor: 1 };

    fn parse(bytes: &[u8]) -> Result<Self, HeadProblem> {
        match bytes {
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit() => {
                Ok(Self { minor: minor - b'0' })
            }
            _ => Err(HeadProblem::Version),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP/1.{}", self.minor)
    }
}

/// The head of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHead {
    /// Version.
    pub version: Version,
    /// Status code, 100 to 999.
    pub status: u16,
    /// Reason phrase, often empty; with U+FFFD for what is not UTF-8.
    pub reason: String,
    /// Header fields.
    pub fields: Fields,
}

impl ResponseHead {
    pub(super) fn parse_line(line: &[u8]) -> Result<Self, HeadProblem> {
        let mut parts = line.splitn(3, |octet| *octet == b' ');
        let version = Version::parse(parts.next().unwrap_or_default())?;
        let status = match parts.next() {
            Some(&[a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9']) => {
                [a, b, c].iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'))
            }
            _ => return Err(HeadProblem::Status),
        };
        // The blank after the status is demanded even where no reason follows; many servers leave it out.
        let reason = parts.next().unwrap_or_default();
        if reason.iter().any(|octet| octet.is_ascii_control() && *octet != b'\t') {
            return Err(HeadProblem::Reason);
        }
        let reason = String::from_utf8_lossy(trim(reason)).into_owned();
        Ok(Self { version, status, reason, fields: Fields::new() })
    }

    /// Whether this is an interim response (1xx): another one follows on the same connection. After
    /// 101 Switching Protocols what follows is no HTTP/1 any more.
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }

    /// Appends the head, with the empty line that ends it, to `out`. Nothing is checked.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{} {:03} {}\r\n", self.version, self.status, self.reason).as_bytes());
        self.fields.encode(out);
        out.extend_from_slice(b"\r\n");
    }
}

/// The head of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHead {
    /// Method, a token.
    pub method: String,
    /// Target as sent: a path with query, an absolute URI, `host:port` or `*`. Printable ASCII.
    pub target: String,
    /// Version.
    pub version: Version,
    /// Header fields.
    pub fields: Fields,
}

impl RequestHead {
    pub(super) fn parse_line(line: &[u8]) -> Result<Self, HeadProblem> {
        let mut parts = line.split(|octet| *octet == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(HeadProblem::RequestLine);
        };
        let method = token(method).ok_or(HeadProblem::Method)?;
        let target = match std::str::from_utf8(target) {
            Ok(target) if !target.is_empty() && target.bytes().all(|octet| octet.is_ascii_graphic()) => target,
            _ => return Err(HeadProblem::Target),
        };
        let version = Version::parse(version)?;
        Ok(Self { method: method.to_owned(), target: target.to_owned(), version, fields: Fields::new() })
    }

    /// Appends the head, with the empty line that ends it, to `out`. Nothing is checked.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{} {} {}\r\n", self.method, self.target, self.version).as_bytes());
        self.fields.encode(out);
        out.extend_from_slice(b"\r\n");
    }
}
