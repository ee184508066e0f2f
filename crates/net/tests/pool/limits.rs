//! How many streams a connection is given, and how many connections that takes.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use goferry_net::pool::{Ask, Cause, Pool, PoolConfig};
use tokio::task::JoinSet;

use crate::server::{BOTH, Conn, H2, Server};
use crate::{ask, config, fetch, pool};

/// Sends `count` requests at once; all must succeed.
async fn all(pool: &Pool, count: usize) {
    let mut running = JoinSet::new();
    for n in 0..count {
        let pool = pool.clone();
        running.spawn(async move {
            let path = format!("/{n}");
            assert_eq!(fetch(&pool, &ask(&path)).await.unwrap(), (200, path.into_bytes()));
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn one_connection_for_300_requests() {
    let server = Server::h2(BOTH, |mut conn: Conn| async move {
        conn.settings(None).await;
        conn.serve().await;
    })
    .await;
    let pool = pool(&server, config());
    all(&pool, 300).await;
    assert_eq!(server.accepted(), 1);
    let summary = pool.summary();
    assert_eq!(
        (summary.protocol, summary.opened, summary.open, summary.most, summary.requests),
        ("HTTP/2", 1, 1, 1, 300)
    );
    assert!((summary.reuse - 299.0 / 300.0).abs() < 1e-9, "{}", summary.reuse);
    assert!(summary.ended.is_empty() && summary.round_trip.is_some());
    let snapshot = pool.snapshots().remove(0);
    assert_eq!((snapshot.number, snapshot.requests, snapshot.resets, snapshot.retries), (1, 300, 0, 0));
    // SETTINGS, an acknowledgement, a PONG, and two frames an answer.
    assert!(snapshot.frames_in >= 601 && snapshot.http2 && !snapshot.goaway && snapshot.closed.is_none());
}

/// A server that answers each stream `pause` after it came, and refuses to be given more than `limit` at once.
async fn strict(limit: u32, most: Arc<AtomicUsize>) -> Server {
    Server::h2(H2, move |mut conn: Conn| {
        let most = Arc::clone(&most);
        async move {
            conn.settings(Some(limit)).await;
            loop {
                let mut open = Vec::new();
                while let Some(asked) =
                    conn.request_within(Duration::from_millis(if open.is_empty() { 5000 } else { 10 })).await
                {
                    open.push(asked);
                    most.fetch_max(open.len(), Ordering::SeqCst);
                }
                if open.is_empty() {
                    return;
                }
                for asked in open {
                    conn.answer(asked.stream, asked.path.as_bytes()).await;
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn never_more_streams_than_the_server_allows() {
    for limit in [1, 10] {
        let most = Arc::new(AtomicUsize::new(0));
        let server = strict(limit, Arc::clone(&most)).await;
        let pool = pool(&server, PoolConfig { max_connections: 1, ..config() });
        pool.warm();
        tokio::time::sleep(Duration::from_millis(150)).await;
        all(&pool, 40).await;
        assert_eq!(most.load(Ordering::SeqCst), limit as usize);
        assert_eq!((server.accepted(), pool.summary().requests), (1, 40));
    }
}

#[tokio::test]
async fn few_streams_before_settings_and_all_after() {
    let early = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&early);
    let server = Server::h2(H2, move |mut conn: Conn| {
        let seen = Arc::clone(&seen);
        async move {
            let mut open = Vec::new();
            while let Some(asked) = conn.request_within(Duration::from_millis(150)).await {
                open.push(asked);
            }
            seen.store(open.len(), Ordering::SeqCst);
            conn.settings(Some(100)).await;
            for asked in open {
                conn.answer(asked.stream, asked.path.as_bytes()).await;
            }
            conn.serve().await;
        }
    })
    .await;
    let pool = pool(&server, config());
    all(&pool, 100).await;
    assert_eq!(early.load(Ordering::SeqCst), 32);
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_limit_of_no_streams_is_an_error_and_not_a_hang() {
    let server = Server::h2(H2, |mut conn: Conn| async move {
        conn.settings(Some(0)).await;
        conn.serve().await;
    })
    .await;
    let pool = pool(&server, config());
    pool.warm();
    tokio::time::sleep(Duration::from_millis(150)).await;
    let began = Instant::now();
    let failure = fetch(&pool, &ask("/x")).await.unwrap_err();
    assert_eq!(failure.cause, Cause::Silent);
    assert!(failure.to_string().contains("allowed no stream"), "{failure}");
    assert!(began.elapsed() < Duration::from_secs(3));
}

/// A server that sends zeros for as long as the client's windows let it, and counts what it was allowed to send.
async fn endless(allowed: Arc<AtomicUsize>) -> Server {
    Server::tls(BOTH, move |_, io| {
        let allowed = Arc::clone(&allowed);
        async move {
            let Ok(mut connection) = h2::server::handshake(io).await else { return };
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                let head = http::Response::builder().header("content-length", 64 << 20).body(()).unwrap();
                let mut body = respond.send_response(head, false).unwrap();
                let allowed = Arc::clone(&allowed);
                tokio::spawn(async move {
                    loop {
                        body.reserve_capacity(64 << 10);
                        let Some(Ok(room)) = poll_fn(|cx| body.poll_capacity(cx)).await else { return };
                        allowed.fetch_add(room, Ordering::SeqCst);
                        if body.send_data(vec![0; room].into(), false).is_err() {
                            return;
                        }
                    }
                });
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_server_sends_no_more_of_a_body_than_is_wanted() {
    const WANTED: usize = 20 << 20;
    let allowed = Arc::new(AtomicUsize::new(0));
    let server = endless(Arc::clone(&allowed)).await;
    let pool = pool(&server, config());
    let mut body = pool.get(&crate::large("/x")).await.unwrap().body;
    let mut came = 0;
    while came < WANTED {
        body.want((WANTED - came) as u64);
        came += body.chunk().await.unwrap().unwrap().len();
    }
    assert_eq!((came, body.granted()), (WANTED, Some(0)));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(allowed.load(Ordering::SeqCst), WANTED);
    drop(body);
    // Without that it sends ahead as much as a stream may have in flight.
    let mut body = pool.get(&crate::large("/x")).await.unwrap().body;
    body.chunk().await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(allowed.load(Ordering::SeqCst) > WANTED + (8 << 20));
    assert_eq!(pool.summary().opened, 1, "what was not opened again of the connection's window is opened at the end");
}

/// A server that allows few streams and sends a little on each every few milliseconds, for ever.
async fn dripping(streams: u32) -> Server {
    Server::tls(BOTH, move |_, io| async move {
        let handshake = h2::server::Builder::new().max_concurrent_streams(streams).handshake(io).await;
        let Ok(mut connection) = handshake else { return };
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let mut body: h2::SendStream<bytes::Bytes> = respond.send_response(http::Response::new(()), false).unwrap();
            tokio::spawn(async move {
                loop {
                    body.reserve_capacity(64 << 10);
                    let Some(Ok(room)) = poll_fn(|cx| body.poll_capacity(cx)).await else { return };
                    if body.send_data(vec![0; room].into(), false).is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(8)).await;
                }
            });
        }
    })
    .await
}

#[tokio::test]
async fn an_answer_goes_on_when_its_window_is_made_smaller() {
    let server = dripping(2).await;
    let pool = pool(&server, PoolConfig { max_connections: 4, ..config() });
    let read = |count: u64, expect: Option<u64>| {
        let (pool, ask) = (pool.clone(), Ask { expect, ..crate::large("/x") });
        async move {
            let mut body = pool.get(&ask).await.unwrap().body;
            let mut came = 0;
            while came < count {
                came += body.chunk().await.unwrap().unwrap().len() as u64;
            }
        }
    };
    // Many wait, so that more connections share the work: while some 4 to 8 MiB of each have come, of which the server was
    // not told yet, since that is less than half of what it may send.
    let mut running = JoinSet::new();
    for _ in 0..2 {
        running.spawn(read(24 << 20, None));
    }
    tokio::time::sleep(Duration::from_millis(900)).await;
    for _ in 0..8 {
        running.spawn(read(1 << 20, Some(8 << 20)));
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    assert!(pool.summary().opened > 1, "{:?}", pool.summary().decisions);
}
