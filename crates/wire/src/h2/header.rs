//! The nine octets before every frame (RFC 9113, section 4.1).

use std::fmt;

use super::{FRAME_HEADER_LEN, MASK_31};

/// A frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameHeader {
    /// Octets of payload that follow, without these nine; 24 bits on the wire.
    pub length: u32,
    /// What the payload is.
    pub kind: FrameKind,
    /// Flags; their meaning depends on the kind.
    pub flags: Flags,
    /// Stream the frame belongs to; 0 is the connection. 31 bits on the wire.
    pub stream_id: u32,
}

impl FrameHeader {
    /// Reads a header. The reserved bit before the stream identifier is ignored, as the RFC demands.
    pub fn decode(bytes: &[u8; FRAME_HEADER_LEN]) -> Self {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *bytes;
        Self {
            length: u32::from_be_bytes([0, l0, l1, l2]),
            kind: FrameKind::from(kind),
            flags: Flags(flags),
            stream_id: u32::from_be_bytes([s0, s1, s2, s3]) & MASK_31,
        }
    }

    /// Writes a header. Bits of `length` above 24 and of `stream_id` above 31 have no place on the wire and are dropped.
    pub fn encode(&self) -> [u8; FRAME_HEADER_LEN] {
        let [_, l0, l1, l2] = self.length.to_be_bytes();
        let [s0, s1, s2, s3] = (self.stream_id & MASK_31).to_be_bytes();
        [l0, l1, l2, self.kind.value(), self.flags.0, s0, s1, s2, s3]
    }
}

impl fmt::Display for FrameHeader {
    /// As the go command prints it with GODEBUG=http2debug=2, for instance
    /// `HEADERS flags=END_STREAM|END_HEADERS stream=1 len=72`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if self.flags != Flags::NONE {
            f.write_str(" flags=")?;
            self.flags.write_names(self.kind, f)?;
        }
        if self.stream_id != 0 {
            write!(f, " stream={}", self.stream_id)?;
        }
        write!(f, " len={}", self.length)
    }
}

/// The type of a frame (RFC 9113, section 6). `type` is a word of the language, hence the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FrameKind {
    /// 0x0
    Data,
    /// 0x1
    Headers,
    /// 0x2
    Priority,
    /// 0x3
    RstStream,
    /// 0x4
    Settings,
    /// 0x5
    PushPromise,
    /// 0x6
    Ping,
    /// 0x7
    GoAway,
    /// 0x8
    WindowUpdate,
    /// 0x9
    Continuation,
    /// Any other; endpoints ignore these (RFC 9113, section 5.5).
    Unknown(u8),
}

/// Each defined kind at the index of its value, with its name.
const KINDS: [(FrameKind, &str); 10] = [
    (FrameKind::Data, "DATA"),
    (FrameKind::Headers, "HEADERS"),
    (FrameKind::Priority, "PRIORITY"),
    (FrameKind::RstStream, "RST_STREAM"),
    (FrameKind::Settings, "SETTINGS"),
    (FrameKind::PushPromise, "PUSH_PROMISE"),
    (FrameKind::Ping, "PING"),
    (FrameKind::GoAway, "GOAWAY"),
    (FrameKind::WindowUpdate, "WINDOW_UPDATE"),
    (FrameKind::Continuation, "CONTINUATION"),
];

impl FrameKind {
    /// The value on the wire.
    pub fn value(self) -> u8 {
        match self {
            Self::Data => 0x0,
            Self::Headers => 0x1,
            Self::Priority => 0x2,
            Self::RstStream => 0x3,
            Self::Settings => 0x4,
            Self::PushPromise => 0x5,
            Self::Ping => 0x6,
            Self::GoAway => 0x7,
            Self::WindowUpdate => 0x8,
            Self::Continuation => 0x9,
            Self::Unknown(value) => value,
        }
    }
}

impl From<u8> for FrameKind {
    fn from(value: u8) -> Self {
        KINDS.get(usize::from(value)).map_or(Self::Unknown(value), |(kind, _)| *kind)
    }
}

impl fmt::Display for FrameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match KINDS.get(usize::from(self.value())) {
            Some((_, name)) => f.pad(name),
            None => write!(f, "UNKNOWN_FRAME_TYPE_{}", self.value()),
        }
    }
}

/// The eight flags of a frame. Which of them mean something depends on the kind of frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// None set.
    pub const NONE: Self = Self(0);
    /// DATA, HEADERS: the sender's last frame with content on this stream.
    pub const END_STREAM: Self = Self(0x1);
    /// SETTINGS, PING: the answer to the peer's.
    pub const ACK: Self = Self(0x1);
    /// HEADERS, PUSH_PROMISE, CONTINUATION: the header block ends here.
    pub const END_HEADERS: Self = Self(0x4);
    /// DATA, HEADERS, PUSH_PROMISE: a pad length and padding are present.
    pub const PADDED: Self = Self(0x8);
    /// HEADERS: priority fields are present.
    pub const PRIORITY: Self = Self(0x20);

    /// Whether all flags of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and, if `condition` holds, those of `other`.
    #[must_use]
    pub fn with(self, other: Self, condition: bool) -> Self {
        if condition { Self(self.0 | other.0) } else { self }
    }

    fn write_names(self, kind: FrameKind, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut separator = "";
        for (flag, name) in names_for(kind) {
            if rest & flag.0 != 0 {
                write!(f, "{separator}{name}")?;
                separator = "|";
                rest &= !flag.0;
            }
        }
        if rest != 0 {
            write!(f, "{separator}0x{rest:x}")?;
        }
        Ok(())
    }
}

impl std::ops::BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

fn names_for(kind: FrameKind) -> &'static [(Flags, &'static str)] {
    match kind {
        FrameKind::Data => &[(Flags::END_STREAM, "END_STREAM"), (Flags::PADDED, "PADDED")],
        FrameKind::Headers => &[
            (Flags::END_STREAM, "END_STREAM"),
            (Flags::END_HEADERS, "END_HEADERS"),
            (Flags::PADDED, "PADDED"),
            (Flags::PRIORITY, "PRIORITY"),
        ],
        FrameKind::Settings | FrameKind::Ping => &[(Flags::ACK, "ACK")],
        FrameKind::PushPromise => &[(Flags::END_HEADERS, "END_HEADERS"), (Flags::PADDED, "PADDED")],
        FrameKind::Continuation => &[(Flags::END_HEADERS, "END_HEADERS")],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_the_registry() {
        for (value, (kind, _)) in KINDS.iter().enumerate() {
            assert_eq!(usize::from(kind.value()), value);
        }
        assert_eq!(FrameKind::from(0xa).to_string(), "UNKNOWN_FRAME_TYPE_10");
    }

    #[test]
    fn the_reserved_bit_is_ignored() {
        let header = FrameHeader::decode(&[0, 0, 8, 6, 0, 0x80, 0, 0, 0]);
        assert_eq!(header.stream_id, 0);
    }

    #[test]
    fn reads_like_the_go_framer() {
        let header = FrameHeader {
            length: 72,
            kind: FrameKind::Headers,
            flags: Flags::END_STREAM | Flags::END_HEADERS,
            stream_id: 1,
        };
        assert_eq!(header.to_string(), "HEADERS flags=END_STREAM|END_HEADERS stream=1 len=72");
        let header = FrameHeader { length: 36, kind: FrameKind::Settings, flags: Flags(0x41), stream_id: 0 };
        assert_eq!(header.to_string(), "SETTINGS flags=ACK|0x40 len=36");
    }
}
