//! `goferry store`: what is in the folder that `goferry serve` keeps modules in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use goferry_env::{Environment, Inputs};
use goferry_fetch::FetchError;
use goferry_module::sumdb::Database;
use goferry_module::{ModulePath, SumDb, Version};
use goferry_proxy::store::audit::{Audit, audit};
use goferry_proxy::store::databases::{DatabaseAudit, audit_databases};
use goferry_proxy::store::prune::{Forgotten, Limits, Pruned, forget, prune};
use goferry_proxy::store::scan::{Held, Other, OtherKind, Scan, rfc3339};
use serde_json::{Value, json};

use crate::args::store::{Store, What};
use crate::exit_code;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;
use crate::suggest::nearest;

/// The name and version of the schema of what is printed as JSON (docs/schema/store-1.json).
const FORMAT: &str = "goferry.store/1";
/// How often progress is shown.
const PROGRESS: Duration = Duration::from_millis(100);

/// Does what is asked.
pub(crate) fn run(args: &Store, printer: &Printer) -> Outcome {
    let dir = match &args.store {
        Some(dir) => dir.clone(),
        None => crate::serve::store(&Inputs::from_process("."))
            .ok_or_else(|| Failure::usage("there is no cache folder: name a store with --store"))?,
    };
    if let What::Forget { module } = &args.what {
        let forgotten = forgotten(&dir, module)?;
        return finish(args, printer, &text_of_forgotten(module, &forgotten), &json_of_forgotten(&forgotten), false);
    }
    printer.progress(&format!("looking through {}", dir.display()));
    let scan = Scan::of(&dir).map_err(failure)?;
    scan.refuse_other_folders(&dir).map_err(failure)?;
    for line in &scan.unreadable {
        printer.note(&format!("cannot be read: {line}"));
    }
    match &args.what {
        What::List { module } => {
            let wanted = |held: &&Held| module.as_deref().is_none_or(|name| is_named(held, name));
            let held: Vec<&Held> = scan.versions.iter().filter(wanted).collect();
            let absent = module.as_deref().filter(|_| held.is_empty());
            let code = finish(args, printer, &text_of_list(&held), &json_of_list(&held), absent.is_some())?;
            if let Some(name) = absent {
                printer.failure(&absent_from(&scan, name, &dir));
            }
            Ok(code)
        }
        What::Size => finish(args, printer, &text_of_size(&scan), &json_of_size(&scan), false),
        What::Verify { repair } => {
            let last = std::sync::Mutex::new(Instant::now());
            let progress = |done: usize, all: usize| {
                if let Ok(mut last) = last.try_lock()
                    && last.elapsed() >= PROGRESS
                {
                    *last = Instant::now();
                    printer.progress(&format!("verifying: {done} of {all} versions"));
                }
            };
            let seen = audit(&dir, &scan, *repair, &progress).map_err(failure)?;
            printer.progress("verifying: what checksum databases have answered");
            let answers = audit_databases(&dir, &databases(), *repair).map_err(failure)?;
            let text = text_of_audit(&seen, &scan, *repair) + &text_of_databases(&answers);
            let mut json = json_of_audit(&seen, &scan);
            json["sumdb"] = json_of_databases(&answers);
            let wrong = [seen.damaged.len(), seen.unreadable.len(), answers.damaged.len(), answers.unreadable.len()];
            finish(args, printer, &text, &json, wrong != [0; 4])
        }
        What::Prune { max_size, older_than, dry_run } => {
            let limits = Limits { max_size: *max_size, older_than: *older_than, keep: Duration::ZERO };
            let pruned = prune(&dir, &scan, &limits, *dry_run).map_err(failure)?;
            if let Some(most) = max_size.filter(|most| pruned.left > *most) {
                let left = bytes(pruned.left);
                printer.note(&format!("{left} are left, more than {}: the rest is no file of a version", bytes(most)));
            }
            finish(args, printer, &text_of_pruned(&pruned, *dry_run), &json_of_pruned(&pruned, *dry_run), false)
        }
        What::Forget { .. } => Ok(exit_code::OK),
    }
}

fn finish(args: &Store, printer: &Printer, text: &str, value: &Value, found: bool) -> Outcome {
    let shown = if args.json { format!("{value:#}") } else { text.to_owned() };
    if !shown.is_empty() {
        printer.result(&shown)?;
    }
    Ok(if found { exit_code::FOUND } else { exit_code::OK })
}

fn failure(error: FetchError) -> Failure {
    let failure = Failure::failed(error.to_string());
    match error.advice {
        Some(advice) => failure.hint(advice),
        None => failure,
    }
}

/// Whether it is meant by `MODULE`, a path above one, or `MODULE@VERSION`.
fn is_named(held: &Held, name: &str) -> bool {
    match name.split_once('@') {
        Some((path, version)) => held.module.path().as_str() == path && held.module.version().as_str() == version,
        None => is_below(held.module.path(), name),
    }
}

fn is_below(path: &ModulePath, above: &str) -> bool {
    let above = above.trim_end_matches('/');
    path.as_str().strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// That the store has nothing of this name, and what it has that may be meant.
fn absent_from(scan: &Scan, name: &str, dir: &Path) -> Failure {
    let message = format!("nothing of {name} is in the store {}", dir.display());
    let failure = Failure { code: exit_code::FOUND, ..Failure::failed(message) };
    let (path, version) = name.split_once('@').map_or((name, None), |(path, version)| (path, Some(version)));
    let there = scan.versions.iter().filter(|held| held.module.path().as_str() == path);
    // The highest one is the last.
    let versions: Vec<&str> = there.map(|held| held.module.version().as_str()).collect();
    if let (Some(highest), Some(_)) = (versions.last(), version) {
        return failure.hint(format!("of {path} it has {}, up to {highest}", counted(versions.len(), "version")));
    }
    let paths: BTreeSet<&str> = scan.versions.iter().map(|held| held.module.path().as_str()).collect();
    failure.hint(match nearest(path, paths.iter().copied()) {
        Some(near) => format!("did you mean {near}? `goferry store list` lists all"),
        None if paths.is_empty() => "it has no module".to_owned(),
        None => format!("`goferry store list` lists all that it has: {}", counted(paths.len(), "module")),
    })
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn forgotten(dir: &Path, module: &str) -> Result<Forgotten, Failure> {
    let (path, version) = module.split_once('@').map_or((module, None), |(path, version)| (path, Some(version)));
    let path = ModulePath::parse(path).map_err(|error| Failure::usage(error.to_string()))?;
    let version = version.map(Version::parse).transpose().map_err(|error| Failure::usage(error.to_string()))?;
    forget(dir, &path, version.as_ref()).map_err(failure)
}

fn text_of_list(held: &[&Held]) -> String {
    let mut text = String::new();
    for held in held {
        let there = |what, is: Option<u64>| if is.is_some() { what } else { "-" };
        let files = [there("info", held.info), there("mod", held.go_mod), there("zip", held.zip)]
            .map(|word| format!("{word:<4}"));
        let used = held.used().map_or_else(|| "never".to_owned(), ago);
        let _ = writeln!(text, "{}  {:>8}  {used:>12}  {}", files.join(" "), bytes(held.bytes()), held.module);
    }
    text
}

fn json_of_list(held: &[&Held]) -> Value {
    let one = |held: &&Held| {
        json!({
            "module": held.module.path().as_str(),
            "version": held.module.version().as_str(),
            "info": held.info.is_some(),
            "mod": held.go_mod.is_some(),
            "zip": held.zip.is_some(),
            "bytes": held.bytes(),
            "last_use": held.used().map(rfc3339),
            "zip_last_use": held.zip_used.map(rfc3339),
        })
    };
    json!({ "format": FORMAT, "command": "list", "versions": held.iter().map(one).collect::<Vec<_>>() })
}

fn by_module(scan: &Scan) -> Vec<(&ModulePath, usize, u64)> {
    let mut modules: BTreeMap<&str, (&ModulePath, usize, u64)> = BTreeMap::new();
    for held in &scan.versions {
        let path = held.module.path();
        let sum = modules.entry(path.as_str()).or_insert((path, 0, 0));
        sum.1 += 1;
        sum.2 += held.bytes();
    }
    let mut modules: Vec<_> = modules.into_values().collect();
    modules.sort_by_key(|(_, _, bytes)| std::cmp::Reverse(*bytes));
    modules
}

/// What is not of a module, with its space.
fn rest(scan: &Scan) -> [(&'static str, &'static str, u64); 6] {
    let others = scan.others.iter().map(|other| other.bytes).sum();
    [
        ("lists", "lists and locks", scan.lists),
        ("sumdb", "checksum database", scan.sumdb),
        ("own", "hashes and names (.goferry)", scan.own),
        ("direct", "go commands that clone (.goferry/direct)", scan.direct),
        ("quarantine", "quarantine (.goferry/quarantine)", scan.quarantine),
        ("other", "temporary and stray files", others),
    ]
}

fn text_of_size(scan: &Scan) -> String {
    let mut text = String::new();
    for (path, versions, size) in by_module(scan) {
        let _ = writeln!(text, "{:>8}  {path}, {}", bytes(size), counted(versions, "version"));
    }
    for (_, name, size) in rest(scan).into_iter().filter(|(_, _, size)| *size > 0) {
        let _ = writeln!(text, "{:>8}  {name}", bytes(size));
    }
    let _ = writeln!(text, "{:>8}  in all", bytes(scan.bytes()));
    text
}

fn json_of_size(scan: &Scan) -> Value {
    let modules: Vec<Value> = by_module(scan)
        .into_iter()
        .map(|(path, versions, bytes)| json!({ "module": path.as_str(), "versions": versions, "bytes": bytes }))
        .collect();
    let mut value = json!({ "format": FORMAT, "command": "size", "bytes": scan.bytes(), "modules": modules });
    for (key, _, bytes) in rest(scan) {
        value[key] = bytes.into();
    }
    value
}

fn text_of_audit(seen: &Audit, scan: &Scan, repair: bool) -> String {
    let mut text = String::new();
    for damaged in &seen.damaged {
        say_damaged(&mut text, &damaged.reason, damaged.quarantined);
    }
    say_unreadable(&mut text, &seen.unreadable);
    for other in &scan.others {
        let _ = writeln!(text, "{}: {}", other.kind.name(), other.path.display());
    }
    let damaged = match seen.damaged.len() {
        0 => "none damaged".to_owned(),
        count if repair => format!("{count} damaged, in quarantine"),
        count => format!("{count} damaged; --repair puts them into quarantine"),
    };
    let _ = write!(text, "{} files are good", seen.sound);
    if seen.unpinned > 0 {
        let _ = write!(text, " ({} of them could be held against no hash)", seen.unpinned);
    }
    let _ = writeln!(text, ", {damaged}");
    text
}

fn say_damaged(text: &mut String, what: &str, quarantined: bool) {
    let put = if quarantined { " (in quarantine now)" } else { "" };
    let _ = writeln!(text, "damaged: {}{put}", what.replace('\n', " "));
}

fn say_unreadable(text: &mut String, lines: &[String]) {
    for line in lines {
        let _ = writeln!(text, "cannot be read: {line}");
    }
}

fn json_of_audit(seen: &Audit, scan: &Scan) -> Value {
    let damaged: Vec<Value> = seen
        .damaged
        .iter()
        .map(|one| {
            json!({
                "module": one.module.path().as_str(),
                "version": one.module.version().as_str(),
                "file": one.kind.extension(),
                "reason": one.reason,
                "quarantined": one.quarantined,
            })
        })
        .collect();
    let of = |kinds: &[OtherKind]| -> Vec<String> {
        let wanted = |other: &&Other| kinds.contains(&other.kind);
        scan.others.iter().filter(wanted).map(|other| other.path.display().to_string()).collect()
    };
    json!({
        "format": FORMAT,
        "command": "verify",
        "good": seen.sound,
        "without_hash": seen.unpinned,
        "damaged": damaged,
        "unreadable": seen.unreadable,
        "temporary": of(&[OtherKind::Temporary]),
        "partial": of(&[OtherKind::Partial]),
        "stray": of(&[OtherKind::Stray, OtherKind::Link]),
    })
}

/// The checksum database of the go command here.
fn databases() -> Vec<Database> {
    let inputs = Inputs::from_process(".");
    let resolved = Environment::resolve(&inputs).ok();
    let gosumdb = resolved.as_ref().map(|env| env.value("GOSUMDB")).or_else(|| inputs.var("GOSUMDB"));
    match gosumdb.map(SumDb::parse) {
        Some(Ok(SumDb::On(database))) => vec![*database],
        _ => Vec::new(),
    }
}

fn text_of_databases(seen: &DatabaseAudit) -> String {
    let mut text = String::new();
    for damaged in &seen.damaged {
        say_damaged(&mut text, &format!("{}: {}", damaged.path.display(), damaged.reason), damaged.quarantined);
    }
    say_unreadable(&mut text, &seen.unreadable);
    for name in &seen.unknown {
        let _ = writeln!(text, "not proven: {name}: its key is not known; name it: GOSUMDB={name}+HASH+KEY");
    }
    if seen.proven + seen.unproven + seen.damaged.len() > 0 {
        let damaged = if seen.damaged.is_empty() { "none".to_owned() } else { seen.damaged.len().to_string() };
        let (proven, unproven) = (seen.proven, seen.unproven);
        let _ = write!(text, "answers of checksum databases: {proven} are what was signed");
        if unproven > 0 {
            let _ = write!(text, ", {unproven} could be held against nothing signed");
        }
        let _ = writeln!(text, ", {damaged} damaged");
    }
    text
}

fn json_of_databases(seen: &DatabaseAudit) -> Value {
    let damaged: Vec<Value> = seen
        .damaged
        .iter()
        .map(|one| json!({ "path": one.path.display().to_string(), "reason": one.reason, "quarantined": one.quarantined }))
        .collect();
    json!({
        "proven": seen.proven,
        "unproven": seen.unproven,
        "damaged": damaged,
        "unknown": seen.unknown,
        "unreadable": seen.unreadable,
    })
}

fn text_of_pruned(pruned: &Pruned, dry_run: bool) -> String {
    let mut text = String::new();
    for victim in &pruned.victims {
        let files = if victim.zip { "zip" } else { "info, mod" };
        let used = victim.used.map_or_else(|| "never".to_owned(), ago);
        let _ = writeln!(text, "{:>8}  {used:>12}  {} ({files})", bytes(victim.bytes), victim.module);
    }
    for module in &pruned.busy {
        let _ = writeln!(text, "in use by another process, kept: {module}");
    }
    if pruned.quarantined > 0 {
        let _ = writeln!(text, "files of the quarantine: {}", pruned.quarantined);
    }
    let (freed, left) = (bytes(pruned.freed), bytes(pruned.left));
    let verb = if dry_run { "would be removed" } else { "removed" };
    let _ = writeln!(text, "{freed} {verb}, {left} left");
    text
}

fn json_of_pruned(pruned: &Pruned, dry_run: bool) -> Value {
    let one = |victim: &goferry_proxy::store::prune::Victim| {
        json!({
            "module": victim.module.path().as_str(),
            "version": victim.module.version().as_str(),
            "files": if victim.zip { json!(["zip", "ziphash"]) } else { json!(["info", "mod"]) },
            "bytes": victim.bytes,
            "last_use": victim.used.map(rfc3339),
        })
    };
    json!({
        "format": FORMAT,
        "command": "prune",
        "dry_run": dry_run,
        "removed": pruned.victims.iter().map(one).collect::<Vec<_>>(),
        "quarantined": pruned.quarantined,
        "in_use": pruned.busy.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "freed": pruned.freed,
        "left": pruned.left,
    })
}

fn text_of_forgotten(module: &str, forgotten: &Forgotten) -> String {
    if forgotten.versions.is_empty() {
        return format!("nothing was known of {module}");
    }
    forgotten.versions.iter().map(|module| format!("forgotten: {module}\n")).collect()
}

fn json_of_forgotten(forgotten: &Forgotten) -> Value {
    let versions: Vec<String> = forgotten.versions.iter().map(ToString::to_string).collect();
    json!({ "format": FORMAT, "command": "forget", "forgotten": versions, "freed": forgotten.freed })
}

fn ago(when: SystemTime) -> String {
    let seconds = SystemTime::now().duration_since(when).unwrap_or_default().as_secs();
    match seconds {
        0..60 => "just now".to_owned(),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// Decimal units.
fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.0} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.2} GB", count as f64 / 1e9),
    }
}
