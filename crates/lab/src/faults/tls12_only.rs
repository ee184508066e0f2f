//! A server without TLS 1.3: a round trip more for each connection.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "tls12-only",
    summary: "TLS 1.2 only",
    findings: &[Expected::info("tls-old")],
    go: Go::always(Succeeds),
    // Enough requests that a round trip more at the start is nothing.
    build: || Scenario {
        universe: UniverseSpec {
            modules: 32,
            ..UniverseSpec::default()
        },
        ..Scenario::of(Behaviour {
            transport: Transport::Tls(TlsOptions {
                versions: TlsVersions::Tls12,
                ..TlsOptions::default()
            }),
            ..Behaviour::default()
        })
    },
};
