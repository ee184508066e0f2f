//! The order of lines in blocks, and lines that say the same twice (`SortBlocks`, `removeDups`).

use std::cmp::Ordering;
use std::collections::HashSet;
use std::hash::Hash;

use super::edit::Editor;
use super::tree::{Line, LineId, Statement};
use crate::semver;

/// Drops duplicates and empty blocks, and sorts each block. Of `exclude`, `tool` and `ignore` lines the first stays, of
/// `replace` lines the last.
pub(super) fn sort_blocks(editor: &mut Editor) {
    remove_duplicates(editor);
    // Compared as semantic versions: a prerelease such as 1.22rc1 is none, and so below.
    let semantic = editor.go.as_ref().is_some_and(|(go, _)| compare_versions(&format!("v{go}"), "v1.21").is_ge());
    let tree = &mut editor.tree;
    for statement in &tree.statements {
        let Statement::Block(id) = statement else { continue };
        let block = &mut tree.blocks[*id];
        let compare = match block.tokens[0].as_str() {
            "exclude" if semantic => compare_exclude,
            "retract" => compare_retract,
            _ => compare_tokens,
        };
        block.lines.sort_by(|&a, &b| compare(&tree.lines[a], &tree.lines[b]));
    }
}

fn remove_duplicates(editor: &mut Editor) {
    let mut dead = HashSet::new();
    repeated(editor.excludes.iter(), &mut dead);
    repeated(editor.replaces.iter().rev(), &mut dead);
    repeated(editor.tools.iter(), &mut dead);
    repeated(editor.ignores.iter(), &mut dead);
    editor.excludes.retain(|(_, line)| !dead.contains(line));
    editor.replaces.retain(|(_, line)| !dead.contains(line));
    editor.tools.retain(|(_, line)| !dead.contains(line));
    editor.ignores.retain(|(_, line)| !dead.contains(line));
    let blocks = &mut editor.tree.blocks;
    editor.tree.statements.retain(|statement| match statement {
        Statement::Comments(_) => true,
        Statement::Line(line) => !dead.contains(line),
        Statement::Block(id) => {
            blocks[*id].lines.retain(|line| !dead.contains(line));
            !blocks[*id].lines.is_empty()
        }
    });
}

fn repeated<'a, T: Eq + Hash + 'a>(lines: impl Iterator<Item = &'a (T, LineId)>, dead: &mut HashSet<LineId>) {
    let mut seen = HashSet::new();
    dead.extend(lines.filter(|(what, _)| !seen.insert(what)).map(|(_, line)| *line));
}

fn compare_tokens(a: &Line, b: &Line) -> Ordering {
    a.tokens.cmp(&b.tokens)
}

fn compare_exclude(a: &Line, b: &Line) -> Ordering {
    match (&a.tokens[..], &b.tokens[..]) {
        ([a_path, a_version], [b_path, b_version]) => {
            a_path.cmp(b_path).then_with(|| compare_versions(a_version, b_version))
        }
        _ => compare_tokens(a, b),
    }
}

/// The highest first.
fn compare_retract(a: &Line, b: &Line) -> Ordering {
    let ((a_low, a_high), (b_low, b_high)) = (interval(a), interval(b));
    compare_versions(b_low, a_low).then_with(|| compare_versions(b_high, a_high))
}

fn interval(line: &Line) -> (&str, &str) {
    let tokens: Vec<&str> = line.tokens.iter().map(String::as_str).collect();
    match tokens[..] {
        [only] => (only, only),
        ["[", low, ",", high, "]"] => (low, high),
        _ => ("", ""),
    }
}

/// `semver.Compare`: what is no version is below all that are.
fn compare_versions(a: &str, b: &str) -> Ordering {
    match (semver::parse(a), semver::parse(b)) {
        (Some(a), Some(b)) => semver::compare(&a, &b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}
