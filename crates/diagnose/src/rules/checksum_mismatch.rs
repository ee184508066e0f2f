//! What was fetched does not hash to what go.sum says.

use crate::case::Case;
use crate::finding::{Evidence, Id};
use crate::observation::Fact;

use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::ChecksumMismatch, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for path in case.go_paths() {
        let bad: Vec<_> = path
            .facts()
            .filter_map(|fact| match fact {
                Fact::Hashed { what, got, wanted } if !wanted.split(' ').any(|hash| hash == got) => {
                    Some((what, got, wanted))
                }
                _ => None,
            })
            .collect();
        let Some((what, got, wanted)) = bad.first() else { continue };
        drafts.push(
            Draft::new(
                Id::ChecksumMismatch,
                format!("{} serves {what} with another hash than go.sum has", path.info.host),
                Effect::Fails,
            )
            .on(path)
            .proof(Evidence::text("file", (*what).clone()))
            .proof(Evidence::text("hash of what was served", (*got).clone()))
            .proof(Evidence::text("hash in go.sum", (*wanted).clone()))
            .proof(Evidence::number("files with a wrong hash, of those fetched", bad.len() as f64, ""))
            .why(
                "The go command refuses it: SECURITY ERROR (cmd/go/internal/modfetch/fetch.go, checkModSum). Either the file was \
                 changed on the way or in the proxy's store, or go.sum was edited.",
            )
            .verify("go clean -modcache && go mod download && go mod verify"),
        );
    }
    drafts
}
