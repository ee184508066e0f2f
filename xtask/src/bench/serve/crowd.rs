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
/// After the last has begun, and before who is connected is counted.
const SETTLED: Duration = Duration::from_secs(4);

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
    let seconds = seconds.to_string();
    let mut clients = Clients(Vec::with_capacity(count));
    let began = Instant::now();
    for _ in 0..count {
        let said = OpenOptions::new().create(true).append(true).open(file)?;
        let mut client = Command::new("curl");
        client.args(["--silent", "--insecure", version, "--limit-rate", RATE, "--max-time", &seconds]);
        client.args(["--noproxy", "*", "--output", "/dev/null", "--write-out", "%{size_download}\n", url]);
        clients.0.push(client.stdin(Stdio::null()).stdout(said).stderr(Stdio::null()).spawn()?);
    }
    thread::sleep(SETTLED);
    let port = url.split(['/', ':']).find_map(|part| part.parse().ok()).unwrap_or_default();
    let connected = process::established(port);
    for client in &mut clients.0 {
        client.wait()?;
    }
    let seconds = began.elapsed().as_secs_f64();
    let said = fs::read_to_string(file)?;
    let sizes: Vec<u64> = said.lines().filter_map(|line| line.parse().ok()).filter(|size| *size > 0).collect();
    Ok(Crowd { together: connected.min(sizes.len()), bytes: sizes.iter().sum(), seconds })
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
