//! go.sum lacks two modules, the proxy does not mirror the checksum database, and the database does not answer: 30 s for each dial.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "sumdb-blocked",
    summary: "the checksum database cannot be reached",
    findings: &[Expected::error("sumdb-unreachable")],
    go: Go::always(Hangs),
    build: || Scenario {
        project: ProjectSpec {
            missing_sums: 2,
            ..ProjectSpec::default()
        },
        swallowed_hosts: &["sum.golang.org"],
        env: &[("GOSUMDB", "sum.golang.org")],
        ..Scenario::default()
    },
};
