//! The server's first frame comes long after the handshake.

use std::time::Duration;

use crate::case::Case;
use crate::finding::{Evidence, Id};
use crate::price::Change;
use crate::stats;

use super::shared::ms;
use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::SettingsLate, judge };

/// Beyond the round trip that TLS 1.2, or a server that waits for the client's preface, needs anyway.
const TOLERATED: Duration = Duration::from_millis(150);

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths() {
        let delays = path.h2().filter_map(|(seen, _)| Some(seen.first_frame.as_ref()?.1));
        let (Some(delay), Some(round_trip)) = (stats::summary(delays), path.round_trip()) else { continue };
        if delay.min < round_trip * 2 + TOLERATED {
            continue;
        }
        drafts.push(
            Draft::new(
                Id::SettingsLate,
                format!("the first HTTP/2 frame of {} takes {}", path.info.host, ms(delay.p50)),
                Effect::Costs(Change::NoSettingsDelay),
            )
            .on(path)
            .proof(Evidence::millis("first frame after the handshake, least", delay.min))
            .proof(Evidence::millis("first frame after the handshake, p50", delay.p50))
            .proof(Evidence::millis("round trip", round_trip))
            .why(
                "RFC 9113 section 3.4 lets a server send SETTINGS at once. Go does not wait for them, but a server that is \
                 late with its first frame is late with the first responses of every connection too.",
            )
            .verify(format!("nghttp -nv {}/", path.info.entry)),
        );
    }
    drafts
}
