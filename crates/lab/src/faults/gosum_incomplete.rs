//! go.sum lacks two modules, and there is no checksum database to ask (GOSUMDB=off).

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "gosum-incomplete",
    summary: "go.sum lacks two modules",
    findings: &[Expected::info("gosum-incomplete")],
    go: Go::always(Succeeds),
    build: || Scenario {
        project: ProjectSpec {
            missing_sums: 2,
            ..ProjectSpec::default()
        },
        ..Scenario::default()
    },
};
