//! GOPROXY=direct: discovery and version control for each module; here the host has no go-import page.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "goproxy-direct",
    summary: "GOPROXY is direct",
    findings: &[Expected::warning("goproxy-direct")],
    go: Go::always(Fails(&["404 Not Found", "no go-import"])),
    build: || Scenario {
        goproxy: "direct",
        ..Scenario::default()
    },
};
