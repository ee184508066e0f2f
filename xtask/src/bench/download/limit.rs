//! The time that nobody can beat: what the link needs for the bytes, and what the disk needs for the files.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::bench::machine::settle;
use crate::bench::way::Way;

/// What Linux sends before the first acknowledgement: ten segments of 1448 bytes (net/ipv4/tcp.c, TCP_INIT_CWND).
const FIRST_FLIGHT: f64 = 10.0 * 1448.0;
/// TCP's handshake, TLS 1.3's, and the first request.
const HANDSHAKES: f64 = 3.0;

/// Seconds for `bytes` over one connection that loses no time: three round trips, slow start, then the full rate. Of a link
/// that loses packets the rest of the rate counts; heads of packets, TLS and HTTP/2 are left out.
pub(crate) fn of_link(way: &Way, bytes: u64) -> f64 {
    let rtt = way.rtt_ms as f64 / 1e3;
    let rate = way.rate_bits as f64 * (1.0 - way.loss) / 8.0;
    let mut left = bytes as f64;
    let mut seconds = HANDSHAKES * rtt;
    let mut flight = FIRST_FLIGHT;
    while flight < rate * rtt && left > flight {
        left -= flight;
        seconds += rtt;
        flight *= 2.0;
    }
    seconds + left / rate
}

/// Seconds of `cp -r` from `result`, which is in memory, into a new folder in `place`, which is removed again.
///
/// # Errors
/// When `cp` fails or a folder cannot be made or removed.
pub(crate) fn of_disk(result: &Path, place: &Path) -> io::Result<f64> {
    let folder = tempfile::TempDir::with_prefix_in("goferry-copy-", place)?;
    settle(place)?;
    let start = Instant::now();
    let status =
        Command::new("cp").arg("-r").arg(result).arg(folder.path().join("result")).stdin(Stdio::null()).status()?;
    let seconds = start.elapsed().as_secs_f64();
    folder.close()?;
    if status.success() { Ok(seconds) } else { Err(io::Error::other(format!("cp -r: {status}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(rtt_ms: u64, mbit: u64, loss: f64) -> Way {
        Way { rtt_ms, rate_bits: mbit * 1_000_000, loss, sender: "cubic" }
    }

    #[test]
    fn the_link_needs_what_it_needs() {
        // 10 MB at 50 ms and 200 Mbit/s: 3 round trips, 7 of slow start with 1.84 MB, the rest at 25 MB/s.
        let seconds = of_link(&way(50, 200, 0.0), 10_000_000);
        assert!((seconds - 0.826).abs() < 0.001, "{seconds}");
        // Little enough to fit in the first flight.
        let seconds = of_link(&way(50, 200, 0.0), 1_000);
        assert!((seconds - 0.150).abs() < 0.001, "{seconds}");
        assert!(of_link(&way(50, 200, 0.01), 10_000_000) > of_link(&way(50, 200, 0.0), 10_000_000));
    }

    #[test]
    fn a_copy_takes_time_and_leaves_nothing() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(from.path().join("file"), "text").unwrap();
        assert!(of_disk(from.path(), to.path()).unwrap() > 0.0);
        assert_eq!(std::fs::read_dir(to.path()).unwrap().count(), 0);
        assert!(of_disk(Path::new("/nowhere"), to.path()).is_err());
    }
}
