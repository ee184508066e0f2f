//! How long a body is (RFC 9112, section 6.3), whether the connection stays (section 9.3), and taking bodies apart.

use super::chunked::{ChunkedDecoder, ChunkedError};
use super::fields::Fields;
use super::head::{RequestHead, ResponseHead, Version};
use super::reader::HeadLimits;

/// What ends a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BodyKind {
    /// There is none.
    None,
    /// It has this many octets.
    Length(u64),
    /// Its chunks say.
    Chunked,
    /// The end of the connection. It cannot be told from a connection that broke.
    UntilClose,
}

/// Header fields that do not say how long the body is. The connection cannot be used any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// Not a number of octets.
    #[error("Content-Length is \"{0}\", not a decimal number below 2^64 (RFC 9112, section 6.3)")]
    ContentLength(String),
    /// More than one, and they differ.
    #[error("two Content-Length values differ: {0} and {1} (RFC 9112, section 6.3)")]
    ContentLengths(u64, u64),
    /// The body of a request would have no end.
    #[error("the last Transfer-Encoding of a request is not chunked (RFC 9112, section 6.3)")]
    TransferEncoding,
    /// Not before HTTP/1.1.
    #[error("Transfer-Encoding in an HTTP/1.0 message (RFC 9112, section 6.1)")]
    TransferEncodingIn10,
}

impl BodyKind {
    /// The body of a response to a request with this method. After a successful CONNECT what follows is the tunnel,
    /// and there is no body.
    ///
    /// Where both Transfer-Encoding and Content-Length are there, the former counts, as the RFC has it.
    pub fn of_response(method: &str, head: &ResponseHead) -> Result<Self, FramingError> {
        let without = method == "HEAD"
            || matches!(head.status, 100..200 | 204 | 304)
            || (method == "CONNECT" && (200..300).contains(&head.status));
        if without {
            return Ok(Self::None);
        }
        match transfer_encoding(&head.fields, head.version)? {
            Some(true) => Ok(Self::Chunked),
            Some(false) => Ok(Self::UntilClose),
            None => Ok(content_length(&head.fields)?.map_or(Self::UntilClose, Self::Length)),
        }
    }

    /// The body of a request.
    pub fn of_request(head: &RequestHead) -> Result<Self, FramingError> {
        match transfer_encoding(&head.fields, head.version)? {
            Some(true) => Ok(Self::Chunked),
            Some(false) => Err(FramingError::TransferEncoding),
            None => Ok(content_length(&head.fields)?.map_or(Self::None, Self::Length)),
        }
    }
}

impl ResponseHead {
    /// Whether the server lets the connection be used again after this response with this body. The client's own
    /// request must not have said `Connection: close` either.
    pub fn keeps_alive(&self, body: BodyKind) -> bool {
        self.status != 101 && body != BodyKind::UntilClose && keeps_alive(&self.fields, self.version)
    }
}

impl RequestHead {
    /// Whether the client lets the connection be used again after this request.
    pub fn keeps_alive(&self) -> bool {
        keeps_alive(&self.fields, self.version)
    }
}

fn keeps_alive(fields: &Fields, version: Version) -> bool {
    let said = |option| fields.has_member("connection", option);
    !said("close") && (version >= Version::HTTP_11 || said("keep-alive"))
}

/// Whether chunked is the last of the codings, or `None` if there is no coding.
fn transfer_encoding(fields: &Fields, version: Version) -> Result<Option<bool>, FramingError> {
    if fields.get("transfer-encoding").is_none() {
        return Ok(None);
    }
    if version < Version::HTTP_11 {
        return Err(FramingError::TransferEncodingIn10);
    }
    let last = fields.list("transfer-encoding").last();
    Ok(Some(last.is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"))))
}

fn content_length(fields: &Fields) -> Result<Option<u64>, FramingError> {
    let mut length = None;
    for value in fields.get_all("content-length") {
        // A list of equal numbers is what becomes of a repeated field: allowed.
        for member in value.split(|octet| *octet == b',').map(super::fields::trim) {
            let number = std::str::from_utf8(member)
                .ok()
                .filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()))
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| {
                    FramingError::ContentLength(member[..member.len().min(40)].escape_ascii().to_string())
                })?;
            match length {
                Some(before) if before != number => {
                    return Err(FramingError::ContentLengths(before, number));
                }
                _ => length = Some(number),
            }
        }
    }
    Ok(length)
}

/// A body that broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The chunked coding is broken.
    #[error(transparent)]
    Chunked(#[from] ChunkedError),
    /// The connection ended first.
    #[error("the connection ended inside the body: {missing} of {length} octets are missing")]
    Ended {
        /// What Content-Length had said.
        length: u64,
        /// Octets that did not come.
        missing: u64,
    },
}

/// Takes a body of any kind out of a stream of bytes. Keeps none of it.
#[derive(Debug)]
pub struct BodyDecoder(State);

#[derive(Debug)]
enum State {
    Length { length: u64, left: u64 },
    Chunked(ChunkedDecoder),
    UntilClose,
}

impl BodyDecoder {
    /// A decoder for a body of this kind; `limits` are for the trailers of a chunked one.
    pub fn new(kind: BodyKind, limits: HeadLimits) -> Self {
        Self(match kind {
            BodyKind::None => State::Length { length: 0, left: 0 },
            BodyKind::Length(length) => State::Length { length, left: length },
            BodyKind::Chunked => State::Chunked(ChunkedDecoder::new(limits)),
            BodyKind::UntilClose => State::UntilClose,
        })
    }

    /// Takes what was read, hands the content in it to `sink`, and gives `Some` once the body is complete: how many
    /// octets of `bytes` were part of it. A body without octets is complete at the first call, with `bytes` empty too.
    ///
    /// # Errors
    ///
    /// If the chunked coding is broken.
    pub fn push(&mut self, bytes: &[u8], mut sink: impl FnMut(&[u8])) -> Result<Option<usize>, BodyError> {
        match &mut self.0 {
            State::Length { left, .. } => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                if take > 0 {
                    sink(&bytes[..take]);
                }
                *left -= take as u64;
                Ok((*left == 0).then_some(take))
            }
            State::Chunked(decoder) => Ok(decoder.push(bytes, sink)?),
            State::UntilClose => {
                if !bytes.is_empty() {
                    sink(bytes);
                }
                Ok(None)
            }
        }
    }

    /// Says that the stream has ended.
    ///
    /// # Errors
    ///
    /// If the body was not complete.
    pub fn finish(&mut self) -> Result<(), BodyError> {
        match &mut self.0 {
            State::Length { left: 0, .. } | State::UntilClose => Ok(()),
            State::Length { length, left } => Err(BodyError::Ended { length: *length, missing: *left }),
            State::Chunked(decoder) => Ok(decoder.finish()?),
        }
    }

    /// The trailer fields of a chunked body, as far as they have come.
    pub fn trailers(&self) -> Option<&Fields> {
        match &self.0 {
            State::Chunked(decoder) => Some(decoder.trailers()),
            _ => None,
        }
    }
}
