//! A server that chooses http/1.1 by ALPN, such as nginx without `http2 on`.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "http1-only",
    summary: "the server offers only http/1.1",
    findings: &[Expected::info("http2-not-offered")],
    go: Go::always(Succeeds),
    build: || Scenario {
        universe: UniverseSpec {
            modules: 24,
            ..UniverseSpec::default()
        },
        ..Scenario::of(Behaviour {
            transport: Transport::Tls(TlsOptions {
                alpn: vec!["http/1.1"],
                ..TlsOptions::default()
            }),
            ..Behaviour::default()
        })
    },
};
