//! GOPROXY=off: what is not in the cache cannot be had.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "goproxy-off",
    summary: "GOPROXY is off",
    findings: &[Expected::error("goproxy-off")],
    go: Go::always(Fails(&["disabled by GOPROXY=off"])),
    build: || Scenario {
        goproxy: "off",
        ..Scenario::default()
    },
};
