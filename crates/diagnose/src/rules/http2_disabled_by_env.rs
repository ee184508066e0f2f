//! `GODEBUG=http2client=0` in the environment of the go command.

use crate::case::Case;
use crate::finding::{Evidence, Id, Location};
use crate::price::Change;

use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::Http2DisabledByEnv, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let Some(value) = case.environment.godebug("http2client").filter(|value| *value == "0") else {
        return Vec::new();
    };
    let setters: Vec<_> = case
        .setters
        .iter()
        .filter(|setter| setter.var == "GODEBUG" && setter.counts_here && setter.value.contains("http2client=0"))
        .collect();
    let mut draft = Draft::new(
        Id::Http2DisabledByEnv,
        "GODEBUG=http2client=0 makes the go command speak HTTP/1.1",
        Effect::Costs(Change::SharedHttp2),
    )
    .proof(Evidence::text("GODEBUG in the environment", format!("http2client={value}")))
    .proofs(setters.iter().map(|setter| {
        Evidence::text(format!("set in {}:{}", setter.file.display(), setter.line), setter.text.clone())
    }))
    .why(
        "With http2client=0 net/http's Transport offers no h2 (net/http/transport.go, onceSetNextProtoDefaults) and \
         keeps 2 idle connections a host: with more than 2 requests at once connections are opened and thrown away.",
    )
    .verify("GODEBUG=http2debug=1 go mod download 2>&1 | grep -c 'creating client conn'");
    if let Some(path) = case.main_path() {
        draft = draft.on(path).proofs(path.tls().and_then(|tls| tls.alpn.clone()).map(|alpn| {
            Evidence::text("what the server would choose", alpn)
        }));
    }
    draft.location = setters
        .first()
        .map(|setter| Location { file: setter.file.display().to_string(), line: setter.line });
    vec![draft]
}
