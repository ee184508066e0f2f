//! go.sum lacks hashes: the checksum database is asked for each module.

use crate::case::Case;
use crate::finding::{Confidence, Evidence, Id};
use crate::price::Change;

use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::GosumIncomplete, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let lookups = case.price.project.sumdb_lookups;
    let Some(project) = case.project.filter(|_| lookups > 0) else { return Vec::new() };
    let names: Vec<String> =
        project.missing_zip_hash.iter().chain(&project.missing_mod_hash).take(3).map(ToString::to_string).collect();
    let draft = Draft::new(
        Id::GosumIncomplete,
        format!("go.sum lacks hashes of {lookups} modules: each is looked up in the checksum database"),
        Effect::Costs(Change::CompleteGoSum),
    )
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
