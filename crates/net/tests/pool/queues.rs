//! Who goes first, and that nobody waits for ever.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use goferry_net::pool::{Ask, Class, PoolConfig};
use tokio::task::JoinSet;

use crate::server::{Conn, H2, Server, Text};
use crate::{ask, config, fetch, large, pool};

type Order = Arc<Mutex<Vec<String>>>;

/// One request at a time, over HTTP/2 or HTTP/1.1; notes the order. The first is held until all others wait.
async fn server(http2: bool, order: Order) -> Server {
    let hold = |path: &str| Duration::from_millis(if path == "/first" { 200 } else { 1 });
    if http2 {
        Server::h2(H2, move |mut conn: Conn| {
            let order = Arc::clone(&order);
            async move {
                conn.settings(Some(1)).await;
                while let Some(asked) = conn.request().await {
                    order.lock().unwrap().push(asked.path.clone());
                    tokio::time::sleep(hold(&asked.path)).await;
                    conn.answer(asked.stream, b"x").await;
                }
            }
        })
        .await
    } else {
        Server::plain(move |_, io| {
            let order = Arc::clone(&order);
            async move {
                let mut text = Text::new(io);
                while let Some(asked) = text.request().await {
                    order.lock().unwrap().push(asked.path.clone());
                    tokio::time::sleep(hold(&asked.path)).await;
                    text.reply(200, "", b"x").await;
                }
            }
        })
        .await
    }
}

/// The order in which the server saw them.
async fn play(http2: bool, asks: Vec<Ask>) -> Vec<String> {
    let order = Order::default();
    let server = server(http2, Arc::clone(&order)).await;
    let pool = pool(&server, PoolConfig { max_connections: 1, ..config() });
    pool.warm();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut running = JoinSet::new();
    for ask in std::iter::once(ask("/first")).chain(asks) {
        let pool = pool.clone();
        running.spawn(async move { fetch(&pool, &ask).await.unwrap() });
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    let order = order.lock().unwrap();
    assert_eq!(order[0], "/first");
    order[1..].to_vec()
}

#[tokio::test]
async fn the_highest_rank_goes_first_and_equals_in_order() {
    for http2 in [true, false] {
        for class in [Class::Small, Class::Large] {
            let one = |path: &str, rank| Ask { rank, class, ..ask(path) };
            let asks = vec![one("/a", 0), one("/b", 7), one("/c", 1), one("/d", 7), one("/e", 1)];
            assert_eq!(play(http2, asks).await, ["/b", "/d", "/c", "/e", "/a"], "{http2} {class:?}");
        }
    }
}

#[tokio::test]
async fn neither_class_starves_the_other() {
    for http2 in [true, false] {
        let smalls = (0..40).map(|n| ask(format!("/small/{n}")));
        let larges = (0..10).map(|n| large(format!("/large/{n}")));
        let order = play(http2, larges.chain(smalls).collect()).await;
        let first = |kind: &str| order.iter().position(|path| path.starts_with(kind)).unwrap();
        let last = |kind: &str| order.iter().rposition(|path| path.starts_with(kind)).unwrap();
        assert!(first("/small") <= 4 && first("/large") <= 4, "{order:?}");
        // A quarter of the way belongs to the large ones while small ones wait.
        assert!(last("/large") < 45 && last("/small") > 40, "{order:?}");
    }
}

#[tokio::test]
async fn on_a_wide_connection_each_class_has_streams_left() {
    // Ten streams, all large answers held back: small ones still go through, and the other way round.
    let server = Server::h2(H2, |mut conn: Conn| async move {
        conn.settings(Some(10)).await;
        let mut held = Vec::new();
        while let Some(asked) = conn.request().await {
            if asked.path.starts_with("/held") {
                held.push(asked.stream);
            } else {
                conn.answer(asked.stream, b"x").await;
            }
        }
    })
    .await;
    for (held, free) in [(Class::Large, Class::Small), (Class::Small, Class::Large)] {
        let pool = pool(&server, PoolConfig { max_connections: 1, ..config() });
        pool.warm();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut running = JoinSet::new();
        let of = |class, path: String| Ask { class, ..ask(path) };
        // Both wait before anything is granted.
        let (hold, pass): (Vec<Ask>, Vec<Ask>) = (
            (0..20).map(|n| of(held, format!("/held/{n}"))).collect(),
            (0..20).map(|n| of(free, format!("/free/{n}"))).collect(),
        );
        let mut passing = JoinSet::new();
        for (hold, pass) in hold.into_iter().zip(pass) {
            let (a, b) = (pool.clone(), pool.clone());
            passing.spawn(async move { fetch(&b, &pass).await.unwrap() });
            running.spawn(async move { fetch(&a, &hold).await.map(|_| ()) });
        }
        let done = async {
            while let Some(done) = passing.join_next().await {
                done.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(5), done).await.expect("the other class is served");
        running.abort_all();
    }
}
