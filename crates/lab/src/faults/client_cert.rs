//! The server demands a client certificate, which the go command cannot give.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "client-cert",
    summary: "a client certificate is demanded",
    findings: &[Expected::error("tls-client-cert-required")],
    go: Go::always(Fails(&[
        "certificate required",
        "broken pipe",
        "force closed",
        "reset",
    ])),
    build: || {
        Scenario::of(Behaviour {
            transport: Transport::Tls(TlsOptions {
                client_certificate: true,
                ..TlsOptions::default()
            }),
            ..Behaviour::default()
        })
    },
};
