//! `cargo xtask check`: what no compiler and no test sees. Orphans first: an id without its rule, page or fault.

mod findings;
mod links;
mod places;

use crate::say::say;
use crate::workspace::{Workspace, WorkspaceError};

/// Why the check did not pass.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    /// So many things were found; each was printed.
    #[error("{0} found")]
    Found(String),
    /// The files cannot be read.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
}

/// What was found, one line each: the file, then what is wrong with it.
type Problems = Vec<String>;

/// One kind of check: its name, and what finds its problems.
type Check = (&'static str, fn(&Workspace, &[String]) -> Result<Problems, WorkspaceError>);

const CHECKS: [Check; 9] = [
    ("every finding has its rule, page and fault", findings::trios),
    ("every rule and fault file is used", findings::orphans),
    ("docs/findings/README.md lists every finding", findings::index),
    ("relative links in Markdown resolve", links::markdown),
    ("evidence is generated", places::evidence),
    ("JSON files are JSON", places::json),
    ("no file is overlong", places::long),
    ("no path of one machine", places::machine),
    ("rooms use only the rooms below them", places::rooms),
];

/// Runs every check and prints what it finds.
///
/// # Errors
/// When something was found, and when the files cannot be read.
pub(crate) fn run(workspace: &Workspace) -> Result<(), CheckError> {
    let files = workspace.files()?;
    let mut found = 0;
    for (name, check) in CHECKS {
        let problems = check(workspace, &files)?;
        say!("    {} {name}", if problems.is_empty() { "ok    " } else { "FAILED" });
        for problem in &problems {
            say!("           {problem}");
        }
        found += problems.len();
    }
    match found {
        0 => Ok(()),
        1 => Err(CheckError::Found("one problem".to_owned())),
        n => Err(CheckError::Found(format!("{n} problems"))),
    }
}
