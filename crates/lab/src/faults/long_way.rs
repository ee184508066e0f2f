//! A healthy origin far away: the `.info` files are asked for one after another, each a round trip (cmd/go/internal/modload/list.go). Nothing to repair.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "long-way",
    summary: "a healthy origin 120 ms away",
    findings: &[Expected::info("serial-requests")],
    go: Go::always(Succeeds),
    build: || Scenario {
        universe: UniverseSpec {
            modules: 24,
            ..UniverseSpec::default()
        },
        link: LinkSpec {
            rtt: Duration::from_millis(120),
            ..LinkSpec::default()
        },
        ..Scenario::default()
    },
};
