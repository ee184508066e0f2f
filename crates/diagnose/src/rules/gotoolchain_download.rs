//! The project's go or toolchain line makes the go command fetch a toolchain first.

use crate::case::Case;
use crate::finding::{Confidence, Evidence, Id, Location};
use crate::price::{Change, TOOLCHAIN_BYTES};

use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::GotoolchainDownload, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let choice = &case.environment.toolchain;
    if !choice.would_download {
        return Vec::new();
    }
    let selected = choice.selected.clone().unwrap_or_default();
    let mut draft = Draft::new(
        Id::GotoolchainDownload,
        format!("the go command downloads {selected} first: {} MB and about 10 s of unpacking", TOOLCHAIN_BYTES / 1_000_000),
        Effect::Costs(Change::NoToolchain),
    )
    .confidence(Confidence::Derived)
    .proof(Evidence::text("installed", choice.local.clone().unwrap_or_else(|| "none".to_owned())))
    .proof(Evidence::text("selected", selected))
    .proof(Evidence::text("because", choice.why.clone()))
    .proof(Evidence::text("in the module cache", if choice.in_cache { "yes" } else { "no" }))
    .why(
        "GOTOOLCHAIN=auto switches to the version that go.mod asks for (cmd/go/internal/toolchain/select.go) and fetches it as \
         the module golang.org/toolchain, always checked against the checksum database.",
    )
    .verify("go version");
    draft.toolchain.clone_from(&choice.selected);
    draft.location = match &choice.decided_by {
        Some(
            goferry_env::Origin::Project { path, line }
            | goferry_env::Origin::GoEnvFile { path, line }
            | goferry_env::Origin::GoRootFile { path, line },
        ) => Some(Location { file: path.display().to_string(), line: *line }),
        _ => None,
    };
    vec![draft]
}
