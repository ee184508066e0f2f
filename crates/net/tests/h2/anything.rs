//! Whatever a server sends, in whatever pieces, every call returns within its bounds and without a panic.

use std::time::Duration;

use goferry_net::Request;
use goferry_net::h1;
use goferry_net::h2::{Bounds, H2};
use goferry_wire::h2::{Flags, FrameHeader, FrameKind};
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

/// Runs `client` with paused time against a server that writes `pieces`, then closes or stays silent.
fn run<F: Future<Output = ()>>(pieces: Vec<Vec<u8>>, closes: bool, client: impl FnOnce(tokio::io::DuplexStream) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async move {
        let (near, far) = tokio::io::duplex(1 << 16);
        let server = tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(far);
            let reading =
                tokio::spawn(async move { while reader.read(&mut [0; 4096]).await.is_ok_and(|count| count > 0) {} });
            for piece in pieces {
                tokio::time::sleep(Duration::from_millis(20)).await;
                if writer.write_all(&piece).await.is_err() {
                    break;
                }
            }
            if closes {
                let _ = writer.shutdown().await;
            }
            let _ = reading.await;
        });
        client(near).await;
        server.abort();
    });
}

async fn h2_client(io: tokio::io::DuplexStream) {
    let started = Instant::now();
    let Ok(mut h2) = H2::start(Box::new(io), "goproxy.example.com").await else {
        return;
    };
    h2.wait_settings(Duration::from_millis(100)).await;
    let requests: Vec<Request> = (0..5).map(|n| Request { keep: 10, ..Request::get(format!("/{n}")) }).collect();
    let bounds = Bounds { total: Duration::from_secs(5), enough: None, stall: Duration::from_secs(1), concurrency: 3 };
    assert_eq!(h2.fetch(&requests, bounds).await.len(), requests.len());
    h2.ping(Duration::from_millis(100)).await;
    h2.idle(Duration::from_millis(100)).await;
    h2.close().await;
    assert!(started.elapsed() < Duration::from_millis(5_900), "{:?}", started.elapsed());
}

/// A frame of a plausible shape with a hostile content.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let flags = prop_oneof![Just(0u8), Just(1), Just(4), Just(5), Just(0x2d), any::<u8>()];
    (0u8..11, flags, 0u32..8, vec(any::<u8>(), 0..40)).prop_map(|(kind, flags, stream_id, mut payload)| {
        match kind {
            // Lengths that pass the first check.
            3 | 8 => payload.resize(4, 1),
            4 => payload.truncate(payload.len() / 6 * 6),
            6 => payload.resize(8, 0),
            7 => payload.resize(payload.len().max(8), 0),
            // A good response head, most of the time.
            1 if payload.len() > 8 => payload = vec![0x88],
            _ => {}
        }
        let header = FrameHeader {
            length: u32::try_from(payload.len()).unwrap(),
            kind: FrameKind::from(kind),
            flags: Flags(flags),
            stream_id: if matches!(kind, 4 | 6 | 7) { 0 } else { stream_id },
        };
        [header.encode().to_vec(), payload].concat()
    })
}

/// An HTTP/1 response with a hostile middle.
fn http1() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let piece = prop_oneof![
        Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Just(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        Just(b"Content-Length: 7\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"5\r\nhello\r\n".to_vec()),
        Just(b"0\r\n\r\n".to_vec()),
        vec(any::<u8>(), 0..20),
    ];
    vec(piece, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn http2_bytes(pieces in vec(vec(any::<u8>(), 0..200), 0..8), closes: bool) {
        run(pieces, closes, h2_client);
    }

    #[test]
    fn http2_frames(frames in vec(frame(), 0..30), closes: bool) {
        let settings = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
        run(std::iter::once(settings).chain(frames).collect(), closes, h2_client);
    }

    #[test]
    fn http1_pieces(pieces in http1(), closes: bool) {
        run(pieces, closes, |io| async move {
            let started = Instant::now();
            let mut h1 = h1::H1::new(Box::new(io), "goproxy.example.com");
            let bounds = h1::Bounds { total: Duration::from_secs(3), stall: Duration::from_secs(1), enough: None };
            while h1.is_usable() && started.elapsed() < Duration::from_secs(20) {
                h1.fetch(&Request { keep: 10, ..Request::get("/x") }, bounds).await;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "the pieces are used up by then");
        });
    }
}
