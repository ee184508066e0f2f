//! IPv6 whose packets go nowhere: Go turns to IPv4 after 300 ms (net.Dialer, RFC 6555), for each connection.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "ipv6-dead",
    summary: "IPv6 packets go nowhere",
    findings: &[Expected::warning("ipv6-broken")],
    go: Go::always(Succeeds),
    build: || Scenario {
        ipv6: Some(Ipv6Mode::SwallowAll),
        ..Scenario::default()
    },
};
