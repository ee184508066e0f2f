//! What a connection showed.

use std::time::Duration;

use goferry_wire::h2::Settings;

use crate::error::NetError;

/// A GOAWAY that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoAwaySeen {
    /// The error code's name.
    pub code: String,
    /// The last stream id that the server says it will process.
    pub last_stream_id: u32,
    /// Debug data, printable, at most 200 octets.
    pub debug: String,
    /// Requests that had been sent on the connection.
    pub after_requests: u32,
    /// When, since the preface was sent.
    pub at: Duration,
}

impl GoAwaySeen {
    /// Requests that the connection served, by the last stream id, where the server ended it in an orderly way; else
    /// what had been sent on it. Clients open the odd streams (RFC 9113, section 5.1.1).
    #[must_use]
    pub fn served(&self) -> u32 {
        match self.last_stream_id {
            0 => self.after_requests,
            last if self.code == "NO_ERROR" => last.div_ceil(2).min(self.after_requests),
            _ => self.after_requests,
        }
    }
}

/// A RST_STREAM that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetSeen {
    /// The error code's name.
    pub code: String,
    /// Whether part of the body had come.
    pub inside_body: bool,
    /// Whether the response's headers had come.
    pub after_headers: bool,
    /// Octets of body that had come.
    pub body_bytes: u64,
    /// The path that was asked for.
    pub path: String,
}

/// Everything that a connection showed. Times count from the preface.
#[derive(Clone, Debug, Default)]
pub struct H2Seen {
    /// Kind of the first frame, and when it came.
    pub first_frame: Option<(String, Duration)>,
    /// The server's settings, later ones merged in, and when the first came.
    pub settings: Option<(Settings, Duration)>,
    /// The server acknowledged this side's settings.
    pub settings_acked: bool,
    /// The server's preface is one that Go's client refuses: not SETTINGS, or a value that is not allowed.
    pub bad_preface: bool,
    /// Header compression got out of step.
    pub hpack_broken: bool,
    /// GOAWAY frames, in order.
    pub goaways: Vec<GoAwaySeen>,
    /// RST_STREAM frames, in order (at most 64).
    pub resets: Vec<ResetSeen>,
    /// PING round trips.
    pub pings: Vec<Duration>,
    /// WINDOW_UPDATE frames.
    pub window_updates: u32,
    /// Requests sent.
    pub requests: u32,
    /// The most streams open at once.
    pub most_open: usize,
    /// How the peer broke the protocol.
    pub protocol_error: Option<String>,
    /// The error code that RFC 9113 demands for it.
    pub protocol_error_code: Option<String>,
    /// How and when the connection ended, if not by this side.
    pub ended: Option<(NetError, Duration)>,
}
