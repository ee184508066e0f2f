//! Lines and blocks of go.mod and go.work, one at a time, so that a large file costs no tree.

use std::rc::Rc;

use super::error::ParseError;
use super::lex::{Kind, Lexer, Position, Token};

/// One directive: its verb, the rest of its tokens, and the comments that belong to it.
#[derive(Clone, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) verb: &'a str,
    pub(crate) args: Vec<&'a str>,
    pub(crate) at: Position,
    pub(crate) in_block: bool,
    /// The comments above (none of them blank) and the one behind, with `//`.
    pub(crate) above: Vec<&'a str>,
    pub(crate) suffix: Option<&'a str>,
    /// The comments above the block that the line is in.
    pub(crate) block_above: Rc<[&'a str]>,
}

/// What the parser finds, in the order of the file.
pub(crate) enum Item<'a> {
    Line(Line<'a>),
    /// A block, before its lines: the tokens before its parenthesis.
    Block {
        tokens: Vec<&'a str>,
        at: Position,
    },
    End,
}

pub(crate) struct Parser<'a> {
    lexer: Lexer<'a>,
    next: Token<'a>,
    above: Vec<&'a str>,
    block: Option<OpenBlock<'a>>,
}

struct OpenBlock<'a> {
    verb: &'a str,
    at: Position,
    above: Rc<[&'a str]>,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Result<Self, ParseError> {
        let mut lexer = Lexer::new(file, text);
        let next = lexer.next()?;
        Ok(Self { lexer, next, above: Vec::new(), block: None })
    }

    pub(crate) fn error(&self, at: Position, message: impl Into<String>) -> ParseError {
        self.lexer.error(at, message)
    }

    /// The next line or block.
    pub(crate) fn item(&mut self) -> Result<Item<'a>, ParseError> {
        loop {
            let kind = self.next.kind;
            match (kind, &self.block) {
                (Kind::Comment, _) => {
                    let comment = self.lex()?;
                    self.above.push(comment.text);
                }
                (Kind::LineComment, _) => {
                    self.lex()?;
                }
                (Kind::Newline, block) => {
                    // A blank line parts a comment from a directive at top level, but not inside a block.
                    if block.is_none() {
                        self.above.clear();
                    }
                    self.lex()?;
                }
                (Kind::End, None) => return Ok(Item::End),
                (Kind::End, Some(block)) => {
                    let message = format!(
                        "syntax error (unterminated block started at line {}, column {}): expected ')'",
                        block.at.line, block.at.column
                    );
                    return Err(self.error(self.next.at, message));
                }
                (Kind::Close, Some(_)) => {
                    self.lex()?;
                    if !self.next.kind.ends_line() {
                        let at = self.lexer.position();
                        return Err(self.error(at, "syntax error (expected newline after closing paren)"));
                    }
                    self.lex()?;
                    self.block = None;
                    self.above.clear();
                }
                (_, Some(_)) => return self.line_in_block().map(Item::Line),
                (_, None) => return self.statement(),
            }
        }
    }

    fn line_in_block(&mut self) -> Result<Line<'a>, ParseError> {
        let at = self.next.at;
        let mut args = Vec::new();
        let suffix = loop {
            let token = self.lex()?;
            if token.kind.ends_line() {
                break suffix_of(token);
            }
            args.push(token.text);
        };
        let above = std::mem::take(&mut self.above);
        let block = self.block.as_ref();
        Ok(Line {
            verb: block.map_or("", |block| block.verb),
            args,
            at,
            in_block: true,
            above,
            suffix,
            block_above: block.map_or_else(|| Rc::from([]), |block| Rc::clone(&block.above)),
        })
    }

    fn statement(&mut self) -> Result<Item<'a>, ParseError> {
        let first = self.lex()?;
        let above = std::mem::take(&mut self.above);
        let mut tokens = vec![first.text];
        let suffix = loop {
            let token = self.lex()?;
            if token.kind.ends_line() {
                break suffix_of(token);
            }
            if token.kind == Kind::Open {
                if self.next.kind.ends_line() {
                    let at = first.at;
                    self.block = Some(OpenBlock { verb: first.text, at, above: above.into() });
                    return Ok(Item::Block { tokens, at });
                }
                if self.next.kind == Kind::Close {
                    let close = self.lex()?;
                    if self.next.kind.ends_line() {
                        self.lex()?;
                        return Ok(Item::Block { tokens, at: first.at });
                    }
                    tokens.extend([token.text, close.text]);
                    continue;
                }
            }
            tokens.push(token.text);
        };
        let args = tokens.split_off(1);
        let block_above = Rc::from([]);
        Ok(Item::Line(Line { verb: first.text, args, at: first.at, in_block: false, above, suffix, block_above }))
    }

    fn lex(&mut self) -> Result<Token<'a>, ParseError> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.next, next))
    }
}

fn suffix_of(token: Token<'_>) -> Option<&str> {
    (token.kind == Kind::LineComment).then_some(token.text)
}
