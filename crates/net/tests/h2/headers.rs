//! Header blocks: broken, endless, interim, trailing, and what is kept of them.

use goferry_net::{ErrorKind, NetError, Outcome};
use goferry_wire::h2::{ErrorCode, Frame};
use tokio::sync::oneshot;

use crate::mock::{against, fetch, fetch_one, headers, verdict};

fn is_protocol(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Lost(NetError { kind: ErrorKind::Protocol, .. }))
}

#[tokio::test(start_paused = true)]
async fn a_block_out_of_step_ends_every_stream_with_compression_error() {
    let (sender, answer) = oneshot::channel();
    let mut h2 = against(move |mut server| async move {
        server.send_settings().await;
        server.request().await;
        server.request().await;
        // Index 126 is in no table.
        server.send(headers(1, vec![0xfe], false, true)).await;
        let _ = sender.send(server.recv_telling().await);
    })
    .await;
    let exchanges = fetch(&mut h2, 2).await;
    assert!(exchanges.iter().all(|exchange| is_protocol(&exchange.outcome)));
    assert!(h2.seen.hpack_broken && !h2.is_usable());
    assert_eq!(h2.seen.protocol_error_code.as_deref(), Some("COMPRESSION_ERROR"));
    assert!(matches!(verdict(answer).await, Some(Frame::GoAway { code: ErrorCode::CompressionError, .. })));
}

#[tokio::test(start_paused = true)]
async fn a_header_list_that_is_only_large_is_not_compression() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        let (stream_id, _) = server.request().await;
        let value = "x".repeat(10_000);
        let fields: Vec<(&str, &str)> =
            std::iter::once((":status", "200")).chain((0..40).map(|_| ("x-large", value.as_str()))).collect();
        server.send_headers(stream_id, &fields, true).await;
        server.linger().await;
    })
    .await;
    assert!(is_protocol(&fetch_one(&mut h2).await.outcome));
    assert!(!h2.seen.hpack_broken);
    assert_eq!(h2.seen.protocol_error_code.as_deref(), Some("ENHANCE_YOUR_CALM"));
}

#[tokio::test(start_paused = true)]
async fn continuations_are_put_together() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        let (stream_id, _) = server.request().await;
        let block = server.block(&[(":status", "200"), ("server", "nginx/1.27.0"), ("content-length", "0")]);
        server.send(headers(stream_id, block[..1].to_vec(), true, false)).await;
        for (index, octet) in block[1..].iter().enumerate() {
            let end_headers = index + 2 == block.len();
            server.send(Frame::Continuation { stream_id, fragment: vec![*octet], end_headers }).await;
        }
        server.linger().await;
    })
    .await;
    let exchange = fetch_one(&mut h2).await;
    assert_eq!((exchange.outcome.clone(), exchange.header("server")), (Outcome::Complete, Some("nginx/1.27.0")));
}

#[tokio::test(start_paused = true)]
async fn endless_continuation_is_cut_at_a_mebibyte() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        let (stream_id, _) = server.request().await;
        server.send(headers(stream_id, Vec::new(), false, false)).await;
        for _ in 0..1000 {
            server.send(Frame::Continuation { stream_id, fragment: vec![0; 16_384], end_headers: false }).await;
        }
        server.linger().await;
    })
    .await;
    let exchange = fetch_one(&mut h2).await;
    assert!(is_protocol(&exchange.outcome));
    assert_eq!(h2.seen.protocol_error_code.as_deref(), Some("ENHANCE_YOUR_CALM"));
}

#[tokio::test(start_paused = true)]
async fn endless_empty_continuation_ends_by_time() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        let (stream_id, _) = server.request().await;
        server.send(headers(stream_id, Vec::new(), false, false)).await;
        loop {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            let more = Frame::Continuation { stream_id, fragment: Vec::new(), end_headers: false };
            if tokio::io::AsyncWriteExt::write_all(&mut server.io, &more.to_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await;
    let exchange = fetch_one(&mut h2).await;
    assert_eq!(exchange.outcome, Outcome::Stalled { ping_answered: None });
    assert!((10_000..10_020).contains(&exchange.took.as_millis()), "{:?}", exchange.took);
}

#[tokio::test(start_paused = true)]
async fn frames_that_break_a_header_block_or_have_none() {
    let ping = Frame::Ping { ack: false, data: [1; 8] };
    let elsewhere = Frame::Continuation { stream_id: 3, fragment: Vec::new(), end_headers: true };
    let alone = Frame::Continuation { stream_id: 1, fragment: Vec::new(), end_headers: true };
    let push =
        Frame::PushPromise { stream_id: 1, promised_id: 2, fragment: Vec::new(), end_headers: true, padding: None };
    for (opened, frame) in [(true, ping), (true, elsewhere), (false, alone), (false, push)] {
        let name = format!("{frame:?}");
        let mut h2 = against(move |mut server| async move {
            server.send_settings().await;
            let (stream_id, _) = server.request().await;
            if opened {
                server.send(headers(stream_id, Vec::new(), false, false)).await;
            }
            server.send(frame).await;
            server.linger().await;
        })
        .await;
        assert!(is_protocol(&fetch_one(&mut h2).await.outcome), "{name}");
        assert_eq!(h2.seen.protocol_error_code.as_deref(), Some("PROTOCOL_ERROR"), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn interim_responses_are_passed_over() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        let (stream_id, _) = server.request().await;
        for status in ["100", "103", "103"] {
            server.send_headers(stream_id, &[(":status", status), ("link", "</x>")], false).await;
        }
        server.answer(stream_id).await;
        server.linger().await;
    })
    .await;
    let exchange = fetch_one(&mut h2).await;
    assert_eq!(
        (exchange.status, exchange.header("link"), exchange.outcome.clone()),
        (Some(200), None, Outcome::Complete)
    );
}

#[tokio::test(start_paused = true)]
async fn a_bad_response_head_ends_its_stream_only() {
    for fields in [
        &[][..],
        &[(":status", "+200")],
        &[(":status", "99")],
        &[(":status", "2000")],
        &[(":status", "")],
        &[("server", "x")],
    ] {
        let mut h2 = against(move |mut server| async move {
            server.send_settings().await;
            let (bad, _) = server.request().await;
            let (good, _) = server.request().await;
            server.send_headers(bad, fields, false).await;
            assert_eq!(
                server.recv_telling().await,
                Some(Frame::RstStream { stream_id: bad, code: ErrorCode::ProtocolError })
            );
            server.answer(good).await;
            server.linger().await;
        })
        .await;
        let exchanges = fetch(&mut h2, 2).await;
        assert!(is_protocol(&exchanges[0].outcome), "{fields:?}");
        assert_eq!(exchanges[1].outcome, Outcome::Complete, "{fields:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_interim_response_cannot_be_the_end() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        let (stream_id, _) = server.request().await;
        server.send_headers(stream_id, &[(":status", "103")], true).await;
        server.linger().await;
    })
    .await;
    assert!(is_protocol(&fetch_one(&mut h2).await.outcome));
}

#[tokio::test(start_paused = true)]
async fn trailers_end_a_response_and_without_end_stream_the_connection() {
    for end_stream in [true, false] {
        let mut h2 = against(move |mut server| async move {
            server.send_settings().await;
            let (stream_id, _) = server.request().await;
            server.send_headers(stream_id, &[(":status", "200")], false).await;
            server.send_data(stream_id, b"body", false).await;
            server.send_headers(stream_id, &[("x-checksum", "1")], end_stream).await;
            server.linger().await;
        })
        .await;
        let exchange = fetch_one(&mut h2).await;
        assert_eq!((exchange.body_bytes, exchange.header("x-checksum")), (4, None));
        assert_eq!(exchange.outcome == Outcome::Complete, end_stream);
        assert_eq!(h2.is_usable(), end_stream);
    }
}

#[tokio::test(start_paused = true)]
async fn header_text_is_cleaned_and_bounded() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        let (stream_id, _) = server.request().await;
        let long = "v".repeat(5000);
        let mut fields = vec![(":status", "200"), ("X-\u{1b}[2J", "a\r\n\u{7}b"), ("x-long", long.as_str())];
        fields.extend((0..200).map(|_| ("x", "y")));
        server.send_headers(stream_id, &fields, true).await;
        server.linger().await;
    })
    .await;
    let exchange = fetch_one(&mut h2).await;
    assert_eq!(exchange.header("x-?[2j"), Some("a???b"));
    assert_eq!(exchange.header("x-long").map(str::len), Some(512));
    assert_eq!(exchange.headers.len(), 64);
}

#[tokio::test(start_paused = true)]
async fn a_long_request_is_cut_into_frames_that_every_server_takes() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        let Some(Frame::Headers { stream_id, fragment, end_headers: false, end_stream: true, .. }) =
            server.recv_telling().await
        else {
            panic!("a header block in parts was expected");
        };
        assert_eq!(fragment.len(), 16_384);
        let Some(Frame::Continuation { end_headers: true, .. }) = server.recv_telling().await else {
            panic!("the rest of the block was expected");
        };
        server.answer(stream_id).await;
        server.linger().await;
    })
    .await;
    let request = goferry_net::Request::get(format!("/{}", "\u{7f}".repeat(20_000)));
    let exchange = h2.fetch(&[request], crate::mock::BOUNDS).await.remove(0);
    assert_eq!(exchange.outcome, Outcome::Complete);
}
