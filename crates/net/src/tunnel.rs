//! CONNECT through a forward proxy (RFC 9110 section 9.3.6).

use std::time::Duration;

use goferry_wire::http1::{HeadLimits, HeadReader, ResponseHead};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::error::{ErrorKind, NetError, Party, Phase};
use crate::h2::USER_AGENT;
use crate::io::Stream;

/// What the proxy answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tunnel {
    /// The status; `None` where no response came.
    pub status: Option<u16>,
    /// Response headers, names in lower case (at most 32).
    pub headers: Vec<(String, String)>,
}

/// Asks the forward proxy at the other end of `stream` for a tunnel to `target` (`host:port`).
/// `authorization` is the value of `Proxy-Authorization`.
///
/// # Errors
/// No answer within `bound`, an answer that is no HTTP, or a status other than 2xx: [`ErrorKind::Status`].
pub async fn connect(
    stream: &mut impl Stream,
    target: &str,
    authorization: Option<&str>,
    bound: Duration,
) -> (Result<(), NetError>, Tunnel, Duration) {
    let started = Instant::now();
    let mut seen = Tunnel::default();
    let outcome = match tokio::time::timeout(bound, run(stream, target, authorization, &mut seen)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(NetError::timed_out(Phase::Tunnel, Party::Proxy, &format!("CONNECT {target}"), bound)),
    };
    (outcome, seen, started.elapsed())
}

async fn run(
    stream: &mut impl Stream,
    target: &str,
    authorization: Option<&str>,
    seen: &mut Tunnel,
) -> Result<(), NetError> {
    let what = format!("CONNECT {target}");
    let fail = |error: &std::io::Error| NetError::io(Phase::Tunnel, Party::Proxy, &what, error);
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: {USER_AGENT}\r\n");
    if let Some(authorization) = authorization {
        request.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|error| fail(&error))?;
    stream.flush().await.map_err(|error| fail(&error))?;

    // Octet by octet: what follows the head belongs to the tunnel.
    let mut reader = HeadReader::<ResponseHead>::new(HeadLimits::default());
    let head = loop {
        let mut octet = [0u8; 1];
        let count = stream.read(&mut octet).await.map_err(|error| fail(&error))?;
        if count == 0 {
            let text = format!("{what}: the proxy closed the connection without an answer");
            return Err(NetError::new(Phase::Tunnel, ErrorKind::Closed, Party::Proxy, text));
        }
        let parsed = reader.push(&octet).map_err(|error| {
            NetError::new(
                Phase::Tunnel,
                ErrorKind::Protocol,
                Party::Proxy,
                format!("{what}: the proxy's answer: {error}"),
            )
        })?;
        match parsed {
            Some((head, _)) if !head.is_interim() => break head,
            _ => {}
        }
    };
    seen.status = Some(head.status);
    let clean = |value: &[u8]| String::from_utf8_lossy(&value[..value.len().min(300)]).escape_debug().to_string();
    seen.headers = head.fields.iter().take(32).map(|(name, value)| (name.to_ascii_lowercase(), clean(value))).collect();
    if (200..300).contains(&head.status) {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(head.reason.as_bytes()).escape_debug().to_string();
    let text = format!("{what}: the proxy answered {} {reason}", head.status);
    Err(NetError::new(Phase::Tunnel, ErrorKind::Status(head.status), Party::Proxy, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answered_with(answer: &'static [u8]) -> (Result<(), NetError>, Tunnel) {
        let (mut client, mut server) = tokio::io::duplex(4096);
        tokio::spawn(async move {
            let mut request = [0u8; 1024];
            let _ = server.read(&mut request).await;
            let _ = server.write_all(answer).await;
        });
        let (outcome, seen, _) = connect(&mut client, "goproxy.example.com:443", None, Duration::from_secs(2)).await;
        (outcome, seen)
    }

    #[tokio::test]
    async fn a_tunnel_and_refusals() {
        assert_eq!(answered_with(b"HTTP/1.1 200 Connection established\r\n\r\n").await.0, Ok(()));
        let (outcome, seen) = answered_with(b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic realm=x\r\n\r\n").await;
        assert_eq!(outcome.unwrap_err().kind, ErrorKind::Status(407));
        assert_eq!(seen.headers[0].0, "proxy-authenticate");
        assert_eq!(answered_with(b"").await.0.unwrap_err().kind, ErrorKind::Closed);
        assert_eq!(answered_with(b"RFB 003.008\n").await.0.unwrap_err().kind, ErrorKind::Protocol);
    }
}
