//! A TLS-inspecting proxy that speaks HTTP/2 on both sides: worth knowing, nothing to repair.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "intercept-h2",
    summary: "a proxy intercepts TLS and keeps HTTP/2",
    findings: &[Expected::info("tls-intercepted")],
    go: Go::always(Succeeds),
    build: || Scenario {
        forward: Forward::Intercepts(&["h2", "http/1.1"]),
        ..Scenario::default()
    },
};
