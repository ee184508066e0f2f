//! The TCP handshake, with a bound.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::error::{NetError, Party, Phase};

/// Connects to `address` within `bound`, with Nagle's algorithm off as Go has it (net/tcpsock.go).
///
/// # Errors
/// The system's error, or [`crate::ErrorKind::TimedOut`] after `bound`.
pub async fn dial(address: SocketAddr, bound: Duration) -> (Result<TcpStream, NetError>, Duration) {
    let started = Instant::now();
    let what = format!("connecting to {address}");
    let outcome = match tokio::time::timeout(bound, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => {
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(error)) => {
            // Whoever refuses is there: nothing listens on the port.
            let refused = error.kind() == std::io::ErrorKind::ConnectionRefused;
            let party = if refused { Party::Upstream } else { Party::Network };
            Err(NetError::io(Phase::Connect, party, &what, &error))
        }
        Err(_) => Err(NetError::timed_out(Phase::Connect, Party::Network, &what, bound)),
    };
    (outcome, started.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[tokio::test]
    async fn a_closed_port_refuses() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let (outcome, _) = dial(address, Duration::from_secs(2)).await;
        assert_eq!(outcome.unwrap_err().kind, ErrorKind::Refused);
    }
}
