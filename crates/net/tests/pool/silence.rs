//! Servers that say nothing, stop in the middle, or speak nonsense.

use std::time::{Duration, Instant};

use goferry_net::pool::{Ask, Cause, PoolConfig};
use goferry_net::{ErrorKind, Phase};
use goferry_wire::h2::Frame;

use crate::server::{BOTH, Conn, H2, Server};
use crate::{ask, config, fetch, pool};

#[tokio::test]
async fn a_server_without_settings_is_dead_after_the_bound() {
    let server = Server::h2(BOTH, Conn::freeze).await;
    let pool = pool(&server, config());
    let began = Instant::now();
    let failure = fetch(&pool, &ask("/x")).await.unwrap_err();
    assert_eq!((failure.cause, failure.error.phase), (Cause::Dead, Phase::Http2));
    assert!(failure.error.detail.contains("no SETTINGS from the server"), "{}", failure.error);
    assert!((500..2000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    assert_eq!(pool.summary().ended.keys().next().unwrap(), "no SETTINGS from the server within 1 s");
}

#[tokio::test]
async fn a_server_that_answers_before_its_settings_is_not_dead() {
    let server = Server::h2(H2, |mut conn: Conn| async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        conn.settings(None).await;
        conn.serve().await;
    })
    .await;
    let pool = pool(&server, config());
    assert_eq!(fetch(&pool, &ask("/x")).await.unwrap().0, 200);
}

#[tokio::test]
async fn a_black_hole_is_dead_within_quiet_and_ping_bound() {
    for settled in [false, true] {
        let server = Server::h2(H2, move |mut conn: Conn| async move {
            conn.settings(None).await;
            if !settled {
                // The PING for the round trip is not answered either.
                conn.pong = None;
            }
            let Some(asked) = conn.request().await else { return };
            conn.head(asked.stream, 200, &[("content-length", "100000")], false).await;
            conn.data(asked.stream, &[b'x'; 5000], false).await;
            conn.freeze().await;
        })
        .await;
        let pool = pool(&server, config());
        if settled {
            pool.warm();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let mut response = pool.get(&ask("/x")).await.unwrap();
        assert_eq!((response.status, response.length, response.http2), (200, Some(100_000), true));
        let mut have = 0;
        let began = Instant::now();
        let failure = loop {
            match response.body.chunk().await {
                Ok(Some(data)) => have += data.len(),
                Ok(None) => panic!("the body did not end"),
                Err(failure) => break failure,
            }
        };
        assert_eq!((failure.cause, have), (Cause::Dead, 5000), "{}", failure.error);
        // 300 ms of quiet and 400 ms for the PING, looked at every 75 ms.
        assert!((600..1500).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
        assert_eq!(response.body.connection(), 1);
    }
}

#[tokio::test]
async fn a_stalled_stream_on_a_living_connection_is_silent() {
    let server = Server::h2(H2, |mut conn: Conn| async move {
        conn.settings(None).await;
        while let Some(asked) = conn.request().await {
            match asked.path.as_str() {
                "/head" => {}
                "/body" => {
                    conn.head(asked.stream, 200, &[], false).await;
                    conn.data(asked.stream, b"some", false).await;
                }
                _ => conn.answer(asked.stream, &serde_free(&conn.cancelled)).await,
            }
        }
    })
    .await;
    let pool = pool(&server, config());
    let bounds = |path: &str| Ask {
        head_bound: Duration::from_millis(1500),
        pause_bound: Duration::from_millis(1500),
        ..ask(path)
    };
    let (head, body) = (bounds("/head"), bounds("/body"));
    let (head, body) = tokio::join!(fetch(&pool, &head), fetch(&pool, &body));
    for failure in [head.unwrap_err(), body.unwrap_err()] {
        assert_eq!((failure.cause, failure.error.kind), (Cause::Silent, ErrorKind::TimedOut));
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    // Both streams were cancelled, and the connection serves on.
    assert_eq!(fetch(&pool, &ask("/cancelled")).await.unwrap().1.len(), 2);
    assert_eq!((server.accepted(), pool.summary().requests), (1, 3));
}

/// A byte for each stream.
fn serde_free(streams: &[u32]) -> Vec<u8> {
    streams.iter().map(|_| b'x').collect()
}

#[tokio::test]
async fn a_ping_that_was_never_answered_does_not_end_the_watch() {
    // Settled, busy and never answering PINGs: then it stops for good.
    let server = Server::h2(H2, |mut conn: Conn| async move {
        conn.pong = None;
        conn.settings(None).await;
        let Some(asked) = conn.request().await else { return };
        conn.head(asked.stream, 200, &[], false).await;
        for _ in 0..12 {
            conn.data(asked.stream, b"x", false).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        conn.freeze().await;
    })
    .await;
    let pool = pool(&server, config());
    let began = Instant::now();
    let failure = fetch(&pool, &ask("/x")).await.unwrap_err();
    assert_eq!(failure.cause, Cause::Dead);
    assert!((1600..3000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn nonsense_is_a_protocol_error_and_http1_is_the_way_out() {
    let broken: [(&str, Vec<u8>); 4] = [
        // A HEADERS frame whose block no decoder can read: an index far beyond both tables.
        ("HPACK", vec![0, 0, 3, 1, 4, 0, 0, 0, 1, 0xff, 0xff, 0x7f]),
        ("oversized", vec![0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]),
        ("HTTP/1.1", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec()),
        ("DATA on stream 0", Frame::Data { stream_id: 0, data: vec![0], end_stream: false, padding: None }.to_bytes()),
    ];
    for (name, bytes) in broken {
        let server = Server::tls(BOTH, move |number, io| {
            let bytes = bytes.clone();
            async move {
                use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
                let mut io = io;
                if io.get_ref().1.alpn_protocol() == Some(b"http/1.1") {
                    return crate::server::Text::new(io).serve().await;
                }
                assert_eq!(number, 1, "HTTP/2 is not tried again");
                let _ = io.read(&mut [0; 4096]).await;
                if name != "HTTP/1.1" {
                    let _ = io.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
                }
                // The request must have been sent.
                tokio::time::sleep(Duration::from_millis(100)).await;
                let _ = io.write_all(&bytes).await;
                let _ = io.flush().await;
                let _ = io.read_to_end(&mut Vec::new()).await;
            }
        })
        .await;
        let pool = pool(&server, config());
        let failure = fetch(&pool, &ask("/x")).await.unwrap_err();
        assert_eq!(failure.cause, Cause::Protocol, "{name}: {}", failure.error);
        assert!(pool.give_up_http2(name) && !pool.give_up_http2(name));
        assert_eq!(fetch(&pool, &ask("/x")).await.unwrap(), (200, b"/x".to_vec()), "{name}");
        let summary = pool.summary();
        assert_eq!(summary.protocol, "HTTP/1.1");
        assert!(summary.decisions.iter().any(|decided| decided.text.contains(name)), "{:?}", summary.decisions);
    }
}

#[tokio::test]
async fn giving_up_http2_where_nothing_else_is_spoken_leads_back() {
    let server = Server::h2(H2, |mut conn: Conn| async move {
        conn.settings(None).await;
        conn.serve().await;
    })
    .await;
    let pool = pool(&server, config());
    fetch(&pool, &ask("/x")).await.unwrap();
    assert!(pool.give_up_http2("a whim"));
    assert_eq!(fetch(&pool, &ask("/x")).await.unwrap().0, 200);
    assert_eq!(pool.summary().protocol, "HTTP/2");
    assert!(!pool.give_up_http2("a whim"), "once is enough");
    assert!(pool.summary().decisions.iter().any(|decided| decided.text.contains("takes no HTTP/1.1")));
    let only = PoolConfig { http1_only: true, ..config() };
    let failure = fetch(&crate::pool(&server, only), &ask("/x")).await.unwrap_err();
    assert_eq!((failure.cause, failure.error.phase), (Cause::Dial, Phase::Tls));
}

#[tokio::test]
async fn http2_given_up_while_a_connection_is_opened() {
    let server = Server::tls(BOTH, |_, io| async move {
        if io.get_ref().1.alpn_protocol() == Some(b"http/1.1") {
            return crate::server::Text::new(io).serve().await;
        }
        panic!("a connection of HTTP/2 was used");
    })
    .await;
    let pool = pool(&server, config());
    pool.warm();
    assert!(pool.give_up_http2("a test"));
    assert_eq!(fetch(&pool, &ask("/x")).await.unwrap().0, 200);
    assert_eq!(pool.summary().protocol, "HTTP/1.1");
}
