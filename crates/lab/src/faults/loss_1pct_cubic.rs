//! 1 % loss to a cubic sender: one shared connection carries everything, and each loss halves it.

use super::prelude::*;

pub(super) const FAULT: Fault = Fault {
    id: "loss-1pct-cubic",
    summary: "1 % packet loss, cubic sender",
    findings: &[Expected::warning("packet-loss")],
    go: Go::always(Succeeds),
    build: || Scenario {
        universe: UniverseSpec {
            modules: 16,
            zip_size: ZipSize::Fixed(150_000),
            ..UniverseSpec::default()
        },
        link: LinkSpec {
            rtt: Duration::from_millis(40),
            rate_bits: Some(200_000_000),
            loss: 0.01,
            congestion: "cubic",
        },
        ..Scenario::default()
    },
};
