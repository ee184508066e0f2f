//! Loss holds one connection back.

use crate::case::Case;
use crate::finding::{Confidence, Evidence, Id};
use crate::observation::Fact;
use crate::price::Change;
use crate::pricing;

use super::shared::rate;
use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::PacketLoss, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths() {
        let (Some(loss), Some(round_trip)) = (pricing::loss(path), path.round_trip()) else { continue };
        if !pricing::loss_limits(path, round_trip) {
            continue;
        }
        let (one, several) = (path.goodput(|flows| flows == 1), path.goodput(|flows| flows > 1));
        let ceiling = pricing::ceiling(loss, round_trip);
        let gains = pricing::several_gain(path) == Some(true);
        let out_of_order = path.facts().filter_map(|fact| match fact {
            Fact::Goodput { out_of_order, .. } => *out_of_order,
            _ => None,
        });
        let out_of_order = out_of_order.fold(0.0, f64::max);
        let held = one.map_or_else(String::new, |one| format!(": one connection gets {}", rate(one)));
        let gained =
            several.filter(|_| gains).map_or_else(String::new, |several| format!(", several get {}", rate(several)));
        drafts.push(
            Draft::new(
                Id::PacketLoss,
                format!("the path to {} loses packets{held}{gained}", path.info.host),
                Effect::Costs(Change::NoLossCeiling),
            )
            .on(path)
            .confidence(if gains { Confidence::Measured } else { Confidence::Derived })
            .proof(Evidence::number("loss, from episodes of out-of-order arrival", loss * 100.0, "%"))
            .proof(Evidence::number("segments that arrived out of order (tcpi_rcv_ooopack)", out_of_order * 100.0, "%"))
            .proofs(one.map(|one| Evidence::number("goodput of one connection", one / 1e6, "Mbit/s")))
            .proofs(several.map(|several| Evidence::number("goodput of several at once", several / 1e6, "Mbit/s")))
            .proof(Evidence::number(
                "ceiling of one cubic flow at this loss, 1.2·MSS/(RTT·√loss)",
                ceiling / 1e6,
                "Mbit/s",
            ))
            .proof(Evidence::millis("round trip", round_trip))
            .why(
                "HTTP/2 puts everything on one connection, and each loss makes a cubic sender give up 30 % of its rate \
                     (RFC 9438): with loss one shared connection is slower than several.",
            )
            .verify("goferry doctor --deep"),
        );
    }
    drafts
}
