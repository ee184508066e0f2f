//! A forward proxy that refuses the tunnel.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "proxy-403",
    summary: "the forward proxy answers 403",
    findings: &[Expected::error("proxy-refused")],
    go: Go::always(Fails(&["Forbidden"])),
    build: || Scenario {
        forward: Forward::Refuses(403),
        ..Scenario::default()
    },
};
