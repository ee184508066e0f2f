//! Servers that flood, never end, or take nothing: bounded in time and memory.

use std::time::Duration;

use goferry_net::h2::{Bounds, H2};
use goferry_net::{ErrorKind, NetError, Outcome};
use goferry_wire::h2::{Frame, FrameKind, SettingId, Settings};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::mock::{BOUNDS, Mock, against, fetch_one, fetch_within};

/// Writes `bytes` for as long as the client takes them, every millisecond.
async fn repeat(server: &mut Mock, bytes: &[u8]) {
    while server.io.write_all(bytes).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_endless_body_ends_by_time_and_is_cancelled() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        let (stream_id, _) = server.request().await;
        server.send_headers(stream_id, &[(":status", "200")], false).await;
        let data = Frame::Data { stream_id, data: vec![0; 16_384], end_stream: false, padding: None };
        let (mut reader, mut writer) = tokio::io::split(server.io);
        tokio::spawn(async move { while reader.read(&mut [0; 4096]).await.is_ok_and(|count| count > 0) {} });
        while writer.write_all(&data.to_bytes()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let exchange = fetch_one(&mut h2).await;
    assert_eq!(exchange.outcome, Outcome::Stalled { ping_answered: None });
    assert!((10_000..10_100).contains(&exchange.took.as_millis()), "{:?}", exchange.took);
    assert!(exchange.body_bytes > 1 << 20 && exchange.body.len() == 100 && exchange.arrivals.len() <= 512);
}

/// A stream that always has octets to read: it never lets a timer win by itself.
struct Torrent(Vec<u8>, usize);

impl tokio::io::AsyncRead for Torrent {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        let at = self.1;
        let count = buf.remaining().min(self.0.len() - at);
        buf.put_slice(&self.0[at..at + count]);
        // The first octets once, the rest for ever.
        self.1 = if at + count == self.0.len() { 9 } else { at + count };
        std::task::Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Torrent {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        data: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::task::Poll::Ready(Ok(data.len()))
    }
    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn octets_that_are_always_there_do_not_outlast_a_bound() {
    let ping = Frame::Ping { ack: false, data: [0; 8] };
    let mut bytes = Frame::Settings { ack: false, settings: Settings::new() }.to_bytes();
    assert_eq!(bytes.len(), 9);
    (0..1000).for_each(|_| ping.encode(&mut bytes));
    let mut h2 = H2::start(Box::new(Torrent(bytes, 0)), "goproxy.example.com").await.unwrap();
    let bound = Duration::from_millis(50);
    let started = std::time::Instant::now();
    assert_eq!(h2.ping(bound).await, None);
    assert_eq!(h2.idle(bound).await, None);
    let exchange = fetch_within(&mut h2, 1, Bounds { total: bound, ..BOUNDS }).await.remove(0);
    assert_eq!(exchange.outcome, Outcome::Stalled { ping_answered: None });
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn floods_without_a_response_end_by_time() {
    let settings = Settings::new().with(SettingId::MaxConcurrentStreams, 100);
    for flood in [
        Frame::Settings { ack: false, settings },
        Frame::Ping { ack: false, data: [7; 8] },
        Frame::WindowUpdate { stream_id: 0, increment: 1 },
        Frame::WindowUpdate { stream_id: 1, increment: 1 },
        Frame::RstStream { stream_id: 99, code: goferry_wire::h2::ErrorCode::Cancel },
    ] {
        let kind: FrameKind = flood.header().kind;
        let mut h2 = against(move |mut server| async move {
            server.send_settings().await;
            server.request().await;
            repeat(&mut server, &flood.to_bytes().repeat(20)).await;
        })
        .await;
        let exchange = fetch_within(&mut h2, 1, Bounds { total: Duration::from_secs(3), ..BOUNDS }).await.remove(0);
        assert!(exchange.took < Duration::from_millis(3300), "{kind}: {:?}", exchange.took);
        assert!(!exchange.answered(), "{kind}");
        if let Some((settings, _)) = &h2.seen.settings {
            assert!(settings.len() <= 256, "{kind}: {}", settings.len());
        }
    }
}

/// A server that pours frames which want an answer, and reads none of the answers.
async fn pour(frame: Frame, pipe: usize) -> (Outcome, Duration) {
    let (client, mut server) = tokio::io::duplex(pipe);
    tokio::spawn(async move {
        let _ = server.write_all(&Frame::Settings { ack: false, settings: Settings::new() }.to_bytes()).await;
        let bytes = frame.to_bytes().repeat(1000);
        while server.write_all(&bytes).await.is_ok() {}
    });
    let mut h2 = H2::start(Box::new(client), "goproxy.example.com").await.unwrap();
    let exchange = fetch_one(&mut h2).await;
    (exchange.outcome, exchange.took)
}

#[tokio::test(start_paused = true)]
async fn answers_that_nobody_reads_do_not_pile_up() {
    // Nothing more is read until what is owed was written: memory is one read, time is the write's bound.
    for frame in [Frame::Ping { ack: false, data: [7; 8] }, Frame::Settings { ack: false, settings: Settings::new() }] {
        let (outcome, took) = pour(frame, 4096).await;
        assert!(matches!(outcome, Outcome::Lost(NetError { kind: ErrorKind::TimedOut, .. })), "{outcome:?}");
        assert!(took < Duration::from_secs(6), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_no_octet_is_given_up() {
    let started = tokio::time::Instant::now();
    let (client, server) = tokio::io::duplex(16);
    let error = H2::start(Box::new(client), "goproxy.example.com").await.err().expect("the preface does not fit");
    assert_eq!(error.kind, ErrorKind::TimedOut);
    assert!(started.elapsed() <= Duration::from_millis(5010));
    drop(server);

    // The preface fits, the requests do not; the call's own bound is the shorter one.
    let (client, server) = tokio::io::duplex(120);
    let mut h2 = H2::start(Box::new(client), "goproxy.example.com").await.unwrap();
    let started = tokio::time::Instant::now();
    let exchanges = fetch_within(&mut h2, 20, Bounds { total: Duration::from_secs(2), ..BOUNDS }).await;
    assert!(started.elapsed() <= Duration::from_millis(2300), "{:?}", started.elapsed());
    assert!(exchanges.iter().all(|exchange| matches!(exchange.outcome, Outcome::Lost(_))));
    let started = tokio::time::Instant::now();
    h2.close().await;
    assert!(started.elapsed() <= Duration::from_millis(500));
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_a_blocked_server() {
    let (client, server) = tokio::io::duplex(75);
    let h2 = H2::start(Box::new(client), "goproxy.example.com").await.expect("the preface has 24 + 33 + 13 octets");
    let started = tokio::time::Instant::now();
    h2.close().await;
    assert!(started.elapsed() <= Duration::from_millis(500), "{:?}", started.elapsed());
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_frame_larger_than_announced_is_refused_at_its_header() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        let (stream_id, _) = server.request().await;
        let [.., id] = stream_id.to_be_bytes();
        server.send_bytes(&[0x10, 0, 1, 0, 0, 0, 0, 0, id]).await;
        server.linger().await;
    })
    .await;
    let exchange = fetch_one(&mut h2).await;
    assert!(matches!(exchange.outcome, Outcome::Lost(NetError { kind: ErrorKind::Protocol, .. })));
    assert_eq!(h2.seen.protocol_error_code.as_deref(), Some("FRAME_SIZE_ERROR"));
    assert!(!h2.seen.bad_preface);
}

#[tokio::test(start_paused = true)]
async fn a_window_update_of_zero_ends_its_stream_or_the_connection() {
    for connection in [true, false] {
        let mut h2 = against(move |mut server| async move {
            server.send_settings().await;
            let (stream_id, _) = server.request().await;
            let on = if connection { 0 } else { stream_id };
            server.send(Frame::WindowUpdate { stream_id: on, increment: 0 }).await;
            server.linger().await;
        })
        .await;
        let exchange = fetch_one(&mut h2).await;
        assert!(matches!(exchange.outcome, Outcome::Lost(NetError { kind: ErrorKind::Protocol, .. })));
        assert_eq!(h2.is_usable(), !connection);
    }
}
