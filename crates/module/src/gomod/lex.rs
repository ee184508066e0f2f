//! The tokens of go.mod and go.work (`golang.org/x/mod/modfile/read.go`).

use super::error::ParseError;
use crate::unicode::is_print;

/// A place in the file: line and column in characters, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    End,
    Newline,
    Open,
    Close,
    /// Any other token of a line: a word, a string, or one of `[ ] { } ,`.
    Word,
    /// A comment on a line of its own. Its line break belongs to it.
    Comment,
    /// A comment behind other tokens; it ends the line.
    LineComment,
}

impl Kind {
    pub(crate) fn ends_line(self) -> bool {
        matches!(self, Self::End | Self::Newline | Self::LineComment)
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    /// As written, quotes included; a comment without its line break.
    pub(crate) text: &'a str,
    pub(crate) at: Position,
}

pub(crate) struct Lexer<'a> {
    file: &'a str,
    text: &'a str,
    offset: usize,
    at: Position,
    /// Whether a token stands before this point on this line.
    in_line: bool,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, offset: 0, at: Position { line: 1, column: 1 }, in_line: false }
    }

    pub(crate) fn error(&self, at: Position, message: impl Into<String>) -> ParseError {
        ParseError { file: self.file.to_owned(), line: at.line, column: at.column, message: message.into() }
    }

    /// The place that has been read up to.
    pub(crate) fn position(&self) -> Position {
        self.at
    }

    pub(crate) fn next(&mut self) -> Result<Token<'a>, ParseError> {
        while matches!(self.peek(), Some(' ' | '\t' | '\r')) {
            self.bump();
        }
        let (start, at) = (self.offset, self.at);
        let Some(c) = self.peek() else {
            return Ok(Token { kind: Kind::End, text: "", at });
        };
        if self.rest().starts_with("//") {
            let kind = if self.in_line { Kind::LineComment } else { Kind::Comment };
            while self.peek().is_some_and(|c| c != '\n') {
                self.bump();
            }
            let text = &self.text[start..self.offset];
            self.bump();
            return Ok(Token { kind, text: text.strip_suffix('\r').unwrap_or(text), at });
        }
        self.no_block_comment()?;
        let kind = match c {
            '\n' => Kind::Newline,
            '(' => Kind::Open,
            ')' => Kind::Close,
            _ => Kind::Word,
        };
        match c {
            '\n' | '(' | ')' | '[' | ']' | '{' | '}' | ',' => self.bump(),
            '"' | '`' => self.string(c, at)?,
            c if is_ident(c) => self.ident()?,
            c => return Err(self.error(at, format!("unexpected input character {c:?}"))),
        }
        self.in_line = kind != Kind::Newline;
        Ok(Token { kind, text: &self.text[start..self.offset], at })
    }

    fn string(&mut self, quote: char, start: Position) -> Result<(), ParseError> {
        self.bump();
        loop {
            match self.peek() {
                None => return Err(self.error(start, "unexpected EOF in string")),
                Some('\n') => return Err(self.error(self.at, "unexpected newline in string")),
                Some(c) => {
                    self.bump();
                    if c == quote {
                        return Ok(());
                    }
                    if c == '\\' && quote == '"' {
                        if self.peek().is_none() {
                            return Err(self.error(start, "unexpected EOF in string"));
                        }
                        self.bump();
                    }
                }
            }
        }
    }

    fn ident(&mut self) -> Result<(), ParseError> {
        while self.peek().is_some_and(is_ident) && !self.rest().starts_with("//") {
            self.no_block_comment()?;
            self.bump();
        }
        Ok(())
    }

    fn no_block_comment(&self) -> Result<(), ParseError> {
        if self.rest().starts_with("/*") {
            return Err(self.error(self.at, "mod files must use // comments (not /* */ comments)"));
        }
        Ok(())
    }

    fn rest(&self) -> &'a str {
        &self.text[self.offset..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) {
        let Some(c) = self.peek() else { return };
        self.offset += c.len_utf8();
        if c == '\n' {
            self.at = Position { line: self.at.line + 1, column: 1 };
            self.in_line = false;
        } else {
            self.at.column += 1;
        }
    }
}

/// `isIdent`: printable, not a space, not one of the punctuation tokens.
fn is_ident(c: char) -> bool {
    !matches!(c, ' ' | '(' | ')' | '[' | ']' | '{' | '}' | ',') && is_print(c)
}
