//! Entries of GOPROXY are asked in vain before the one that has the modules.

use crate::case::Case;
use crate::finding::{Evidence, Id};
use crate::price::Change;

use super::shared::ms;
use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::GoproxyFallback, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    let direct = case.environment.ends_with_direct();
    for path in case.go_paths() {
        let answered: Vec<_> = path.sent().filter(|exchange| exchange.status.is_some()).collect();
        let missing = answered.iter().filter(|exchange| matches!(exchange.status, Some(404 | 410))).count();
        let later = case.go_paths().find(|other| other.info.position > path.info.position && other.serves());
        if missing == 0 || missing * 2 < answered.len() || (later.is_none() && !direct) {
            continue;
        }
        let served_by = later.map_or_else(|| "direct".to_owned(), |later| later.info.entry.clone());
        let effect = if later.is_some() { Effect::Costs(Change::NoFallback(1)) } else { Effect::Warns };
        drafts.push(
            Draft::new(
                Id::GoproxyFallback,
                format!("{} does not have the modules; each request is made again at {served_by}", path.info.entry),
                effect,
            )
            .on(path)
            .proof(Evidence::number("404 or 410 from this entry", missing as f64, ""))
            .proof(Evidence::number("of requests", answered.len() as f64, ""))
            .proof(Evidence::text("served by", served_by))
            .proofs(path.request_times().map(|times| Evidence::text("each costs", ms(times.p50))))
            .why(
                "The go command asks the entries of GOPROXY in their order for every file and goes on after 404 or 410 \
                 (cmd/go/internal/modfetch/proxy.go, TryProxies); it remembers nothing. From Go 1.24 on a 4xx over https is asked \
                 for twice (cmd/go/internal/web/http.go).",
            )
            .verify("go mod download -x 2>&1 | grep -c ': 404'"),
        );
    }
    drafts
}
