//! Changes of a go.mod that keep its comments, order and blocks (`golang.org/x/mod/modfile/rule.go`, and
//! `UpdateGoModFromReqs` of `cmd/go/internal/modload/init.go`).
//!
//! The bytes are those of the go command whose version is given: what differs from 1.21.13 to 1.27.3 is listed in
//! [`Style`].

use super::bytes::Encoded;
use super::error::{ParseError, ParseErrors};
use super::print::print;
use super::quote::{auto_quote, string};
use super::require::{set_require, set_require_in_two};
use super::sort::sort_blocks;
use super::tree::{LineId, Tree};
use super::{GoMod, Replacement, ResolvedVersions};
use crate::go_version::{GoVersion, Toolchain};
use crate::graph::Requirements;
use crate::version::Version;

/// How the go command of some version writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Before 1.25: an empty line above `)` stays.
    keep_last_blank: bool,
    /// Before 1.23: a block of one line becomes a line even where comments above `)` are lost.
    collapse_any: bool,
    /// Before 1.25: who raises the `go` line adds the name of its own toolchain.
    adds_toolchain: bool,
}

impl Style {
    fn of(go: &GoVersion) -> Style {
        Style { keep_last_blank: !go.at_least(25), collapse_any: !go.at_least(23), adds_toolchain: !go.at_least(25) }
    }
}

/// A go.mod in the standard style, as `go mod edit -fmt` of the newest go command writes it. Nothing else changes, but
/// quotes that are not needed go, and versions become canonical.
///
/// # Errors
/// As [`GoMod::parse`].
pub fn format(file: &str, data: &[u8]) -> Result<Vec<u8>, ParseErrors> {
    let style = Style { keep_last_blank: false, collapse_any: false, adds_toolchain: false };
    let mut editor = Editor::open(file, data, &ResolvedVersions::default(), style, true)?;
    sort_blocks(&mut editor);
    editor.tree.clean_up(style.collapse_any);
    editor.finish()
}

/// The go.mod that `go mod download` of a go command of version `local` leaves where `data` was: with the `go`,
/// `toolchain` and `require` lines of `requirements`, and `local` where those say no `go` version. `resolved` are the
/// versions that [`GoMod::queries`] stand for.
///
/// This is what is to be written where [`Requirements::changed`] or where there are queries; the go command leaves the
/// file alone otherwise, whatever its style.
///
/// # Errors
/// As [`GoMod::parse_with`].
pub fn update(
    file: &str,
    data: &[u8],
    requirements: &Requirements,
    local: &GoVersion,
    resolved: &ResolvedVersions,
) -> Result<Vec<u8>, ParseErrors> {
    let style = Style::of(local);
    let mut editor = Editor::open(file, data, resolved, style, false)?;
    let had = editor.go.as_ref().map(|(version, _)| version.clone());
    let go = requirements.go.clone().unwrap_or_else(|| local.as_str().to_owned());
    let version = GoVersion::parse(&go).ok();
    if had.as_ref() != Some(&go) {
        editor.set_go(&go);
    }
    let mut toolchain = requirements.toolchain.clone();
    let strict = version.as_ref().is_some_and(|go| *go >= known("1.21"));
    if style.adds_toolchain && had.is_some_and(|had| had != go) && strict && !local.is_language() {
        let named = toolchain.as_ref().and_then(|name| Toolchain::parse(name).ok()).map(|name| name.version().clone());
        let own = format!("go{local}");
        if named.or_else(|| version.clone()).is_some_and(|named| *local > named) && own != format!("go{go}") {
            toolchain = Some(own);
        }
    }
    match toolchain {
        Some(name) => editor.set_toolchain(&name),
        None => editor.drop_toolchain(),
    }
    if version.as_ref().is_none_or(|go| *go < known("1.17")) {
        set_require(&mut editor, &requirements.requires);
    } else {
        let at_most_two = version.is_some_and(|go| go >= known("1.27"));
        set_require_in_two(&mut editor, &requirements.requires, at_most_two);
    }
    editor.tree.clean_up(style.collapse_any);
    editor.finish()
}

/// A go.mod that is being changed: the tree, and which lines say what.
pub(super) struct Editor {
    pub(super) tree: Tree,
    pub(super) go: Option<(String, LineId)>,
    /// Path and line of each, in the order of the file.
    pub(super) requires: Vec<(String, LineId)>,
    pub(super) excludes: Vec<((String, Version), LineId)>,
    pub(super) replaces: Vec<((String, Option<Version>), LineId)>,
    pub(super) tools: Vec<(String, LineId)>,
    pub(super) ignores: Vec<(String, LineId)>,
    module: Option<LineId>,
    toolchain: Option<LineId>,
    encoded: Encoded,
}

impl Editor {
    /// `only_format`: versions of `retract` lines stay as they are.
    fn open(
        file: &str,
        data: &[u8],
        resolved: &ResolvedVersions,
        style: Style,
        only_format: bool,
    ) -> Result<Editor, ParseErrors> {
        let says = GoMod::parse_with(file, data, resolved)?;
        let Some(encoded) = Encoded::of(data) else {
            let message = "the file has too many bytes that are not UTF-8 to be changed".to_owned();
            return Err(ParseError { file: file.to_owned(), line: 1, column: 1, message }.into());
        };
        let tree = Tree::parse(file, &encoded.text, style.keep_last_blank)?;
        let mut editor = Editor {
            tree,
            go: None,
            requires: Vec::with_capacity(says.requires.len()),
            excludes: Vec::with_capacity(says.excludes.len()),
            replaces: Vec::with_capacity(says.replaces.len()),
            tools: Vec::new(),
            ignores: Vec::new(),
            module: None,
            toolchain: None,
            encoded,
        };
        editor.note_lines(says, only_format);
        Ok(editor)
    }

    /// Notes which line says what, and writes its strings as the go command would. The lines are those that
    /// [`GoMod::parse_with`] has read, in the same order.
    fn note_lines(&mut self, says: GoMod, only_format: bool) {
        let lines: Vec<(String, LineId)> =
            self.tree.directives().map(|(verb, line, _)| (verb.to_owned(), line)).collect();
        let (mut requires, mut excludes) = (says.requires.into_iter(), says.excludes.into_iter());
        let (mut replaces, mut retracts) = (says.replaces.into_iter(), says.retracts.into_iter());
        for (verb, id) in lines {
            let line = &mut self.tree.lines[id];
            let tokens = if line.in_block { &mut line.tokens[..] } else { &mut line.tokens[1..] };
            let plain = |token: &str| string(token).unwrap_or_else(|_| token.to_owned());
            match verb.as_str() {
                "module" => {
                    tokens[0] = auto_quote(&plain(&tokens[0]));
                    self.module = Some(id);
                }
                "go" => self.go = says.go.as_ref().map(|line| (line.version.clone(), id)),
                "toolchain" => self.toolchain = Some(id),
                "require" => {
                    let Some(require) = requires.next() else { continue };
                    tokens[0] = auto_quote(&plain(&tokens[0]));
                    tokens[1] = require.version.to_string();
                    self.requires.push((require.path, id));
                }
                "exclude" => {
                    let Some(exclude) = excludes.next() else { continue };
                    tokens[0] = auto_quote(&plain(&tokens[0]));
                    tokens[1] = exclude.version.to_string();
                    self.excludes.push(((exclude.path, exclude.version), id));
                }
                "replace" => {
                    let Some(replace) = replaces.next() else { continue };
                    tokens[0] = auto_quote(&plain(&tokens[0]));
                    let arrow = if let Some(version) = &replace.old_version {
                        tokens[1] = version.to_string();
                        2
                    } else {
                        1
                    };
                    tokens[arrow + 1] = auto_quote(&plain(&tokens[arrow + 1]));
                    if let Replacement::Module { version, .. } = &replace.new {
                        tokens[arrow + 2] = version.to_string();
                    }
                    self.replaces.push(((replace.old_path, replace.old_version), id));
                }
                "retract" => {
                    let Some(retract) = retracts.next() else { continue };
                    let (low, high) = if tokens[0] == "[" { (1, 3) } else { (0, 0) };
                    tokens[low] = if only_format { plain(&tokens[low]) } else { retract.low.to_string() };
                    tokens[high] = if only_format { plain(&tokens[high]) } else { retract.high.to_string() };
                }
                "tool" | "ignore" => {
                    let path = plain(&tokens[0]);
                    tokens[0] = auto_quote(&path);
                    if verb == "tool" { &mut self.tools } else { &mut self.ignores }.push((path, id));
                }
                _ => {}
            }
        }
    }

    /// `AddGoStmt`.
    fn set_go(&mut self, version: &str) {
        let line = match &self.go {
            Some((_, line)) => {
                self.tree.lines[*line].tokens = vec!["go".to_owned(), version.to_owned()];
                *line
            }
            None => self.tree.add_after(self.module, &["go", version]),
        };
        self.go = Some((version.to_owned(), line));
    }

    /// `AddToolchainStmt`.
    fn set_toolchain(&mut self, name: &str) {
        match self.toolchain {
            Some(line) => self.tree.lines[line].tokens = vec!["toolchain".to_owned(), name.to_owned()],
            None => {
                let hint = self.go.as_ref().map(|(_, line)| *line).or(self.module);
                self.toolchain = Some(self.tree.add_after(hint, &["toolchain", name]));
            }
        }
    }

    fn drop_toolchain(&mut self) {
        if let Some(line) = self.toolchain.take() {
            self.tree.lines[line].remove();
        }
    }

    fn finish(self) -> Result<Vec<u8>, ParseErrors> {
        Ok(self.encoded.decode(&print(&self.tree)))
    }
}

fn known(version: &str) -> GoVersion {
    GoVersion::parse(version).expect("a Go version")
}
