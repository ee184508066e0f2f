//! Silence: which is a stall, which is only slow, and what PING says about it.

use std::time::Duration;

use goferry_net::Outcome;
use goferry_net::h2::Bounds;
use goferry_wire::h2::Frame;

use crate::mock::{BOUNDS, Mock, against, fetch, fetch_one, fetch_within};

const STALLED_ANSWERED: Outcome = Outcome::Stalled { ping_answered: Some(true) };
const STALLED_UNANSWERED: Outcome = Outcome::Stalled { ping_answered: Some(false) };

async fn half_a_body(server: &mut Mock) -> u32 {
    server.send_settings().await;
    let (stream_id, _) = server.request().await;
    server.send_headers(stream_id, &[(":status", "200"), ("content-length", "4")], false).await;
    server.send_data(stream_id, b"ha", false).await;
    stream_id
}

async fn answer_pings(server: &mut Mock) {
    while let Some(frame) = server.recv().await {
        if let Frame::Ping { ack: false, data } = frame {
            server.send(Frame::Ping { ack: true, data }).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_body_with_and_without_an_answer_to_ping() {
    let mut h2 = against(|mut server| async move {
        half_a_body(&mut server).await;
        answer_pings(&mut server).await;
    })
    .await;
    let exchange = fetch_one(&mut h2).await;
    assert_eq!((exchange.outcome, exchange.body_bytes), (STALLED_ANSWERED, 2));
    assert!((2000..2020).contains(&exchange.took.as_millis()), "{:?}", exchange.took);
    assert!(h2.is_usable());

    let mut h2 = against(|mut server| async move {
        half_a_body(&mut server).await;
        server.linger().await;
    })
    .await;
    let exchange = fetch_one(&mut h2).await;
    assert_eq!((exchange.outcome, exchange.body_bytes), (STALLED_UNANSWERED, 2));
    assert!((2000..2020).contains(&exchange.took.as_millis()), "{:?}", exchange.took);
}

#[tokio::test(start_paused = true)]
async fn slow_is_not_stalled() {
    let mut h2 = against(|mut server| async move {
        let stream_id = half_a_body(&mut server).await;
        tokio::time::sleep(Duration::from_millis(950)).await;
        server.send_data(stream_id, b"l", false).await;
        tokio::time::sleep(Duration::from_millis(950)).await;
        server.send_data(stream_id, b"f", true).await;
        server.linger().await;
    })
    .await;
    let exchange = fetch_one(&mut h2).await;
    assert_eq!(exchange.outcome, Outcome::Complete);
    assert!((1900..1920).contains(&exchange.took.as_millis()), "{:?}", exchange.took);
    assert!(h2.seen.pings.is_empty(), "no PING was needed");
}

#[tokio::test(start_paused = true)]
async fn an_answer_while_ping_waits_counts_and_the_next_request_is_not_judged_by_that_ping() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        let (first, _) = server.request().await;
        assert!(matches!(server.recv_telling().await, Some(Frame::Ping { .. })));
        tokio::time::sleep(Duration::from_millis(500)).await;
        server.answer(first).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let (second, _) = server.request().await;
        server.answer(second).await;
        server.linger().await;
    })
    .await;
    assert_eq!(fetch_one(&mut h2).await.outcome, Outcome::Complete);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(fetch_one(&mut h2).await.outcome, Outcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_goes_on_before_the_answer_to_ping_is_no_stall() {
    let mut h2 = against(|mut server| async move {
        let stream_id = half_a_body(&mut server).await;
        assert!(matches!(server.recv_telling().await, Some(Frame::Ping { .. })));
        // The PING's answer never comes; the body does, with gaps shorter than the bound.
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(800)).await;
            server.send_data(stream_id, b"", false).await;
        }
        server.send_data(stream_id, b"lf", true).await;
        server.linger().await;
    })
    .await;
    assert_eq!(fetch_one(&mut h2).await.outcome, Outcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn the_total_bound_does_not_accuse_a_ping_that_had_no_time() {
    let mut h2 = against(|mut server| async move {
        half_a_body(&mut server).await;
        server.linger().await;
    })
    .await;
    let bounds = Bounds { total: Duration::from_millis(1200), ..BOUNDS };
    let exchange = fetch_within(&mut h2, 1, bounds).await.remove(0);
    assert_eq!(exchange.outcome, Outcome::Stalled { ping_answered: None });
    assert!((1200..1220).contains(&exchange.took.as_millis()), "{:?}", exchange.took);
}

#[tokio::test(start_paused = true)]
async fn one_stalled_stream_does_not_end_the_others() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        let (_stalled, _) = server.request().await;
        let (slow, _) = server.request().await;
        server.send_headers(slow, &[(":status", "200")], false).await;
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            server.send_data(slow, b"x", false).await;
        }
        server.send_data(slow, b"x", true).await;
        answer_pings(&mut server).await;
    })
    .await;
    let exchanges = fetch(&mut h2, 2).await;
    assert_eq!((&exchanges[0].outcome, &exchanges[1].outcome), (&STALLED_ANSWERED, &Outcome::Complete));
    assert!((6000..6050).contains(&exchanges[0].took.as_millis()), "{:?}", exchanges[0].took);
}

#[tokio::test(start_paused = true)]
async fn ping_is_timed_and_bounded() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        loop {
            match server.recv_telling().await {
                Some(Frame::Ping { ack: false, data }) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    // Answers to what was not asked do not count.
                    server.send(Frame::Ping { ack: true, data: *b"whatever" }).await;
                    server.send(Frame::Ping { ack: true, data }).await;
                    break;
                }
                Some(_) => {}
                None => return,
            }
        }
        server.linger().await;
    })
    .await;
    let round_trip = h2.ping(Duration::from_secs(1)).await.unwrap();
    assert!((50..55).contains(&round_trip.as_millis()), "{round_trip:?}");
    assert_eq!(h2.ping(Duration::from_secs(1)).await, None);
    assert_eq!(h2.seen.pings, [round_trip]);
}

#[tokio::test(start_paused = true)]
async fn enough_stops_what_goes_on_and_sends_nothing_new() {
    let mut h2 = against(|mut server| async move {
        server.send_settings().await;
        let (stream_id, _) = server.request().await;
        server.send_headers(stream_id, &[(":status", "200")], false).await;
        loop {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let data = Frame::Data { stream_id, data: vec![0; 100], end_stream: false, padding: None };
            if tokio::io::AsyncWriteExt::write_all(&mut server.io, &data.to_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await;
    let bounds = Bounds { enough: Some(Duration::from_secs(2)), concurrency: 1, ..BOUNDS };
    let exchanges = fetch_within(&mut h2, 2, bounds).await;
    assert_eq!((&exchanges[0].outcome, &exchanges[1].outcome), (&Outcome::Stopped, &Outcome::Unsent));
    assert!((2000..2400).contains(&exchanges[0].took.as_millis()), "{:?}", exchanges[0].took);
    assert!(h2.is_usable());
}

#[tokio::test(start_paused = true)]
async fn enough_does_not_excuse_a_stall() {
    let mut h2 = against(|mut server| async move {
        half_a_body(&mut server).await;
        answer_pings(&mut server).await;
    })
    .await;
    let bounds = Bounds { enough: Some(Duration::from_millis(500)), ..BOUNDS };
    assert_eq!(fetch_within(&mut h2, 1, bounds).await[0].outcome, STALLED_ANSWERED);
}
