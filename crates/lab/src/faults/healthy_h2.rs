//! The control: everything as it should be. A client that finds fault with this is wrong.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "healthy-h2",
    summary: "a healthy HTTP/2 origin",
    findings: &[],
    go: Go::always(Succeeds),
    build: || Scenario::default(),
};
