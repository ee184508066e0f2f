//! A link of 4 Mbit/s: the bytes take their time, and nothing but a wider link repairs that.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "thin-link",
    summary: "4 Mbit/s",
    findings: &[Expected::info("bandwidth-limited")],
    go: Go::always(Succeeds),
    build: || Scenario {
        universe: UniverseSpec {
            modules: 12,
            zip_size: ZipSize::Fixed(100_000),
            ..UniverseSpec::default()
        },
        link: LinkSpec {
            rate_bits: Some(4_000_000),
            ..LinkSpec::default()
        },
        ..Scenario::default()
    },
};
