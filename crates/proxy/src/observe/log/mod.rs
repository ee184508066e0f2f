//! The log: a line for each request, and for what else an operator is to know. docs/operations.md has its fields.
//!
//! Whoever has something to say makes the line and adds it to a bounded text; one thread writes what has gathered. Where
//! whoever reads is too slow lines are dropped, counted, and the log says so: serving never waits. (Were the lines made on
//! the thread that writes them, what they are made of would be freed there: that takes the allocator's locks of the
//! threads that serve.)

mod line;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use goferry_fetch::FetchError;
use prometheus::IntCounter;

pub use self::line::{Level, Note};
use self::line::{Line, Request};
pub(super) use self::line::{harmless, seconds};
use crate::config::LogFormat;
use crate::exchange::Record;

/// Bytes of lines that wait to be written.
const WAITING: usize = 2 << 20;
/// How long lines are gathered for the next write. A thread that waits for each line has to be woken for each.
const GATHER: Duration = Duration::from_millis(10);
/// How long the end waits for what is not written yet.
const END: Duration = Duration::from_secs(2);

type Output = Box<dyn Write + Send>;

/// The log.
pub struct Log {
    waiting: Arc<Waiting>,
    dropped: IntCounter,
    /// Told when the thread has written all; `None` where there is no thread.
    done: Option<Mutex<Receiver<()>>>,
}

/// What is not written yet.
struct Waiting {
    /// The form of `lines`, to make a line in before they are locked.
    json: AtomicBool,
    lines: Mutex<Lines>,
    more: Condvar,
    /// Bytes that may wait.
    most: usize,
}

struct Lines {
    format: LogFormat,
    /// Whole lines.
    text: String,
    /// From so many bytes of `text` on lines go there.
    turns: Vec<(usize, Output)>,
    over: bool,
}

impl Log {
    /// Opens the file, or takes standard error. Lines that are dropped are counted in `dropped`.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn open(format: LogFormat, file: Option<&Path>, dropped: IntCounter) -> Result<Log, FetchError> {
        Ok(Log::to(output(file)?, format, dropped, WAITING))
    }

    fn to(output: Output, format: LogFormat, dropped: IntCounter, most: usize) -> Log {
        let lines = Lines { format, text: String::new(), turns: Vec::new(), over: false };
        let json = AtomicBool::new(format == LogFormat::Json);
        let waiting = Arc::new(Waiting { json, lines: Mutex::new(lines), more: Condvar::new(), most });
        let (over, done) = channel();
        let writer = Writer { output, waiting: Arc::clone(&waiting), dropped: dropped.clone(), said: 0 };
        let work = move || {
            writer.run();
            let _ = over.send(());
        };
        let begun = thread::Builder::new().name("goferry-log".to_owned()).spawn(work);
        if let Err(error) = &begun {
            tracing::error!(%error, "there is no thread for the log: nothing is logged");
        }
        Log { waiting, dropped, done: begun.is_ok().then_some(Mutex::new(done)) }
    }

    /// Goes on in another form, to another place. A file is opened again even where it is the same.
    ///
    /// # Errors
    /// Where the file cannot be opened: all stays as it was.
    pub fn turn_to(&self, format: LogFormat, file: Option<&Path>) -> Result<(), FetchError> {
        let output = output(file)?;
        let mut lines = self.waiting.lines();
        let at = lines.text.len();
        lines.turns.push((at, output));
        lines.format = format;
        self.waiting.json.store(format == LogFormat::Json, Ordering::Relaxed);
        drop(lines);
        self.waiting.more.notify_one();
        Ok(())
    }

    /// A request is over.
    pub fn request(&self, record: &Record) {
        self.add(&Line::Request(Request::of(jiff::Timestamp::now(), record)));
    }

    /// Something else.
    pub fn note(&self, note: Note) {
        self.add(&Line::Note(note.at(jiff::Timestamp::now())));
    }

    fn add(&self, line: &Line<'_>) {
        if self.done.is_none() {
            return;
        }
        let (mut format, mut text) = (self.waiting.format(), String::with_capacity(256));
        line.write(format, &mut text);
        let mut lines = self.waiting.lines();
        // It may have turned meanwhile.
        if lines.format != format {
            format = lines.format;
            text.clear();
            line.write(format, &mut text);
        }
        if lines.text.len() + text.len() > self.waiting.most {
            self.dropped.inc();
            return;
        }
        let first = lines.text.is_empty();
        lines.text.push_str(&text);
        drop(lines);
        if first {
            self.waiting.more.notify_one();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.waiting.lines().over = true;
        self.waiting.more.notify_one();
        // Whoever does not read must not hold the end up.
        if let Some(done) = &self.done {
            let _ = done.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(END);
        }
    }
}

impl Waiting {
    fn format(&self) -> LogFormat {
        if self.json.load(Ordering::Relaxed) { LogFormat::Json } else { LogFormat::Text }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn output(file: Option<&Path>) -> Result<Output, FetchError> {
    match file {
        None => Ok(Box::new(io::stderr())),
        Some(path) => {
            let opened: io::Result<File> = OpenOptions::new().append(true).create(true).open(path);
            let failed =
                |error: &io::Error| FetchError::local(format_args!("opening the log {}", path.display()), error);
            opened.map(|file| Box::new(file) as Output).map_err(|error| failed(&error))
        }
    }
}

struct Writer {
    output: Output,
    waiting: Arc<Waiting>,
    dropped: IntCounter,
    /// Of the dropped lines, those that the log has said.
    said: u64,
}

impl Writer {
    /// Writes until the log is over and all is written.
    fn run(mut self) {
        let mut text = String::new();
        loop {
            let idle = |lines: &mut Lines| lines.text.is_empty() && lines.turns.is_empty() && !lines.over;
            let mut lines =
                self.waiting.more.wait_while(self.waiting.lines(), idle).unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut lines.text, &mut text);
            let (turns, over, format) = (std::mem::take(&mut lines.turns), lines.over, lines.format);
            drop(lines);
            let mut written = 0;
            for (at, output) in turns {
                self.write(&text[written..at]);
                (self.output, written) = (output, at);
            }
            self.write(&text[written..]);
            text.clear();
            self.say_dropped(format);
            if over {
                return;
            }
            thread::sleep(GATHER);
        }
    }

    fn say_dropped(&mut self, format: LogFormat) {
        let dropped = self.dropped.get();
        if dropped > self.said {
            let lines = dropped - self.said;
            let note = Note::warning("log", format!("{lines} lines of this log were dropped: it is read too slowly"));
            let mut text = String::new();
            Line::Note(note.at(jiff::Timestamp::now())).write(format, &mut text);
            self.write(&text);
            self.said = dropped;
        }
    }

    /// Writes whole lines. A log that takes nothing is no reason to serve nothing.
    fn write(&mut self, text: &str) {
        if !text.is_empty() {
            let _ = self.output.write_all(text.as_bytes()).and_then(|()| self.output.flush());
        }
    }
}

#[cfg(test)]
mod tests;
