//! A go.mod as a tree that keeps comments and the order of everything (`golang.org/x/mod/modfile/read.go`).
//!
//! Lines and blocks are kept in two lists and named by their index, so that a line stays the same line where it moves
//! from one block to another. Nothing is taken out of the lists; what no statement names is gone.

use super::error::ParseError;
use super::lex::{Kind, Lexer, Token};

/// An index of [`Tree::lines`].
pub(super) type LineId = usize;
/// An index of [`Tree::blocks`].
pub(super) type BlockId = usize;

/// The comments of a line, block or parenthesis, each with its `//`. An empty one above a line of a block stands for an
/// empty line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Comments {
    pub(super) before: Vec<String>,
    pub(super) suffix: Vec<String>,
}

/// A line. One without tokens was removed: [`Tree::clean_up`] drops it.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) comments: Comments,
    /// With the verb, but not in a block.
    pub(super) tokens: Vec<String>,
    pub(super) in_block: bool,
}

impl Line {
    pub(super) fn remove(&mut self) {
        self.tokens.clear();
        self.comments.suffix.clear();
    }
}

/// A block in parentheses.
#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    pub(super) comments: Comments,
    /// What stands before the parenthesis.
    pub(super) tokens: Vec<String>,
    /// Behind `(`.
    pub(super) open_suffix: Vec<String>,
    pub(super) lines: Vec<LineId>,
    /// Above and behind `)`.
    pub(super) close: Comments,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// Comments that belong to nothing else.
    Comments(Vec<String>),
    Line(LineId),
    Block(BlockId),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub(super) statements: Vec<Statement>,
    pub(super) lines: Vec<Line>,
    pub(super) blocks: Vec<Block>,
}

impl Tree {
    /// Reads a file. `keep_last_blank` is what go commands before 1.25 do with an empty line above `)`.
    pub(super) fn parse(file: &str, text: &str, keep_last_blank: bool) -> Result<Tree, ParseError> {
        let mut lexer = Lexer::new(file, text);
        let next = lexer.next()?;
        let mut reader = Reader { lexer, next, tree: Tree::default(), keep_last_blank };
        reader.file()?;
        Ok(reader.tree)
    }

    /// Every line that is not removed, with its verb and its block.
    pub(super) fn directives(&self) -> impl Iterator<Item = (&str, LineId, Option<BlockId>)> {
        self.statements.iter().flat_map(move |statement| {
            let (block, lines): (_, &[LineId]) = match statement {
                Statement::Comments(_) => (None, &[]),
                Statement::Line(line) => (None, std::slice::from_ref(line)),
                Statement::Block(block) => (Some(*block), &self.blocks[*block].lines),
            };
            lines.iter().filter(|&&line| !self.lines[line].tokens.is_empty()).map(move |&line| {
                let tokens = match block {
                    Some(block) => &self.blocks[block].tokens,
                    None => &self.lines[line].tokens,
                };
                (tokens[0].as_str(), line, block)
            })
        })
    }

    pub(super) fn new_line(&mut self, line: Line) -> LineId {
        self.lines.push(line);
        self.lines.len() - 1
    }

    pub(super) fn new_block(&mut self, block: Block) -> BlockId {
        self.blocks.push(block);
        self.blocks.len() - 1
    }

    /// Makes the lone line at `index` a block of one line, which keeps its comments.
    pub(super) fn line_to_block(&mut self, index: usize, line: LineId) -> BlockId {
        let verb = self.lines[line].tokens.remove(0);
        self.lines[line].in_block = true;
        let block = self.new_block(Block { tokens: vec![verb], lines: vec![line], ..Block::default() });
        self.statements[index] = Statement::Block(block);
        block
    }

    /// Adds a line to the last block or line with the same verb, or at the end (`addLine` without a hint).
    pub(super) fn add_to_last(&mut self, tokens: &[&str]) -> LineId {
        let owned = |tokens: &[&str]| tokens.iter().map(|&token| token.to_owned()).collect::<Vec<_>>();
        for index in (0..self.statements.len()).rev() {
            let block = match self.statements[index] {
                Statement::Line(line) if self.lines[line].tokens.first().is_some_and(|verb| verb == tokens[0]) => {
                    self.line_to_block(index, line)
                }
                Statement::Block(block) if self.blocks[block].tokens[0] == tokens[0] => block,
                _ => continue,
            };
            let line = self.new_line(Line { tokens: owned(&tokens[1..]), in_block: true, ..Line::default() });
            self.blocks[block].lines.push(line);
            return line;
        }
        let line = self.new_line(Line { tokens: owned(tokens), ..Line::default() });
        self.statements.push(Statement::Line(line));
        line
    }

    /// Adds a line after the statement that has the line `hint`, or at the end (`addLine` with a hint of another verb).
    pub(super) fn add_after(&mut self, hint: Option<LineId>, tokens: &[&str]) -> LineId {
        let tokens = tokens.iter().map(|&token| token.to_owned()).collect();
        let line = self.new_line(Line { tokens, ..Line::default() });
        let at = self.statements.iter().position(|statement| match statement {
            Statement::Comments(_) => false,
            Statement::Line(line) => Some(*line) == hint,
            Statement::Block(block) => self.blocks[*block].lines.iter().any(|line| Some(*line) == hint),
        });
        let at = at.map_or(self.statements.len(), |at| at + 1);
        self.statements.insert(at, Statement::Line(line));
        line
    }

    /// Drops removed lines and empty blocks; a block of one line becomes a line. Go commands before 1.23 do so even where
    /// that loses comments above `)`: `collapse_any`.
    pub(super) fn clean_up(&mut self, collapse_any: bool) {
        let Tree { statements, lines, blocks } = self;
        statements.retain_mut(|statement| match statement {
            Statement::Comments(_) => true,
            Statement::Line(line) => !lines[*line].tokens.is_empty(),
            Statement::Block(id) => {
                let block = &mut blocks[*id];
                block.lines.retain(|&line| !lines[line].tokens.is_empty());
                if let [only] = block.lines[..]
                    && (collapse_any || block.close.before.is_empty())
                {
                    let line = &mut lines[only];
                    line.in_block = false;
                    line.tokens.splice(0..0, block.tokens.iter().cloned());
                    line.comments.before.splice(0..0, block.comments.before.iter().cloned());
                    line.comments.suffix.extend(block.comments.suffix.iter().cloned());
                    *statement = Statement::Line(only);
                    return true;
                }
                !block.lines.is_empty()
            }
        });
    }
}

struct Reader<'a> {
    lexer: Lexer<'a>,
    next: Token<'a>,
    tree: Tree,
    keep_last_blank: bool,
}

impl<'a> Reader<'a> {
    fn file(&mut self) -> Result<(), ParseError> {
        let mut above: Vec<String> = Vec::new();
        loop {
            match self.next.kind {
                Kind::Comment => above.push(self.lex()?.text.to_owned()),
                Kind::Newline | Kind::End => {
                    if !above.is_empty() {
                        self.tree.statements.push(Statement::Comments(std::mem::take(&mut above)));
                    }
                    if self.lex()?.kind == Kind::End {
                        return Ok(());
                    }
                }
                _ => self.statement(std::mem::take(&mut above))?,
            }
        }
    }

    fn statement(&mut self, before: Vec<String>) -> Result<(), ParseError> {
        let first = self.lex()?;
        let mut tokens = vec![first.text.to_owned()];
        loop {
            let token = self.lex()?;
            if token.kind.ends_line() {
                let comments = Comments { before, suffix: suffix_of(token) };
                let line = self.tree.new_line(Line { comments, tokens, in_block: false });
                self.tree.statements.push(Statement::Line(line));
                return Ok(());
            }
            if token.kind == Kind::Open && self.next.kind.ends_line() {
                return self.block(first, before, tokens);
            }
            if token.kind == Kind::Open && self.next.kind == Kind::Close {
                let close = self.lex()?;
                if self.next.kind.ends_line() {
                    let suffix = suffix_of(self.lex()?);
                    let comments = Comments { before, suffix };
                    let block = self.tree.new_block(Block { comments, tokens, ..Block::default() });
                    self.tree.statements.push(Statement::Block(block));
                    return Ok(());
                }
                tokens.extend([token.text.to_owned(), close.text.to_owned()]);
                continue;
            }
            tokens.push(token.text.to_owned());
        }
    }

    fn block(&mut self, first: Token<'a>, before: Vec<String>, tokens: Vec<String>) -> Result<(), ParseError> {
        let mut block = Block { tokens, ..Block::default() };
        block.comments.before = before;
        let mut above: Vec<String> = Vec::new();
        loop {
            match self.next.kind {
                // Only behind the opening parenthesis: a line takes its own.
                Kind::LineComment => block.open_suffix = suffix_of(self.lex()?),
                Kind::Newline => {
                    self.lex()?;
                    let blank = match above.last() {
                        None => !block.lines.is_empty(),
                        Some(last) => !last.is_empty(),
                    };
                    if blank {
                        above.push(String::new());
                    }
                }
                Kind::Comment => above.push(self.lex()?.text.to_owned()),
                Kind::End => {
                    let message = format!(
                        "syntax error (unterminated block started at line {}, column {}): expected ')'",
                        first.at.line, first.at.column
                    );
                    return Err(self.lexer.error(self.next.at, message));
                }
                Kind::Close => {
                    self.lex()?;
                    if !self.next.kind.ends_line() {
                        let at = self.lexer.position();
                        return Err(self.lexer.error(at, "syntax error (expected newline after closing paren)"));
                    }
                    if !self.keep_last_blank && above.len() == 1 && above[0].is_empty() {
                        above.clear();
                    }
                    block.close = Comments { before: above, suffix: suffix_of(self.lex()?) };
                    let block = self.tree.new_block(block);
                    self.tree.statements.push(Statement::Block(block));
                    return Ok(());
                }
                Kind::Open | Kind::Word => {
                    let line = self.line(std::mem::take(&mut above))?;
                    block.lines.push(line);
                }
            }
        }
    }

    fn line(&mut self, before: Vec<String>) -> Result<LineId, ParseError> {
        let mut tokens = Vec::new();
        loop {
            let token = self.lex()?;
            if token.kind.ends_line() {
                let comments = Comments { before, suffix: suffix_of(token) };
                return Ok(self.tree.new_line(Line { comments, tokens, in_block: true }));
            }
            tokens.push(token.text.to_owned());
        }
    }

    fn lex(&mut self) -> Result<Token<'a>, ParseError> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.next, next))
    }
}

fn suffix_of(token: Token<'_>) -> Vec<String> {
    if token.kind == Kind::LineComment { vec![token.text.to_owned()] } else { Vec::new() }
}
