//! IPv6 that connects and then swallows everything: too late for Happy Eyeballs, and Go waits 10 s for the TLS handshake.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "ipv6-swallow",
    summary: "IPv6 connects, then swallows data",
    findings: &[Expected::error("ipv6-broken")],
    go: Go::always(Fails(&["TLS handshake timeout"])),
    build: || Scenario {
        ipv6: Some(Ipv6Mode::SwallowData),
        ..Scenario::default()
    },
};
