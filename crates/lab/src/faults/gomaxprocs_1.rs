//! GOMAXPROCS=1, as in a container with one CPU: one request at a time.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "gomaxprocs-1",
    summary: "GOMAXPROCS is 1",
    findings: &[Expected::warning("gomaxprocs-low")],
    go: Go::always(Succeeds),
    build: || Scenario {
        universe: UniverseSpec {
            modules: 24,
            ..UniverseSpec::default()
        },
        link: LinkSpec {
            rtt: Duration::from_millis(50),
            ..LinkSpec::default()
        },
        env: &[("GOMAXPROCS", "1")],
        ..Scenario::default()
    },
};
