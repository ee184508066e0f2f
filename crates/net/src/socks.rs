//! A tunnel through a SOCKS5 proxy (RFC 1928, RFC 1929), as net/http asks for one: the proxy resolves the name.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::error::{ErrorKind, NetError, Party, Phase};
use crate::io::Stream;

const VERSION: u8 = 5;
const NO_AUTH: u8 = 0;
const USER_PASSWORD: u8 = 2;

/// Asks the SOCKS5 proxy at the other end of `stream` for a connection to `host:port`.
///
/// # Errors
/// No answer within `bound`; [`ErrorKind::Status`] 407 where credentials are demanded or wrong;
/// [`ErrorKind::Refused`] where its rules forbid it; [`ErrorKind::Unreachable`] where the origin cannot
/// be reached from there.
pub async fn connect(
    stream: &mut impl Stream,
    host: &str,
    port: u16,
    credentials: Option<(&str, &str)>,
    bound: Duration,
) -> (Result<(), NetError>, Duration) {
    let started = Instant::now();
    let what = format!("SOCKS5 to {host}:{port}");
    let outcome = match tokio::time::timeout(bound, run(stream, host, port, credentials, &what)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(NetError::timed_out(Phase::Tunnel, Party::Proxy, &what, bound)),
    };
    (outcome, started.elapsed())
}

async fn run(
    stream: &mut impl Stream,
    host: &str,
    port: u16,
    credentials: Option<(&str, &str)>,
    what: &str,
) -> Result<(), NetError> {
    let io = |error: std::io::Error| NetError::io(Phase::Tunnel, Party::Proxy, what, &error);
    let fail = |kind, why: &str| NetError::new(Phase::Tunnel, kind, Party::Proxy, format!("{what}: {why}"));
    let length =
        |text: &str| u8::try_from(text.len()).map_err(|_| fail(ErrorKind::TooLarge, "a name of more than 255 octets"));

    let methods: &[u8] = if credentials.is_some() { &[NO_AUTH, USER_PASSWORD] } else { &[NO_AUTH] };
    let mut hello = vec![VERSION, methods.len() as u8];
    hello.extend_from_slice(methods);
    stream.write_all(&hello).await.map_err(io)?;
    let mut answer = [0u8; 2];
    stream.read_exact(&mut answer).await.map_err(io)?;
    match (answer, credentials) {
        ([VERSION, NO_AUTH], _) => {}
        ([VERSION, USER_PASSWORD], Some((user, password))) => {
            let mut login = vec![1, length(user)?];
            login.extend_from_slice(user.as_bytes());
            login.push(length(password)?);
            login.extend_from_slice(password.as_bytes());
            stream.write_all(&login).await.map_err(io)?;
            stream.read_exact(&mut answer).await.map_err(io)?;
            if answer[1] != 0 {
                return Err(fail(ErrorKind::Status(407), "the proxy refuses user and password"));
            }
        }
        ([VERSION, _], _) => return Err(fail(ErrorKind::Status(407), "the proxy demands authentication")),
        _ => return Err(fail(ErrorKind::Protocol, "the proxy does not speak SOCKS5")),
    }

    let mut request = vec![VERSION, 1, 0];
    // An IPv6 address stands in brackets in a URL, and without them here.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(address)) => {
            request.push(1);
            request.extend_from_slice(&address.octets());
        }
        Ok(std::net::IpAddr::V6(address)) => {
            request.push(4);
            request.extend_from_slice(&address.octets());
        }
        Err(_) => {
            request.extend_from_slice(&[3, length(host)?]);
            request.extend_from_slice(host.as_bytes());
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    stream.write_all(&request).await.map_err(io)?;
    let mut head = [0u8; 4];
    stream.read_exact(&mut head).await.map_err(io)?;
    if head[0] != VERSION {
        return Err(fail(ErrorKind::Protocol, "the proxy's reply is no SOCKS5"));
    }
    // RFC 1928 section 6.
    match head[1] {
        0 => {}
        2 => return Err(fail(ErrorKind::Refused, "not allowed by the proxy's rules")),
        3 => return Err(fail(ErrorKind::Unreachable, "the proxy finds the network unreachable")),
        4 => return Err(fail(ErrorKind::Unreachable, "the proxy finds the host unreachable")),
        5 => return Err(fail(ErrorKind::Unreachable, "the origin refuses the proxy's connection")),
        6 => return Err(fail(ErrorKind::Unreachable, "the proxy's connection timed out")),
        code => return Err(fail(ErrorKind::Refused, &format!("reply {code}"))),
    }
    let rest = match head[3] {
        1 => 4,
        4 => 16,
        3 => usize::from(stream.read_u8().await.map_err(io)?),
        _ => return Err(fail(ErrorKind::Protocol, "a reply with an unknown address type")),
    };
    let mut bound_address = vec![0u8; rest + 2];
    stream.read_exact(&mut bound_address).await.map_err(io)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A proxy that expects these octets and answers with those, in turn.
    async fn spoken(
        script: Vec<(&'static [u8], &'static [u8])>,
        credentials: Option<(&str, &str)>,
    ) -> Result<(), NetError> {
        let (mut client, mut server) = tokio::io::duplex(1024);
        let proxy = tokio::spawn(async move {
            for (expected, answer) in script {
                let mut got = vec![0u8; expected.len()];
                server.read_exact(&mut got).await.unwrap();
                assert_eq!(got, expected);
                server.write_all(answer).await.unwrap();
            }
        });
        let outcome = connect(&mut client, "a.example.com", 443, credentials, Duration::from_secs(2)).await.0;
        proxy.await.unwrap();
        outcome
    }

    const REQUEST: &[u8] = b"\x05\x01\x00\x03\x0da.example.com\x01\xbb";

    #[tokio::test]
    async fn a_tunnel_by_name() {
        let script =
            vec![(&b"\x05\x01\x00"[..], &b"\x05\x00"[..]), (REQUEST, b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50")];
        assert_eq!(spoken(script, None).await, Ok(()));
    }

    #[tokio::test]
    async fn user_and_password() {
        let script = vec![
            (&b"\x05\x02\x00\x02"[..], &b"\x05\x02"[..]),
            (b"\x01\x01u\x02pw", b"\x01\x00"),
            (REQUEST, b"\x05\x00\x00\x03\x01x\x00\x50"),
        ];
        assert_eq!(spoken(script, Some(("u", "pw"))).await, Ok(()));
        let script = vec![(&b"\x05\x01\x00"[..], &b"\x05\xff"[..])];
        assert_eq!(spoken(script, None).await.unwrap_err().kind, ErrorKind::Status(407));
    }

    #[tokio::test]
    async fn refusals_are_told_apart() {
        for (code, kind) in [(2, ErrorKind::Refused), (4, ErrorKind::Unreachable), (5, ErrorKind::Unreachable)] {
            let reply: &'static [u8] = Box::leak(Box::new([5, code, 0, 1]));
            let script = vec![(&b"\x05\x01\x00"[..], &b"\x05\x00"[..]), (REQUEST, reply)];
            assert_eq!(spoken(script, None).await.unwrap_err().kind, kind);
        }
        let script = vec![(&b"\x05\x01\x00"[..], &b"HT"[..])];
        assert_eq!(spoken(script, None).await.unwrap_err().kind, ErrorKind::Protocol);
    }

    #[tokio::test]
    async fn an_ipv6_address_is_sent_as_one() {
        let (mut client, mut server) = tokio::io::duplex(1024);
        let proxy = tokio::spawn(async move {
            server.read_exact(&mut [0; 3]).await.unwrap();
            server.write_all(b"\x05\x00").await.unwrap();
            let mut request = [0u8; 22];
            server.read_exact(&mut request).await.unwrap();
            request
        });
        let _ = connect(&mut client, "[::1]", 443, None, Duration::from_secs(2)).await;
        let mut expected = vec![5, 1, 0, 4];
        expected.extend_from_slice(&std::net::Ipv6Addr::LOCALHOST.octets());
        expected.extend_from_slice(&[1, 0xbb]);
        assert_eq!(proxy.await.unwrap().to_vec(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_bounded_at_each_step() {
        for answers in [&b""[..], b"\x05", b"\x05\x00", b"\x05\x00\x05\x00\x00\x03\xff"] {
            let (mut client, mut server) = tokio::io::duplex(1024);
            server.write_all(answers).await.unwrap();
            let bound = Duration::from_secs(3);
            let (outcome, took) = connect(&mut client, "a.example.com", 443, None, bound).await;
            assert_eq!((outcome.unwrap_err().kind, took.as_secs()), (ErrorKind::TimedOut, 3));
            drop(server);
        }
    }
}
