//! A company registry behind the company's own authority and an intermediate: private, and not an interception.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "healthy-private-ca",
    summary: "a healthy origin whose certificate comes from a private authority through an intermediate",
    findings: &[],
    go: Go::always(Succeeds),
    build: || {
        Scenario::of(Behaviour {
            transport: Transport::Tls(TlsOptions {
                certificate: CertificateChoice::Intermediate,
                ..TlsOptions::default()
            }),
            ..Behaviour::default()
        })
    },
};
