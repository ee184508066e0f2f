//! The transfer itself is most of the time: nothing to repair on the connection.

use crate::case::Case;
use crate::finding::{Confidence, Evidence, Id};
use crate::price::{self, Change};

use super::shared::rate;
use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::BandwidthLimited, judge };

/// The share of the predicted time that the bare transfer must take.
const SHARE: f64 = 0.4;

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let Some(path) = case.main_path() else { return Vec::new() };
    let Some(bandwidth) = case.price.path.bandwidth.filter(|bandwidth| *bandwidth > 0.0) else { return Vec::new() };
    let bytes: u64 = case.price.project.zips.iter().sum();
    let transfer = bytes as f64 * 8.0 / bandwidth;
    let predicted = price::predict(case.price).total.as_secs_f64();
    if transfer < SHARE * predicted || transfer < 0.5 {
        return Vec::new();
    }
    let draft = Draft::new(
        Id::BandwidthLimited,
        format!("the transfer alone takes {transfer:.1} s at {}", rate(bandwidth)),
        Effect::Notes(Some(Change::Bandwidth(None))),
    )
    .on(path)
    .confidence(Confidence::Derived)
    .proof(Evidence::number("goodput", bandwidth / 1e6, "Mbit/s"))
    .proof(Evidence::number("zips of this project, partly estimated", bytes as f64 / 1e6, "MB"))
    .proof(Evidence::number("transfer alone", transfer, "s"))
    .why("The bytes have to pass: no setting of a connection makes the link wider. A proxy or a cache nearby does.")
    .verify("goferry doctor --deep");
    vec![draft]
}
