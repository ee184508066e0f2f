//! Why a command ends without its result: what was wrong, what to do about it, and the exit code.

use crate::exit_code;

/// Ends a command.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What was wrong, and where.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// The exit code.
    pub(crate) code: i32,
}

impl Failure {
    /// The command line is at fault.
    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), hint: None, code: exit_code::USAGE }
    }

    /// It could not be done.
    pub(crate) fn failed(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), hint: None, code: exit_code::FAILED }
    }

    /// With what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }
}

/// What a command gives: its exit code.
pub(crate) type Outcome = Result<i32, Failure>;
