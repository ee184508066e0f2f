//! The stream ends early, as if complete, though content-length says more (RFC 9113 section 8.1.1: malformed).

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "truncated-zip",
    summary: "zips end before their length",
    findings: &[Expected::error("connection-reset")],
    go: Go::always(Fails(&["unexpected EOF"])),
    build: || {
        Scenario::of(Behaviour {
            body: BodyFault::Truncate {
                after: 8_000,
                which: Which::ZIPS,
            },
            ..Behaviour::default()
        })
    },
};
