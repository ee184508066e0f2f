//! RST_STREAM(INTERNAL_ERROR) inside a zip (golang/go#51323): no retry, no resume.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "rst-inside-body",
    summary: "streams are reset inside zips",
    findings: &[Expected::error("stream-reset")],
    go: Go::always(Fails(&["INTERNAL_ERROR"])),
    build: || {
        Scenario::of(Behaviour {
            http2: Http2 {
                reset: Some(Reset {
                    code: ErrorCode::InternalError,
                    after_body: Some(8_000),
                    which: Which::ZIPS,
                }),
                ..Http2::default()
            },
            ..Behaviour::default()
        })
    },
};
