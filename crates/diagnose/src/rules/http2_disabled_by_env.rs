//! `GODEBUG=http2client=0` in the environment of the go command.

use goferry_env::setters::Setter;

use crate::case::Case;
use crate::finding::{Confidence, Evidence, Id, Location};
use crate::price::Change;

use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::Http2DisabledByEnv, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let setters: Vec<&Setter> = case
        .setters
        .iter()
        .filter(|setter| setter.var == "GODEBUG" && setter.counts_here && setter.value.contains("http2client=0"))
        .collect();
    let Some(value) = case.environment.godebug("http2client").filter(|value| *value == "0") else {
        return elsewhere(&setters);
    };
    // What a file says explains the value here only if it is the same.
    let setters: Vec<&Setter> = setters.into_iter().filter(|setter| setter.matches_process).collect();
    let mut draft = Draft::new(
        Id::Http2DisabledByEnv,
        "GODEBUG=http2client=0 makes the go command speak HTTP/1.1",
        Effect::Costs(Change::SharedHttp2),
    )
    .proof(Evidence::text(super::GODEBUG_IN_FORCE, format!("http2client={value}")))
    .proofs(
        setters.iter().map(|setter| {
            Evidence::text(format!("set in {}:{}", setter.file.display(), setter.line), setter.text.clone())
        }),
    )
    .why(
        "With http2client=0 net/http's Transport offers no h2 (net/http/transport.go, onceSetNextProtoDefaults) and \
         keeps 2 idle connections a host: with more than 2 requests at once connections are opened and thrown away.",
    )
    .verify("GODEBUG=http2debug=1 go mod download 2>&1 | grep -c 'creating client conn'");
    if let Some(path) = case.main_path() {
        draft = draft.on(path).proofs(
            path.tls()
                .and_then(|tls| tls.alpn.clone())
                .map(|alpn| Evidence::text("what the server would choose", alpn)),
        );
    }
    draft.location =
        setters.first().map(|setter| Location { file: setter.file.display().to_string(), line: setter.line });
    vec![draft]
}

/// Not in force here, but where one of these files applies: a container, a CI job, another shell.
fn elsewhere(setters: &[&Setter]) -> Vec<Draft> {
    let Some(first) = setters.first() else { return Vec::new() };
    let place = format!("{}:{}", first.file.display(), first.line);
    let mut draft =
        Draft::new(
            Id::Http2DisabledByEnv,
            format!("GODEBUG=http2client=0 is not in force here, but {place} sets it"),
            Effect::Notes(None),
        )
        .confidence(Confidence::Possible)
        .proof(Evidence::text("GODEBUG in this environment", "has no http2client=0"))
        .proofs(setters.iter().take(4).map(|setter| {
            Evidence::text(format!("set in {}:{}", setter.file.display(), setter.line), setter.text.clone())
        }))
        .why("Only the environment of the go command counts: where that file applies, its downloads go over HTTP/1.1.")
        .verify("go env -changed; env | grep GODEBUG");
    draft.location = Some(Location { file: first.file.display().to_string(), line: first.line });
    vec![draft]
}
