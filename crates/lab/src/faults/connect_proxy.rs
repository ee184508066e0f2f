//! The control for forward proxies: CONNECT is a tunnel, so ALPN and HTTP/2 are end to end though the proxy itself speaks HTTP/1.1.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "connect-proxy",
    summary: "an innocent CONNECT proxy that speaks HTTP/1.1 only",
    findings: &[],
    go: Go::always(Succeeds),
    build: || Scenario {
        forward: Forward::Connect,
        ..Scenario::default()
    },
};
