//! A go.mod file is valid, and another than go.sum promises.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "wrong-mod-hash",
    summary: "go.mod files differ from go.sum",
    findings: &[Expected::error("checksum-mismatch")],
    go: Go::always(Fails(&["checksum mismatch"])),
    build: || {
        Scenario::of(Behaviour {
            answers: Answers {
                wrong_content: Some(Which {
                    kind: Some(FileKind::Mod),
                    every: 1,
                }),
                ..Answers::default()
            },
            ..Behaviour::default()
        })
    },
};
