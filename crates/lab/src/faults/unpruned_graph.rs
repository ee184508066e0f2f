//! A go line below 1.17: the whole graph is read, level by level.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "unpruned-graph",
    summary: "go 1.16: the graph is not pruned",
    findings: &[Expected::warning("unpruned-graph")],
    go: Go::always(Succeeds),
    build: || Scenario {
        universe: UniverseSpec {
            modules: 16,
            shape: Shape::Chain,
            go_line: "1.16",
            ..UniverseSpec::default()
        },
        link: LinkSpec {
            rtt: Duration::from_millis(40),
            ..LinkSpec::default()
        },
        ..Scenario::default()
    },
};
