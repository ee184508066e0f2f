//! HTTP/1.1: over TLS without h2, and in plain text.

use std::time::Duration;

use goferry_net::Phase;
use goferry_net::pool::{Cause, PoolConfig};
use tokio::task::JoinSet;

use crate::server::{H1, Server, Text};
use crate::{ask, config, fetch, persist, pool, until};

#[tokio::test]
async fn connections_are_kept_and_as_many_as_wait() {
    let server = Server::tls(H1, |_, io| async move {
        let mut text = Text::new(io);
        while let Some(asked) = text.request().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
            text.reply(200, "", asked.path.as_bytes()).await;
        }
    })
    .await;
    let pool = pool(&server, PoolConfig { max_connections: 8, ..config() });
    let mut running = JoinSet::new();
    for n in 0..100 {
        let pool = pool.clone();
        running.spawn(async move {
            let path = format!("/{n}");
            assert_eq!(fetch(&pool, &ask(&path)).await.unwrap(), (200, path.into_bytes()));
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    let summary = pool.summary();
    assert_eq!((summary.protocol, summary.opened, summary.most, summary.requests), ("HTTP/1.1", 8, 8, 100));
    assert!((summary.reuse - 0.92).abs() < 1e-9 && summary.ended.is_empty());
    assert_eq!((server.accepted(), pool.connections(), pool.is_spread()), (8, 8, true));
}

#[tokio::test]
async fn one_after_the_other_goes_over_one_plain_connection() {
    let server = Server::plain(|_, io| Text::new(io).serve()).await;
    let pool = pool(&server, config());
    for n in 0..50 {
        let path = format!("/{n}");
        assert_eq!(fetch(&pool, &ask(&path)).await.unwrap().1, path.into_bytes());
    }
    assert_eq!((server.accepted(), pool.summary().requests), (1, 50));
}

#[tokio::test]
async fn a_connection_that_says_close_is_not_used_again() {
    for lines in ["Connection: close\r\n", "Connection: Foo, CLOSE\r\n"] {
        let server = Server::plain(move |_, io| async move {
            let mut text = Text::new(io);
            if let Some(asked) = text.request().await {
                text.reply(200, lines, asked.path.as_bytes()).await;
                // Late, so that a client which does not read the field sends its next request here.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        let pool = pool(&server, config());
        for _ in 0..10 {
            assert_eq!(fetch(&pool, &ask("/x")).await.unwrap().1, b"/x");
        }
        let summary = pool.summary();
        assert_eq!((server.accepted(), summary.requests, summary.reuse), (10, 10, 0.0));
    }
}

#[tokio::test]
async fn http_1_0_ends_with_its_answer() {
    let server = Server::plain(|_, io| async move {
        let mut text = Text::new(io);
        text.request().await;
        text.send(b"HTTP/1.0 200 OK\r\n\r\nall of it").await;
    })
    .await;
    let pool = pool(&server, config());
    for _ in 0..3 {
        let response = pool.get(&ask("/x")).await.unwrap();
        assert_eq!(response.length, None);
        assert_eq!(response.body.collect(100).await.unwrap(), "all of it");
    }
}

#[tokio::test]
async fn a_connection_closed_while_idle_costs_at_most_one_try() {
    let server = Server::plain(|_, io| async move {
        let mut text = Text::new(io);
        if let Some(asked) = text.request().await {
            text.reply(200, "", asked.path.as_bytes()).await;
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    })
    .await;
    let pool = pool(&server, config());
    for pause in [0, 20, 30, 31, 40, 100] {
        let (body, failures) = persist(&pool, &ask("/x"), 2).await;
        assert_eq!(body.unwrap(), b"/x");
        assert!(failures.iter().all(|failure| matches!(failure.cause, Cause::Lost | Cause::Unsent)), "{failures:?}");
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    until("what was closed is forgotten", || pool.connections() == 0).await;
}

#[tokio::test]
async fn a_dropped_answer_closes_its_connection() {
    let server = Server::plain(|_, io| async move {
        let mut text = Text::new(io);
        while let Some(asked) = text.request().await {
            if asked.path == "/endless" {
                text.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nsome").await;
            } else {
                text.reply(200, "", b"").await;
            }
        }
    })
    .await;
    let pool = pool(&server, PoolConfig { max_connections: 1, ..config() });
    let response = pool.get(&ask("/endless")).await.unwrap();
    drop(response);
    assert_eq!(fetch(&pool, &ask("/x")).await.unwrap().0, 200);
    until("the first connection is closed", || server.open() == 1).await;
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn broken_answers_say_their_cause() {
    let cases: [(&str, &[u8], Cause); 6] = [
        ("no HTTP", b"RFB 003.008\n\r\n\r\n", Cause::Protocol),
        ("cut in the head", b"HTTP/1.1 200 OK\r\nConte", Cause::Lost),
        ("nothing", b"", Cause::Lost),
        ("cut in the body", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", Cause::Lost),
        ("cut in a chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nsho", Cause::Lost),
        ("bad chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nsho", Cause::Lost),
    ];
    for (name, bytes, cause) in cases {
        let server = Server::plain(move |_, io| async move {
            let mut text = Text::new(io);
            text.request().await;
            text.send(bytes).await;
        })
        .await;
        let pool = pool(&server, config());
        let failure = fetch(&pool, &ask("/x")).await.unwrap_err();
        assert_eq!((failure.cause, failure.error.phase), (cause, Phase::Http1), "{name}: {}", failure.error);
    }
}

#[tokio::test]
async fn a_server_that_takes_few_connections_is_not_hammered() {
    // The third connection and later ones are reset at once, after TLS would begin.
    let server = Server::plain(|number, io| async move {
        if number > 2 {
            io.set_zero_linger().unwrap();
            return;
        }
        let mut text = Text::new(io);
        while let Some(asked) = text.request().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
            text.reply(200, "", asked.path.as_bytes()).await;
        }
    })
    .await;
    let pool = pool(&server, config());
    let mut running = JoinSet::new();
    for n in 0..40 {
        let pool = pool.clone();
        running.spawn(async move { persist(&pool, &ask(format!("/{n}")), 40).await.0.is_some() });
    }
    while let Some(done) = running.join_next().await {
        assert!(done.unwrap());
    }
    assert!(server.accepted() < 60, "{}", server.accepted());
}

#[tokio::test]
async fn nobody_listens() {
    let server = Server::plain(|_, io| Text::new(io).serve()).await;
    let pool = pool(&server, config());
    let address = server.address;
    drop(server);
    until("the port is closed", || std::net::TcpStream::connect(address).is_err()).await;
    let failure = fetch(&pool, &ask("/x")).await.unwrap_err();
    assert_eq!((failure.cause, failure.error.phase), (Cause::Dial, Phase::Connect));
}
