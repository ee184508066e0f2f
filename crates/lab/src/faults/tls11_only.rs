//! A server that ends at TLS 1.1: Go's least version is 1.2.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "tls11-only",
    summary: "TLS 1.1 only",
    findings: &[Expected::error("tls-old")],
    go: Go::always(Fails(&["protocol version"])),
    build: || {
        Scenario::of(Behaviour {
            transport: Transport::Openssl(OpensslMode::OnlyTls11),
            ..Behaviour::default()
        })
    },
};
