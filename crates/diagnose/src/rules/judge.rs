//! From drafts to findings: the price, the severity that follows from it, the remedies, the order.

use std::cmp::Reverse;

use crate::case::Case;
use crate::finding::{Cost, Finding, Id, Severity};
use crate::price::{self, Change};
use crate::remedy;

use super::{ALL, Draft, Effect, upstream_unreachable};

/// A cost under this share of the predicted time, and under [`SMALL_SECONDS`], is info.
pub(super) const SMALL_SHARE: f64 = 0.05;
/// See [`SMALL_SHARE`].
pub(super) const SMALL_SECONDS: f64 = 0.2;

/// What all rules say of a case.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The findings: the gravest first, then the most costly.
    pub findings: Vec<Finding>,
    /// What the remedy of each finding that loses time changes, in the rules' order.
    pub changes: Vec<(Id, Change)>,
}

/// Runs every rule, once.
#[must_use]
pub fn judge(case: &Case<'_>) -> Judgement {
    let mut drafts: Vec<Draft> = ALL.iter().flat_map(|rule| (rule.judge)(case)).collect();
    let rest = upstream_unreachable::last_resort(case, &drafts);
    drafts.extend(rest);
    let change = |draft: &Draft| match draft.effect {
        Effect::Costs(change) => Some((draft.id, change)),
        Effect::Fails | Effect::Warns | Effect::Notes(_) | Effect::NotesSerial => None,
    };
    let changes = drafts.iter().filter_map(change).collect();
    let mut findings: Vec<Finding> = drafts.into_iter().map(|draft| priced(case, draft)).collect();
    findings.sort_by_key(|finding| {
        let cost = finding.cost.as_ref().map_or(0.0, |cost| cost.seconds_min + cost.seconds_max);
        (Reverse(finding.severity), Reverse((cost * 1e3) as u64), finding.id)
    });
    Judgement { findings, changes }
}

fn priced(case: &Case<'_>, draft: Draft) -> Finding {
    debug_assert!(!draft.evidence.is_empty(), "{} without evidence", draft.id);
    let mut title = draft.title;
    let mut cost = match draft.effect {
        Effect::Costs(change) | Effect::Notes(Some(change)) => Some(saving(case, &change)),
        Effect::NotesSerial => Some(serial(case)),
        Effect::Fails | Effect::Warns | Effect::Notes(None) => None,
    };
    let severity = match draft.effect {
        Effect::Fails => Severity::Error,
        Effect::Warns => Severity::Warning,
        Effect::Notes(_) | Effect::NotesSerial => Severity::Info,
        Effect::Costs(_) => {
            if cost.as_ref().is_some_and(|cost| is_small(case, cost)) {
                title.push_str(" (costs this project next to nothing)");
                Severity::Info
            } else {
                Severity::Warning
            }
        }
    };
    if case.project.is_none()
        && let Some(cost) = &mut cost
    {
        cost.basis.push_str("; there is no project here, so a nominal one of 50 modules is priced");
    }
    let path = draft.path.and_then(|id| case.all_paths().nth(id));
    let mut context = case.context(path);
    context.code = draft.code;
    context.status = draft.status;
    context.toolchain = draft.toolchain;
    context.location.clone_from(&draft.location);
    Finding {
        id: draft.id,
        title,
        severity,
        confidence: draft.confidence,
        evidence: draft.evidence,
        why: draft.why,
        cost,
        remedies: remedy::remedies(draft.id, &context),
        verify: draft.verify,
        docs: draft.id.page(),
        location: draft.location,
    }
}

/// What a change gives back.
pub(super) fn saving(case: &Case<'_>, change: &Change) -> Cost {
    let cost = price::saving(case.price, change);
    Cost { seconds_min: cost.seconds_min, seconds_max: cost.seconds_max, basis: cost.basis }
}

fn serial(case: &Case<'_>) -> Cost {
    let now = price::predict(case.price).total.as_secs_f64();
    let then = price::multiplexed(case.price).total.as_secs_f64();
    let saved = (now - then).max(0.0);
    Cost {
        seconds_min: saved * 0.75,
        seconds_max: (saved * 1.25).min(now),
        basis: format!("predicted {now:.2} s now and {then:.2} s over one connection that asks for everything at once"),
    }
}

/// Whether a cost is next to nothing for this project.
pub(super) fn is_small(case: &Case<'_>, cost: &Cost) -> bool {
    let middle = f64::midpoint(cost.seconds_min, cost.seconds_max);
    let now = price::predict(case.price).total.as_secs_f64();
    middle < SMALL_SECONDS && middle < now * SMALL_SHARE
}
