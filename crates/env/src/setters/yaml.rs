//! YAML of CI and compose files, read line by line: map entries, list entries, flow style, and shell in scripts.

use std::ops::Range;

use super::flow::item_removal;
use super::lines::is_key;
use super::text::{full_line, indent, is_name, line_range, lines, trimmed, unquoted, words};
use super::{FileKind, Hit, Removal, shell};

/// Every assignment in a YAML file.
pub(super) fn find(text: &str, var: &str, kind: FileKind) -> Vec<Hit> {
    let mut out = Vec::new();
    for line in lines(text) {
        let part = &text[line.clone()];
        if part.trim_start().starts_with('#') || !part.contains(var) {
            continue;
        }
        if let Some(hit) = block_entry(text, &line, var, kind) {
            out.push(hit);
            continue;
        }
        let before = out.len();
        out.extend(words(part, var).filter_map(|i| flow_entry(text, &line, line.start + i, var)));
        if out.len() == before {
            let code = script_code(text, &line);
            out.extend(shell::embedded(text, code, var));
        }
    }
    out
}

/// `X: value`, `- X=value` (compose), `- X: value`, and GitLab's `X:` with a `value:` line below.
fn block_entry(text: &str, line: &Range<usize>, var: &str, kind: FileKind) -> Option<Hit> {
    let body = trimmed(text, line.clone());
    let listed = text[body.clone()].starts_with("- ");
    let item = if listed { trimmed(text, body.start + 2..body.end) } else { body.clone() };
    let part = &text[item.clone()];
    if listed && kind == FileKind::Compose {
        let inner = unquoted(text, item.clone());
        let rest = text[inner.clone()].strip_prefix(var);
        if let Some(value) = rest.and_then(|r| r.strip_prefix('=')) {
            let start = inner.end - value.len();
            let value = start..scalar_end(text, start..inner.end, inner == item);
            return Some(Hit::new(var, value.clone(), entry_removal(text, line, &value, true)));
        }
    }
    let (key, rest) = part.split_once(':')?;
    if !is_key(key, var) || !(rest.is_empty() || rest.starts_with([' ', '\t', '\r'])) {
        return None;
    }
    let value = trimmed(text, item.end - rest.len()..item.end);
    let value = value.start..scalar_end(text, value.clone(), true);
    if value.is_empty() {
        return nested_value(text, line, var);
    }
    let value = unquoted(text, value);
    let removal = entry_removal(text, line, &value, listed);
    Some(Hit::new(var, value, removal))
}

/// `X:` followed by a deeper `value: …`.
fn nested_value(text: &str, line: &Range<usize>, var: &str) -> Option<Hit> {
    let own = indent(&text[line.clone()]);
    let mut at = full_line(text, line.start).end;
    while at < text.len() {
        let below = line_range(text, at);
        let part = &text[below.clone()];
        if !part.trim().is_empty() {
            if indent(part) <= own {
                return None;
            }
            if let Some(rest) = part.trim_start().strip_prefix("value:") {
                let value = trimmed(text, below.end - rest.len()..below.end);
                let value = unquoted(text, value.start..scalar_end(text, value, true));
                return Some(Hit::new(var, value.clone(), emptied(text, &value)));
            }
        }
        at = full_line(text, at).end;
    }
    None
}

/// End of a scalar: the closing quote, or what precedes a comment.
fn scalar_end(text: &str, range: Range<usize>, comments: bool) -> usize {
    let part = &text[range.clone()];
    if let Some(q @ ('"' | '\'')) = part.chars().next() {
        return part[1..].find(q).map_or(range.end, |e| range.start + e + 2);
    }
    match part.find(" #").filter(|_| comments) {
        Some(i) => range.start + part[..i].trim_end().len(),
        None if part.starts_with('#') => range.start,
        None => range.end,
    }
}

/// Takes a whole entry out, with its parent key where nothing else is below it.
fn entry_removal(text: &str, line: &Range<usize>, value: &Range<usize>, listed: bool) -> Removal {
    let own = indent(&text[line.clone()]);
    let line_and_newline = full_line(text, line.start);
    let next = lines_from(text, line_and_newline.end).find(|l| significant(&text[l.clone()]));
    let deeper_next = next.as_ref().is_some_and(|l| indent(&text[l.clone()]) > own);
    if deeper_next {
        return emptied(text, value);
    }
    let sibling_after = next.is_some_and(|l| {
        let part = &text[l];
        indent(part) == own && (!listed || part.trim_start().starts_with('-'))
    });
    let previous = lines(&text[..line.start]).filter(|l| significant(&text[l.clone()])).last();
    let Some(previous) = previous else {
        return if sibling_after { Removal::cut(line_and_newline) } else { emptied(text, value) };
    };
    let above = &text[previous.clone()];
    let is_parent = above.trim_end().ends_with(':')
        && (indent(above) < own || (listed && indent(above) == own && !above.trim_start().starts_with('-')));
    if sibling_after || !is_parent {
        return Removal::cut(line_and_newline);
    }
    let adjacent = full_line(text, previous.start).end == line.start;
    if adjacent && !above.trim_start().starts_with('-') {
        return Removal::cut(previous.start..line_and_newline.end);
    }
    emptied(text, value)
}

/// An empty string in place of the value.
fn emptied(text: &str, value: &Range<usize>) -> Removal {
    let quoted = text[..value.start].ends_with(['"', '\'']);
    let assigned = text[..value.start].ends_with('=');
    Removal { range: value.clone(), replacement: if quoted || assigned { "" } else { "\"\"" }.to_owned() }
}

fn significant(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#')
}

fn lines_from(text: &str, at: usize) -> impl Iterator<Item = Range<usize>> {
    lines(&text[at..]).map(move |l| l.start + at..l.end + at)
}

/// `{X: value, …}` and `[X=value, …]` on one line.
fn flow_entry(text: &str, line: &Range<usize>, at: usize, var: &str) -> Option<Hit> {
    let quote = text[line.start..at].chars().next_back().filter(|c| matches!(c, '"' | '\''));
    let start_of_item = if quote.is_some() { at - 1 } else { at };
    let opener = text[line.start..start_of_item].trim_end().chars().next_back()?;
    if !matches!(opener, '{' | '[' | ',') || !text[line.start..at].contains(['{', '[']) {
        return None;
    }
    let mut rest_at = at + var.len();
    let rest = &text[rest_at..line.end];
    if rest.starts_with('=') && opener != '{' {
        let start = rest_at + 1;
        let end =
            start + text[start..line.end].find(|c| Some(c) == quote || (quote.is_none() && matches!(c, ',' | ']')))?;
        let value = trimmed(text, start..end);
        let item = start_of_item..if quote.is_some() { end + 1 } else { value.end };
        return Some(Hit::new(var, value, item_removal(text, item)));
    }
    if let Some(q) = quote {
        rest.strip_prefix(q)?;
        rest_at += 1;
    }
    let value = text[rest_at..line.end].trim_start().strip_prefix(':')?.trim_start();
    let start = line.end - value.len();
    let (span, end) = match value.chars().next()? {
        q @ ('"' | '\'') => {
            let end = start + 1 + value[1..].find(q)?;
            (start + 1..end, end + 1)
        }
        _ => {
            let end = start + value.find(['}', ','])?;
            let span = trimmed(text, start..end);
            (span.clone(), span.end)
        }
    };
    Some(Hit::new(var, span, item_removal(text, start_of_item..end)))
}

/// The shell code of a line: behind `- `, behind `run: ` and its like, and without the quotes around it.
fn script_code(text: &str, line: &Range<usize>) -> Range<usize> {
    let mut range = trimmed(text, line.clone());
    if text[range.clone()].starts_with("- ") {
        range = trimmed(text, range.start + 2..range.end);
    }
    if let Some((key, _)) = text[range.clone()].split_once(": ")
        && key.bytes().all(|b| is_name(b) || b == b'-')
    {
        range = trimmed(text, range.start + key.len() + 2..range.end);
    }
    unquoted(text, range)
}
