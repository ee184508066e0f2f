//! Runs a child to its end or to a deadline, in a process group of its own, with bounded memory for what it writes.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use super::error::GoClientError;
use super::http2debug::Http2Debug;

/// The most that is kept of one output stream, in bytes. All of it is read and counted.
const KEPT: usize = 16 << 20;
/// The most of a line that is looked at; what follows in it is kept, but counts for nothing.
const LINE: u64 = 64 << 10;
/// How long to wait for the end of the output once the process group is dead: only a process that left the group holds it open.
const DRAIN: Duration = Duration::from_secs(5);

/// How a child ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// At the deadline, with all of its group.
    Killed,
}

/// A child that has ended.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) ended: Ended,
    /// From before the start to the child's end.
    pub(super) wall: Duration,
    pub(super) stdout: Stream,
    pub(super) stderr: Stream,
}

/// What was written to one stream.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The first [`KEPT`] bytes; what is not UTF-8 replaced.
    pub(super) text: String,
    /// Whether there was more.
    pub(super) truncated: bool,
    /// From all of it.
    pub(super) http2: Http2Debug,
}

/// Starts `command` through `spawn` and waits for it, at most until `deadline`. Afterwards nothing of its process group is left.
pub(super) fn run(
    command: &mut Command,
    deadline: Duration,
    spawn: impl FnOnce(&mut Command) -> Result<Child, GoClientError>,
) -> Result<Run, GoClientError> {
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = spawn(command)?;
    let stdout = child.stdout.take().map(read_aside);
    let stderr = child.stderr.take().map(read_aside);
    let group = Pid::from_raw(child.id().cast_signed());

    let exited = watch(group);
    let in_time = exited.recv_timeout(deadline.saturating_sub(start.elapsed())).is_ok();
    let wall = start.elapsed();
    // The child is not reaped yet, so its number cannot belong to another process or group.
    match killpg(group, Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH | Errno::EPERM) => {}
        Err(errno) => {
            return Err(GoClientError::system("killing a process group")(errno.into()));
        }
    }
    let status = child.wait().map_err(GoClientError::system("waiting for a process"))?;
    let ended = if in_time { Ended::Exited(status) } else { Ended::Killed };
    Ok(Run { ended, wall, stdout: collect(stdout), stderr: collect(stderr) })
}

/// Tells when the child has ended, without reaping it.
fn watch(child: Pid) -> Receiver<()> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        while let Err(Errno::EINTR) = waitid(Id::Pid(child), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {}
        // Nobody listens any more after the deadline.
        let _ = tell.send(());
    });
    told
}

fn read_aside(stream: impl Read + Send + 'static) -> Receiver<Stream> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let _ = tell.send(read_all(stream));
    });
    told
}

fn collect(stream: Option<Receiver<Stream>>) -> Stream {
    stream
        .and_then(|stream| stream.recv_timeout(DRAIN).ok())
        .unwrap_or_else(|| Stream { truncated: true, ..Stream::default() })
}

/// Reads to the end, or to an error, which ends the stream too.
fn read_all(stream: impl Read) -> Stream {
    let mut reader = BufReader::with_capacity(64 << 10, stream);
    let mut kept = Vec::new();
    let mut line = Vec::new();
    let mut result = Stream::default();
    let mut at_start = true;
    loop {
        line.clear();
        match reader.by_ref().take(LINE).read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        }
        if at_start {
            result.http2.read_line(&String::from_utf8_lossy(&line));
        }
        at_start = line.ends_with(b"\n");
        let room = KEPT - kept.len();
        result.truncated |= line.len() > room;
        kept.extend_from_slice(&line[..line.len().min(room)]);
    }
    result.text = String::from_utf8_lossy(&kept).into_owned();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, deadline: Duration) -> Run {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(&mut command, deadline, |command| command.spawn().map_err(GoClientError::system("starting sh"))).unwrap()
    }

    #[test]
    fn status_and_output_are_told() {
        let run = sh("echo out; echo err >&2; exit 3", Duration::from_secs(20));
        assert!(matches!(run.ended, Ended::Exited(status) if status.code() == Some(3)));
        assert_eq!((run.stdout.text.as_str(), run.stderr.text.as_str()), ("out\n", "err\n"));
        assert!(!run.stdout.truncated);
    }

    #[test]
    fn the_deadline_kills_the_whole_group() {
        let run = sh("sleep 60 & echo $!; sleep 60", Duration::from_millis(300));
        assert!(matches!(run.ended, Ended::Killed));
        assert!(run.wall < Duration::from_secs(10), "{:?}", run.wall);
        let background: i32 = run.stdout.text.trim().parse().unwrap();
        assert!(gone(background), "{background} is still running");
    }

    #[test]
    fn a_background_process_does_not_outlive_its_command() {
        let run = sh("sleep 60 & echo $!", Duration::from_secs(20));
        assert!(matches!(run.ended, Ended::Exited(status) if status.success()));
        assert!(gone(run.stdout.text.trim().parse().unwrap()));
    }

    /// Whether the process has ended (a zombie counts), within a second.
    fn gone(pid: i32) -> bool {
        (0..100).any(|_| {
            thread::sleep(Duration::from_millis(10));
            std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .map_or(true, |stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
        })
    }

    #[test]
    fn long_output_is_cut_but_read_to_its_end() {
        let text = "x".repeat(1000) + "\n";
        let lines = KEPT / text.len() + 100;
        let debug = "http2: Transport creating client conn 0xc000480700 to 127.0.0.1:39443\n";
        let stream = read_all(io::Cursor::new(text.repeat(lines) + debug));
        assert!(stream.truncated);
        assert_eq!(stream.text.len(), KEPT);
        assert_eq!(stream.http2.connections, 1);
    }

    #[test]
    fn the_rest_of_a_long_line_is_not_taken_for_a_line() {
        let start = "x".repeat(usize::try_from(LINE).unwrap());
        let stream =
            read_all(io::Cursor::new(start + "http2: Transport creating client conn 0xc000480700 to 127.0.0.1:1\n"));
        assert_eq!(stream.http2, Http2Debug::default());
    }
}
