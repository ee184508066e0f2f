//! A body that stops while the connection lives: PING is answered, data never comes.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "window-stalled",
    summary: "bodies stop, PING is answered",
    findings: &[Expected::error("window-limited")],
    go: Go::always(Hangs),
    build: || {
        Scenario::of(Behaviour {
            body: BodyFault::Stall {
                after: 8_000,
                which: Which::ZIPS,
            },
            ..Behaviour::default()
        })
    },
};
