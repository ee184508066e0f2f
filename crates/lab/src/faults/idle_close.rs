//! Connections idle for 2 s are closed; Go would keep them for 90 s.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "idle-close",
    summary: "idle connections are closed after 2 s",
    findings: &[Expected::warning("idle-timeout-short")],
    go: Go::always(Succeeds),
    build: || Scenario {
        deep: true,
        ..Scenario::of(Behaviour {
            http2: Http2 {
                idle_close: Some(Duration::from_secs(2)),
                ..Http2::default()
            },
            ..Behaviour::default()
        })
    },
};
