//! The one place that prints.

use std::fmt;
use std::io::{self, Write};

/// Prints a line. A closed pipe is no reason to end.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    drop(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// Prints a line on standard output, with the arguments of `format!`.
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::say::line(format_args!($($argument)*))
    };
}

pub(crate) use say;
