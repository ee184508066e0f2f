//! GOAWAY that names stream 1 as the last while later streams are being answered: their bodies are lost to the client.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "goaway-lying",
    summary: "GOAWAY disowns streams that are being answered",
    findings: &[Expected::error("goaway-churn")],
    go: Go::always(Fails(&["GOAWAY"])),
    build: || Scenario {
        universe: UniverseSpec {
            modules: 24,
            zip_size: ZipSize::Fixed(100_000),
            ..UniverseSpec::default()
        },
        ..Scenario::of(Behaviour {
            http2: Http2 {
                goaway: Some(Goaway {
                    after_requests: 10,
                    code: ErrorCode::NoError,
                    last_stream: LastStream::Lying,
                    close_at_once: false,
                }),
                ..Http2::default()
            },
            ..Behaviour::default()
        })
    },
};
