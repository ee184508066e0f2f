//! Files made of lines: environment files, Dockerfiles, Makefiles, justfiles, go/env and go.mod.

use std::ops::Range;

use super::shell;
use super::text::{full_line, is_name, lines, trimmed, unquoted, words};
use super::{Hit, Removal};

const NOT_FROM_GO_ENV: &str =
    "the go command reads this variable from the process environment only, never from this file";
const NOT_FROM_GO_MOD: &str =
    "godebug lines are defaults of the programs built here; the go command itself does not read them";
const NOT_EXPORTED_BY_MAKE: &str =
    "not exported: commands see it only where the variable comes from the environment already";

/// `VAR=value` lines, with an optional `export`.
pub(super) fn env_file(text: &str, var: &str) -> Vec<Hit> {
    let mut out = Vec::new();
    for line in lines(text) {
        let part = text[line.clone()].trim_start();
        let part = part.strip_prefix("export ").unwrap_or(part).trim_start();
        let Some(rest) = part.strip_prefix(var) else {
            continue;
        };
        let Some(value) = rest.trim_start().strip_prefix('=') else {
            continue;
        };
        let range = trimmed(text, line.end - value.len()..line.end);
        out.push(Hit::new(var, quoted_prefix(text, range), Removal::cut(full_line(text, line.start))));
    }
    out
}

/// The inside of the quotes a value begins with, whatever follows them; else the value.
fn quoted_prefix(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    match part.chars().next() {
        Some(q @ ('"' | '\'')) => match part[1..].find(q) {
            Some(end) => range.start + 1..range.start + 1 + end,
            None => range,
        },
        _ => range,
    }
}

/// `VAR DEFAULT=value OVERRIDE=value`, or `VAR=value`.
pub(super) fn pam(text: &str, var: &str) -> Vec<Hit> {
    let mut out = env_file(text, var);
    for line in lines(text) {
        let part = &text[line.clone()];
        let Some(rest) = part.trim_start().strip_prefix(var) else {
            continue;
        };
        if !rest.starts_with([' ', '\t']) {
            continue;
        }
        for key in ["OVERRIDE=", "DEFAULT="] {
            let Some(i) = rest.find(key) else { continue };
            let start = line.end - rest.len() + i + key.len();
            let value = &text[start..line.end];
            let end = match value.strip_prefix('"') {
                Some(inner) => inner.find('"').map_or(value.len(), |e| e + 2),
                None => value.find([' ', '\t']).unwrap_or(value.len()),
            };
            out.push(Hit::new(var, unquoted(text, start..start + end), Removal::cut(full_line(text, line.start))));
        }
    }
    out
}

/// `ENV`, `ARG` and `RUN` of a Dockerfile, continuation lines included.
pub(super) fn dockerfile(text: &str, var: &str) -> Vec<Hit> {
    let mut out = Vec::new();
    let mut instruction = String::new();
    let mut continued = false;
    for line in lines(text) {
        let part = text[line.clone()].trim();
        if part.starts_with('#') || (continued && part.is_empty()) {
            continue;
        }
        let mut body = trimmed(text, line.clone());
        if !continued {
            let word = part.split_whitespace().next().unwrap_or("");
            instruction = word.to_ascii_uppercase();
            body = trimmed(text, body.start + word.len()..body.end);
        }
        let first = !continued;
        continued = part.ends_with('\\');
        match instruction.as_str() {
            "ENV" | "ARG" => {
                out.extend(docker_env(text, &line, body, var, first, &instruction));
            }
            "RUN" | "CMD" | "ENTRYPOINT" => out.extend(shell::embedded(text, body, var)),
            _ => {}
        }
    }
    out
}

fn docker_env(
    text: &str,
    line: &Range<usize>,
    body: Range<usize>,
    var: &str,
    first: bool,
    instruction: &str,
) -> Vec<Hit> {
    let part = &text[body.clone()];
    let head = part.split_whitespace().next().unwrap_or("");
    if first && instruction == "ENV" && !head.contains('=') {
        // ENV X value
        if head != var {
            return Vec::new();
        }
        let value = trimmed(text, body.start + head.len()..body.end);
        let removal = if text[value.clone()].ends_with('\\') {
            Removal::cut(value.clone())
        } else {
            Removal::cut(full_line(text, line.start))
        };
        return vec![Hit::new(var, unquoted(text, value), removal)];
    }
    words(part, var)
        .filter(|&i| i == 0 || part[..i].ends_with([' ', '\t']))
        .filter(|&i| part[i + var.len()..].starts_with('='))
        .map(|i| {
            let start = body.start + i + var.len() + 1;
            let rest = &text[start..body.end];
            let end = match rest.chars().next() {
                Some(q @ ('"' | '\'')) => rest[1..].find(q).map_or(rest.len(), |e| e + 2),
                _ => rest.find([' ', '\t']).unwrap_or(rest.len()),
            };
            let word = body.start + i..start + end;
            let value = unquoted(text, start..start + end);
            let removal = docker_removal(text, line, &body, &word, first);
            let mut hit = Hit::new(var, value, removal);
            if instruction == "ARG" {
                hit.counts = Ok(Some("while the image is built only".to_owned()));
            }
            hit
        })
        .collect()
}

fn docker_removal(text: &str, line: &Range<usize>, body: &Range<usize>, word: &Range<usize>, first: bool) -> Removal {
    let before = text[body.start..word.start].trim();
    let after = text[word.end..body.end].trim();
    match (before.is_empty(), after) {
        (true, "") if first => Removal::cut(full_line(text, line.start)),
        // The last of several lines: the continuation sign before it goes too.
        (true, "") => match text[..line.start].trim_end().strip_suffix('\\') {
            Some(previous) => Removal::cut(previous.trim_end().len()..word.end),
            None => Removal::cut(word.clone()),
        },
        (true, "\\") if !first => Removal::cut(full_line(text, line.start)),
        (true, _) => {
            let rest = &text[word.end..body.end];
            Removal::cut(word.start..word.end + rest.len() - rest.trim_start().len())
        }
        (false, _) => Removal::cut(text[..word.start].trim_end().len()..word.end),
    }
}

/// Variables and recipes of a Makefile.
pub(super) fn makefile(text: &str, var: &str) -> Vec<Hit> {
    let exports_it = |l: Range<usize>| {
        let line = text[l].trim();
        line == "export"
            || line.starts_with(".EXPORT_ALL_VARIABLES")
            || (line.starts_with("export ") && !line.contains('=') && line.split_whitespace().any(|w| w == var))
    };
    let exported = lines(text).any(exports_it);
    let mut out = Vec::new();
    for line in lines(text) {
        let part = &text[line.clone()];
        if part.trim_start().starts_with('#') {
            continue;
        }
        if part.starts_with('\t') {
            let from = line.start + part.len() - part.trim_start_matches(['\t', ' ', '@', '-', '+']).len();
            out.extend(shell::embedded(text, from..line.end, var));
            continue;
        }
        for i in words(part, var) {
            let head = part[..i].trim();
            let modifiers = head.rsplit_once(':').map_or(head, |(_, m)| m);
            if !modifiers.split_whitespace().all(|m| matches!(m, "export" | "override" | "private")) {
                continue;
            }
            let after = part[i + var.len()..].trim_start();
            let Some(operator) = ["::=", ":=", "?=", "+=", "="].iter().find(|o| after.starts_with(**o)) else {
                continue;
            };
            let start = line.end - after.len() + operator.len();
            let value = &text[start..line.end];
            let end = value.find('#').unwrap_or(value.len());
            let mut range = trimmed(text, start..start + end);
            let continues = text[range.clone()].ends_with('\\');
            if continues {
                range = trimmed(text, range.start..range.end - 1);
            }
            let removal =
                if continues { Removal::cut(range.clone()) } else { Removal::cut(full_line(text, line.start)) };
            let mut hit = Hit::new(var, range, removal);
            if !exported && !modifiers.split_whitespace().any(|m| m == "export") {
                hit.counts = Err(NOT_EXPORTED_BY_MAKE.to_owned());
            }
            out.push(hit);
        }
    }
    out
}

/// `export VAR := "value"` and recipes of a justfile.
pub(super) fn justfile(text: &str, var: &str) -> Vec<Hit> {
    let exported = lines(text).any(|l| {
        let line = text[l].split('#').next().unwrap_or("").trim();
        matches!(line, "set export" | "set export := true")
    });
    let mut out = Vec::new();
    for line in lines(text) {
        let part = &text[line.clone()];
        if part.starts_with([' ', '\t']) {
            let from = line.start + part.len() - part.trim_start_matches(['\t', ' ', '@', '-']).len();
            out.extend(shell::embedded(text, from..line.end, var));
            continue;
        }
        let (own, rest) = match part.strip_prefix("export ") {
            Some(rest) => (true, rest.trim_start()),
            None => (false, part),
        };
        let Some(value) = rest.strip_prefix(var).and_then(|r| r.trim_start().strip_prefix(":=")) else {
            continue;
        };
        let range = quoted_prefix(text, trimmed(text, line.end - value.len()..line.end));
        let mut hit = Hit::new(var, range, Removal::cut(full_line(text, line.start)));
        if !own && !exported {
            hit.counts = Err("not exported by the justfile".to_owned());
        }
        out.push(hit);
    }
    out
}

/// A `go env -w` file.
pub(super) fn go_env(text: &str, var: &str) -> Vec<Hit> {
    let counts = var.starts_with("GO")
        && !matches!(var, "GODEBUG" | "GOENV" | "GOMAXPROCS" | "GOGC" | "GOMEMLIMIT" | "GOTRACEBACK");
    lines(text)
        .filter_map(|line| {
            let value = text[line.clone()].strip_prefix(var)?.strip_prefix('=')?;
            let range = line.end - value.len()..line.end;
            let mut hit = Hit::new(var, range, Removal::cut(full_line(text, line.start)));
            if !counts {
                hit.counts = Err(NOT_FROM_GO_ENV.to_owned());
            }
            Some(hit)
        })
        .collect()
}

/// The `godebug` lines of go.mod and go.work.
pub(super) fn go_mod(text: &str, var: &str) -> Vec<Hit> {
    if var != "GODEBUG" {
        return Vec::new();
    }
    godebug_lines(text)
}

fn godebug_lines(text: &str) -> Vec<Hit> {
    let mut out = Vec::new();
    let mut block = false;
    for line in lines(text) {
        let code = text[line.clone()].split("//").next().unwrap_or("");
        let code_range = trimmed(text, line.start..line.start + code.len());
        let code = &text[code_range.clone()];
        let setting = if block {
            if code == ")" {
                block = false;
                continue;
            }
            code_range
        } else {
            match code.strip_prefix("godebug") {
                Some(rest) if rest.trim() == "(" => {
                    block = true;
                    continue;
                }
                Some(rest) if rest.starts_with([' ', '\t']) => {
                    trimmed(text, code_range.end - rest.len()..code_range.end)
                }
                _ => continue,
            }
        };
        if text[setting.clone()].contains('=') {
            let mut hit = Hit::new("GODEBUG", setting, Removal::cut(full_line(text, line.start)));
            hit.counts = Err(NOT_FROM_GO_MOD.to_owned());
            out.push(hit);
        }
    }
    out
}

/// Whether a key of a map or list is this variable, quoted or not.
pub(super) fn is_key(text: &str, var: &str) -> bool {
    let bare = text.trim().trim_matches(['"', '\'']);
    bare == var && bare.bytes().all(is_name)
}
