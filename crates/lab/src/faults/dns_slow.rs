//! A resolver that takes 1.5 s: once for each new connection.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "dns-slow",
    summary: "DNS answers after 1.5 s",
    findings: &[Expected::warning("dns-slow")],
    go: Go::always(Succeeds),
    build: || Scenario {
        names: Names::SlowDns(Duration::from_millis(1500)),
        ..Scenario::default()
    },
};
