//! What each row of the page was measured with. Rows that are kept were measured before, perhaps with something else.

use std::fmt::Write as _;

use super::super::rows::{self, Row};
use crate::bench::{GOMAXPROCS, LONG};

/// The section, whose title other text links to.
const TITLE: &str = "\n## What the rows were measured with\n";
/// Of rows of a page that does not say it.
const UNKNOWN: &str = "not recorded";
/// Between rows in a cell.
const AND: &str = "; ";

/// What the figures were measured with.
#[derive(Debug)]
pub(in super::super) struct Facts {
    pub(in super::super) machine: String,
    pub(in super::super) nginx: String,
    pub(in super::super) h2load: String,
    pub(in super::super) go: String,
    pub(in super::super) goferry: String,
    /// The beginning of the binary's SHA-256.
    pub(in super::super) sha256: String,
    /// Its version; `None` where it was not measured.
    pub(in super::super) goproxy: Option<String>,
    /// Whether it is the release build of this checkout.
    pub(in super::super) built_here: bool,
    /// Of the folder in memory and of the one on disk.
    pub(in super::super) file_systems: [String; 2],
    pub(in super::super) quick: bool,
    pub(in super::super) long_once: bool,
}

impl Facts {
    /// In words, for a cell.
    fn words(&self) -> String {
        let Self { machine, nginx, h2load, go, goferry, sha256, goproxy, file_systems: [memory, disk], .. } = self;
        let build = if self.built_here { "release build" } else { "a binary that was given" };
        let mut text = format!("{go} with GOMAXPROCS={GOMAXPROCS}; {goferry}, {build}, SHA-256 {sha256}…; ");
        if let Some(version) = goproxy {
            let _ = write!(text, "{version}, built from its source, cache in a folder; ");
        }
        let _ = write!(text, "{nginx}; {h2load}; caches on {memory}, stores on {disk}; {machine}");
        if self.long_once {
            let _ = write!(text, "; what takes more than {LONG:.0} s once");
        }
        if self.quick {
            text += "; **short runs for a trial: no figures to keep**";
        }
        text.replace('|', "/")
    }
}

/// The section: rows that were measured with the same in one line. `done` were measured now, `kept` are of the page
/// `before`.
pub(super) fn section(facts: &Facts, done: &[Row], kept: &[Row], before: Option<&str>) -> String {
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    for row in rows::all() {
        let with = if done.contains(&row) {
            facts.words()
        } else if kept.contains(&row) {
            before.and_then(|before| recorded(&row, before)).unwrap_or(UNKNOWN).to_owned()
        } else {
            continue;
        };
        match lines.iter_mut().find(|line| line.0 == with) {
            Some((_, names)) => names.push(name(&row)),
            None => lines.push((with, vec![name(&row)])),
        }
    }
    let mut text = format!("{TITLE}\n| rows | with |\n|---|---|\n");
    for (with, names) in lines {
        let _ = writeln!(text, "| {} | {with} |", names.join(AND));
    }
    text
}

/// What a page says that a row was measured with.
fn recorded<'a>(row: &Row, page: &'a str) -> Option<&'a str> {
    let (_, section) = page.split_once(TITLE)?;
    let name = name(row);
    section.lines().find_map(|line| {
        let (names, with) = line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | ")?;
        names.split(AND).any(|one| one == name).then_some(with)
    })
}

/// What this section and the list of missing rows call a row.
pub(super) fn name(row: &Row) -> String {
    row.tags().join(", ")
}
