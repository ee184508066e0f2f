//! GOAWAY and RST_STREAM.

use std::time::Duration;

use goferry_net::{ErrorKind, NetError, Outcome};
use goferry_wire::h2::{ErrorCode, Frame};

use crate::mock::{against, fetch, fetch_one};

fn gone(last_stream_id: u32, code: &str) -> Outcome {
    Outcome::GoneAway { code: code.to_owned(), last_stream_id }
}

#[tokio::test(start_paused = true)]
async fn streams_above_the_last_id_are_gone_the_others_complete() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        for _ in 0..3 {
            server.request().await;
        }
        server.send_goaway(3, ErrorCode::NoError).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.answer(1).await;
        server.answer(3).await;
        server.linger().await;
    })
    .await;
    let outcomes: Vec<Outcome> = fetch(&mut h2, 3).await.into_iter().map(|exchange| exchange.outcome).collect();
    assert_eq!(outcomes, [Outcome::Complete, Outcome::Complete, gone(3, "NO_ERROR")]);
    assert!(!h2.is_usable() && h2.death().is_none());
    assert_eq!(fetch_one(&mut h2).await.outcome, Outcome::Unsent);
    let goaway = &h2.seen.goaways[0];
    assert_eq!(
        (goaway.code.as_str(), goaway.last_stream_id, goaway.after_requests, goaway.debug.as_str()),
        ("NO_ERROR", 3, 3, "bye")
    );
}

#[tokio::test(start_paused = true)]
async fn goaway_and_a_close_end_the_promised_streams_too() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        server.request().await;
        server.request().await;
        server.send_goaway(3, ErrorCode::NoError).await;
    })
    .await;
    let outcomes: Vec<Outcome> = fetch(&mut h2, 2).await.into_iter().map(|exchange| exchange.outcome).collect();
    assert_eq!(outcomes, [gone(3, "NO_ERROR"), gone(3, "NO_ERROR")]);
    assert_eq!(h2.death().unwrap().kind, ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_lying_last_id_is_a_stall_with_an_answered_ping() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        server.request().await;
        server.send_goaway(0x7fff_ffff, ErrorCode::NoError).await;
        while let Some(frame) = server.recv().await {
            if let Frame::Ping { ack: false, data } = frame {
                server.send(Frame::Ping { ack: true, data }).await;
            }
        }
    })
    .await;
    let exchange = fetch_one(&mut h2).await;
    assert_eq!(exchange.outcome, Outcome::Stalled { ping_answered: Some(true) });
    assert_eq!(h2.seen.goaways[0].last_stream_id, 0x7fff_ffff);
}

#[tokio::test(start_paused = true)]
async fn a_graceful_pair_of_goaways_is_kept_and_a_flood_is_not() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        let (stream_id, _) = server.request().await;
        server.send_goaway(0x7fff_ffff, ErrorCode::NoError).await;
        server.send_goaway(1, ErrorCode::NoError).await;
        server.answer(stream_id).await;
        server.linger().await;
    })
    .await;
    assert_eq!(fetch_one(&mut h2).await.outcome, Outcome::Complete);
    assert_eq!(h2.seen.goaways.len(), 2);

    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        server.request().await;
        for _ in 0..100_000 {
            server.send_goaway(1, ErrorCode::NoError).await;
        }
    })
    .await;
    let exchange = fetch_one(&mut h2).await;
    assert_eq!(exchange.outcome, gone(1, "NO_ERROR"));
    assert_eq!(h2.seen.goaways.len(), 8);
    assert_eq!(h2.death().unwrap().kind, ErrorKind::Protocol);
    assert_eq!(h2.seen.protocol_error_code.as_deref(), Some("ENHANCE_YOUR_CALM"));
}

#[tokio::test(start_paused = true)]
async fn goaway_debug_data_is_short_and_printable() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        let debug_data = [b"\x1b[31m".to_vec(), vec![b'x'; 10_000]].concat();
        server.send(Frame::GoAway { last_stream_id: 0, code: ErrorCode::from(0xdead_beef), debug_data }).await;
        server.linger().await;
    })
    .await;
    assert!(h2.idle(Duration::from_secs(1)).await.is_some());
    let goaway = &h2.seen.goaways[0];
    assert!(goaway.debug.len() < 300 && !goaway.debug.contains('\x1b'), "{}", goaway.debug);
}

#[tokio::test(start_paused = true)]
async fn every_reset_code_before_headers_and_inside_the_body() {
    for code in ErrorCode::all().chain([ErrorCode::from(0x77)]) {
        let mut h2 = against(move |mut server| async move {
            server.send_settings().await;
            let (before, _) = server.request().await;
            let (inside, _) = server.request().await;
            let (whole, _) = server.request().await;
            server.send(Frame::RstStream { stream_id: before, code }).await;
            server.send_headers(inside, &[(":status", "200"), ("content-length", "10")], false).await;
            server.send_data(inside, b"hello", false).await;
            server.send(Frame::RstStream { stream_id: inside, code }).await;
            // After the end it is a courtesy, and no failure.
            server.answer(whole).await;
            server.send(Frame::RstStream { stream_id: whole, code: ErrorCode::NoError }).await;
            server.linger().await;
        })
        .await;
        let exchanges = fetch(&mut h2, 3).await;
        let reset = Outcome::Reset { code: code.to_string() };
        assert_eq!((&exchanges[0].outcome, exchanges[0].status), (&reset, None));
        assert_eq!((&exchanges[1].outcome, exchanges[1].body_bytes), (&reset, 5));
        assert_eq!(exchanges[2].outcome, Outcome::Complete);
        assert!(h2.is_usable(), "the connection goes on");
        let resets: Vec<(bool, bool, u64)> =
            h2.seen.resets.iter().map(|reset| (reset.after_headers, reset.inside_body, reset.body_bytes)).collect();
        assert_eq!(resets, [(false, false, 0), (true, true, 5)], "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn refused_streams_leave_the_connection_usable() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        let (refused, _) = server.request().await;
        server.send(Frame::RstStream { stream_id: refused, code: ErrorCode::RefusedStream }).await;
        let (taken, _) = server.request().await;
        server.answer(taken).await;
        server.linger().await;
    })
    .await;
    assert_eq!(fetch_one(&mut h2).await.outcome, Outcome::Reset { code: "REFUSED_STREAM".to_owned() });
    let again = fetch_one(&mut h2).await;
    assert_eq!((again.outcome, again.stream_id), (Outcome::Complete, 3));
}

#[tokio::test(start_paused = true)]
async fn a_close_loses_what_is_open() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        let (stream_id, _) = server.request().await;
        server.send_headers(stream_id, &[(":status", "200")], false).await;
        server.send_data(stream_id, b"half", false).await;
    })
    .await;
    let exchange = fetch_one(&mut h2).await;
    assert!(
        matches!(exchange.outcome, Outcome::Lost(NetError { kind: ErrorKind::Closed, .. })),
        "{:?}",
        exchange.outcome
    );
    assert_eq!((exchange.status, exchange.body_bytes), (Some(200), 4));
}

#[tokio::test(start_paused = true)]
async fn idle_sees_goaway_and_close_and_silence() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        server.send_goaway(0, ErrorCode::NoError).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    })
    .await;
    assert_eq!(h2.idle(Duration::from_secs(10)).await, None);
    assert_eq!(h2.idle(Duration::from_secs(60)).await.unwrap().as_secs(), 20);
    assert_eq!(h2.idle(Duration::from_secs(60)).await.unwrap().as_secs(), 5);
    assert_eq!(h2.death().unwrap().kind, ErrorKind::Closed);
}
