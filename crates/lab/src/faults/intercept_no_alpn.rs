//! A TLS-inspecting proxy that knows nothing of ALPN, such as a bumping Squid or a firewall with "Strip ALPN".

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "intercept-no-alpn",
    summary: "a proxy intercepts TLS and does not answer ALPN",
    findings: &[Expected::info("http2-stripped-by-proxy")],
    go: Go::always(Succeeds),
    build: || Scenario {
        universe: UniverseSpec {
            modules: 24,
            ..UniverseSpec::default()
        },
        ..Scenario {
            forward: Forward::Intercepts(&[]),
            ..Scenario::default()
        }
    },
};
