//! A TLS server that does not answer ALPN (RFC 7301): HTTP/1.1, with two idle connections kept.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "alpn-none",
    summary: "the server does not answer ALPN",
    findings: &[Expected::info("http2-not-offered")],
    go: Go::always(Succeeds),
    build: || Scenario {
        universe: UniverseSpec {
            modules: 24,
            ..UniverseSpec::default()
        },
        ..Scenario::of(Behaviour {
            transport: Transport::Tls(TlsOptions {
                alpn: vec![],
                ..TlsOptions::default()
            }),
            ..Behaviour::default()
        })
    },
};
