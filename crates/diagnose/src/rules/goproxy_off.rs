//! GOPROXY=off.

use goferry_module::ProxyTarget;

use crate::case::Case;
use crate::finding::{Confidence, Evidence, Id, Location};

use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::GoproxyOff, judge };

fn judge(case: &Case<'_>) -> Vec<Draft> {
    if case.environment.goproxy.entries().first().is_none_or(|entry| entry.target != ProxyTarget::Off) {
        return Vec::new();
    }
    let fetches = case.project.map_or(&[][..], |project| &project.to_fetch);
    let missing = fetches.iter().filter(|fetch| fetch.cached_zip.is_none()).count();
    let value = case.environment.environment.get("GOPROXY");
    let (title, effect) = if missing > 0 {
        (format!("GOPROXY=off forbids downloads, and {missing} modules are not in the cache"), Effect::Fails)
    } else {
        ("GOPROXY=off forbids downloads; nothing that this project needs is missing".to_owned(), Effect::Notes(None))
    };
    let mut draft = Draft::new(Id::GoproxyOff, title, effect)
        .confidence(Confidence::Derived)
        .proofs(value.map(|value| Evidence::text("GOPROXY", format!("{} ({})", value.masked(), value.origin))))
        .proof(Evidence::number("modules not in the module cache", missing as f64, ""))
        .proof(Evidence::number("modules of the project", fetches.len() as f64, ""))
        .why("With off the go command fails at the first module that is not in the cache: \"module lookup disabled by GOPROXY=off\".")
        .verify("go env GOPROXY && go mod download");
    draft.location = value.and_then(|value| match &value.origin {
        goferry_env::Origin::GoEnvFile { path, line } | goferry_env::Origin::GoRootFile { path, line } => {
            Some(Location { file: path.display().to_string(), line: *line })
        }
        _ => None,
    });
    vec![draft]
}
