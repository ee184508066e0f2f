//! A resolver that answers SERVFAIL.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "dns-failing",
    summary: "DNS answers SERVFAIL",
    findings: &[Expected::error("dns-failing")],
    go: Go::always(Fails(&["server misbehaving", "no such host"])),
    build: || Scenario {
        names: Names::FailingDns,
        ..Scenario::default()
    },
};
