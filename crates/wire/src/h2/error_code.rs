//! Error codes of RST_STREAM and GOAWAY (RFC 9113, section 7).

use std::fmt;
use std::str::FromStr;

/// Why a stream was reset or a connection is being closed.
///
/// [`Display`](fmt::Display) gives the name that RFC 9113 and the go command print (`PROTOCOL_ERROR`), for other
/// values what the go command prints (`unknown error code 0x1f`). [`FromStr`] reads both, and numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// 0x0: not an error, a graceful close.
    NoError,
    /// 0x1: the peer broke the protocol.
    ProtocolError,
    /// 0x2: the sender failed by itself.
    InternalError,
    /// 0x3: more was sent than the flow-control window allows.
    FlowControlError,
    /// 0x4: SETTINGS were not acknowledged in time.
    SettingsTimeout,
    /// 0x5: a frame for a stream that is half closed.
    StreamClosed,
    /// 0x6: a frame with an invalid size.
    FrameSizeError,
    /// 0x7: refused before any processing; may be tried again.
    RefusedStream,
    /// 0x8: no longer wanted.
    Cancel,
    /// 0x9: header compression is out of step.
    CompressionError,
    /// 0xa: a CONNECT tunnel was reset or closed.
    ConnectError,
    /// 0xb: the peer produces excessive load.
    EnhanceYourCalm,
    /// 0xc: the transport is not secure enough.
    InadequateSecurity,
    /// 0xd: HTTP/1.1 is wanted instead.
    Http11Required,
    /// Any value the RFC does not define. To be treated like [`ErrorCode::InternalError`].
    Unknown(u32),
}

/// Name and value of each defined code.
const NAMES: [(ErrorCode, &str); 14] = [
    (ErrorCode::NoError, "NO_ERROR"),
    (ErrorCode::ProtocolError, "PROTOCOL_ERROR"),
    (ErrorCode::InternalError, "INTERNAL_ERROR"),
    (ErrorCode::FlowControlError, "FLOW_CONTROL_ERROR"),
    (ErrorCode::SettingsTimeout, "SETTINGS_TIMEOUT"),
    (ErrorCode::StreamClosed, "STREAM_CLOSED"),
    (ErrorCode::FrameSizeError, "FRAME_SIZE_ERROR"),
    (ErrorCode::RefusedStream, "REFUSED_STREAM"),
    (ErrorCode::Cancel, "CANCEL"),
    (ErrorCode::CompressionError, "COMPRESSION_ERROR"),
    (ErrorCode::ConnectError, "CONNECT_ERROR"),
    (ErrorCode::EnhanceYourCalm, "ENHANCE_YOUR_CALM"),
    (ErrorCode::InadequateSecurity, "INADEQUATE_SECURITY"),
    (ErrorCode::Http11Required, "HTTP_1_1_REQUIRED"),
];

impl ErrorCode {
    /// Every code that RFC 9113 defines, in the order of their values 0x0 to 0xd.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(code, _)| *code)
    }

    /// The name in the RFC, or `None` for a value it does not define.
    pub fn name(self) -> Option<&'static str> {
        NAMES.get(self.value() as usize).map(|(_, name)| *name)
    }

    /// The value on the wire.
    pub fn value(self) -> u32 {
        match self {
            Self::NoError => 0x0,
            Self::ProtocolError => 0x1,
            Self::InternalError => 0x2,
            Self::FlowControlError => 0x3,
            Self::SettingsTimeout => 0x4,
            Self::StreamClosed => 0x5,
            Self::FrameSizeError => 0x6,
            Self::RefusedStream => 0x7,
            Self::Cancel => 0x8,
            Self::CompressionError => 0x9,
            Self::ConnectError => 0xa,
            Self::EnhanceYourCalm => 0xb,
            Self::InadequateSecurity => 0xc,
            Self::Http11Required => 0xd,
            Self::Unknown(value) => value,
        }
    }
}

impl From<u32> for ErrorCode {
    fn from(value: u32) -> Self {
        NAMES.get(value as usize).map_or(Self::Unknown(value), |(code, _)| *code)
    }
}

impl From<ErrorCode> for u32 {
    fn from(code: ErrorCode) -> Self {
        code.value()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "unknown error code 0x{:x}", self.value()),
        }
    }
}

/// A text that names no HTTP/2 error code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no HTTP/2 error code: expected a name such as REFUSED_STREAM, or a number such as 7 or 0x7")]
pub struct UnknownErrorCode(pub String);

impl FromStr for ErrorCode {
    type Err = UnknownErrorCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((code, _)) = NAMES.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)) {
            return Ok(*code);
        }
        let number = text.strip_prefix("unknown error code ").unwrap_or(text);
        let value = match number.strip_prefix("0x") {
            Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => u32::from_str_radix(hex, 16).ok(),
            None if number.bytes().all(|b| b.is_ascii_digit()) => number.parse().ok(),
            _ => None,
        };
        value.map(Self::from).ok_or_else(|| UnknownErrorCode(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_follow_the_registry() {
        for (value, code) in ErrorCode::all().enumerate() {
            assert_eq!(code.value() as usize, value);
            assert_eq!(ErrorCode::from(code.value()), code);
        }
        assert_eq!(ErrorCode::from(0xe), ErrorCode::Unknown(0xe));
    }

    #[test]
    fn text_goes_there_and_back() {
        for code in ErrorCode::all().chain([ErrorCode::Unknown(0x1f), ErrorCode::Unknown(u32::MAX)]) {
            assert_eq!(code.to_string().parse(), Ok(code));
        }
        assert_eq!("0xb".parse(), Ok(ErrorCode::EnhanceYourCalm));
        assert_eq!("refused_stream".parse(), Ok(ErrorCode::RefusedStream));
        for bad in ["", "0x", "+1", "0x+1", "-1", "4294967296", "NOPE"] {
            assert_eq!(bad.parse::<ErrorCode>(), Err(UnknownErrorCode(bad.to_owned())));
        }
    }
}
