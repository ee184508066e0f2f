//! A go line below 1.17: the go command reads the `.mod` files of the whole graph.

use crate::case::Case;
use crate::finding::{Confidence, Evidence, Id};
use crate::price::Change;
use crate::pricing::go_line_below_117;

use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::UnprunedGraph, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let Some(project) = case.project.filter(|project| !project.pruned) else { return Vec::new() };
    // Go takes a go.mod without a go line for 1.16 (cmd/go/internal/gover, DefaultGoModVersion).
    let line = project.go_line.as_deref().unwrap_or("1.16");
    if !go_line_below_117(line) {
        return Vec::new();
    }
    let requires = u32::try_from(project.requires.len()).unwrap_or(u32::MAX);
    let draft = Draft::new(
        Id::UnprunedGraph,
        format!(
            "go {line} in go.mod: the whole module graph is read, {} .mod files for {requires} requirements",
            project.graph_mod_files
        ),
        Effect::Costs(Change::PrunedGraph(requires.max(1))),
    )
    .confidence(Confidence::Derived)
    .proof(Evidence::text("go line", line))
    .proof(Evidence::number("requirements in go.mod", f64::from(requires), ""))
    .proof(Evidence::number(".mod hashes in go.sum", project.graph_mod_files as f64, ""))
    .why(
        "From go 1.17 on go.mod lists every module that is needed, and the graph below pruned modules is not read \
         (cmd/go/internal/modload/buildlist.go). Below, each level of the graph waits for the one above.",
    )
    .verify("go mod download -x 2>&1 | grep -c '\\.mod$'");
    vec![draft]
}
