//! The one place that prints.
//!
//! - Results go to standard output, everything else to standard error.
//! - Errors begin with `goferry: error:` and say what to do in a second line, `goferry: hint:`.
//! - Colour only on a terminal; `NO_COLOR` and `CLICOLOR=0` turn it off, `CLICOLOR_FORCE` on (<https://no-color.org>,
//!   <https://bixense.com/clicolors>).
//! - A closed pipe is no error: whoever reads has seen enough.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::sync::Mutex;

use goferry_diagnose::probe::Reporter;
use goferry_diagnose::report::Style;
use goferry_diagnose::report::text::{ascii, clip, harmless, harmless_lines};

use crate::failure::Failure;

/// Columns where there is no terminal to ask.
const PIPE_WIDTH: usize = 80;

/// Prints, in the ways that the two outputs take.
pub(crate) struct Printer {
    out: Style,
    err: Style,
    /// Whether a line on standard error can be written over.
    shows_progress: bool,
    quiet: bool,
    /// Whether a progress line stands on standard error.
    progress: Mutex<bool>,
}

impl Printer {
    /// For this process.
    pub(crate) fn new() -> Printer {
        let unicode = takes_unicode();
        let style = |terminal: bool, width: Option<usize>| Style {
            color: takes_color(terminal),
            width: width.unwrap_or(PIPE_WIDTH),
            unicode,
        };
        let (out, err) = (io::stdout(), io::stderr());
        let columns =
            |size: Option<(terminal_size::Width, terminal_size::Height)>| size.map(|(width, _)| usize::from(width.0));
        Printer {
            out: style(out.is_terminal(), columns(terminal_size::terminal_size_of(&out))),
            err: style(err.is_terminal(), columns(terminal_size::terminal_size_of(&err))),
            shows_progress: err.is_terminal() && !is_dumb(std::env::var("TERM").ok().as_deref()),
            quiet: false,
            progress: Mutex::new(false),
        }
    }

    /// Shows no progress, and no notes.
    pub(crate) fn set_quiet(&mut self, quiet: bool) {
        self.quiet = quiet;
    }

    /// How results are drawn.
    pub(crate) fn style(&self) -> Style {
        self.out
    }

    /// Prints a result as it is. A line feed is added where its last line has none.
    ///
    /// # Errors
    /// When standard output takes nothing, for another reason than that nobody reads any more.
    pub(crate) fn result(&self, text: &str) -> Result<(), Failure> {
        self.clear();
        let mut out = io::stdout().lock();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let written =
            out.write_all(text.as_bytes()).and_then(|()| out.write_all(end.as_bytes())).and_then(|()| out.flush());
        match written {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Failure::failed(format!("standard output takes nothing: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// A line beside the result.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.say(&self.encode(text));
        }
    }

    /// A line that is written over by the next, on a terminal; nothing elsewhere.
    pub(crate) fn progress(&self, text: &str) {
        self.phase(text);
    }

    /// Why a command ended without its result.
    pub(crate) fn failure(&self, failure: &Failure) {
        let label = |name: &str, code: &str| {
            if self.err.color { format!("\x1b[{code}mgoferry: {name}:\x1b[0m") } else { format!("goferry: {name}:") }
        };
        self.say(&format!("{} {}", label("error", "1;31"), self.encode(&failure.message)));
        if let Some(hint) = &failure.hint {
            self.say(&format!("{} {}", label("hint", "1"), self.encode(hint)));
        }
    }

    /// Text of clap's own, help or an error.
    pub(crate) fn usage(&self, error: &clap::Error) {
        let text = if self.err.color { error.render().ansi().to_string() } else { error.render().to_string() };
        // clap begins with "error:", styled or not.
        self.say(&format!("goferry: {}", text.trim_end()));
    }

    fn encode(&self, text: &str) -> String {
        let text = harmless_lines(text);
        if self.err.unicode { text } else { ascii(&text) }
    }

    fn say(&self, text: &str) {
        self.clear();
        // Nothing can be said about standard error when it takes nothing.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    fn clear(&self) {
        let mut shown = self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if std::mem::take(&mut *shown) {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// Progress: one line on a terminal that is written over; nothing elsewhere.
impl Reporter for Printer {
    fn phase(&self, text: &str) {
        if self.quiet || !self.shows_progress {
            return;
        }
        let text = clip(&self.encode(&harmless(text)), self.err.width.saturating_sub(1), "...");
        let mut shown = self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *shown = true;
        let mut err = io::stderr().lock();
        let _ = write!(err, "\r\x1b[K{text}").and_then(|()| err.flush());
    }
}

/// Whether the terminal is one that cannot move its cursor.
fn is_dumb(term: Option<&str>) -> bool {
    term == Some("dumb")
}

fn takes_color(terminal: bool) -> bool {
    let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if var("NO_COLOR").is_some() {
        return false;
    }
    if var("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    terminal && var("CLICOLOR").is_none_or(|value| value != "0") && !is_dumb(var("TERM").as_deref())
}

/// Whether the locale is a UTF-8 one, by the order of POSIX: LC_ALL, LC_CTYPE, LANG.
fn takes_unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}
