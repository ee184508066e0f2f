//! HTTPS_PROXY names a port where nothing listens.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "proxy-dead",
    summary: "nothing listens at HTTPS_PROXY",
    findings: &[Expected::error("proxy-unreachable")],
    go: Go::always(Fails(&["connection refused"])),
    build: || Scenario {
        forward: Forward::Dead,
        ..Scenario::default()
    },
};
