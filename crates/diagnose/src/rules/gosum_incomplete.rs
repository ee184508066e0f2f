//! go.sum lacks hashes: the checksum database is asked for each module.

use crate::case::Case;
use crate::finding::{Confidence, Evidence, Id};
use crate::price::Change;

use super::{Draft, Effect, Rule, sumdb_unreachable};

pub(super) const RULE: Rule = Rule { id: Id::GosumIncomplete, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let lookups = case.price.project.sumdb_lookups;
    let Some(project) = case.project else { return Vec::new() };
    let mut missing: Vec<_> = project.missing_zip_hash.iter().chain(&project.missing_mod_hash).collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Vec::new();
    }
    let names: Vec<String> = missing.iter().take(3).map(ToString::to_string).collect();
    let title = if lookups > 0 {
        format!("go.sum lacks hashes of {}, looked up in the checksum database", modules(lookups as usize))
    } else {
        format!("go.sum lacks hashes of {}, and nothing else verifies them", modules(missing.len()))
    };
    // Where the database cannot be reached, that is the cause to remedy first: sumdb-unreachable.
    let effect = if lookups > 0 && !sumdb_unreachable::unreachable(case) {
        Effect::Costs(Change::CompleteGoSum)
    } else {
        Effect::Notes(None)
    };
    let draft = Draft::new(Id::GosumIncomplete, title, effect)
    .confidence(Confidence::Derived)
    .proof(Evidence::number("modules without a zip hash", project.missing_zip_hash.len() as f64, ""))
    .proof(Evidence::number("modules without a go.mod hash", project.missing_mod_hash.len() as f64, ""))
    .proof(Evidence::text("for example", names.join(", ")))
    .proof(Evidence::number("look-ups", f64::from(lookups), ""))
    .why(
        "With a hash in go.sum nothing is asked (cmd/go/internal/modfetch/fetch.go, checkMod). Without, the worker that \
         fetched the file also looks its module up and fetches the tiles that prove it. And go mod download without arguments \
         does not write zip hashes: go build fails afterwards.",
    )
    .verify("go mod tidy && git diff --stat go.sum");
    vec![draft]
}

fn modules(count: usize) -> String {
    if count == 1 { "1 module".to_owned() } else { format!("{count} modules") }
}
