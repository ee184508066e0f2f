//! The HTTP/1.1 client against scripted servers, with paused time.

use std::time::Duration;

use goferry_net::h1::{Bounds, H1};
use goferry_net::{ErrorKind, Exchange, NetError, Outcome, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const BOUNDS: Bounds = Bounds { total: Duration::from_secs(5), stall: Duration::from_secs(1), enough: None };

fn against<F: Future<Output = ()> + Send + 'static>(script: impl FnOnce(DuplexStream) -> F + Send + 'static) -> H1 {
    let (client, server) = tokio::io::duplex(64 * 1024);
    tokio::spawn(script(server));
    H1::new(Box::new(client), "goproxy.example.com")
}

async fn read_head(server: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match server.read_u8().await {
            Ok(octet) => head.push(octet),
            Err(_) => break,
        }
    }
    String::from_utf8(head).expect("the request is text")
}

async fn fetch(h1: &mut H1) -> Exchange {
    h1.fetch(&Request { keep: 100, ..Request::get("/x") }, BOUNDS).await
}

/// The answer `bytes` to one request; then the server closes, or keeps the connection.
async fn answered(bytes: &'static [u8], closes: bool) -> (Exchange, H1) {
    let mut h1 = against(move |mut server| async move {
        read_head(&mut server).await;
        let _ = server.write_all(bytes).await;
        if !closes {
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
    });
    (fetch(&mut h1).await, h1)
}

fn is_protocol(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Lost(NetError { kind: ErrorKind::Protocol, .. }))
}

#[tokio::test(start_paused = true)]
async fn the_request_is_go_s() {
    let (sender, head) = tokio::sync::oneshot::channel();
    let mut h1 = against(move |mut server| async move {
        let head = read_head(&mut server).await;
        let _ = server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        let _ = sender.send(head);
    });
    h1.fetch(&Request { authorization: Some("Basic eDp5".to_owned()), ..Request::get("/m/@v/list") }, BOUNDS).await;
    let head = head.await.unwrap();
    assert!(head.starts_with("GET /m/@v/list HTTP/1.1\r\nHost: goproxy.example.com\r\nUser-Agent: goferry/"), "{head}");
    assert!(head.contains("\r\nAccept-Encoding: gzip\r\nAuthorization: Basic eDp5\r\n\r\n"), "{head}");
}

#[tokio::test(start_paused = true)]
async fn a_forward_proxy_is_asked_in_absolute_form() {
    let (sender, head) = tokio::sync::oneshot::channel();
    let (client, mut server) = tokio::io::duplex(4096);
    tokio::spawn(async move {
        let _ = sender.send(read_head(&mut server).await);
    });
    let mut h1 = H1::new(Box::new(client), "goproxy.example.com:8080").through_proxy(Some("Basic eDp5".to_owned()));
    h1.fetch(&Request::get("/x"), BOUNDS).await;
    let head = head.await.unwrap();
    assert!(
        head.starts_with("GET http://goproxy.example.com:8080/x HTTP/1.1\r\nHost: goproxy.example.com:8080\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nProxy-Authorization: Basic eDp5\r\n"), "{head}");
}

#[tokio::test(start_paused = true)]
async fn bodies_of_every_kind() {
    let (exchange, h1) = answered(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-T: 1\r\n\r\n",
        false,
    )
    .await;
    assert_eq!(
        (exchange.body.as_slice(), exchange.outcome.clone(), h1.is_usable()),
        (&b"abcde"[..], Outcome::Complete, true)
    );

    let (exchange, h1) = answered(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", true).await;
    assert_eq!((exchange.body.as_slice(), exchange.outcome.clone()), (&b"until the end"[..], Outcome::Complete));
    assert!(exchange.closes && !h1.is_usable());

    for head in [&b"HTTP/1.1 204 No Content\r\n\r\n"[..], b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"] {
        let (exchange, h1) = answered(head, false).await;
        assert_eq!((exchange.body_bytes, exchange.outcome.clone(), h1.is_usable()), (0, Outcome::Complete, true));
    }

    let (exchange, h1) = answered(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false).await;
    assert_eq!((exchange.outcome.clone(), exchange.closes, h1.is_usable()), (Outcome::Complete, true, false));
}

#[tokio::test(start_paused = true)]
async fn interim_responses_are_passed_over() {
    let (exchange, h1) = answered(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        false,
    )
    .await;
    assert_eq!(
        (exchange.status, exchange.header("link"), exchange.outcome.clone()),
        (Some(200), None, Outcome::Complete)
    );
    assert!(h1.is_usable());
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_used_again() {
    let mut h1 = against(|mut server| async move {
        for _ in 0..3 {
            read_head(&mut server).await;
            let _ = server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        }
        tokio::time::sleep(Duration::from_secs(7)).await;
    });
    for _ in 0..3 {
        assert_eq!(fetch(&mut h1).await.outcome, Outcome::Complete);
    }
    assert_eq!(h1.idle(Duration::from_secs(5)).await, None);
    assert_eq!(h1.idle(Duration::from_secs(5)).await.unwrap().as_secs(), 2);
    assert!(!h1.is_usable());
    assert_eq!(fetch(&mut h1).await.outcome, Outcome::Unsent);
}

#[tokio::test(start_paused = true)]
async fn octets_after_the_response_answer_no_later_request() {
    let (exchange, h1) = answered(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        false,
    )
    .await;
    assert_eq!((exchange.outcome.clone(), exchange.body.as_slice()), (Outcome::Complete, &b"ok"[..]));
    assert!(!h1.is_usable());
}

#[tokio::test(start_paused = true)]
async fn a_close_in_mid_body_or_in_mid_head() {
    for (bytes, octets) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"[..], 4),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 5),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", 5),
    ] {
        let (exchange, h1) = answered(bytes, true).await;
        assert_eq!((exchange.outcome.clone(), exchange.body_bytes), (Outcome::Truncated, octets));
        assert!(!h1.is_usable());
    }
    for bytes in [&b""[..], b"HTTP/1.1 200 O", b"HTTP/1.1 200 OK\r\nServer: x\r\n"] {
        let (exchange, _) = answered(bytes, true).await;
        assert!(
            matches!(exchange.outcome, Outcome::Lost(NetError { kind: ErrorKind::Closed, .. })),
            "{:?}",
            exchange.outcome
        );
    }
}

#[tokio::test(start_paused = true)]
async fn heads_and_bodies_that_break_the_protocol() {
    for bytes in [
        &b"RFB 003.008\n"[..],
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    ] {
        let (exchange, h1) = answered(bytes, false).await;
        assert!(is_protocol(&exchange.outcome), "{}: {:?}", bytes.escape_ascii(), exchange.outcome);
        assert!(!h1.is_usable());
    }
}

/// A server that writes `head`, then `more` every `pause` for as long as the client is there.
fn dripping(head: &'static [u8], more: &'static [u8], pause: Duration) -> H1 {
    against(move |mut server| async move {
        read_head(&mut server).await;
        let _ = server.write_all(head).await;
        while server.write_all(more).await.is_ok() {
            tokio::time::sleep(pause).await;
        }
    })
}

#[tokio::test(start_paused = true)]
async fn drips_end_by_time() {
    let tenth = Duration::from_millis(100);
    for mut h1 in [
        dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x", tenth),
        dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n", tenth),
        dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x", tenth),
        dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", tenth),
        dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ", b"x", tenth),
        dripping(b"HTTP/1.1 200 OK\r\n\r\n", &[0; 60_000], Duration::from_millis(1)),
    ] {
        let exchange = fetch(&mut h1).await;
        assert_eq!(exchange.outcome, Outcome::Stalled { ping_answered: None });
        assert!((5000..5010).contains(&exchange.took.as_millis()), "{:?}", exchange.took);
        assert!(exchange.body.len() <= 100 && exchange.arrivals.len() <= 512 && !h1.is_usable());
    }
}

#[tokio::test(start_paused = true)]
async fn heads_without_end_are_refused_by_size() {
    for mut h1 in [
        dripping(b"HTTP/1.1 200 OK\r\nX: ", &[b'x'; 10_000], Duration::from_millis(1)),
        dripping(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", Duration::from_micros(1)),
        dripping(b"HTTP/1.1 200 ", &[b'x'; 10_000], Duration::from_millis(1)),
        dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n", Duration::from_micros(1)),
    ] {
        let exchange = fetch(&mut h1).await;
        assert!(is_protocol(&exchange.outcome), "{:?}", exchange.outcome);
        assert!(exchange.took < BOUNDS.total);
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_stall_and_slow_is_not() {
    for bytes in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"] {
        let (exchange, _) = answered(bytes, false).await;
        assert_eq!(exchange.outcome, Outcome::Stalled { ping_answered: None });
        assert!((1000..1010).contains(&exchange.took.as_millis()), "{:?}", exchange.took);
    }
    let mut h1 = against(|mut server| async move {
        read_head(&mut server).await;
        for piece in [&b"HTTP/1.1 200 OK\r\n"[..], b"Content-Length: 4\r\n\r\n", b"slow"] {
            tokio::time::sleep(Duration::from_millis(950)).await;
            let _ = server.write_all(piece).await;
        }
    });
    assert_eq!(fetch(&mut h1).await.outcome, Outcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_no_octet_is_bounded() {
    let (client, server) = tokio::io::duplex(16);
    let mut h1 = H1::new(Box::new(client), "goproxy.example.com");
    let exchange = fetch(&mut h1).await;
    assert_eq!(exchange.outcome, Outcome::Stalled { ping_answered: None });
    assert_eq!(exchange.took.as_secs(), 5);
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn an_answer_before_a_close_is_read_although_the_request_cannot_be_written() {
    let (client, mut server) = tokio::io::duplex(4096);
    let _ = server.write_all(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 2\r\n\r\nno").await;
    drop(server);
    let mut h1 = H1::new(Box::new(client), "goproxy.example.com");
    let exchange = fetch(&mut h1).await;
    assert_eq!((exchange.status, exchange.outcome.clone(), h1.is_usable()), (Some(408), Outcome::Complete, false));

    let (client, server) = tokio::io::duplex(4096);
    drop(server);
    let exchange = fetch(&mut H1::new(Box::new(client), "goproxy.example.com")).await;
    assert!(
        matches!(exchange.outcome, Outcome::Lost(NetError { kind: ErrorKind::Reset, .. })),
        "{:?}",
        exchange.outcome
    );
}

#[tokio::test(start_paused = true)]
async fn stopping_early() {
    for (after, octets) in [(0, 0), (3, 10)] {
        let mut h1 = against(|mut server| async move {
            read_head(&mut server).await;
            let _ = server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n0123456789").await;
            tokio::time::sleep(Duration::from_secs(60)).await;
        });
        let exchange = h1.fetch(&Request { stop_after: Some(after), ..Request::get("/x") }, BOUNDS).await;
        assert_eq!(
            (exchange.outcome.clone(), exchange.body_bytes, exchange.status),
            (Outcome::Stopped, octets, Some(200))
        );
        assert!(!h1.is_usable());
    }
}

#[tokio::test(start_paused = true)]
async fn enough_stops_a_body_that_goes_on_and_does_not_excuse_a_stall() {
    let bounds = Bounds { enough: Some(Duration::from_millis(500)), ..BOUNDS };
    let mut h1 = dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x", Duration::from_millis(100));
    let exchange = h1.fetch(&Request::get("/x"), bounds).await;
    assert_eq!(exchange.outcome, Outcome::Stopped);
    assert!((500..700).contains(&exchange.took.as_millis()), "{:?}", exchange.took);
    let (client, server) = tokio::io::duplex(4096);
    let exchange = H1::new(Box::new(client), "goproxy.example.com").fetch(&Request::get("/x"), bounds).await;
    assert_eq!(exchange.outcome, Outcome::Stalled { ping_answered: None });
    drop(server);
}
