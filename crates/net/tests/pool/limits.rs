//! How many streams a connection is given, and how many connections that takes.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use goferry_net::pool::{Cause, Pool, PoolConfig};
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

/// What a body of [`endless`] has.
const ENDLESS: usize = 64 << 20;

/// A server that sends zeros for as long as the client's windows let it, and counts what it was allowed to send.
async fn endless(allowed: Arc<AtomicUsize>) -> Server {
    Server::tls(BOTH, move |_, io| {
        let allowed = Arc::clone(&allowed);
        async move {
            let Ok(mut connection) = h2::server::handshake(io).await else { return };
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                let head = http::Response::builder().header("content-length", ENDLESS).body(()).unwrap();
                let mut body = respond.send_response(head, false).unwrap();
                let allowed = Arc::clone(&allowed);
                tokio::spawn(async move {
                    let mut left = ENDLESS;
                    while left > 0 {
                        body.reserve_capacity(left.min(64 << 10));
                        let Some(Ok(room)) = poll_fn(|cx| body.poll_capacity(cx)).await else { return };
                        allowed.fetch_add(room, Ordering::SeqCst);
                        left -= room;
                        if body.send_data(vec![0; room].into(), left == 0).is_err() {
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

/// What streams may have in flight is in all more than the connection may: each could wait for what others withhold.
#[tokio::test]
async fn large_bodies_beside_each_other_do_not_take_the_connection_from_each_other() {
    const PART: usize = 15 << 20;
    let server = endless(Arc::default()).await;
    let pool = pool(&server, config());
    for wanted in [ENDLESS, PART] {
        let bodies = (0..3).map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut body = pool.get(&crate::large("/x")).await.unwrap().body;
                let mut came = 0;
                while came < wanted {
                    body.want((wanted - came) as u64);
                    came += body.chunk().await.unwrap().unwrap().len();
                }
            })
        });
        for body in bodies.collect::<Vec<_>>() {
            body.await.unwrap();
        }
    }
    assert_eq!(pool.summary().opened, 1);
}

/// Less than a third of what a stream may have in flight on the only connection, and more than it may have on one of two: what
/// was taken of it the server is not told of, and when the window is made smaller nothing is left of it.
const EARLY: usize = 4 << 20;
/// What the whole body has.
const WHOLE: usize = 6 << 20;

/// A server that keeps to a stream's window. It sends a part of the body, and more once the client wants the window to be
/// smaller, and says that it knows so (SETTINGS with ACK) only when all of that was `taken`. The second connection answers all.
async fn reluctant(more: usize, taken: Arc<AtomicUsize>) -> Server {
    Server::h2(H2, move |mut conn: Conn| {
        let taken = Arc::clone(&taken);
        async move {
            conn.settings(Some(1)).await;
            if conn.number > 1 {
                return conn.serve().await;
            }
            let stream = conn.request().await.unwrap().stream;
            conn.acknowledge().await;
            conn.head(stream, 200, &[], false).await;
            conn.data(stream, &[0; EARLY], false).await;
            while conn.windows.len() < 2 {
                conn.frame().await.unwrap();
            }
            conn.data(stream, &vec![0; more], false).await;
            let mut sent = EARLY + more;
            crate::until("all is taken", || taken.load(Ordering::SeqCst) == sent).await;
            assert!(!conn.opened.contains_key(&stream) && sent > conn.windows[1] as usize, "{:?}", conn.windows);
            // The only one: a window made larger again would be another way out.
            conn.acknowledge().await;
            while sent < WHOLE {
                let may = conn.windows[1] as usize + conn.opened.get(&stream).copied().unwrap_or(0);
                let now = may.saturating_sub(sent).min(WHOLE - sent);
                if now == 0 {
                    conn.frame().await.unwrap();
                    continue;
                }
                conn.data(stream, &vec![0; now], false).await;
                sent += now;
            }
            conn.data(stream, &[], true).await;
            conn.serve().await;
        }
    })
    .await
}

#[tokio::test]
async fn an_answer_goes_on_when_its_window_is_made_smaller() {
    // The client waits for data when it makes the window smaller, or takes some after that.
    for more in [0, 16 << 10] {
        let taken = Arc::new(AtomicUsize::new(0));
        let server = reluctant(more, Arc::clone(&taken)).await;
        let pool = pool(&server, PoolConfig { max_connections: 2, ..config() });
        let mut body = pool.get(&crate::large("/x")).await.unwrap().body;
        let counted = Arc::clone(&taken);
        let reading = tokio::spawn(async move {
            while let Some(data) = body.chunk().await.unwrap() {
                counted.fetch_add(data.len(), Ordering::SeqCst);
            }
        });
        crate::until("the first part is taken", || taken.load(Ordering::SeqCst) == EARLY).await;
        // They wait since the server allows no second stream: with the second connection windows are made smaller.
        all(&pool, 4).await;
        reading.await.unwrap();
        assert_eq!((taken.load(Ordering::SeqCst), server.accepted()), (WHOLE, 2));
    }
}
