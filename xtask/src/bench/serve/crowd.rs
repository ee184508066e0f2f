//! Many clients of a large file at once, each slower than the server: what the server holds for them adds up.
//!
//! Each is a curl of its own. h2load is of no use here: where one of its clients can be read without end, the others wait,
//! even for their handshakes.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::process;
use super::rows::Protocol;

/// What each reads in a second.
const RATE: &str = "300k";
/// After the last has begun, and before who is connected is counted for the first time.
const SETTLED: Duration = Duration::from_secs(4);
/// Between two counts.
const AGAIN: Duration = Duration::from_millis(250);
/// Before the first ends, who is connected is counted for the last time.
const LAST: Duration = Duration::from_secs(1);

/// What came of it.
pub(super) struct Crowd {
    /// Clients that were connected at once and were given something.
    pub(super) together: usize,
    /// Bytes of bodies.
    pub(super) bytes: u64,
    pub(super) seconds: f64,
}

/// Has `count` clients read for `seconds` each from a server on loopback; `file` is where they write how much it was.
pub(super) fn read(url: &str, protocol: Protocol, count: usize, seconds: u64, file: &Path) -> io::Result<Crowd> {
    let _ = fs::remove_file(file);
    let version = if protocol == Protocol::Tls2 { "--http2" } else { "--http1.1" };
    let length = seconds.to_string();
    let mut clients = Clients(Vec::with_capacity(count));
    let began = Instant::now();
    for _ in 0..count {
        let said = OpenOptions::new().create(true).append(true).open(file)?;
        let mut client = Command::new("curl");
        client.args(["--silent", "--insecure", version, "--limit-rate", RATE, "--max-time", &length]);
        client.args(["--noproxy", "*", "--output", "/dev/null", "--write-out", "%{size_download}\n", url]);
        clients.0.push(client.stdin(Stdio::null()).stdout(said).stderr(Stdio::null()).spawn()?);
    }
    thread::sleep(SETTLED);
    let port = url.split(['/', ':']).find_map(|part| part.parse().ok()).unwrap_or_default();
    let until = began + Duration::from_secs(seconds).saturating_sub(LAST);
    let connected = most(count, until, || process::established(port));
    for client in &mut clients.0 {
        client.wait()?;
    }
    let seconds = began.elapsed().as_secs_f64();
    let said = fs::read_to_string(file)?;
    let sizes: Vec<u64> = said.lines().filter_map(|line| line.parse().ok()).filter(|size| *size > 0).collect();
    Ok(Crowd { together: connected.min(sizes.len()), bytes: sizes.iter().sum(), seconds })
}

/// The most that were counted at once until then, or until there are enough.
fn most(enough: usize, until: Instant, counted: impl Fn() -> usize) -> usize {
    let mut most = counted();
    while most < enough && Instant::now() < until {
        thread::sleep(AGAIN);
        most = most.max(counted());
    }
    most
}

/// Ended with whoever started them.
struct Clients(Vec<Child>);

impl Drop for Clients {
    fn drop(&mut self) {
        for client in &mut self.0 {
            // One that has ended cannot be killed, which is all that is wanted.
            let _gone = client.kill();
            let _ended = client.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn who_is_late_is_waited_for() {
        let calls = Cell::new(0);
        let counted = || [900, 1_000, 800][calls.replace(calls.get() + 1)];
        assert_eq!((most(1_000, Instant::now() + Duration::from_secs(20), counted), calls.get()), (1_000, 2));
        calls.set(0);
        assert_eq!((most(1_000, Instant::now(), counted), calls.get()), (900, 1));
    }
}
