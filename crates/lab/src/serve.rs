//! A module proxy under test: a program that is started with `serve`, says on standard error where it listens, and is ended
//! with whoever started it.

mod drive;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub use self::drive::{Behind, GoBehind, ServeDrive, ServeDriveError};

/// How long it may take to listen.
const START: Duration = Duration::from_secs(20);
/// What the line with its address begins with.
const LINE: &str = "export GOPROXY=";

/// A proxy that runs. Ended, by its process id, when this is dropped.
#[derive(Debug)]
pub struct ServeProcess {
    child: Child,
    url: String,
    log: PathBuf,
}

impl ServeProcess {
    /// Starts `command`, which has its arguments and environment already, and waits until it listens. What it writes to
    /// standard error goes to the file `log`.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not say where it listens; with what it said.
    pub fn start(command: &mut Command, log: &Path) -> io::Result<ServeProcess> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(log)?).spawn()?;
        let mut process = ServeProcess { child, url: String::new(), log: log.to_owned() };
        let began = Instant::now();
        loop {
            let said = process.log();
            if let Some(url) = said.lines().find_map(|line| line.split_once(LINE)) {
                process.url = url.1.split_whitespace().next().unwrap_or_default().to_owned();
                return Ok(process);
            }
            if process.child.try_wait()?.is_some() || began.elapsed() > START {
                return Err(io::Error::other(format!("it does not listen:\n{said}")));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it says GOPROXY is to be.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Host and port of the URL.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default())
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard error.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).map_err(io::Error::from)
    }

    /// Waits for its end, and gives its exit code; `None` where a signal ended it.
    ///
    /// # Errors
    /// When it still runs after `limit`.
    pub fn wait(&mut self, limit: Duration) -> io::Result<Option<i32>> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            if began.elapsed() > limit {
                return Err(io::Error::other(format!("it still runs after {} s:\n{}", limit.as_secs(), self.log())));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for ServeProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
