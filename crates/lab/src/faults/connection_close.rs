//! HTTP/1.1 with `Connection: close` on each response: a connection for each request.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "connection-close",
    summary: "HTTP/1.1 and Connection: close",
    findings: &[Expected::warning("http1-connection-close")],
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
            http1: Http1 {
                connection_close: true,
                ..Http1::default()
            },
            ..Behaviour::default()
        })
    },
};
