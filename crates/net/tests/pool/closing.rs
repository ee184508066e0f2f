//! GOAWAY and RST_STREAM: nothing is lost, and the next connection is ready.

use std::time::Duration;

use goferry_net::pool::{Cause, Pool, PoolConfig};
use goferry_net::timeline::Event;
use goferry_wire::h2::ErrorCode;
use tokio::task::JoinSet;

use crate::server::{BOTH, Conn, H2, Server};
use crate::{ask, config, fetch, persist, pool, until};

/// Sends `count` requests at once, each again as often as it fails; the causes of all failures.
async fn all(pool: &Pool, count: usize) -> Vec<Cause> {
    let mut running = JoinSet::new();
    for n in 0..count {
        let pool = pool.clone();
        running.spawn(async move {
            let path = format!("/{n}");
            let (body, failures) = persist(&pool, &ask(&path), 12).await;
            assert_eq!(body, Some(path.into_bytes()), "{failures:?}");
            failures
        });
    }
    let mut causes = Vec::new();
    while let Some(done) = running.join_next().await {
        causes.extend(done.unwrap().into_iter().map(|failure| failure.cause));
    }
    causes
}

/// Answers `count` requests, then says GOAWAY with `last` (`None`: the truth) and answers no other.
async fn going(count: usize, last: Option<u32>, close: bool) -> Server {
    Server::h2(H2, move |mut conn: Conn| async move {
        conn.settings(None).await;
        let mut id = 0;
        for _ in 0..count {
            let Some(asked) = conn.request().await else { return };
            conn.answer(asked.stream, asked.path.as_bytes()).await;
            id = asked.stream;
        }
        conn.goaway(last.unwrap_or(id), ErrorCode::NoError).await;
        if close { conn.close().await } else { conn.linger().await }
    })
    .await
}

#[tokio::test]
async fn an_honest_goaway_costs_no_request() {
    let server = going(40, None, false).await;
    let pool = pool(&server, config());
    let causes = all(&pool, 100).await;
    assert!(causes.iter().all(|cause| *cause == Cause::GoAway("NO_ERROR".to_owned())), "{causes:?}");
    assert_eq!(server.accepted(), 3);
    until("drained connections are closed", || server.open() == 1).await;
    let summary = pool.summary();
    assert_eq!(summary.ended.values().sum::<u64>(), 2, "{:?}", summary.ended);
}

#[tokio::test]
async fn a_lying_goaway_costs_no_request() {
    for last in [0x7fff_ffff, 0] {
        let server = going(40, Some(last), true).await;
        let pool = pool(&server, config());
        let causes = all(&pool, 100).await;
        let fine = |cause: &Cause| matches!(cause, Cause::GoAway(_) | Cause::Lost | Cause::Unsent | Cause::Dead);
        assert!(causes.iter().all(fine), "{causes:?}");
        assert!(server.accepted() <= 4, "{}", server.accepted());
    }
}

#[tokio::test]
async fn the_next_connection_is_warm_before_the_limit() {
    let server = going(50, None, false).await;
    let pool = pool(&server, config());
    // One after the other: the server's limit is known after the first connection and proven after the second.
    for n in 0..240 {
        let path = format!("/{n}");
        let (body, failures) = persist(&pool, &ask(&path), 3).await;
        assert_eq!(body, Some(path.into_bytes()), "{failures:?}");
        // Time for the GOAWAY to arrive, and for a standby to be opened.
        tokio::time::sleep(Duration::from_millis(5)).await;
        match n {
            30 | 49 => assert_eq!(server.accepted(), 1, "nothing is known yet"),
            80 => assert_eq!(server.accepted(), 2),
            98 => until("a standby is open before the second limit", || server.accepted() == 3).await,
            148 => until("a standby is open before the third limit", || server.accepted() == 4).await,
            _ => {}
        }
    }
    let summary = pool.summary();
    assert_eq!((server.accepted(), summary.requests), (5, 240));
    assert!((summary.reuse - 235.0 / 240.0).abs() < 1e-9, "{}", summary.reuse);
    let snapshots = pool.snapshots();
    let said = |n: usize| snapshots[n].events.iter().any(|timed| matches!(timed.event, Event::GoAway { .. }));
    assert!(said(0) && said(1));
}

#[tokio::test]
async fn every_reset_code_says_its_cause() {
    for code in ErrorCode::all().chain([ErrorCode::from(0x77)]) {
        let server = Server::h2(BOTH, move |mut conn: Conn| async move {
            conn.settings(None).await;
            while let Some(asked) = conn.request().await {
                if asked.path == "/inside" {
                    conn.head(asked.stream, 200, &[("content-length", "10")], false).await;
                    conn.data(asked.stream, b"hello", false).await;
                }
                conn.reset(asked.stream, code).await;
            }
        })
        .await;
        let pool = pool(&server, config());
        let expected = match code {
            ErrorCode::RefusedStream => Cause::Refused,
            code => Cause::Reset(code.to_string()),
        };
        for path in ["/before", "/inside"] {
            let failure = fetch(&pool, &ask(path)).await.unwrap_err();
            assert_eq!((failure.cause, failure.connection), (expected.clone(), 1), "{path}");
        }
        let snapshot = pool.snapshots().remove(0);
        assert_eq!((snapshot.resets, snapshot.requests, server.accepted()), (2, 2, 1));
    }
}

#[tokio::test]
async fn goaway_codes_say_their_cause() {
    for code in [ErrorCode::EnhanceYourCalm, ErrorCode::ProtocolError, ErrorCode::Http11Required] {
        let server = Server::h2(H2, move |mut conn: Conn| async move {
            conn.settings(None).await;
            conn.request().await;
            conn.goaway(0, code).await;
            conn.close().await;
        })
        .await;
        let pool = pool(&server, config());
        let failure = fetch(&pool, &ask("/x")).await.unwrap_err();
        assert_eq!(failure.cause, Cause::GoAway(code.to_string()));
    }
}

#[tokio::test]
async fn a_server_that_refuses_the_second_connection_is_not_hammered() {
    let server = Server::h2(H2, |mut conn: Conn| async move {
        if conn.number > 1 {
            return conn.abort();
        }
        conn.settings(Some(1000)).await;
        conn.serve().await;
    })
    .await;
    // Close to nginx's limit a standby is due.
    let pool = pool(&server, PoolConfig { max_connections: 4, ..config() });
    for _ in 0..10 {
        assert!(all(&pool, 98).await.is_empty());
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(server.accepted() < 12, "{}", server.accepted());
}
