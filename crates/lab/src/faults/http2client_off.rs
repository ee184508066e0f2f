//! GODEBUG=http2client=0 in the environment, left over from working around some other fault.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "http2client-off",
    summary: "GODEBUG=http2client=0 is set",
    findings: &[Expected::info("http2-disabled-by-env")],
    go: Go::always(Succeeds),
    build: || Scenario {
        env: &[("GODEBUG", "http2client=0")],
        universe: UniverseSpec {
            modules: 24,
            ..UniverseSpec::default()
        },
        ..Scenario::default()
    },
};
