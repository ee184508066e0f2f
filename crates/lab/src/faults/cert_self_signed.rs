//! A certificate signed by itself.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "cert-self-signed",
    summary: "a self-signed certificate",
    findings: &[Expected::error("tls-untrusted")],
    go: Go::always(Fails(&[
        "certificate signed by unknown authority",
        "failed to verify certificate",
    ])),
    build: || {
        Scenario::of(Behaviour {
            transport: Transport::Tls(TlsOptions {
                certificate: CertificateChoice::SelfSigned,
                ..TlsOptions::default()
            }),
            ..Behaviour::default()
        })
    },
};
