//! Few requests at once, because GOMAXPROCS is small.

use goferry_env::gomaxprocs::Why;

use crate::case::Case;
use crate::finding::{Confidence, Evidence, Id, Location};
use crate::price::Change;

use super::{Draft, Effect, Rule};

pub(super) const RULE: Rule = Rule { id: Id::GomaxprocsLow, judge };

/// Downloads are waiting, not computing: so many at once is useful on any machine.
const USEFUL: u32 = 8;

fn judge(case: &Case<'_>) -> Vec<Draft> {
    let procs = &case.environment.gomaxprocs;
    if procs.value >= USEFUL || case.main_path().is_none_or(|path| !path.serves()) {
        return Vec::new();
    }
    let (source, restricted) = match &procs.why {
        Why::Env => ("the environment variable".to_owned(), procs.value < procs.num_cpu || procs.value == 1),
        Why::Affinity { cpus } => (format!("{cpus} CPUs"), false),
        Why::CgroupQuota { file, quota } => (format!("a CPU quota of {quota:.1} in {}", file.display()), true),
    };
    let change = Change::Procs(USEFUL);
    // A small machine is no fault: it is worth a word only where it costs something.
    if !restricted && super::judge::is_small(case, &super::judge::saving(case, &change)) {
        return Vec::new();
    }
    let effect = if restricted { Effect::Costs(change) } else { Effect::Notes(Some(change)) };
    let setter =
        case.setters.iter().find(|setter| setter.var == "GOMAXPROCS" && setter.counts_here && setter.matches_process);
    let mut draft = Draft::new(
        Id::GomaxprocsLow,
        format!("GOMAXPROCS is {} (from {source}): so many requests at once", procs.value),
        effect,
    )
    .confidence(Confidence::Derived)
    .proof(Evidence::number("GOMAXPROCS of the go command", f64::from(procs.value), ""))
    .proof(Evidence::text("decided by", source))
    .proof(Evidence::number("CPUs", f64::from(procs.num_cpu), ""))
    .proofs(setter.map(|setter| Evidence::text(format!("set in {}:{}", setter.file.display(), setter.line), setter.text.clone())))
    .why(
        "The width of the .mod queue and of the zip semaphore is GOMAXPROCS (cmd/go/internal/modload/buildlist.go, \
         cmd/go/internal/modcmd/download.go). Requests wait for the network, so more of them than processors is right for \
         downloads.",
    )
    .verify("GOMAXPROCS=8 go mod download");
    draft.location = setter.map(|setter| Location { file: setter.file.display().to_string(), line: setter.line });
    vec![draft]
}
