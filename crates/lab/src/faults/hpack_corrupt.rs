//! Header blocks that cannot be decoded, as after a desynchronised dynamic table: COMPRESSION_ERROR ends the connection and all its streams.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "hpack-corrupt",
    summary: "header blocks cannot be decoded",
    findings: &[Expected::error("connection-reset")],
    go: Go::always(Fails(&["COMPRESSION_ERROR"])),
    build: || {
        Scenario::of(Behaviour {
            http2: Http2 {
                corrupt_hpack: Some(Which::ZIPS),
                ..Http2::default()
            },
            ..Behaviour::default()
        })
    },
};
