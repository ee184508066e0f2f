//! A sender that keeps 16 KiB of a stream in flight, however wide the client's windows: 16 KiB a round trip.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "window-small",
    summary: "16 KiB of each stream in flight",
    findings: &[Expected::warning("window-limited")],
    go: Go::always(Succeeds),
    build: || Scenario {
        universe: UniverseSpec {
            modules: 8,
            zip_size: ZipSize::Fixed(600_000),
            ..UniverseSpec::default()
        },
        link: LinkSpec {
            rtt: Duration::from_millis(50),
            ..LinkSpec::default()
        },
        ..Scenario::of(Behaviour {
            http2: Http2 {
                stream_window: Some(16 * 1024),
                ..Http2::default()
            },
            ..Behaviour::default()
        })
    },
};
