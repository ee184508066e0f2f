//! Rule 3 of the house: one finding, one rule file, one page, one fault at least.

use std::collections::BTreeSet;

use goferry_diagnose::Id;
use goferry_lab::faults;

use super::Problems;
use crate::workspace::{Workspace, WorkspaceError};

const RULES: &str = "crates/diagnose/src/rules";
const FAULTS: &str = "crates/lab/src/faults";
/// Every page has these, in this order.
const SECTIONS: [&str; 5] = ["What is seen", "Why Go behaves so", "What it costs", "Remedies", "How to verify"];
/// Files among the rules that are none, and what the faults' folder has besides faults.
const NOT_RULES: [&str; 4] = ["mod", "draft", "judge", "shared"];
const NOT_FAULTS: [&str; 1] = ["tests"];

fn file_of(id: Id) -> String {
    format!("{RULES}/{}.rs", id.as_str().replace('-', "_"))
}

/// Each id has its three files.
pub(super) fn trios(workspace: &Workspace, files: &[String]) -> Result<Problems, WorkspaceError> {
    let mut problems = Problems::new();
    let caused: BTreeSet<&str> =
        faults::all().iter().flat_map(|fault| fault.findings).map(|finding| finding.id).collect();
    let mut server_tests = String::new();
    for file in files.iter().filter(|file| file.contains("/tests/servers") && file.ends_with(".rs")) {
        server_tests += &workspace.read(file)?;
    }
    for &id in Id::ALL {
        let rule = file_of(id);
        if !files.contains(&rule) {
            problems.push(format!("{rule}: is not there, and {id} has no rule"));
        }
        if files.contains(&id.page()) {
            problems.extend(page(id, &workspace.read(&id.page())?));
        } else {
            problems.push(format!("{}: is not there, and {id} has no page", id.page()));
        }
        if !caused.contains(id.as_str()) && !server_tests.contains(&format!("\"{id}\"")) {
            problems.push(format!("{FAULTS}: no fault causes {id}, and no test with a real server names it"));
        }
    }
    for unknown in caused.iter().filter(|id| Id::parse(id).is_none()) {
        problems.push(format!("{FAULTS}: a fault causes {unknown:?}, which is no id"));
    }
    Ok(problems)
}

/// A page begins with its id and has every section, in order.
fn page(id: Id, text: &str) -> Problems {
    let name = id.page();
    let mut problems = Problems::new();
    if text.lines().next() != Some(&format!("# {id}")) {
        problems.push(format!("{name}: does not begin with the line \"# {id}\""));
    }
    let headings: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let mut rest = headings.iter();
    for section in SECTIONS {
        if !rest.any(|heading| *heading == section) {
            problems.push(format!("{name}: the section \"{section}\" is missing or out of order"));
            break;
        }
    }
    problems
}

/// Each file among the rules and faults is one, and is compiled.
pub(super) fn orphans(workspace: &Workspace, files: &[String]) -> Result<Problems, WorkspaceError> {
    let mut problems = Problems::new();
    let rules: BTreeSet<String> = Id::ALL.iter().map(|id| file_of(*id)).collect();
    let modules = workspace.read(&format!("{RULES}/mod.rs"))?;
    for (file, stem) in modules_in(files, RULES) {
        if NOT_RULES.contains(&stem) {
            continue;
        }
        if !rules.contains(file) {
            problems.push(format!("{file}: there is no finding of this name"));
        }
        if !has_word(&modules, stem) {
            problems.push(format!("{file}: {RULES}/mod.rs does not name it"));
        }
    }
    let modules = workspace.read("crates/lab/src/faults.rs")?;
    for (file, stem) in modules_in(files, FAULTS) {
        if !NOT_FAULTS.contains(&stem) && !has_word(&modules, stem) {
            problems.push(format!("{file}: crates/lab/src/faults.rs does not name it"));
        }
    }
    for page in files.iter().filter_map(|file| file.strip_prefix("docs/findings/")?.strip_suffix(".md")) {
        if page != "README" && Id::parse(page).is_none() {
            problems.push(format!("docs/findings/{page}.md: there is no finding of this name"));
        }
    }
    Ok(problems)
}

/// The Rust files directly in `folder`, with their stems.
fn modules_in<'a>(files: &'a [String], folder: &str) -> impl Iterator<Item = (&'a String, &'a str)> {
    files.iter().filter_map(move |file| {
        let stem = file.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(".rs")?;
        (!stem.contains('/')).then_some((file, stem))
    })
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

/// The table of the findings has a row for each id, in order, with its title.
pub(super) fn index(workspace: &Workspace, _: &[String]) -> Result<Problems, WorkspaceError> {
    let name = "docs/findings/README.md";
    let text = workspace.read(name)?;
    let rows: Vec<(&str, &str)> = text.lines().filter_map(row).collect();
    let wanted: Vec<(&str, &str)> = Id::ALL.iter().map(|id| (id.as_str(), id.title())).collect();
    let differs = rows.iter().zip(&wanted).find(|(row, wanted)| row != wanted);
    Ok(match differs {
        Some((row, wanted)) => vec![format!("{name}: has {row:?} where {wanted:?} belongs")],
        None if rows.len() != wanted.len() => {
            vec![format!("{name}: has {} findings, there are {}", rows.len(), wanted.len())]
        }
        None => Problems::new(),
    })
}

/// `| [id](id.md) | title | …`
fn row(line: &str) -> Option<(&str, &str)> {
    let (link, rest) = line.strip_prefix("| [")?.split_once(" | ")?;
    let (id, file) = link.split_once("](")?;
    let title = rest.split(" | ").next()?;
    (file.strip_suffix(".md)")? == id).then_some((id, title))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_an_id_with_its_own_page_and_a_title() {
        assert_eq!(
            row("| [dns-slow](dns-slow.md) | Name resolution is slow | warning | x |"),
            Some(("dns-slow", "Name resolution is slow"))
        );
        assert_eq!(row("| [dns-slow](dns-failing.md) | Name resolution is slow | warning | x |"), None);
        assert_eq!(row("| id | title | severity | in one line |"), None);
    }

    #[test]
    fn a_page_without_a_section_is_found() {
        let whole = "# dns-slow\n\n## What is seen\n\n## Why Go behaves so\n\n## What it costs\n\n## Remedies\n\n## How to verify\n";
        assert_eq!(page(Id::DnsSlow, whole), Problems::new());
        let without = whole.replace("## Remedies\n", "");
        assert_eq!(
            page(Id::DnsSlow, &without),
            ["docs/findings/dns-slow.md: the section \"Remedies\" is missing or out of order"]
        );
        assert_eq!(
            page(Id::DnsFailing, whole),
            ["docs/findings/dns-failing.md: does not begin with the line \"# dns-failing\""]
        );
    }

    #[test]
    fn a_word_is_not_a_part_of_another() {
        assert!(has_word("mod goaway_churn;", "goaway_churn"));
        assert!(!has_word("mod goaway_churn_more;", "goaway_churn"));
    }
}
