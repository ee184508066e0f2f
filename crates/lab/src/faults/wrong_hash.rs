//! The zips are valid, and others than go.sum promises.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "wrong-hash",
    summary: "zips differ from go.sum",
    findings: &[Expected::error("checksum-mismatch")],
    go: Go::always(Fails(&["checksum mismatch"])),
    build: || {
        Scenario::of(Behaviour {
            answers: Answers {
                wrong_content: Some(Which::ZIPS),
                ..Answers::default()
            },
            ..Behaviour::default()
        })
    },
};
