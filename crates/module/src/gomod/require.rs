//! The `require` lines that a go.mod is to have (`SetRequire`, `SetRequireSeparateIndirect`, `SetRequireAtMostTwo`).

use std::collections::{BTreeMap, HashMap, HashSet};

use super::edit::Editor;
use super::quote::auto_quote;
use super::sort::sort_blocks;
use super::tree::{Block, BlockId, Comments, Line, LineId, Statement};
use crate::graph::Requirement;

/// Below go 1.17: every line stays where it is; new ones go to the last block.
pub(super) fn set_require(editor: &mut Editor, requirements: &[Requirement]) {
    let mut need: BTreeMap<&str, &Requirement> = requirements.iter().map(|r| (r.path.as_str(), r)).collect();
    for (path, line) in std::mem::take(&mut editor.requires) {
        let line_ref = &mut editor.tree.lines[line];
        match need.remove(path.as_str()) {
            Some(requirement) => {
                set_version(line_ref, requirement);
                set_indirect(line_ref, requirement.indirect);
                editor.requires.push((path, line));
            }
            None => line_ref.remove(),
        }
    }
    for (path, requirement) in need {
        let line = editor.tree.add_to_last(&["require", &auto_quote(path), requirement.version.as_str()]);
        set_indirect(&mut editor.tree.lines[line], requirement.indirect);
        editor.requires.push((path.to_owned(), line));
    }
    sort_blocks(editor);
}

/// From go 1.17 on: direct and indirect requirements in blocks of their own. With `at_most_two`, from go 1.27 on, all
/// requirements move into those two; below, those of other blocks, such as blocks with comments, stay where they are.
pub(super) fn set_require_in_two(editor: &mut Editor, requirements: &[Requirement], at_most_two: bool) {
    let need: BTreeMap<&str, &Requirement> = requirements.iter().map(|r| (r.path.as_str(), r)).collect();
    let mut survey = Survey::of(editor, &need, at_most_two);
    let one_flat = survey.count == 1 && survey.last.is_some_and(|index| !statement_has_comments(editor, index));
    let (direct, indirect) = survey.blocks(editor);
    editor.tree.blocks[direct].comments.before.append(&mut survey.direct_comments);
    editor.tree.blocks[indirect].comments.before.append(&mut survey.indirect_comments);

    let mut have = HashSet::new();
    for (path, line) in std::mem::take(&mut editor.requires) {
        let Some(&requirement) = need.get(path.as_str()).filter(|_| !have.contains(&path)) else {
            editor.tree.lines[line].remove();
            continue;
        };
        have.insert(path.clone());
        set_version(&mut editor.tree.lines[line], requirement);
        set_indirect(&mut editor.tree.lines[line], requirement.indirect);
        let (own, other) = if requirement.indirect { (indirect, direct) } else { (direct, indirect) };
        let moves = at_most_two || one_flat || survey.block_of.get(&line) == Some(&other);
        let line = if moves { move_line(editor, line, own) } else { line };
        editor.requires.push((path, line));
    }
    for (path, requirement) in need.iter().filter(|(path, _)| !have.contains(**path)) {
        let tokens = vec![auto_quote(path), requirement.version.to_string()];
        let line = editor.tree.new_line(Line { comments: Comments::default(), tokens, in_block: true });
        set_indirect(&mut editor.tree.lines[line], requirement.indirect);
        let block = if requirement.indirect { indirect } else { direct };
        editor.tree.blocks[block].lines.push(line);
        editor.requires.push(((*path).to_owned(), line));
    }
    sort_blocks(editor);
}

/// The `require` lines and blocks of a file, by the index of their statement.
#[derive(Default)]
struct Survey {
    /// The last one without comments that has direct lines only, or indirect ones only.
    last_direct: Option<usize>,
    last_indirect: Option<usize>,
    last: Option<usize>,
    count: usize,
    /// The block that each line was in from the beginning.
    block_of: HashMap<LineId, BlockId>,
    /// The comments above blocks, taken off them.
    direct_comments: Vec<String>,
    indirect_comments: Vec<String>,
}

impl Survey {
    fn of(editor: &mut Editor, need: &BTreeMap<&str, &Requirement>, take_comments: bool) -> Survey {
        let will_be_direct: HashSet<LineId> = editor
            .requires
            .iter()
            .filter(|(path, _)| need.get(path.as_str()).is_some_and(|requirement| !requirement.indirect))
            .map(|(_, line)| *line)
            .collect();
        let mut survey = Survey::default();
        let tree = &mut editor.tree;
        for (index, statement) in tree.statements.iter().enumerate() {
            match statement {
                Statement::Line(id) if tree.lines[*id].tokens.first().is_some_and(|verb| verb == "require") => {
                    let line = &tree.lines[*id];
                    survey.note(index);
                    if !has_comments(&line.comments) {
                        let last = if is_indirect(line) { &mut survey.last_indirect } else { &mut survey.last_direct };
                        *last = Some(index);
                    }
                }
                Statement::Block(id) if tree.blocks[*id].tokens[0] == "require" => {
                    let block = &mut tree.blocks[*id];
                    survey.note(index);
                    survey.block_of.extend(block.lines.iter().map(|&line| (line, *id)));
                    let plain = !block.lines.is_empty() && !has_comments(&block.comments);
                    let all = |indirect: bool| {
                        let fits = |line: &Line| !has_comments(&line.comments) && is_indirect(line) == indirect;
                        plain && block.lines.iter().all(|&line| fits(&tree.lines[line]))
                    };
                    if all(false) {
                        survey.last_direct = Some(index);
                    }
                    if all(true) {
                        survey.last_indirect = Some(index);
                    }
                    if take_comments {
                        let direct = block.lines.iter().any(|line| will_be_direct.contains(line));
                        let into = if direct || block.lines.is_empty() {
                            &mut survey.direct_comments
                        } else {
                            &mut survey.indirect_comments
                        };
                        if !into.is_empty() && !block.comments.before.is_empty() {
                            into.push("//".to_owned());
                        }
                        into.append(&mut block.comments.before);
                    }
                }
                _ => {}
            }
        }
        survey
    }

    fn note(&mut self, index: usize) {
        self.last = Some(index);
        self.count += 1;
    }

    /// The blocks of direct and indirect requirements, made where there are none.
    fn blocks(&self, editor: &mut Editor) -> (BlockId, BlockId) {
        let mut indirect_index = self.last_indirect;
        let (direct_index, direct) = match (self.last_direct, self.last_indirect) {
            (Some(index), _) => (index, ensure_block(editor, index)),
            (None, Some(index)) => {
                indirect_index = Some(index + 1);
                (index, insert_block(editor, index))
            }
            (None, None) => {
                let index = self.last.map_or(editor.tree.statements.len(), |last| last + 1);
                (index, insert_block(editor, index))
            }
        };
        let indirect = match indirect_index {
            Some(index) => ensure_block(editor, index),
            None => insert_block(editor, direct_index + 1),
        };
        (direct, indirect)
    }
}

fn insert_block(editor: &mut Editor, index: usize) -> BlockId {
    let block = editor.tree.new_block(Block { tokens: vec!["require".to_owned()], ..Block::default() });
    editor.tree.statements.insert(index, Statement::Block(block));
    block
}

fn ensure_block(editor: &mut Editor, index: usize) -> BlockId {
    match editor.tree.statements[index] {
        Statement::Block(block) => block,
        Statement::Line(line) => editor.tree.line_to_block(index, line),
        Statement::Comments(_) => unreachable!("the survey names lines and blocks only"),
    }
}

/// Moves a line with its comments to the end of a block.
fn move_line(editor: &mut Editor, old: LineId, block: BlockId) -> LineId {
    let mut line = editor.tree.lines[old].clone();
    if !line.in_block && line.tokens.first().is_some_and(|verb| verb == "require") {
        line.tokens.remove(0);
    }
    line.in_block = true;
    editor.tree.lines[old].tokens.clear();
    let line = editor.tree.new_line(line);
    editor.tree.blocks[block].lines.push(line);
    line
}

fn set_version(line: &mut Line, requirement: &Requirement) {
    // An empty line above goes.
    if line.in_block && line.comments.before.len() == 1 && line.comments.before[0].is_empty() {
        line.comments.before.clear();
    }
    let index = if line.in_block { 1 } else { 2 };
    if let Some(token) = line.tokens.get_mut(index) {
        *token = requirement.version.to_string();
    }
}

fn set_indirect(line: &mut Line, indirect: bool) {
    if is_indirect(line) == indirect {
        return;
    }
    let suffix = &mut line.comments.suffix;
    let text = suffix.first().map(|comment| comment.strip_prefix("//").unwrap_or(comment).trim().to_owned());
    if indirect {
        match text.filter(|text| !text.is_empty()) {
            Some(text) => suffix[0] = format!("// indirect; {text}"),
            None if suffix.is_empty() => suffix.push("// indirect".to_owned()),
            None => suffix[0] = "// indirect".to_owned(),
        }
    } else if text.is_some_and(|text| text == "indirect") {
        suffix.clear();
    } else if let Some((_, rest)) = suffix[0].split_once("indirect;") {
        suffix[0] = format!("//{rest}");
    }
}

fn is_indirect(line: &Line) -> bool {
    line.comments.suffix.first().is_some_and(|comment| super::directives::says_indirect(comment))
}

fn statement_has_comments(editor: &Editor, index: usize) -> bool {
    match &editor.tree.statements[index] {
        Statement::Comments(_) => true,
        Statement::Line(line) => has_comments(&editor.tree.lines[*line].comments),
        Statement::Block(block) => has_comments(&editor.tree.blocks[*block].comments),
    }
}

/// Whether there are comments other than `// indirect`.
fn has_comments(comments: &Comments) -> bool {
    let other = |comment: &String| comment.strip_prefix("//").unwrap_or(comment).trim() != "indirect";
    !comments.before.is_empty() || comments.suffix.len() > 1 || comments.suffix.first().is_some_and(other)
}
