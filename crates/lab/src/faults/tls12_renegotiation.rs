//! A TLS 1.2 server that asks for renegotiation, as for a client certificate on some paths: Go answers no_renegotiation.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "tls12-renegotiation",
    summary: "the server renegotiates TLS",
    findings: &[Expected::error("tls-renegotiation")],
    go: Go::always(Fails(&["no renegotiation"])),
    build: || {
        Scenario::of(Behaviour {
            transport: Transport::Openssl(OpensslMode::RenegotiateTls12),
            ..Behaviour::default()
        })
    },
};
