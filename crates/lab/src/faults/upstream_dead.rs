//! Nothing listens at the module proxy's address.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "upstream-dead",
    summary: "nothing listens at the origin",
    findings: &[Expected::error("upstream-unreachable")],
    go: Go::always(Fails(&["connection refused"])),
    build: || Scenario {
        upstream: Upstream::Closed,
        ..Scenario::default()
    },
};
