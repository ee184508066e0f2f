//! After 64 kB nothing passes any more: no FIN, no PING answered. Go waits for the kernel to give up.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "black-hole",
    summary: "connections go dead after 64 kB",
    findings: &[Expected::error("connection-reset")],
    go: Go::always(Hangs),
    build: || Scenario::of(Behaviour { black_hole_after: Some(64_000), ..Behaviour::default() }),
};
