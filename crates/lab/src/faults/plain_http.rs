//! GOPROXY=http://: HTTP/1.1 always, for HTTP/2 needs TLS and ALPN in net/http.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "plain-http",
    summary: "the origin speaks plain http",
    findings: &[Expected::info("plain-http")],
    go: Go::always(Succeeds),
    build: || Scenario {
        universe: UniverseSpec {
            modules: 24,
            ..UniverseSpec::default()
        },
        ..Scenario::of(Behaviour {
            transport: Transport::Plain,
            ..Behaviour::default()
        })
    },
};
