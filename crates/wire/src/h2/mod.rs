//! HTTP/2 framing (RFC 9113): frames, settings, error codes, a decoder for endpoints and a passive tap.

mod decode;
mod decoder;
mod error_code;
mod frame;
mod header;
mod settings;
mod tap;

pub use decode::{ErrorScope, FrameError};
pub use decoder::FrameDecoder;
pub use error_code::{ErrorCode, UnknownErrorCode};
pub use frame::{Frame, Priority};
pub use header::{Flags, FrameHeader, FrameKind};
pub use settings::{InvalidSetting, SettingId, Settings};
pub use tap::{FrameTap, TapCounts, TapEvent};

/// What a client sends first on every HTTP/2 connection, before its SETTINGS (RFC 9113, section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Octets of a frame header (RFC 9113, section 4.1).
pub const FRAME_HEADER_LEN: usize = 9;

/// SETTINGS_MAX_FRAME_SIZE of an endpoint that has not said otherwise, in octets; also the smallest value allowed
/// (RFC 9113, section 6.5.2).
pub const DEFAULT_MAX_FRAME_SIZE: u32 = 16_384;

/// The largest SETTINGS_MAX_FRAME_SIZE, in octets: what the 24-bit length can say (RFC 9113, section 6.5.2).
pub const MAX_MAX_FRAME_SIZE: u32 = 16_777_215;

/// Flow-control window of a stream and of the connection before anything was said, in octets (RFC 9113, section 6.9.2).
pub const DEFAULT_WINDOW: u32 = 65_535;

/// The largest flow-control window, in octets (RFC 9113, section 6.9.1).
pub const MAX_WINDOW: u32 = 0x7fff_ffff;

/// The 31 bits of a stream identifier, window increment or dependency; the highest bit is reserved.
const MASK_31: u32 = 0x7fff_ffff;
