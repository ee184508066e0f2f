//! A forward proxy that asks for credentials.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "proxy-407",
    summary: "the forward proxy answers 407",
    findings: &[Expected::error("proxy-auth-required")],
    go: Go::always(Fails(&["Proxy Authentication Required"])),
    build: || Scenario {
        forward: Forward::AsksCredentials,
        ..Scenario::default()
    },
};
