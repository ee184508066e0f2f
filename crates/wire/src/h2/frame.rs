//! Frames as values, and how they are written (RFC 9113, section 6).

use super::{ErrorCode, FRAME_HEADER_LEN, Flags, FrameHeader, FrameKind, MASK_31, Settings};

/// A frame with its payload.
///
/// Header blocks are kept as fragments: see [`crate::hpack`]. `padding` is the number of padding octets, `None` where
/// the PADDED flag is not set (the two differ on the wire when it is 0).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Content of a request or response (section 6.1).
    Data {
        /// Stream.
        stream_id: u32,
        /// Content without padding.
        data: Vec<u8>,
        /// END_STREAM.
        end_stream: bool,
        /// Octets of padding.
        padding: Option<u8>,
    },
    /// Opens a stream, or answers on one (section 6.2).
    Headers {
        /// Stream.
        stream_id: u32,
        /// Start of the header block, all of it if `end_headers`.
        fragment: Vec<u8>,
        /// The deprecated priority fields.
        priority: Option<Priority>,
        /// END_STREAM.
        end_stream: bool,
        /// END_HEADERS.
        end_headers: bool,
        /// Octets of padding.
        padding: Option<u8>,
    },
    /// The deprecated priority of a stream (section 6.3).
    Priority {
        /// Stream.
        stream_id: u32,
        /// Its priority.
        priority: Priority,
    },
    /// Ends a stream at once (section 6.4).
    RstStream {
        /// Stream.
        stream_id: u32,
        /// Why.
        code: ErrorCode,
    },
    /// How the sender wants to be spoken to (section 6.5).
    Settings {
        /// ACK: the peer's settings are applied. Then `settings` is empty.
        ack: bool,
        /// The settings.
        settings: Settings,
    },
    /// Announces a stream the server opens (section 6.6).
    PushPromise {
        /// Stream of the request this belongs to.
        stream_id: u32,
        /// Stream that is announced.
        promised_id: u32,
        /// Start of the header block, all of it if `end_headers`.
        fragment: Vec<u8>,
        /// END_HEADERS.
        end_headers: bool,
        /// Octets of padding.
        padding: Option<u8>,
    },
    /// Measures a round trip (section 6.7).
    Ping {
        /// ACK: the answer, with the same data.
        ack: bool,
        /// Anything.
        data: [u8; 8],
    },
    /// The connection will be closed (section 6.8).
    GoAway {
        /// Streams above this were not and will not be processed.
        last_stream_id: u32,
        /// Why.
        code: ErrorCode,
        /// Anything, often a text.
        debug_data: Vec<u8>,
    },
    /// Opens the window of a stream, or of the connection if `stream_id` is 0 (section 6.9).
    WindowUpdate {
        /// Stream, or 0.
        stream_id: u32,
        /// Octets to add.
        increment: u32,
    },
    /// More of a header block (section 6.10).
    Continuation {
        /// Stream.
        stream_id: u32,
        /// Next part of the header block.
        fragment: Vec<u8>,
        /// END_HEADERS.
        end_headers: bool,
    },
    /// A kind of frame that RFC 9113 does not define, to be ignored (section 5.5).
    Unknown {
        /// Kind, as on the wire.
        kind: u8,
        /// Flags.
        flags: Flags,
        /// Stream, or 0.
        stream_id: u32,
        /// Payload.
        payload: Vec<u8>,
    },
}

/// The priority fields of HEADERS and PRIORITY, deprecated since RFC 9113 and without effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Priority {
    /// Whether the dependency is exclusive.
    pub exclusive: bool,
    /// Stream this one depends on.
    pub dependency: u32,
    /// Weight less one, as on the wire: 0 to 255 mean 1 to 256.
    pub weight: u8,
}

impl Priority {
    /// Octets on the wire.
    pub const LEN: usize = 5;

    pub(super) fn decode(bytes: [u8; Self::LEN]) -> Self {
        let [d0, d1, d2, d3, weight] = bytes;
        let dependency = u32::from_be_bytes([d0, d1, d2, d3]);
        Self { exclusive: dependency & !MASK_31 != 0, dependency: dependency & MASK_31, weight }
    }

    fn encode(self, out: &mut Vec<u8>) {
        let exclusive = if self.exclusive { !MASK_31 } else { 0 };
        out.extend_from_slice(&(self.dependency & MASK_31 | exclusive).to_be_bytes());
        out.push(self.weight);
    }
}

impl Frame {
    /// The header this frame has on the wire. A payload of more than 2^24-1 octets does not fit into a frame: the
    /// length is then cut off, as [`Frame::encode`] explains.
    pub fn header(&self) -> FrameHeader {
        let padded = |padding: &Option<u8>| padding.map_or(0, |octets| 1 + usize::from(octets));
        let (kind, flags, stream_id, length) = match self {
            Self::Data { stream_id, data, end_stream, padding } => {
                let flags = Flags::NONE.with(Flags::END_STREAM, *end_stream).with(Flags::PADDED, padding.is_some());
                (FrameKind::Data, flags, *stream_id, data.len() + padded(padding))
            }
            Self::Headers { stream_id, fragment, priority, end_stream, end_headers, padding } => {
                let flags = Flags::NONE
                    .with(Flags::END_STREAM, *end_stream)
                    .with(Flags::END_HEADERS, *end_headers)
                    .with(Flags::PADDED, padding.is_some())
                    .with(Flags::PRIORITY, priority.is_some());
                let priority = priority.map_or(0, |_| Priority::LEN);
                (FrameKind::Headers, flags, *stream_id, fragment.len() + priority + padded(padding))
            }
            Self::Priority { stream_id, .. } => (FrameKind::Priority, Flags::NONE, *stream_id, Priority::LEN),
            Self::RstStream { stream_id, .. } => (FrameKind::RstStream, Flags::NONE, *stream_id, 4),
            Self::Settings { ack, settings } => {
                (FrameKind::Settings, Flags::NONE.with(Flags::ACK, *ack), 0, 6 * settings.len())
            }
            Self::PushPromise { stream_id, fragment, end_headers, padding, .. } => {
                let flags = Flags::NONE.with(Flags::END_HEADERS, *end_headers).with(Flags::PADDED, padding.is_some());
                (FrameKind::PushPromise, flags, *stream_id, 4 + fragment.len() + padded(padding))
            }
            Self::Ping { ack, .. } => (FrameKind::Ping, Flags::NONE.with(Flags::ACK, *ack), 0, 8),
            Self::GoAway { debug_data, .. } => (FrameKind::GoAway, Flags::NONE, 0, 8 + debug_data.len()),
            Self::WindowUpdate { stream_id, .. } => (FrameKind::WindowUpdate, Flags::NONE, *stream_id, 4),
            Self::Continuation { stream_id, fragment, end_headers } => {
                let flags = Flags::NONE.with(Flags::END_HEADERS, *end_headers);
                (FrameKind::Continuation, flags, *stream_id, fragment.len())
            }
            Self::Unknown { kind, flags, stream_id, payload } => {
                (FrameKind::from(*kind), *flags, *stream_id, payload.len())
            }
        };
        FrameHeader { length: u32::try_from(length).unwrap_or(u32::MAX), kind, flags, stream_id: stream_id & MASK_31 }
    }

    /// Octets that this frame takes from the flow-control windows: those of DATA, padding included (section 6.9.1).
    pub fn flow_controlled_len(&self) -> u32 {
        match self {
            Self::Data { .. } => self.header().length,
            _ => 0,
        }
    }

    /// Appends the frame, header first, to `out`.
    ///
    /// Nothing is judged: frames that break the protocol can be written on purpose (stream 0, an increment of 0, an
    /// acknowledgement with settings). The caller keeps the payload within the peer's SETTINGS_MAX_FRAME_SIZE; more
    /// than 2^24-1 octets cannot be framed and would put the peer out of step.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let header = self.header();
        out.reserve(FRAME_HEADER_LEN + header.length as usize);
        out.extend_from_slice(&header.encode());
        match self {
            Self::Data { data, padding, .. } => {
                out.extend(padding);
                out.extend_from_slice(data);
                pad(out, *padding);
            }
            Self::Headers { fragment, priority, padding, .. } => {
                out.extend(padding);
                if let Some(priority) = priority {
                    priority.encode(out);
                }
                out.extend_from_slice(fragment);
                pad(out, *padding);
            }
            Self::Priority { priority, .. } => priority.encode(out),
            Self::RstStream { code, .. } => out.extend_from_slice(&code.value().to_be_bytes()),
            Self::Settings { settings, .. } => settings.encode(out),
            Self::PushPromise { promised_id, fragment, padding, .. } => {
                out.extend(padding);
                out.extend_from_slice(&(promised_id & MASK_31).to_be_bytes());
                out.extend_from_slice(fragment);
                pad(out, *padding);
            }
            Self::Ping { data, .. } => out.extend_from_slice(data),
            Self::GoAway { last_stream_id, code, debug_data } => {
                out.extend_from_slice(&(last_stream_id & MASK_31).to_be_bytes());
                out.extend_from_slice(&code.value().to_be_bytes());
                out.extend_from_slice(debug_data);
            }
            Self::WindowUpdate { increment, .. } => out.extend_from_slice(&(increment & MASK_31).to_be_bytes()),
            Self::Continuation { fragment, .. } => out.extend_from_slice(fragment),
            Self::Unknown { payload, .. } => out.extend_from_slice(payload),
        }
    }

    /// The frame as bytes of its own: [`Frame::encode`] into a new vector.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

fn pad(out: &mut Vec<u8>, padding: Option<u8>) {
    out.resize(out.len() + usize::from(padding.unwrap_or(0)), 0);
}
