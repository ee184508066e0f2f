//! A GOPROXY list whose first entry answers 404 for every module: each request is made there first, from Go 1.24 on twice.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "fallback-chain",
    summary: "the first GOPROXY entry has nothing",
    findings: &[Expected::warning("goproxy-fallback")],
    go: Go::always(Succeeds),
    build: || Scenario {
        goproxy: "{empty},{origin}",
        ..Scenario::default()
    },
};
