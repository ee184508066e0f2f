//! Lists and maps in brackets: JSON with comments, YAML flow style, Groovy of a Jenkinsfile.

use std::ops::Range;

use super::shell;
use super::text::{full_line, line_range, lines, trimmed, words};
use super::{Hit, Removal};

/// `devcontainer.json`: `"X": "value"` members and `"X=value"` strings.
pub(super) fn json(text: &str, var: &str) -> Vec<Hit> {
    words(text, var)
        .filter(|&i| !in_line_comment(text, i))
        .filter_map(|i| {
            if !text[..i].ends_with('"') {
                return None;
            }
            let after = &text[i + var.len()..];
            if after.starts_with('=') {
                let start = i + var.len() + 1;
                let end = start + text[start..].find('"')?;
                // An argument such as "-e", "X=…" cannot go alone.
                return Some(Hit::new(var, start..end, Removal::cut(start..end)));
            }
            let rest = after.strip_prefix('"')?.trim_start().strip_prefix(':')?;
            let quoted = rest.trim_start().strip_prefix('"')?;
            let start = text.len() - quoted.len();
            let end = start + quoted.find('"')?;
            let removal = item_removal(text, i - 1..end + 1);
            Some(Hit::new(var, start..end, removal))
        })
        .collect()
}

fn in_line_comment(text: &str, at: usize) -> bool {
    let line = line_range(text, at);
    text[line.start..at].trim_start().starts_with("//")
}

/// Takes one item out of a bracketed list, with one of its commas; where its neighbours are something else, only
/// the item.
pub(super) fn item_removal(text: &str, item: Range<usize>) -> Removal {
    let after = text[item.end..].trim_start();
    let after_at = text.len() - after.len();
    let before = text[..item.start].trim_end();
    if after.starts_with(',') {
        let line = full_line(text, item.start);
        let whole = trimmed(text, line.clone());
        if whole == (item.start..after_at + 1) {
            return Removal::cut(line);
        }
        let rest = &text[after_at + 1..];
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        return Removal::cut(item.start..after_at + 1 + blanks);
    }
    if before.ends_with(',') {
        return Removal::cut(before.len() - 1..item.end);
    }
    Removal::cut(item)
}

/// `environment { X = 'value' }`, `withEnv(['X=value'])`, `env.X = 'value'` and `sh` steps of a Jenkinsfile.
pub(super) fn jenkinsfile(text: &str, var: &str) -> Vec<Hit> {
    let mut out = Vec::new();
    for line in lines(text) {
        let part = &text[line.clone()];
        if part.trim_start().starts_with("//") || part.trim_start().starts_with('#') {
            continue;
        }
        for i in words(part, var) {
            if let Some(hit) = groovy(text, &line, line.start + i, var) {
                out.push(hit);
            } else {
                let at = line.start + i;
                out.extend(
                    shell::embedded(text, line.clone(), var)
                        .into_iter()
                        .filter(|h| h.value.start > at && !text[at..h.value.start].contains(' ')),
                );
            }
        }
    }
    out
}

fn groovy(text: &str, line: &Range<usize>, at: usize, var: &str) -> Option<Hit> {
    let before = text[line.start..at].trim_end();
    let after = &text[at + var.len()..line.end];
    let quoted = |rest: &str| rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    let assigned = after.trim_start().strip_prefix('=').map(str::trim_start);
    if let Some((rest, quote)) = assigned.and_then(|rest| Some((rest, quoted(rest)?))) {
        // X = 'value'
        if !(before.is_empty() || before.ends_with(['{', ';']) || before.ends_with("env.")) {
            return None;
        }
        let start = line.end - rest.len() + 1;
        let end = start + text[start..line.end].find(quote)?;
        let alone = (before.is_empty() || before == "env.") && text[end + 1..line.end].trim().is_empty();
        let removal = if alone {
            // An `environment` block may not be empty.
            let opens = text[..line.start].trim_end().ends_with('{');
            let closes = text[line.end..].trim_start().starts_with('}');
            if opens && closes { Removal::cut(start..end) } else { Removal::cut(full_line(text, line.start)) }
        } else {
            Removal::cut(start..end)
        };
        return Some(Hit::new(var, start..end, removal));
    }
    // ['X=value']
    let quote = before.chars().next_back().filter(|c| matches!(c, '"' | '\''))?;
    if before.len() != at - line.start || !after.starts_with('=') {
        return None;
    }
    let start = at + var.len() + 1;
    let end = start + text[start..line.end].find(quote)?;
    let opener = text[..at - 1].trim_end();
    let listed = opener.ends_with('[') || opener.ends_with(',');
    let closer = text[end + 1..].trim_start();
    if !listed || !closer.starts_with([',', ']']) {
        return None;
    }
    Some(Hit::new(var, start..end, item_removal(text, at - 1..end + 1)))
}
