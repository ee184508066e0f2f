//! GOAWAY(NO_ERROR) with last stream 0 on each connection: Go dials again at once, for ever (golang/go#52459).

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "goaway-zero",
    summary: "GOAWAY disowns everything on each connection",
    findings: &[Expected::error("goaway-churn")],
    go: Go::always(Hangs),
    build: || {
        Scenario::of(Behaviour {
            http2: Http2 {
                goaway: Some(Goaway {
                    after_requests: 1,
                    code: ErrorCode::NoError,
                    last_stream: LastStream::Zero,
                    close_at_once: false,
                }),
                ..Http2::default()
            },
            ..Behaviour::default()
        })
    },
};
