//! The log: a line for each request, and for what else an operator is to know. docs/operations.md has its fields.
//!
//! Lines go through a bounded channel to one thread that writes them. Where whoever reads is too slow lines are dropped,
//! counted, and the log says so: serving never waits.

mod line;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use goferry_fetch::FetchError;
use prometheus::IntCounter;

pub use self::line::{Level, Note};
use self::line::{Line, Request};
pub(super) use self::line::{harmless, seconds};
use crate::config::LogFormat;
use crate::exchange::Record;

/// Lines that wait to be written.
const WAITING: usize = 8192;
/// Bytes that are gathered for one write.
const BATCH: usize = 64 << 10;
/// How long lines are gathered for the next write. A thread that waits for each line has to be woken for each.
const GATHER: Duration = Duration::from_millis(10);
/// How long the end waits for what is not written yet.
const END: Duration = Duration::from_secs(2);

/// The log.
pub struct Log {
    /// `None` once it ends, and where there is no thread.
    sender: Option<SyncSender<Message>>,
    dropped: IntCounter,
    /// Told when the thread has written all.
    done: Mutex<Receiver<()>>,
}

enum Message {
    /// A request that was over then. Its line is made on the thread that writes it.
    Request(jiff::Timestamp, Box<Record>),
    Note(Box<Note>),
    /// From here on in another form, to another place.
    Turn(LogFormat, Box<dyn Write + Send>),
}

impl Log {
    /// Opens the file, or takes standard error. Lines that are dropped are counted in `dropped`.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn open(format: LogFormat, file: Option<&Path>, dropped: IntCounter) -> Result<Log, FetchError> {
        Ok(Log::to(output(file)?, format, dropped, WAITING))
    }

    fn to(output: Box<dyn Write + Send>, format: LogFormat, dropped: IntCounter, waiting: usize) -> Log {
        let (sender, receiver) = sync_channel(waiting);
        let (over, done) = channel();
        let count = dropped.clone();
        let begun = thread::Builder::new()
            .name("goferry-log".to_owned())
            .spawn(move || Writer { output, format, dropped: count, said: 0 }.run(&receiver, &over));
        if let Err(error) = &begun {
            tracing::error!(%error, "there is no thread for the log: nothing is logged");
        }
        Log { sender: begun.is_ok().then_some(sender), dropped, done: Mutex::new(done) }
    }

    /// Goes on in another form, to another place. A file is opened again even where it is the same.
    ///
    /// # Errors
    /// Where the file cannot be opened: all stays as it was.
    pub fn turn_to(&self, format: LogFormat, file: Option<&Path>) -> Result<(), FetchError> {
        let turn = Message::Turn(format, output(file)?);
        if let Some(sender) = &self.sender
            && let Err(TrySendError::Full(turn)) = sender.try_send(turn)
        {
            // Lines may be dropped, this not: it waits for its place, on a thread of its own.
            let sender = sender.clone();
            thread::spawn(move || sender.send(turn));
        }
        Ok(())
    }

    /// A request is over.
    pub fn request(&self, record: Box<Record>) {
        self.send(Message::Request(jiff::Timestamp::now(), record));
    }

    /// Something else.
    pub fn note(&self, note: Note) {
        self.send(Message::Note(Box::new(note.at(jiff::Timestamp::now()))));
    }

    fn send(&self, message: Message) {
        if let Some(sender) = &self.sender
            && let Err(TrySendError::Full(_)) = sender.try_send(message)
        {
            self.dropped.inc();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        drop(self.sender.take());
        // Whoever does not read must not hold the end up.
        let _ = self.done.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(END);
    }
}

fn output(file: Option<&Path>) -> Result<Box<dyn Write + Send>, FetchError> {
    match file {
        None => Ok(Box::new(io::stderr())),
        Some(path) => {
            let opened: io::Result<File> = OpenOptions::new().append(true).create(true).open(path);
            let failed =
                |error: &io::Error| FetchError::local(format_args!("opening the log {}", path.display()), error);
            opened.map(|file| Box::new(file) as Box<dyn Write + Send>).map_err(|error| failed(&error))
        }
    }
}

struct Writer {
    output: Box<dyn Write + Send>,
    format: LogFormat,
    dropped: IntCounter,
    /// Of the dropped lines, those that the log has said.
    said: u64,
}

impl Writer {
    fn run(mut self, receiver: &Receiver<Message>, over: &Sender<()>) {
        let mut text = String::new();
        while let Ok(first) = receiver.recv() {
            let mut next = Some(first);
            while let Some(message) = next {
                self.take(message, &mut text);
                if text.len() >= BATCH {
                    self.write(&mut text);
                }
                next = receiver.try_recv().ok();
            }
            self.say_dropped(&mut text);
            self.write(&mut text);
            thread::sleep(GATHER);
        }
        let _ = over.send(());
    }

    fn take(&mut self, message: Message, text: &mut String) {
        match message {
            Message::Request(time, record) => Line::Request(Request::of(time, &record)).write(self.format, text),
            Message::Note(note) => Line::Note(*note).write(self.format, text),
            Message::Turn(format, output) => {
                self.write(text);
                (self.format, self.output) = (format, output);
            }
        }
    }

    fn say_dropped(&mut self, text: &mut String) {
        let dropped = self.dropped.get();
        if dropped > self.said {
            let lines = dropped - self.said;
            let note = Note::warning("log", format!("{lines} lines of this log were dropped: it is read too slowly"));
            Line::Note(note.at(jiff::Timestamp::now())).write(self.format, text);
            self.said = dropped;
        }
    }

    /// Writes whole lines. A log that takes nothing is no reason to serve nothing.
    fn write(&mut self, text: &mut String) {
        let _ = self.output.write_all(text.as_bytes()).and_then(|()| self.output.flush());
        text.clear();
    }
}

#[cfg(test)]
mod tests;
