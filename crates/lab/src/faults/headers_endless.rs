//! CONTINUATION frames without end: Go gives up by size; a client without a limit does not.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "headers-endless",
    summary: "header blocks never end",
    findings: &[Expected::error("connection-reset")],
    go: Go::always(Fails(&["PROTOCOL_ERROR"])),
    build: || {
        Scenario::of(Behaviour {
            http2: Http2 {
                endless_headers: Some(Which::ZIPS),
                ..Http2::default()
            },
            ..Behaviour::default()
        })
    },
};
