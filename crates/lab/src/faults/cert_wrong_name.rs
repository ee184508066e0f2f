//! A certificate for another host.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "cert-wrong-name",
    summary: "a certificate for another name",
    findings: &[Expected::error("tls-name-mismatch")],
    go: Go::always(Fails(&["certificate is valid for"])),
    build: || {
        Scenario::of(Behaviour {
            transport: Transport::Tls(TlsOptions {
                certificate: CertificateChoice::WrongName,
                ..TlsOptions::default()
            }),
            ..Behaviour::default()
        })
    },
};
