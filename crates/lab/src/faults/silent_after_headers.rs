//! Headers come, the body never does, and the connection lives: Go has no limit for that.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "silent-after-headers",
    summary: "headers, then nothing",
    findings: &[Expected::error("window-limited")],
    go: Go::always(Hangs),
    build: || {
        Scenario::of(Behaviour {
            silence: Silence::AfterHeaders,
            ..Behaviour::default()
        })
    },
};
