//! An origin that thinks 400 ms before each answer: not a connection problem.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "slow-origin",
    summary: "the origin thinks for 400 ms",
    findings: &[Expected::warning("upstream-slow")],
    go: Go::always(Succeeds),
    build: || Scenario {
        universe: UniverseSpec {
            modules: 6,
            ..UniverseSpec::default()
        },
        ..Scenario::of(Behaviour {
            answers: Answers {
                think: Duration::from_millis(400),
                ..Answers::default()
            },
            ..Behaviour::default()
        })
    },
};
