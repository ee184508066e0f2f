//! The server agrees on h2 and never sends a byte. Go has no timer for SETTINGS and no fallback: it waits for ever.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "settings-missing",
    summary: "h2 is agreed on and the server stays silent",
    findings: &[Expected::error("settings-missing")],
    go: Go::always(Hangs),
    build: || Scenario::of(Behaviour { silence: Silence::AfterHttp2IsAgreed, ..Behaviour::default() }),
};
