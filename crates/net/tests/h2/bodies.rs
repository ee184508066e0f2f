//! Bodies: lengths, flow control and stopping early.

use goferry_net::{ErrorKind, NetError, Outcome, Request};
use goferry_wire::h2::{ErrorCode, Frame};
use tokio::sync::oneshot;

use crate::mock::{BOUNDS, against, fetch, fetch_one, verdict};

async fn body_of(length: &'static str, status: &'static str, octets: usize) -> Outcome {
    let mut h2 = against(move |mut server| async move {
        server.send_settings().await;
        let (stream_id, _) = server.request().await;
        server.send_headers(stream_id, &[(":status", status), ("content-length", length)], octets == 0).await;
        if octets > 0 {
            server.send_data(stream_id, &vec![b'x'; octets], true).await;
        }
        server.linger().await;
    })
    .await;
    fetch_one(&mut h2).await.outcome
}

#[tokio::test(start_paused = true)]
async fn a_body_is_held_against_its_announced_length() {
    assert_eq!(body_of("10", "200", 10).await, Outcome::Complete);
    assert_eq!(body_of("10", "200", 9).await, Outcome::Truncated);
    assert_eq!(body_of("10", "200", 0).await, Outcome::Truncated);
    assert!(matches!(body_of("10", "200", 11).await, Outcome::Lost(NetError { kind: ErrorKind::Protocol, .. })));
    assert_eq!(body_of("10", "304", 0).await, Outcome::Complete);
    assert_eq!(body_of("none", "200", 3).await, Outcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn data_before_headers_ends_the_stream_as_go_does() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        let (bad, _) = server.request().await;
        let (good, _) = server.request().await;
        server.send_data(bad, b"early", false).await;
        assert_eq!(
            server.recv_telling().await,
            Some(Frame::RstStream { stream_id: bad, code: ErrorCode::ProtocolError })
        );
        server.answer(good).await;
        server.linger().await;
    })
    .await;
    let exchanges = fetch(&mut h2, 2).await;
    assert!(matches!(exchanges[0].outcome, Outcome::Lost(NetError { kind: ErrorKind::Protocol, .. })));
    assert_eq!(exchanges[1].outcome, Outcome::Complete);
    assert_eq!(h2.seen.protocol_error_code.as_deref(), Some("PROTOCOL_ERROR"));
}

#[tokio::test(start_paused = true)]
async fn data_on_a_stream_that_was_never_opened_ends_the_connection() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        server.request().await;
        server.send_data(3, b"unasked", true).await;
        server.linger().await;
    })
    .await;
    assert!(matches!(fetch_one(&mut h2).await.outcome, Outcome::Lost(NetError { kind: ErrorKind::Protocol, .. })));
    assert!(!h2.is_usable());
}

#[tokio::test(start_paused = true)]
async fn windows_are_given_back_as_by_go_padding_included() {
    let (sender, updates) = oneshot::channel();
    let mut h2 = against(move |mut server| async move {
        server.send_settings().await;
        let (stream_id, _) = server.request().await;
        server.send_headers(stream_id, &[(":status", "200")], false).await;
        let data =
            |octets: usize, padding, end_stream| Frame::Data { stream_id, data: vec![0; octets], end_stream, padding };
        // 4,095 octets are kept back, with the next one 4,096 are given back.
        server.send(data(4095, None, false)).await;
        server.send(data(0, None, false)).await;
        server.send(data(0, Some(0), false)).await;
        // The length of the padding counts, and so does its own octet.
        server.send(data(4000, Some(95), false)).await;
        // The last frame of a stream gives back to the connection alone.
        server.send(data(5000, None, true)).await;
        let mut updates = Vec::new();
        loop {
            match server.recv().await {
                Some(Frame::WindowUpdate { stream_id, increment }) => updates.push((stream_id, increment)),
                Some(Frame::GoAway { .. }) | None => break,
                Some(_) => {}
            }
        }
        let _ = sender.send(updates);
    })
    .await;
    let exchange = fetch_one(&mut h2).await;
    assert_eq!((exchange.outcome, exchange.body_bytes), (Outcome::Complete, 13_095));
    h2.close().await;
    let updates = verdict(updates).await;
    assert_eq!(updates, [(0, 4096), (1, 4096), (0, 4096), (1, 4096), (0, 5000)]);
}

#[tokio::test(start_paused = true)]
async fn stopping_early_cancels_and_what_still_comes_is_given_back() {
    let (sender, told) = oneshot::channel();
    let mut h2 = against(move |mut server| async move {
        server.send_settings().await;
        let (first, _) = server.request().await;
        server.send_headers(first, &[(":status", "200"), ("content-length", "100000")], false).await;
        server.send_data(first, &[0; 10_000], false).await;
        let cancelled = server.recv_telling().await;
        server.send_data(first, &[0; 10_000], true).await;
        let (second, _) = server.request().await;
        server.send_headers(second, &[(":status", "200")], false).await;
        let at_headers = server.recv_telling().await;
        let (third, _) = server.request().await;
        server.answer(third).await;
        let _ = sender.send((cancelled, at_headers));
        server.linger().await;
    })
    .await;
    let stop = |after| Request { stop_after: Some(after), ..Request::get("/zip") };
    let exchange = h2.fetch(&[stop(5000)], BOUNDS).await.remove(0);
    assert_eq!((exchange.outcome, exchange.body_bytes), (Outcome::Stopped, 10_000));
    let exchange = h2.fetch(&[stop(0)], BOUNDS).await.remove(0);
    assert_eq!((exchange.outcome, exchange.body_bytes), (Outcome::Stopped, 0));
    assert_eq!(fetch_one(&mut h2).await.outcome, Outcome::Complete);
    let cancel = |stream_id| Some(Frame::RstStream { stream_id, code: ErrorCode::Cancel });
    assert_eq!(verdict(told).await, (cancel(1), cancel(3)));
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_of_a_body_and_its_arrivals_is_bounded() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        let (stream_id, _) = server.request().await;
        server.send_headers(stream_id, &[(":status", "200")], false).await;
        for _ in 0..5000 {
            server.send_data(stream_id, b"abc", false).await;
        }
        server.send_data(stream_id, b"", true).await;
        server.linger().await;
    })
    .await;
    let exchange = fetch_one(&mut h2).await;
    assert_eq!((exchange.body_bytes, exchange.body.len()), (15_000, 100));
    assert!(exchange.arrivals.len() <= 512);
    assert_eq!(exchange.arrivals.last().map(|(_, octets)| *octets), Some(15_000));
    assert!(exchange.arrivals.is_sorted());
}
