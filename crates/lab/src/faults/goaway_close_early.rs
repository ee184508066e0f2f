//! GOAWAY after ten requests, and the connection closed without finishing what was accepted.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "goaway-close-early",
    summary: "GOAWAY, then closed before accepted streams are answered",
    findings: &[Expected::error("goaway-churn")],
    go: Go::always(Fails(&["GOAWAY", "EOF", "reset"])),
    build: || Scenario {
        universe: UniverseSpec {
            modules: 24,
            ..UniverseSpec::default()
        },
        ..Scenario::of(Behaviour {
            http2: Http2 {
                goaway: Some(Goaway {
                    after_requests: 10,
                    code: ErrorCode::NoError,
                    last_stream: LastStream::Honest,
                    close_at_once: true,
                }),
                ..Http2::default()
            },
            ..Behaviour::default()
        })
    },
};
