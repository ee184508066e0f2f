//! The five octets before every record (RFC 8446, section 5.1), and the numbers records and handshakes use.

use std::fmt;

/// Octets of a record header.
const HEADER_LEN: usize = 5;

/// The longest payload of a record in octets: TLS 1.2 allows 2,048 more than the content (RFC 5246, section 6.2.3),
/// TLS 1.3 only 256 more (RFC 8446, section 5.2).
pub const MAX_RECORD: u16 = 16_384 + 2_048;

/// A record header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordHeader {
    /// What the record says it carries. In TLS 1.3 everything encrypted says application data.
    pub content_type: ContentType,
    /// Version, which in TLS 1.3 is TLS 1.2 for old middleboxes' sake.
    pub version: ProtocolVersion,
    /// Octets of payload.
    pub length: u16,
}

impl RecordHeader {
    /// Octets of a header on the wire.
    pub const LEN: usize = HEADER_LEN;

    /// Reads a header.
    ///
    /// # Errors
    ///
    /// If these octets start no TLS record: no known content type, a version that is not 3.x, too much payload.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, RecordError> {
        let [kind, v0, v1, l0, l1] = *bytes;
        let content_type = ContentType::new(kind).ok_or(RecordError::ContentType(*bytes))?;
        if v0 != 3 {
            return Err(RecordError::Version(*bytes));
        }
        let length = u16::from_be_bytes([l0, l1]);
        if length > MAX_RECORD {
            return Err(RecordError::Length(length));
        }
        Ok(Self { content_type, version: ProtocolVersion(u16::from_be_bytes([v0, v1])), length })
    }

    /// Writes a header.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let [v0, v1] = self.version.0.to_be_bytes();
        let [l0, l1] = self.length.to_be_bytes();
        [self.content_type.value(), v0, v1, l0, l1]
    }
}

/// Octets that start no TLS record. Most often the peer speaks something else, such as plain HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The first octet is wrong.
    #[error("not a TLS record: content type {} in \"{}\" (RFC 8446, section 5.1)", .0[0], .0.escape_ascii())]
    ContentType([u8; HEADER_LEN]),
    /// The second octet is not 3.
    #[error("not a TLS record: version {}.{} in \"{}\" (RFC 8446, section 5.1)", .0[1], .0[2], .0.escape_ascii())]
    Version([u8; HEADER_LEN]),
    /// More than a record may hold.
    #[error("a TLS record of {0} octets, allowed are {MAX_RECORD} (RFC 5246, section 6.2.3)")]
    Length(u16),
}

/// What a record carries (RFC 8446, section 5.1; RFC 6520).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContentType {
    /// 20
    ChangeCipherSpec,
    /// 21
    Alert,
    /// 22
    Handshake,
    /// 23
    ApplicationData,
    /// 24
    Heartbeat,
}

impl ContentType {
    fn new(value: u8) -> Option<Self> {
        Some(match value {
            20 => Self::ChangeCipherSpec,
            21 => Self::Alert,
            22 => Self::Handshake,
            23 => Self::ApplicationData,
            24 => Self::Heartbeat,
            _ => return None,
        })
    }

    /// The value on the wire.
    pub fn value(self) -> u8 {
        match self {
            Self::ChangeCipherSpec => 20,
            Self::Alert => 21,
            Self::Handshake => 22,
            Self::ApplicationData => 23,
            Self::Heartbeat => 24,
        }
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ChangeCipherSpec => "change_cipher_spec",
            Self::Alert => "alert",
            Self::Handshake => "handshake",
            Self::ApplicationData => "application_data",
            Self::Heartbeat => "heartbeat",
        })
    }
}

/// A version as TLS numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProtocolVersion(pub u16);

impl ProtocolVersion {
    /// SSL 3.0
    pub const SSL_3_0: Self = Self(0x0300);
    /// TLS 1.0
    pub const TLS_1_0: Self = Self(0x0301);
    /// TLS 1.1
    pub const TLS_1_1: Self = Self(0x0302);
    /// TLS 1.2
    pub const TLS_1_2: Self = Self(0x0303);
    /// TLS 1.3
    pub const TLS_1_3: Self = Self(0x0304);

    /// Whether this is one of the values that clients send to keep servers tolerant (RFC 8701).
    pub fn is_grease(self) -> bool {
        let [high, low] = self.0.to_be_bytes();
        high == low && low & 0x0f == 0x0a
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SSL_3_0 => f.pad("SSL 3.0"),
            Self::TLS_1_0 => f.pad("TLS 1.0"),
            Self::TLS_1_1 => f.pad("TLS 1.1"),
            Self::TLS_1_2 => f.pad("TLS 1.2"),
            Self::TLS_1_3 => f.pad("TLS 1.3"),
            Self(other) => write!(f, "TLS version 0x{other:04x}"),
        }
    }
}

/// The type of a handshake message (RFC 8446, section 4; RFC 5246, section 7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HandshakeType(pub u8);

impl HandshakeType {
    /// A server asks for a new handshake on the same connection (TLS 1.2 and before).
    pub const HELLO_REQUEST: Self = Self(0);
    /// The client's first message.
    pub const CLIENT_HELLO: Self = Self(1);
    /// The server's first message.
    pub const SERVER_HELLO: Self = Self(2);
    /// The server wants a certificate of the client. In TLS 1.3 this is encrypted.
    pub const CERTIFICATE_REQUEST: Self = Self(13);

    /// The name in the RFC, if it is a known type.
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "hello_request",
            1 => "client_hello",
            2 => "server_hello",
            4 => "new_session_ticket",
            5 => "end_of_early_data",
            8 => "encrypted_extensions",
            11 => "certificate",
            12 => "server_key_exchange",
            13 => "certificate_request",
            14 => "server_hello_done",
            15 => "certificate_verify",
            16 => "client_key_exchange",
            20 => "finished",
            22 => "certificate_status",
            24 => "key_update",
            _ => return None,
        })
    }
}

impl fmt::Display for HandshakeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "handshake type {}", self.0),
        }
    }
}
