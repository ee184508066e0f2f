//! The checksum database cannot be reached, through the module proxy or by itself.

use crate::case::Case;
use crate::finding::{Evidence, Id};
use crate::observation::Fact;

use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::SumdbUnreachable, judge };

/// Whether the database was asked and gave no answer.
pub(super) fn unreachable(case: &Case<'_>) -> bool {
    !judge(case).is_empty()
}

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut answers = Vec::new();
    let mut reachable = false;
    let mut asked_directly = false;
    let mut database = None;
    for path in case.go_paths() {
        for fact in path.facts() {
            let Fact::SumDb { name, through_entry, answer, .. } = fact else { continue };
            database = Some(name);
            let ok = matches!(answer, Ok(200)) || (!through_entry && answer.is_ok());
            reachable |= ok;
            asked_directly |= !through_entry;
            let whom = if *through_entry {
                format!("{} /sumdb/{name}/supported", path.info.entry)
            } else {
                format!("https://{name}/")
            };
            answers.push(match answer {
                Ok(status) => Evidence::number(format!("status of {whom}"), f64::from(*status), ""),
                Err(error) => Evidence::text(whom, error.to_string()),
            });
        }
    }
    // Go takes any answer of the entry but 200, 404 and 410 for its last word (modfetch/sumdb.go, initBase).
    let barred = case.go_paths().filter(crate::case::PathView::serves).any(|path| {
        path.facts().any(|fact| matches!(fact, Fact::SumDb { through_entry: true, answer, .. } if !matches!(answer, Ok(200 | 404 | 410))))
            && !case.environment.falls_back_on_any_error(path.info.position)
    });
    let Some(name) = database.filter(|_| !reachable || barred) else { return Vec::new() };
    // Through the entry alone nothing is proven: 404 there sends the go command to the database itself.
    if !barred && !asked_directly {
        return Vec::new();
    }
    let lookups = case.price.project.sumdb_lookups;
    let needed = lookups > 0 || case.environment.toolchain.would_download;
    let effect = if needed { Effect::Fails } else { Effect::Notes(None) };
    let now = if needed { "and this project needs it" } else { "which matters only when go.sum lacks a hash" };
    let draft = Draft::new(
        Id::SumdbUnreachable,
        format!("the checksum database {name} cannot be reached, {now}"),
        effect,
    )
    .proofs(answers.into_iter().take(6))
    .proof(Evidence::number("look-ups that this project needs", f64::from(lookups), ""))
    .why(
        "The go command asks the module proxy for /sumdb/<name>/supported, and goes to the database itself where that \
             answers 404 or 410 (cmd/go/internal/modfetch/sumdb.go). If that is blocked each dial waits up to 30 s.",
    )
    .verify(format!("curl -sv --connect-timeout 5 -o /dev/null https://{name}/latest"));
    vec![draft]
}
