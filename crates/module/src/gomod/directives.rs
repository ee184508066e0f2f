//! The meaning of each line (`golang.org/x/mod/modfile/rule.go`).

use super::error::{MAX_ERRORS, ParseError, ParseErrors};
use super::quote::string;
use super::syntax::{Item, Line, Parser};
use super::{
    Exclude, GoLine, GoMod, Godebug, MAX_GO_MOD, Module, PathLine, Replace, Replacement, Require, ResolvedVersions,
    Retract, ToolchainLine,
};
use crate::path::{check_path_major, split_path_version};
use crate::semver::int;
use crate::version::Version;

/// Whose go.mod it is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    Main,
    Dependency,
}

const MOD_BLOCKS: [&str; 8] = ["module", "godebug", "require", "exclude", "replace", "retract", "tool", "ignore"];

pub(crate) fn parse_mod(
    file: &str,
    data: &[u8],
    mode: Mode,
    resolved: &ResolvedVersions,
) -> Result<GoMod, ParseErrors> {
    let mut gomod = GoMod::default();
    let blocks = (mode == Mode::Main).then_some(&MOD_BLOCKS[..]);
    parse_file(file, data, blocks, |line| directive(&mut gomod, line, mode, resolved))?;
    Ok(gomod)
}

/// Feeds every line of a file to `add`. `blocks` are the verbs that may have a block; `None` takes any and leaves out
/// blocks with more than one word before the parenthesis.
///
/// A syntax error stands alone, as in the go command: what was found before it is forgotten.
pub(crate) fn parse_file(
    file: &str,
    data: &[u8],
    blocks: Option<&[&str]>,
    mut add: impl FnMut(&Line<'_>) -> Result<(), String>,
) -> Result<(), ParseErrors> {
    if data.len() > MAX_GO_MOD {
        let message = format!("file too large: {} bytes, limit is {MAX_GO_MOD} bytes", data.len());
        return Err(ParseError { file: file.to_owned(), line: 1, column: 1, message }.into());
    }
    let text = String::from_utf8_lossy(data);
    let mut parser = Parser::new(file, &text)?;
    let mut errors = Vec::new();
    let mut skip_block = false;
    while errors.len() < MAX_ERRORS {
        match parser.item()? {
            Item::End => break,
            Item::Block { tokens, at } => {
                let known = tokens.len() == 1 && blocks.is_none_or(|blocks| blocks.contains(&tokens[0]));
                skip_block = !known;
                if !known && blocks.is_some() {
                    let words: String = tokens.join(" ").chars().take(256).collect();
                    errors.push(parser.error(at, format!("unknown block type: {words}")));
                }
            }
            Item::Line(line) if line.in_block && skip_block => {}
            Item::Line(line) => {
                if let Err(message) = add(&line) {
                    errors.push(parser.error(line.at, message));
                }
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(ParseErrors { errors }) }
}

fn directive(gomod: &mut GoMod, line: &Line<'_>, mode: Mode, resolved: &ResolvedVersions) -> Result<(), String> {
    let strict = mode == Mode::Main;
    let wanted = strict
        || matches!(line.verb, "module" | "require" | "retract" | "ignore")
        || (line.verb == "go" && !line.in_block);
    if !wanted {
        return Ok(());
    }
    let at = line.at.line;
    match line.verb {
        "go" => gomod.go = Some(go_line(gomod.go.is_some(), line, strict)?),
        "toolchain" => gomod.toolchain = Some(toolchain_line(gomod.toolchain.is_some(), line)?),
        "module" => gomod.module = Some(module_line(gomod.module.is_some(), line)?),
        "godebug" => gomod.godebug.push(godebug_line(line)?),
        "require" => {
            let (path, version) = path_and_version(line, resolved)?;
            gomod.requires.push(Require { path, version, indirect: is_indirect(line), line: at });
        }
        "exclude" => {
            let (path, version) = path_and_version(line, resolved)?;
            gomod.excludes.push(Exclude { path, version, line: at });
        }
        "replace" => gomod.replaces.push(replace_line(line, resolved)?),
        "retract" => match retract_line(line, strict) {
            Ok(retract) => gomod.retracts.push(retract),
            // What cannot be read of a dependency may be a form to come.
            Err(_) if !strict => {}
            Err(message) => return Err(message),
        },
        "tool" => gomod.tools.push(path_line(line)?),
        "ignore" => gomod.ignores.push(path_line(line)?),
        verb => return Err(format!("unknown directive: {}", clip(verb))),
    }
    Ok(())
}

pub(crate) fn go_line(repeated: bool, line: &Line<'_>, strict: bool) -> Result<GoLine, String> {
    let version = single(repeated, line)?;
    let lax = || {
        if strict { None } else { lax_go_version(version) }
    };
    let Some(version) = is_go_version(version).then_some(version).or_else(lax) else {
        return Err(format!("invalid go version '{}': must match format 1.23.0", clip(version)));
    };
    Ok(GoLine { version: version.to_owned(), line: line.at.line })
}

pub(crate) fn toolchain_line(repeated: bool, line: &Line<'_>) -> Result<ToolchainLine, String> {
    let name = single(repeated, line)?;
    if !(name == "default" || name == "go1" || name.starts_with("go1.")) {
        return Err(format!("invalid toolchain version '{}': must match format go1.23.0 or default", clip(name)));
    }
    Ok(ToolchainLine { name: name.to_owned(), line: line.at.line })
}

pub(crate) fn godebug_line(line: &Line<'_>) -> Result<Godebug, String> {
    match line.args[..] {
        [setting] if !setting.contains(['"', '`', '\'', ',']) => setting.split_once('='),
        _ => None,
    }
    .map(|(key, value)| Godebug { key: key.to_owned(), value: value.to_owned(), line: line.at.line })
    .ok_or_else(|| "usage: godebug key=value".to_owned())
}

pub(crate) fn replace_line(line: &Line<'_>, resolved: &ResolvedVersions) -> Result<Replace, String> {
    let args = &line.args;
    let arrow = if args.get(1) == Some(&"=>") { 1 } else { 2 };
    if args.get(arrow) != Some(&"=>") || !(arrow + 2..=arrow + 3).contains(&args.len()) {
        return Err("usage: replace module/path [v1.2.3] => other/module v1.4\n\t or replace module/path [v1.2.3] => \
                    ../local/directory"
            .to_owned());
    }
    let old_path = string(args[0])?;
    let in_path = |message: String| format!("replace {}: {message}", clip(&old_path));
    let major = path_major(&old_path).map_err(in_path)?;
    let old_version = match arrow {
        2 => {
            let version = version(line.verb, &old_path, args[1], resolved)?;
            check_path_major(&version, major).map_err(|e| in_path(e.to_string()))?;
            Some(version)
        }
        _ => None,
    };
    let new_path = string(args[arrow + 1])?;
    let new = match args.get(arrow + 2) {
        None if is_directory(&new_path) => {
            if cfg!(unix) && new_path.contains('\\') {
                return Err("replacement directory appears to be Windows path (on a non-windows system)".to_owned());
            }
            Replacement::Directory(new_path)
        }
        None if new_path.contains('@') => {
            return Err("replacement module must match format 'path version', not 'path@version'".to_owned());
        }
        None => {
            return Err("replacement module without version must be directory path (rooted or starting with . or ..)"
                .to_owned());
        }
        Some(token) => {
            let version = version(line.verb, &new_path, token, resolved)?;
            if is_directory(&new_path) {
                return Err(format!("replacement module directory path {:?} cannot have version", clip(&new_path)));
            }
            Replacement::Module { path: new_path, version }
        }
    };
    Ok(Replace { old_path, old_version, new, line: line.at.line })
}

pub(crate) fn path_line(line: &Line<'_>) -> Result<PathLine, String> {
    match line.args[..] {
        [token] => Ok(PathLine { path: string(token)?, line: line.at.line }),
        _ => Err(format!("{} directive expects exactly one argument", line.verb)),
    }
}

fn module_line(repeated: bool, line: &Line<'_>) -> Result<Module, String> {
    if repeated {
        return Err("repeated module statement".to_owned());
    }
    match line.args[..] {
        [token] => Ok(Module { path: string(token)?, deprecated: deprecation(&comments(line)), line: line.at.line }),
        _ => Err("usage: module module/path".to_owned()),
    }
}

fn path_and_version(line: &Line<'_>, resolved: &ResolvedVersions) -> Result<(String, Version), String> {
    let [path, token] = line.args[..] else {
        return Err(format!("usage: {} module/path v1.2.3", line.verb));
    };
    let path = string(path)?;
    let version = version(line.verb, &path, token, resolved)?;
    let major = path_major(&path)?;
    check_path_major(&version, major).map_err(|e| format!("{} {}: {e}", line.verb, clip(&path)))?;
    Ok((path, version))
}

fn retract_line(line: &Line<'_>, strict: bool) -> Result<Retract, String> {
    let (low, high, rest) = match line.args[..] {
        [] | ["(", ..] => return Err("expected '[' or version".to_owned()),
        ["["] => return Err("expected version after '['".to_owned()),
        ["[", low, ref rest @ ..] => {
            let low = version(line.verb, "", low, &ResolvedVersions::default())?;
            let [",", rest @ ..] = rest else {
                return Err("expected ',' after version".to_owned());
            };
            let [high, rest @ ..] = rest else {
                return Err("expected version after ','".to_owned());
            };
            let high = version(line.verb, "", high, &ResolvedVersions::default())?;
            let ["]", rest @ ..] = rest else {
                return Err("expected ']' after version".to_owned());
            };
            (low, high, rest)
        }
        [single, ref rest @ ..] => {
            let single = version(line.verb, "", single, &ResolvedVersions::default())?;
            (single.clone(), single, rest)
        }
    };
    if let Some(token) = rest.first().filter(|_| strict) {
        return Err(format!("unexpected token after version: {:?}", clip(token)));
    }
    Ok(Retract { low, high, rationale: comments(line), line: line.at.line })
}

/// The only argument of a `go` or `toolchain` line.
fn single<'a>(repeated: bool, line: &Line<'a>) -> Result<&'a str, String> {
    match line.args[..] {
        _ if repeated => Err(format!("repeated {} statement", line.verb)),
        [token] => Ok(token),
        _ => Err(format!("{} directive expects exactly one argument", line.verb)),
    }
}

fn version(verb: &str, path: &str, token: &str, resolved: &ResolvedVersions) -> Result<Version, String> {
    let subject = if path.is_empty() { verb.to_owned() } else { format!("{verb} {}", clip(path)) };
    let text = string(token).map_err(|reason| {
        let reason = reason.trim_start_matches("invalid quoted string: ");
        format!("{subject}: version {:?} invalid: {reason}", clip(token))
    })?;
    if let Some(version) = resolved.get(path, &text) {
        return Ok(version.clone());
    }
    Ok(Version::parse(&text).map_err(|e| format!("{subject}: {e}"))?.canonical())
}

fn path_major(path: &str) -> Result<&str, String> {
    split_path_version(path).map(|(_, major)| major).ok_or_else(|| "invalid module path".to_owned())
}

fn is_indirect(line: &Line<'_>) -> bool {
    line.suffix.is_some_and(says_indirect)
}

/// Whether a comment behind a `require` line begins with `indirect`.
pub(crate) fn says_indirect(comment: &str) -> bool {
    let mut words = comment.strip_prefix("//").unwrap_or_default().split_whitespace();
    match (words.next(), words.next()) {
        (Some("indirect"), None) => true,
        (Some(first), Some(_)) => first == "indirect;",
        _ => false,
    }
}

/// The text of a line's comments, or of its block's where the line has none.
fn comments(line: &Line<'_>) -> String {
    let own = line.above.is_empty() && line.suffix.is_none();
    let above: &[&str] = if own { &line.block_above } else { &line.above };
    let text: Vec<&str> = above
        .iter()
        .copied()
        .chain(line.suffix)
        .map(|comment| comment.strip_prefix("//").unwrap_or(comment).trim())
        .collect();
    text.join("\n")
}

/// The message of the first paragraph that begins with `Deprecated:`.
fn deprecation(comments: &str) -> Option<String> {
    let message = comments.split("\n\n").find_map(|paragraph| paragraph.strip_prefix("Deprecated:"))?;
    Some(message.trim_start_matches(' ').to_owned()).filter(|message| !message.is_empty())
}

/// `GoVersionRE`: looser than a valid Go version, so that versions to come can be read.
fn is_go_version(text: &str) -> bool {
    let parse = || {
        let (major, rest) = int(text)?;
        let (_, mut rest) = int(rest.strip_prefix('.')?)?;
        if let Some(patch) = rest.strip_prefix('.') {
            rest = int(patch)?.1;
        }
        let letters = rest.bytes().position(|b| !b.is_ascii_lowercase()).unwrap_or(rest.len());
        let (kind, number) = rest.split_at(letters);
        let suffix = kind.is_empty() == number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        Some(major != "0" && suffix)
    };
    parse().unwrap_or(false)
}

/// `laxGoVersionRE`: what stands before the first odd character, for dependencies.
fn lax_go_version(text: &str) -> Option<&str> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (major, rest) = int(text)?;
    let (minor, rest) = int(rest.strip_prefix('.')?)?;
    (major != "0" && !rest.is_empty()).then(|| &text[..major.len() + 1 + minor.len()])
}

/// `modfile.IsDirectoryPath`, with the forms of all systems.
fn is_directory(path: &str) -> bool {
    let b = path.as_bytes();
    matches!(path, "." | "..")
        || ["./", ".\\", "../", "..\\", "/", "\\"].iter().any(|prefix| path.starts_with(prefix))
        || (b.len() >= 2 && b[0].is_ascii_alphabetic() && b[1] == b':')
}

/// A text for an error message, bounded.
fn clip(text: &str) -> String {
    text.chars().take(256).collect()
}
