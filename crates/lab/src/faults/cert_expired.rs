//! A certificate that ended 30 days ago.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "cert-expired",
    summary: "an expired certificate",
    findings: &[Expected::error("tls-expired")],
    go: Go::always(Fails(&["certificate has expired"])),
    build: || {
        Scenario::of(Behaviour {
            transport: Transport::Tls(TlsOptions {
                certificate: CertificateChoice::Expired,
                ..TlsOptions::default()
            }),
            ..Behaviour::default()
        })
    },
};
