//! A TCP reset inside a zip: there is no resume in Go, the command fails.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "cut-inside-zip",
    summary: "connections are reset inside zips",
    findings: &[Expected::error("connection-reset")],
    go: Go::always(Fails(&[
        "connection reset",
        "unexpected EOF",
        "broken pipe",
    ])),
    build: || {
        Scenario::of(Behaviour {
            body: BodyFault::Cut {
                after: 8_000,
                how: CutHow::Rst,
                which: Which::ZIPS,
            },
            ..Behaviour::default()
        })
    },
};
