//! RST_STREAM in place of an answer, one fault for each error code.
//!
//! Go retries REFUSED_STREAM eight times, over 65 s, and up to 1.26 PROTOCOL_ERROR for ever; every other code fails the
//! command at once (net/http/internal/http2/transport.go, canRetryError).

use super::prelude::*;

pub(super) const FAMILY: &[Fault] = &[
    Fault {
        id: "rst-before-body-cancel",
        summary: "every request is answered with RST_STREAM(CANCEL)",
        findings: RESET,
        go: Go::always(Fails(&["CANCEL"])),
        build: || reset(ErrorCode::Cancel),
    },
    Fault {
        id: "rst-before-body-compression-error",
        summary: "every request is answered with RST_STREAM(COMPRESSION_ERROR)",
        findings: RESET,
        go: Go::always(Fails(&["COMPRESSION_ERROR"])),
        build: || reset(ErrorCode::CompressionError),
    },
    Fault {
        id: "rst-before-body-enhance-your-calm",
        summary: "every request is answered with RST_STREAM(ENHANCE_YOUR_CALM)",
        findings: RESET,
        go: Go::always(Fails(&["ENHANCE_YOUR_CALM"])),
        build: || reset(ErrorCode::EnhanceYourCalm),
    },
    Fault {
        id: "rst-before-body-http-1-1-required",
        summary: "every request is answered with RST_STREAM(HTTP_1_1_REQUIRED)",
        findings: RESET,
        go: Go::always(Fails(&["HTTP_1_1_REQUIRED"])),
        build: || reset(ErrorCode::Http11Required),
    },
    Fault {
        id: "rst-before-body-internal-error",
        summary: "every request is answered with RST_STREAM(INTERNAL_ERROR)",
        findings: RESET,
        go: Go::always(Fails(&["INTERNAL_ERROR"])),
        build: || reset(ErrorCode::InternalError),
    },
    Fault {
        id: "rst-before-body-protocol-error",
        summary: "every request is answered with RST_STREAM(PROTOCOL_ERROR)",
        findings: RESET,
        go: Go::changed(Hangs, Fails(&["PROTOCOL_ERROR"])),
        build: || reset(ErrorCode::ProtocolError),
    },
    Fault {
        id: "rst-before-body-refused-stream",
        summary: "every request is answered with RST_STREAM(REFUSED_STREAM)",
        findings: RESET,
        go: Go::always(Hangs),
        build: || reset(ErrorCode::RefusedStream),
    },
    Fault {
        id: "rst-before-body-stream-closed",
        summary: "every request is answered with RST_STREAM(STREAM_CLOSED)",
        findings: RESET,
        go: Go::always(Fails(&["STREAM_CLOSED"])),
        build: || reset(ErrorCode::StreamClosed),
    },
];

const RESET: &[Expected] = &[Expected::error("stream-reset")];

fn reset(code: ErrorCode) -> Scenario {
    let reset = Some(Reset { code, after_body: None, which: Which::ALL });
    Scenario::of(Behaviour { http2: Http2 { reset, ..Http2::default() }, ..Behaviour::default() })
}
