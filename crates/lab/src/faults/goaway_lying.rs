//! GOAWAY that names stream 1 as the last while later streams are being answered: their bodies are lost to the client. Sizes differ and the link is thin, so that some body is always under way.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "goaway-lying",
    summary: "GOAWAY disowns streams that are being answered",
    findings: &[Expected::error("goaway-churn")],
    go: Go::always(Fails(&["GOAWAY"])),
    build: || Scenario {
        universe: UniverseSpec {
            modules: 24,
            zip_size: ZipSize::Skewed {
                smallest: 20_000,
                largest: 800_000,
            },
            ..UniverseSpec::default()
        },
        link: LinkSpec {
            rate_bits: Some(20_000_000),
            ..LinkSpec::default()
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
