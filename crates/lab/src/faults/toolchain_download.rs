//! The project asks for a newer toolchain, and GOTOOLCHAIN=auto downloads it first; here the proxy does not have it.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "toolchain-download",
    summary: "a toolchain is downloaded first",
    findings: &[Expected::warning("gotoolchain-download")],
    go: Go::always(Fails(&["toolchain not available"])),
    build: || Scenario {
        project: ProjectSpec {
            toolchain: Some("go1.99.1".to_owned()),
            ..ProjectSpec::default()
        },
        env: &[("GOTOOLCHAIN", "auto")],
        ..Scenario::default()
    },
};
