//! GOAWAY(NO_ERROR) after ten requests, as nginx does with a low `keepalive_requests`.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "goaway-every-10",
    summary: "GOAWAY after every 10 requests",
    findings: &[Expected::warning("goaway-churn")],
    go: Go::always(Succeeds),
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
                    close_at_once: false,
                }),
                ..Http2::default()
            },
            ..Behaviour::default()
        })
    },
};
