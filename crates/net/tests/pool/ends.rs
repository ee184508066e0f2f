//! Connections cut in the middle of a body, and the end of a pool.

use std::time::{Duration, Instant};

use goferry_net::pool::{Cause, PoolConfig};
use goferry_wire::h2::ErrorCode;

use crate::server::{BOTH, Conn, H2, Server};
use crate::{ask, config, fetch, large, pool, until};

#[derive(Clone, Copy, Debug)]
enum End {
    Fin,
    Truncation,
    Rst,
}

#[tokio::test]
async fn a_cut_in_the_body_loses_the_request_and_not_the_next() {
    for end in [End::Fin, End::Truncation, End::Rst] {
        let server = Server::h2(BOTH, move |mut conn: Conn| async move {
            conn.settings(None).await;
            if conn.number > 1 {
                return conn.serve().await;
            }
            let Some(asked) = conn.request().await else { return };
            conn.head(asked.stream, 200, &[("content-length", "100")], false).await;
            conn.data(asked.stream, b"some", false).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            match end {
                End::Fin => conn.close().await,
                End::Truncation => conn.truncate().await,
                End::Rst => conn.abort(),
            }
        })
        .await;
        let pool = pool(&server, config());
        let failure = fetch(&pool, &ask("/x")).await.unwrap_err();
        assert_eq!((failure.cause, failure.connection), (Cause::Lost, 1), "{end:?}");
        assert_eq!(fetch(&pool, &ask("/y")).await.unwrap().1, b"/y");
        let summary = pool.summary();
        assert_eq!((summary.opened, summary.open, summary.requests, summary.ended.len()), (2, 1, 2, 1), "{end:?}");
        assert!(pool.snapshots()[0].closed.is_some());
    }
}

#[tokio::test]
async fn a_stream_that_ends_short_is_lost_and_no_fault_of_http2() {
    let server = Server::h2(H2, |mut conn: Conn| async move {
        conn.settings(None).await;
        while let Some(asked) = conn.request().await {
            conn.head(asked.stream, 200, &[("content-length", "10")], false).await;
            conn.data(asked.stream, b"short", asked.path == "/short").await;
            if asked.path == "/long" {
                conn.data(asked.stream, b" and then too long", true).await;
            }
        }
    })
    .await;
    let pool = pool(&server, config());
    for path in ["/short", "/long"] {
        let failure = fetch(&pool, &ask(path)).await.unwrap_err();
        assert_eq!(failure.cause, Cause::Lost, "{path}: {failure}");
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_dropped_answer_cancels_its_stream_and_gives_its_room_back() {
    let server = Server::h2(H2, |mut conn: Conn| async move {
        conn.settings(Some(1)).await;
        while let Some(asked) = conn.request().await {
            if asked.path == "/endless" {
                conn.head(asked.stream, 200, &[], false).await;
                conn.data(asked.stream, b"some", false).await;
            } else {
                let body = format!("{:?}", conn.cancelled);
                conn.answer(asked.stream, body.as_bytes()).await;
            }
        }
    })
    .await;
    let pool = pool(&server, PoolConfig { max_connections: 1, ..config() });
    pool.warm();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let response = pool.get(&large("/endless")).await.unwrap();
    let next = tokio::spawn({
        let pool = pool.clone();
        async move { fetch(&pool, &ask("/next")).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!next.is_finished(), "the server allows one stream");
    drop(response);
    assert_eq!(next.await.unwrap().unwrap().1, b"[1]");
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_while_it_waits_leaves_nothing() {
    let server = Server::h2(H2, |mut conn: Conn| async move {
        conn.settings(Some(1)).await;
        while let Some(asked) = conn.request().await {
            tokio::time::sleep(Duration::from_millis(if asked.path == "/slow" { 300 } else { 0 })).await;
            conn.answer(asked.stream, asked.path.as_bytes()).await;
        }
    })
    .await;
    let pool = pool(&server, PoolConfig { max_connections: 1, ..config() });
    pool.warm();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let slow = ask("/slow");
    let (gone, last) = (ask("/gone"), ask("/last"));
    let first = tokio::spawn({
        let pool = pool.clone();
        async move { fetch(&pool, &slow).await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    for _ in 0..20 {
        assert!(tokio::time::timeout(Duration::from_millis(5), fetch(&pool, &gone)).await.is_err());
    }
    assert_eq!(fetch(&pool, &last).await.unwrap().1, b"/last");
    first.await.unwrap();
    let summary = pool.summary();
    assert_eq!((summary.requests, server.accepted()), (2, 1), "what was given up was never sent");
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_the_next_request_opens_another() {
    let server = Server::h2(BOTH, |mut conn: Conn| async move {
        conn.settings(None).await;
        conn.serve().await;
    })
    .await;
    let pool = pool(&server, PoolConfig { idle: Duration::from_millis(300), ..config() });
    fetch(&pool, &ask("/x")).await.unwrap();
    until("the idle connection is closed", || server.open() == 0).await;
    assert_eq!(pool.summary().ended.get("idle"), Some(&1));
    fetch(&pool, &ask("/y")).await.unwrap();
    assert_eq!((server.accepted(), pool.summary().reuse), (2, 0.0));
}

#[tokio::test]
async fn nothing_stays_when_pool_and_answers_are_gone() {
    let server = Server::h2(BOTH, |mut conn: Conn| async move {
        conn.settings(None).await;
        while let Some(asked) = conn.request().await {
            conn.head(asked.stream, 200, &[("content-length", "20000")], false).await;
            conn.data(asked.stream, &[b'x'; 10_000], false).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            conn.data(asked.stream, &[b'x'; 10_000], true).await;
        }
    })
    .await;
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let pool = pool(&server, config());
    let response = pool.get(&ask("/x")).await.unwrap();
    let unread = pool.get(&ask("/y")).await.unwrap();
    drop(pool);
    // An answer outlives its pool.
    assert_eq!(response.body.collect(1 << 20).await.unwrap().len(), 20_000);
    assert_eq!(server.open(), 1);
    drop(unread);
    until("the connection is closed", || server.open() == 0).await;
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    until("all tasks have ended", || alive() <= before).await;
}

#[tokio::test]
async fn nothing_stays_of_a_pool_that_was_opening_a_connection() {
    // TCP connects, TLS never answers.
    let mut server = Server::plain(|_, io| async move {
        use tokio::io::AsyncReadExt as _;
        let mut io = io;
        let _ = io.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    server.https = true;
    let pool = pool(&server, config());
    pool.warm();
    until("the dial has begun", || server.accepted() == 1).await;
    let began = Instant::now();
    drop(pool);
    until("the dial is given up", || server.open() == 0).await;
    assert!(began.elapsed() < Duration::from_secs(2));
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    until("all tasks have ended", || alive() <= before).await;
}

#[tokio::test]
async fn a_goaway_on_an_idle_connection_ends_it() {
    let server = Server::h2(BOTH, |mut conn: Conn| async move {
        conn.settings(None).await;
        if let Some(asked) = conn.request().await {
            conn.answer(asked.stream, b"").await;
            conn.goaway(asked.stream, ErrorCode::NoError).await;
        }
        conn.linger().await;
    })
    .await;
    let pool = pool(&server, config());
    fetch(&pool, &ask("/x")).await.unwrap();
    until("it is closed", || server.open() == 0).await;
    fetch(&pool, &ask("/y")).await.unwrap();
    assert_eq!(server.accepted(), 2);
}
