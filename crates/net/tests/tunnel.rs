//! CONNECT through forward proxies that answer badly, without end, or not at all.

use std::time::Duration;

use goferry_net::ErrorKind;
use goferry_net::tunnel::connect;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const TARGET: &str = "goproxy.example.com:443";
const BOUND: Duration = Duration::from_secs(3);

fn proxy<F: Future<Output = ()> + Send + 'static>(
    script: impl FnOnce(DuplexStream) -> F + Send + 'static,
) -> DuplexStream {
    let (client, mut server) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(server.read_u8().await.expect("a whole request"));
        }
        assert!(head.starts_with(b"CONNECT goproxy.example.com:443 HTTP/1.1\r\nHost: goproxy.example.com:443\r\n"));
        script(server).await;
    });
    client
}

#[tokio::test(start_paused = true)]
async fn a_silent_proxy_is_bounded() {
    let mut stream = proxy(|server| async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(server);
    });
    let (outcome, seen, took) = connect(&mut stream, TARGET, None, BOUND).await;
    assert_eq!(outcome.unwrap_err().kind, ErrorKind::TimedOut);
    assert_eq!(seen.status, None);
    assert_eq!(took.as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_takes_no_octet_is_bounded() {
    let (mut client, server) = tokio::io::duplex(16);
    let (outcome, _, took) = connect(&mut client, TARGET, None, BOUND).await;
    assert_eq!((outcome.unwrap_err().kind, took.as_secs()), (ErrorKind::TimedOut, 3));
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn headers_without_end_are_bounded() {
    let mut stream = proxy(|mut server| async move {
        let _ = server.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while server.write_all(b"X-Header: and so on\r\n").await.is_ok() {}
    });
    let (outcome, _, _) = connect(&mut stream, TARGET, None, BOUND).await;
    assert_eq!(outcome.unwrap_err().kind, ErrorKind::Protocol);
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_drips_ends_by_time() {
    let mut stream = proxy(|mut server| async move {
        while server.write_all(b"H").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
    });
    let (outcome, _, took) = connect(&mut stream, TARGET, None, BOUND).await;
    assert_eq!((outcome.unwrap_err().kind, took.as_secs()), (ErrorKind::TimedOut, 3));
}

#[tokio::test(start_paused = true)]
async fn interim_answers_are_passed_over_and_bounded() {
    let mut stream = proxy(|mut server| async move {
        let _ = server.write_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n").await;
    });
    assert_eq!(connect(&mut stream, TARGET, None, BOUND).await.0, Ok(()));

    let mut stream = proxy(|mut server| async move {
        while server.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let (outcome, _, took) = connect(&mut stream, TARGET, None, BOUND).await;
    assert_eq!((outcome.unwrap_err().kind, took.as_secs()), (ErrorKind::TimedOut, 3));
}

#[tokio::test(start_paused = true)]
async fn what_follows_the_head_belongs_to_the_tunnel() {
    let mut stream = proxy(|mut server| async move {
        let _ = server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst").await;
    });
    assert_eq!(connect(&mut stream, TARGET, None, BOUND).await.0, Ok(()));
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"first");
}

#[tokio::test(start_paused = true)]
async fn refusals_name_their_status_and_keep_little_and_clean_text() {
    let mut stream = proxy(|mut server| async move {
        let mut answer = b"HTTP/1.1 403 Forbidden\r\n".to_vec();
        for _ in 0..100 {
            answer.extend_from_slice(format!("X-Why: \u{9b}31m{}\r\n", "y".repeat(400)).as_bytes());
        }
        answer.extend_from_slice(b"\r\n");
        let _ = server.write_all(&answer).await;
    });
    let (outcome, seen, _) = connect(&mut stream, TARGET, Some("Basic eDp5"), BOUND).await;
    assert_eq!(outcome.unwrap_err().kind, ErrorKind::Status(403));
    assert_eq!((seen.status, seen.headers.len()), (Some(403), 32));
    assert!(seen.headers.iter().all(|(_, value)| value.len() < 400 && !value.chars().any(char::is_control)));
}
