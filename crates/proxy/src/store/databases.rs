//! What a store keeps of checksum databases, held against what they have signed. Nobody is asked.

use std::fs;
use std::path::{Path, PathBuf};

use goferry_fetch::FetchError;
use goferry_fetch::sumdb::kept::{Verdict, look};
use goferry_module::SumDb;
use goferry_module::sumdb::{Database, Verifier};

use super::{OWN, put_aside};

/// Folders within each other that are looked at: a name of a database is `host[/path]`.
const MAX_DEPTH: usize = 16;
/// Why a signed tree head is accused.
const TWO_HISTORIES: &str = "SECURITY ERROR: its signed tree head contradicts the others that are kept: the checksum database \
                             has shown two histories (docs/store.md)";

/// What looking at the files of checksum databases has shown.
#[derive(Clone, Debug, Default)]
pub struct DatabaseAudit {
    /// Files that are what the database has signed.
    pub proven: usize,
    /// Files that are of their form, and nothing that is kept proves them.
    pub unproven: usize,
    /// Files that are not what they should be.
    pub damaged: Vec<DamagedAnswer>,
    /// Databases whose key is not known: nothing of them is proven.
    pub unknown: Vec<String>,
    /// What could not be read, and why.
    pub unreadable: Vec<String>,
}

/// An answer of a checksum database that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedAnswer {
    /// Its file, below the store.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
    /// Whether it is in quarantine now.
    pub quarantined: bool,
}

/// Looks at all answers of checksum databases that the store keeps. The keys are those of `known`, and those that the go
/// command knows. With `repair` what is damaged goes into quarantine; of two histories nobody here can tell the right one:
/// they stay. Blocks.
///
/// # Errors
/// Where what is damaged cannot be put aside.
pub fn audit_databases(dir: &Path, known: &[Database], repair: bool) -> Result<DatabaseAudit, FetchError> {
    let mut audit = DatabaseAudit::default();
    let mut names = Vec::new();
    find(&dir.join("sumdb"), "", 0, &mut names);
    find(&dir.join(OWN).join("sumdb"), "", 0, &mut names);
    names.sort();
    names.dedup();
    for name in names {
        let verifier = verifier(&name, known);
        let latest = dir.join(OWN).join("sumdb").join(&name).join("latest");
        let seen = match look(&dir.join("sumdb").join(&name), &latest, verifier.as_ref()) {
            Ok(seen) => seen,
            Err(error) => {
                audit.unreadable.push(format!("the checksum database {name}: {error}"));
                continue;
            }
        };
        if verifier.is_none() && !seen.is_empty() {
            audit.unknown.push(name);
        }
        for (path, verdict) in seen {
            let below = path.strip_prefix(dir).unwrap_or(&path).to_owned();
            let (reason, repair) = match verdict {
                Verdict::Proven => {
                    audit.proven += 1;
                    continue;
                }
                Verdict::Unproven => {
                    audit.unproven += 1;
                    continue;
                }
                Verdict::Damaged(reason) => (reason, repair),
                Verdict::Contradicts => (TWO_HISTORIES.to_owned(), false),
            };
            let quarantined = repair && put_aside(dir, &below, &below.display().to_string())?.is_some();
            audit.damaged.push(DamagedAnswer { path: below, reason, quarantined });
        }
    }
    Ok(audit)
}

fn verifier(name: &str, known: &[Database]) -> Option<Verifier> {
    if let Some(database) = known.iter().find(|database| database.name == name) {
        return Some(database.verifier());
    }
    match SumDb::parse(name) {
        Ok(SumDb::On(database)) if database.name == name => Some(database.verifier()),
        _ => None,
    }
}

/// The names of the databases below a folder.
fn find(folder: &Path, name: &str, depth: usize, names: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (Ok(kind), Ok(part)) = (entry.file_type(), entry.file_name().into_string()) else { continue };
        if matches!(part.as_str(), "lookup" | "tile" | "latest") && !name.is_empty() {
            names.push(name.to_owned());
        } else if kind.is_dir() && depth < MAX_DEPTH {
            let below = if name.is_empty() { part.clone() } else { format!("{name}/{part}") };
            find(&entry.path(), &below, depth + 1, names);
        }
    }
}
