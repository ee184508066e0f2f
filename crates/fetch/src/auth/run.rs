//! Running a command with a bound on its time and output.

use std::collections::BTreeMap;
use std::io::{Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// The most that a command may print, in bytes.
const MAX_OUTPUT: u64 = 1 << 20;
const POLL: Duration = Duration::from_millis(2);

pub(super) struct Program {
    pub(super) name: String,
    pub(super) args: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) dir: PathBuf,
    pub(super) input: Vec<u8>,
}

impl Program {
    /// Its standard output. The error names no argument and quotes no output.
    pub(super) fn run(self, limit: Duration) -> Result<Vec<u8>, String> {
        let start = Instant::now();
        let mut child = Command::new(&self.name)
            .args(&self.args)
            .env_clear()
            .envs(&self.env)
            .current_dir(&self.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("it cannot be started: {e}"))?;
        if let Some(mut stdin) = child.stdin.take() {
            let input = self.input;
            // It may end without reading: not an error.
            std::thread::spawn(move || drop(stdin.write_all(&input)));
        }
        let output = reader(child.stdout.take());
        let status = wait(&mut child, start, limit)?;
        let left = limit.saturating_sub(start.elapsed()).max(Duration::from_secs(1));
        // A process that it left behind may hold the pipe open.
        let output = output.recv_timeout(left).map_err(|_| "its output does not end".to_owned())?;
        match (status.success(), status.code()) {
            _ if output.len() as u64 > MAX_OUTPUT => Err(format!("it printed more than {MAX_OUTPUT} bytes")),
            (true, _) => Ok(output),
            (false, Some(code)) => Err(format!("it ended with status {code}")),
            (false, None) => Err("a signal ended it".to_owned()),
        }
    }
}

fn wait(child: &mut Child, start: Instant, limit: Duration) -> Result<ExitStatus, String> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if start.elapsed() < limit => std::thread::sleep(POLL),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it did not end within {} s", limit.as_secs()));
            }
            Err(e) => return Err(format!("it cannot be waited for: {e}")),
        }
    }
}

fn reader(from: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut out = Vec::new();
        if let Some(from) = from {
            // What was read before an error is what there is.
            let _ = from.take(MAX_OUTPUT + 1).read_to_end(&mut out);
        }
        let _ = send.send(out);
    });
    receive
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Program {
        let env = [("PATH".to_owned(), std::env::var("PATH").unwrap())].into();
        let args = vec!["-c".to_owned(), script.to_owned()];
        Program { name: "sh".to_owned(), args, env, dir: "/".into(), input: b"in\n".to_vec() }
    }

    #[test]
    fn output_errors_and_bounds() {
        let limit = Duration::from_secs(20);
        assert_eq!(sh("cat; pwd; echo secret >&2").run(limit).unwrap(), b"in\n/\n");
        assert_eq!(sh("echo secret; exit 3").run(limit).unwrap_err(), "it ended with status 3");
        assert!(sh("kill -9 $$").run(limit).unwrap_err().contains("signal"));
        assert!(sh("head -c 2000000 /dev/zero").run(limit).unwrap_err().contains("more than 1048576 bytes"));
        let slow = sh("exec sleep 60").run(Duration::from_millis(200)).unwrap_err();
        assert!(slow.contains("did not end within"), "{slow}");
        let missing = Program { name: "no-such-program-here".to_owned(), ..sh("") };
        assert!(missing.run(limit).unwrap_err().contains("cannot be started"));
    }
}
