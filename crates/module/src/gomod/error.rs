//! What is wrong with a go.mod or go.work, and where.

use std::fmt;

/// The most errors that are kept of one file.
pub(crate) const MAX_ERRORS: usize = 20;

/// One error with its position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct ParseError {
    /// The file's name as given to the parser.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong and what is expected, in the words of the go command.
    pub message: String,
}

/// Everything that is wrong with a file, at most 20 errors, never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseErrors {
    /// In the order of the file.
    pub errors: Vec<ParseError>,
}

impl fmt::Display for ParseErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.errors.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ParseErrors {}

impl From<ParseError> for ParseErrors {
    fn from(error: ParseError) -> Self {
        Self { errors: vec![error] }
    }
}
