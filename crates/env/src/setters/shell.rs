//! Assignments in shell text: `export X=`, `X= command`, `declare -x`, `env X=`, quoted words, aliases, fish's `set`.

use std::ops::Range;

use super::text::{full_line, lines, trimmed, unquoted, words};
use super::{Hit, Removal};

const UNEXPORTED: &str = "assigned without export: a go command sees it only where the variable is exported already";

/// Every assignment in a file of sh, bash or zsh.
pub(super) fn find(text: &str, var: &str) -> Vec<Hit> {
    let exported = exported_elsewhere(text, var);
    lines(text).flat_map(|line| in_line(text, line, var, true, exported)).collect()
}

/// Every assignment in shell code that is part of another file's line; that line itself is never removed.
pub(super) fn embedded(text: &str, range: Range<usize>, var: &str) -> Vec<Hit> {
    let exported = exported_elsewhere(&text[range.clone()], var);
    in_line(text, range, var, false, exported)
}

/// `export VAR` without a value, or a switch that exports everything.
fn exported_elsewhere(text: &str, var: &str) -> bool {
    lines(text).any(|l| {
        let line = text[l].trim();
        let mut parts = line.split_whitespace();
        match parts.next() {
            Some("export") => parts.any(|w| w.trim_end_matches(';') == var),
            Some("set") => matches!(parts.next(), Some("-a")) || line.contains("-o allexport"),
            _ => line.contains(&format!("export {var};")) || line.ends_with(&format!("export {var}")),
        }
    })
}

fn in_line(text: &str, line: Range<usize>, var: &str, whole_lines: bool, exported: bool) -> Vec<Hit> {
    let part = &text[line.clone()];
    words(part, var)
        .filter_map(|i| assignment(part, i, var))
        .filter_map(|word| {
            let counts = word.statement.counts(exported)?;
            let removal = word.removal(text, &line, whole_lines);
            Some(Hit { var: var.to_owned(), value: shift(&word.value, line.start), removal, counts })
        })
        .collect()
}

fn shift(range: &Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}

/// One `VAR=value` word with the statement it stands in; positions within the line.
struct Word {
    whole: Range<usize>,
    value: Range<usize>,
    statement: Statement,
}

/// What a statement does with the word.
struct Statement {
    range: Range<usize>,
    role: Role,
    others: bool,
}

#[derive(PartialEq, Eq)]
enum Role {
    /// `export X=…` and its like.
    Export,
    /// `declare X=…` without `-x`, or `X=…` alone.
    Plain,
    /// `X=… command`.
    Prefix,
    /// An argument, as in `echo X=…` or `docker run -e X=…`.
    Argument,
    /// Behind a comment sign.
    Comment,
}

impl Statement {
    fn counts(&self, exported: bool) -> Option<Result<Option<String>, String>> {
        Some(match self.role {
            Role::Export => Ok(None),
            Role::Plain if exported => Ok(None),
            Role::Plain => Err(UNEXPORTED.to_owned()),
            Role::Prefix => Ok(Some("for this command only".to_owned())),
            Role::Argument => Ok(Some("as an argument of another command".to_owned())),
            Role::Comment => return None,
        })
    }
}

impl Word {
    fn removal(&self, text: &str, line: &Range<usize>, whole_lines: bool) -> Removal {
        let part = &text[line.clone()];
        let emptied = Removal::cut(shift(&self.value, line.start));
        let cut = |range: Range<usize>| Removal::cut(shift(&range, line.start));
        match self.statement.role {
            Role::Argument | Role::Comment => emptied,
            Role::Prefix => {
                let rest = &part[self.whole.end..];
                let blanks = rest.len() - rest.trim_start().len();
                cut(self.whole.start..self.whole.end + blanks)
            }
            Role::Export | Role::Plain if self.statement.others => {
                let before = &part[..self.whole.start];
                cut(before.trim_end().len()..self.whole.end)
            }
            Role::Export | Role::Plain => {
                let statement = &self.statement.range;
                let after = part[statement.end..].trim_start_matches([';', ' ', '\t', '\r']);
                let alone = part[..statement.start].trim().is_empty() && (after.is_empty() || after.starts_with('#'));
                if alone && !whole_lines {
                    return emptied;
                }
                if alone {
                    let previous = text[..line.start].trim_end();
                    if previous.ends_with('\\') {
                        return emptied;
                    }
                    let opens = ["then", "do", "else", "{", "&&", "||"].iter().any(|k| previous.ends_with(k));
                    if !opens {
                        return Removal::cut(full_line(text, line.start));
                    }
                }
                Removal { range: shift(statement, line.start), replacement: "true".to_owned() }
            }
        }
    }
}

/// Reads the word at `at`, if it is an assignment.
fn assignment(line: &str, at: usize, var: &str) -> Option<Word> {
    let after = &line[at + var.len()..];
    let operator = if after.starts_with("+=") { 2 } else { 1 };
    if !after.starts_with(['=', '+']) || after.starts_with("==") || (operator == 1 && after.starts_with('+')) {
        return None;
    }
    let before = line[..at].chars().next_back();
    if before.is_some_and(|c| !(c.is_whitespace() || ";&|({`'\"!@-".contains(c))) || line[..at].ends_with("--") {
        return None;
    }
    let start = at + var.len() + operator;
    let rest = &line[start..];
    let outer = before.filter(|c| matches!(c, '"' | '\''));
    let (value, mut whole_end) = match rest.chars().next() {
        Some(q @ ('"' | '\'')) if outer != Some(q) => {
            let inner = &rest[1..];
            let end = inner.find(q).unwrap_or(inner.len());
            (start + 1..start + 1 + end, (start + 2 + end).min(line.len()))
        }
        _ => {
            let end = rest.find(|c: char| c.is_whitespace() || ";&|)`'\"".contains(c)).unwrap_or(rest.len());
            (start..start + end, start + end)
        }
    };
    // `export "X=…"`: the quotes belong to the word.
    let mut whole_start = at;
    if let Some(q) = outer
        && line[whole_end..].starts_with(q)
    {
        let begins_word = line[..at - 1].is_empty() || line[..at - 1].ends_with([' ', '\t', '[', ',']);
        let ends_word = line[whole_end + 1..].is_empty()
            || line[whole_end + 1..].starts_with([' ', '\t', ';', '\r', ')', ',', ']']);
        if begins_word && ends_word {
            whole_start -= 1;
            whole_end += 1;
        }
    }
    let whole = whole_start..whole_end;
    let statement = statement(line, &whole);
    Some(Word { whole, value, statement })
}

/// The simple command around a word, and the word's role in it.
fn statement(line: &str, word: &Range<usize>) -> Statement {
    let (mut start, mut end) = (0, line.len());
    let mut quote: Option<(char, usize)> = None;
    let mut previous = ' ';
    let mut comment = false;
    for (i, c) in line.char_indices() {
        if i == word.start
            && let Some((_, opened)) = quote
        {
            // Inside a quoted string: the string is the command line.
            start = opened + 1;
        }
        if (word.start..word.end).contains(&i) {
            previous = c;
            continue;
        }
        match quote {
            Some((q, opened)) => {
                if c == q {
                    quote = None;
                    if i >= word.end && opened < word.start {
                        end = i;
                        break;
                    }
                } else if opened < word.start && i >= word.end && ";&|".contains(c) {
                    end = i;
                    break;
                }
            }
            None if matches!(c, '"' | '\'') => quote = Some((c, i)),
            None if c == '#' && (previous.is_whitespace() || previous == ';') => {
                comment = i < word.start;
                end = end.min(i);
                break;
            }
            None if ";&|()`".contains(c) => {
                if i < word.start {
                    start = i + 1;
                } else {
                    end = i;
                    break;
                }
            }
            None => {}
        }
        previous = c;
    }
    if comment {
        return Statement { range: start..line.len(), role: Role::Comment, others: true };
    }
    let mut range = trimmed(line, start..end.max(word.end));
    for keyword in ["then ", "do ", "else ", "{ ", "! ", "@"] {
        if line[range.clone()].starts_with(keyword) {
            range = trimmed(line, range.start + keyword.len()..range.end);
        }
    }
    let head: Vec<&str> = line[range.start.min(word.start)..word.start].split_whitespace().collect();
    let tail: Vec<&str> = line[word.end..range.end.max(word.end)].split_whitespace().collect();
    let (role, others) = role(&head, &tail);
    Statement { range, role, others }
}

fn role(head: &[&str], tail: &[&str]) -> (Role, bool) {
    let is_assignment =
        |w: &&str| w.split_once('=').is_some_and(|(n, _)| !n.is_empty() && n.bytes().all(super::text::is_name));
    match head.first().copied() {
        Some("export") => (Role::Export, head[1..].iter().chain(tail).any(|w| !w.starts_with('-'))),
        Some("declare" | "typeset" | "readonly" | "local") => {
            let exports = head.iter().any(|w| w.starts_with('-') && w.contains('x'));
            let others = head[1..].iter().chain(tail).any(|w| !w.starts_with('-'));
            (if exports { Role::Export } else { Role::Plain }, others)
        }
        first => {
            let rest = if first == Some("env") { &head[1..] } else { head };
            let leading = rest.iter().all(|w| is_assignment(w) || (first == Some("env") && w.starts_with('-')));
            if !leading {
                (Role::Argument, true)
            } else if tail.iter().any(|w| !is_assignment(w)) {
                (Role::Prefix, true)
            } else {
                (Role::Plain, !rest.is_empty() || !tail.is_empty())
            }
        }
    }
}

/// Every assignment in a file of fish: `set -gx X value`, and `export X=value`.
pub(super) fn find_fish(text: &str, var: &str) -> Vec<Hit> {
    let mut out = Vec::new();
    for line in lines(text) {
        let part = &text[line.clone()];
        if part.trim_start().starts_with('#') {
            continue;
        }
        for i in words(part, var) {
            if let Some(hit) = fish_set(text, &line, i, var) {
                out.push(hit);
            }
        }
        out.extend(in_line(text, line, var, true, false));
    }
    out
}

fn fish_set(text: &str, line: &Range<usize>, at: usize, var: &str) -> Option<Hit> {
    let part = &text[line.clone()];
    let start = part[..at].rfind([';', '&', '|']).map_or(0, |i| i + 1);
    let head: Vec<&str> = part[start..at].split_whitespace().collect();
    let head = match head.as_slice() {
        ["and" | "or" | "begin" | "not", rest @ ..] => rest,
        all => all,
    };
    let ["set", flags @ ..] = head else {
        return None;
    };
    let has = |short: char, long: &str| {
        flags.iter().any(|f| *f == long || (f.starts_with('-') && !f.starts_with("--") && f.contains(short)))
    };
    if !flags.iter().all(|f| f.starts_with('-')) || has('e', "--erase") || has('q', "--query") {
        return None;
    }
    let rest = &part[at + var.len()..];
    let end = rest.find([';', '#']).unwrap_or(rest.len());
    let value = trimmed(part, at + var.len()..at + var.len() + end);
    if value.is_empty() {
        return None;
    }
    let alone = part[..start].trim().is_empty() && rest[end..].trim_start_matches([';', ' ']).is_empty();
    let nested = part.starts_with([' ', '\t']);
    let removal = if alone && !nested {
        Removal::cut(full_line(text, line.start))
    } else {
        let from = start + part[start..].len() - part[start..].trim_start().len();
        Removal { range: shift(&(from..value.end), line.start), replacement: "true".to_owned() }
    };
    let mut hit = Hit::new(var, unquoted(text, shift(&value, line.start)), removal);
    if !has('x', "--export") {
        hit.counts = Err(UNEXPORTED.to_owned());
    }
    Some(hit)
}
