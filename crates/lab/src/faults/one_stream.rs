//! MAX_CONCURRENT_STREAMS of 1, enforced: Go sends more before it has read the limit, and those are refused.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "one-stream",
    summary: "one stream at a time, the others refused",
    findings: &[Expected::warning("max-concurrent-streams-low")],
    go: Go::always(Succeeds),
    build: || Scenario {
        universe: UniverseSpec {
            modules: 24,
            ..UniverseSpec::default()
        },
        ..Scenario::of(Behaviour {
            http2: Http2 {
                settings: Settings::new().with(SettingId::MaxConcurrentStreams, 1),
                concurrency: Some(Concurrency {
                    max: 1,
                    refuse: true,
                }),
                ..Http2::default()
            },
            ..Behaviour::default()
        })
    },
};
