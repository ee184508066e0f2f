//! Modules come from version control systems, not from a module proxy.

use goferry_module::ProxyTarget;

use crate::case::Case;
use crate::finding::{Confidence, Evidence, Id};

use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::GoproxyDirect, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let all = case.environment.goproxy.entries().first().is_some_and(|entry| entry.target == ProxyTarget::Direct);
    let fetches = case.project.map_or(&[][..], |project| &project.to_fetch);
    let private = fetches.iter().filter(|fetch| fetch.private).count();
    if !all && private == 0 {
        return Vec::new();
    }
    let origin = |name: &str| {
        case.environment.environment.get(name).map(|value| format!("{} ({})", value.masked(), value.origin))
    };
    let (title, effect) = if all {
        ("GOPROXY=direct: every module is fetched from its own version control system".to_owned(), Effect::Warns)
    } else {
        (
            format!("{private} of {} modules go past the module proxy, to version control", fetches.len()),
            Effect::Notes(None),
        )
    };
    let mut draft = Draft::new(Id::GoproxyDirect, title, effect).confidence(Confidence::Derived);
    for name in ["GOPROXY", "GONOPROXY", "GOPRIVATE"] {
        draft = draft
            .proofs(origin(name).filter(|value| !value.starts_with(" (")).map(|value| Evidence::text(name, value)));
    }
    let draft = draft
        .proof(Evidence::number("modules that are fetched directly", if all { fetches.len() } else { private } as f64, ""))
        .why(
            "A direct fetch asks https://<path>?go-get=1 and then clones with git or another tool, one process after another \
             (cmd/go/internal/modfetch/codehost): seconds a module, where a proxy serves a zip in a round trip.",
        )
        .verify("go env GOPROXY GONOPROXY");
    vec![draft]
}
