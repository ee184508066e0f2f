//! From a header and a payload to a [`Frame`], with everything RFC 9113 says about sizes and streams.

use super::{ErrorCode, Flags, Frame, FrameHeader, FrameKind, MASK_31, Priority, Settings};

/// What a frame did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{header}: {problem} (RFC 9113, section {section}: {scope} error {code})")]
pub struct FrameError {
    /// Header of the frame.
    pub header: FrameHeader,
    /// What is wrong with it.
    pub problem: &'static str,
    /// Section of RFC 9113 that is violated.
    pub section: &'static str,
    /// What an endpoint answers with.
    pub code: ErrorCode,
    /// What the answer ends.
    pub scope: ErrorScope,
}

/// What has to end because of an error (RFC 9113, section 5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorScope {
    /// The connection, with GOAWAY.
    Connection,
    /// The stream of the frame, with RST_STREAM.
    Stream,
}

impl std::fmt::Display for ErrorScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Connection => "connection",
            Self::Stream => "stream",
        })
    }
}

impl FrameError {
    pub(super) fn too_large(header: FrameHeader) -> Self {
        Self {
            header,
            problem: "the payload is larger than the receiver's SETTINGS_MAX_FRAME_SIZE",
            section: "4.2",
            code: ErrorCode::FrameSizeError,
            scope: ErrorScope::Connection,
        }
    }
}

impl Frame {
    /// Reads the frame that `header` announces from `payload`.
    ///
    /// # Errors
    ///
    /// Wrong lengths, too much padding, a stream where there must be none or none where there must be one, and a
    /// window increment of 0. What depends on earlier frames (the state of a stream, a header block that is
    /// continued) is for the caller to judge, and so are the values of settings: [`Settings::validate`].
    ///
    /// A `payload` whose length is not `header.length` is an error too; [`super::FrameDecoder`] never does that.
    pub fn decode(header: FrameHeader, payload: &[u8]) -> Result<Self, FrameError> {
        let check = Check { header };
        if payload.len() != header.length as usize {
            return Err(check.size("the payload does not have the length that the header says", "4.1"));
        }
        let stream_id = header.stream_id;
        let end_stream = header.flags.contains(Flags::END_STREAM);
        let end_headers = header.flags.contains(Flags::END_HEADERS);
        let ack = header.flags.contains(Flags::ACK);
        match header.kind {
            FrameKind::Data => {
                check.on_a_stream("6.1")?;
                let (data, padding) = check.unpad(payload, 0, "6.1")?;
                Ok(Self::Data { stream_id, data: data.to_vec(), end_stream, padding })
            }
            FrameKind::Headers => {
                check.on_a_stream("6.2")?;
                let with_priority = header.flags.contains(Flags::PRIORITY);
                let fixed = if with_priority { Priority::LEN } else { 0 };
                let (content, padding) = check.unpad(payload, fixed, "6.2")?;
                let (priority, fragment) = match content.split_first_chunk() {
                    Some((priority, fragment)) if with_priority => (Some(Priority::decode(*priority)), fragment),
                    _ => (None, content),
                };
                Ok(Self::Headers { stream_id, fragment: fragment.to_vec(), priority, end_stream, end_headers, padding })
            }
            FrameKind::Priority => {
                check.on_a_stream("6.3")?;
                let bytes = payload.try_into().map_err(|_| FrameError {
                    scope: ErrorScope::Stream,
                    ..check.size("the payload must have 5 octets", "6.3")
                })?;
                Ok(Self::Priority { stream_id, priority: Priority::decode(bytes) })
            }
            FrameKind::RstStream => {
                check.on_a_stream("6.4")?;
                let code = check.u32(payload, "6.4")?;
                Ok(Self::RstStream { stream_id, code: code.into() })
            }
            FrameKind::Settings => {
                check.on_the_connection("6.5")?;
                if ack && !payload.is_empty() {
                    return Err(check.size("an acknowledgement must have no payload", "6.5"));
                }
                let settings = Settings::decode(payload)
                    .ok_or_else(|| check.size("the payload must be a multiple of 6 octets", "6.5"))?;
                Ok(Self::Settings { ack, settings })
            }
            FrameKind::PushPromise => {
                check.on_a_stream("6.6")?;
                let (content, padding) = check.unpad(payload, 4, "6.6")?;
                let Some((promised, fragment)) = content.split_first_chunk::<4>() else {
                    return Err(check.size("the payload must have a promised stream of 4 octets", "6.6"));
                };
                let promised_id = u32::from_be_bytes(*promised) & MASK_31;
                if promised_id == 0 {
                    return Err(check.protocol("the promised stream is 0", "6.6"));
                }
                Ok(Self::PushPromise { stream_id, promised_id, fragment: fragment.to_vec(), end_headers, padding })
            }
            FrameKind::Ping => {
                check.on_the_connection("6.7")?;
                let data = payload.try_into().map_err(|_| check.size("the payload must have 8 octets", "6.7"))?;
                Ok(Self::Ping { ack, data })
            }
            FrameKind::GoAway => {
                check.on_the_connection("6.8")?;
                let Some((&[l0, l1, l2, l3, c0, c1, c2, c3], debug_data)) = payload.split_first_chunk() else {
                    return Err(check.size("the payload must have at least 8 octets", "6.8"));
                };
                Ok(Self::GoAway {
                    last_stream_id: u32::from_be_bytes([l0, l1, l2, l3]) & MASK_31,
                    code: u32::from_be_bytes([c0, c1, c2, c3]).into(),
                    debug_data: debug_data.to_vec(),
                })
            }
            FrameKind::WindowUpdate => {
                let increment = check.u32(payload, "6.9")? & MASK_31;
                if increment == 0 {
                    let scope = if stream_id == 0 { ErrorScope::Connection } else { ErrorScope::Stream };
                    return Err(FrameError { scope, ..check.protocol("the window increment is 0", "6.9") });
                }
                Ok(Self::WindowUpdate { stream_id, increment })
            }
            FrameKind::Continuation => {
                check.on_a_stream("6.10")?;
                Ok(Self::Continuation { stream_id, fragment: payload.to_vec(), end_headers })
            }
            FrameKind::Unknown(kind) => {
                Ok(Self::Unknown { kind, flags: header.flags, stream_id, payload: payload.to_vec() })
            }
        }
    }
}

/// Checks that more than one kind of frame needs. All errors are of the connection unless changed.
struct Check {
    header: FrameHeader,
}

impl Check {
    fn size(&self, problem: &'static str, section: &'static str) -> FrameError {
        let (header, code) = (self.header, ErrorCode::FrameSizeError);
        FrameError { header, problem, section, code, scope: ErrorScope::Connection }
    }

    fn protocol(&self, problem: &'static str, section: &'static str) -> FrameError {
        FrameError { code: ErrorCode::ProtocolError, ..self.size(problem, section) }
    }

    fn on_a_stream(&self, section: &'static str) -> Result<(), FrameError> {
        match self.header.stream_id {
            0 => Err(self.protocol("must be on a stream, is on stream 0", section)),
            _ => Ok(()),
        }
    }

    fn on_the_connection(&self, section: &'static str) -> Result<(), FrameError> {
        match self.header.stream_id {
            0 => Ok(()),
            _ => Err(self.protocol("must be on stream 0, is on a stream", section)),
        }
    }

    fn u32(&self, payload: &[u8], section: &'static str) -> Result<u32, FrameError> {
        payload.try_into().map(u32::from_be_bytes).map_err(|_| self.size("the payload must have 4 octets", section))
    }

    /// Takes pad length and padding off. `fixed` octets of other fields have to fit beside them.
    fn unpad<'a>(
        &self,
        payload: &'a [u8],
        fixed: usize,
        section: &'static str,
    ) -> Result<(&'a [u8], Option<u8>), FrameError> {
        let (padding, content) = if self.header.flags.contains(Flags::PADDED) {
            match payload.split_first() {
                Some((padding, content)) => (Some(*padding), content),
                None => return Err(self.size("PADDED is set and there is no pad length", section)),
            }
        } else {
            (None, payload)
        };
        if content.len() < fixed {
            return Err(self.size("the payload is too short for its fields", section));
        }
        match content.len().checked_sub(usize::from(padding.unwrap_or(0))) {
            Some(end) if end >= fixed => Ok((&content[..end], padding)),
            _ => Err(self.protocol("the padding is longer than what it follows", section)),
        }
    }
}
