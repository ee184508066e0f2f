//! What comes first: the client's preface, and the server's SETTINGS in time, late, never, or wrong.

use std::time::Duration;

use goferry_net::h2::{GO_CONNECTION_WINDOW, GO_STREAM_WINDOW};
use goferry_net::{ErrorKind, NetError, Outcome};
use goferry_wire::h2::{ErrorCode, Flags, Frame, SettingId, Settings};
use tokio::sync::oneshot;

use crate::mock::{against, fetch, fetch_one, verdict};

#[tokio::test(start_paused = true)]
async fn the_transcript_of_a_healthy_request_is_go_s() {
    let (sender, transcript) = oneshot::channel();
    let mut h2 = against(move |mut server| async move {
        server.send_settings().await;
        let mut frames = vec![server.recv().await.unwrap(), server.recv().await.unwrap()];
        frames.push(server.recv().await.unwrap());
        let (stream_id, fields) = server.request().await;
        server.answer(stream_id).await;
        let farewell = server.recv_telling().await;
        let _ = sender.send((frames, stream_id, fields, farewell));
    })
    .await;
    h2.wait_settings(Duration::from_secs(1)).await;
    let exchange = fetch_one(&mut h2).await;
    assert_eq!((exchange.status, exchange.stream_id, exchange.body.as_slice()), (Some(200), 1, &b"ok"[..]));
    assert_eq!(exchange.outcome, Outcome::Complete);
    assert_eq!(h2.seen.first_frame.as_ref().map(|(kind, _)| kind.as_str()), Some("SETTINGS"));
    assert_eq!((h2.seen.requests, h2.seen.most_open), (1, 1));
    let seen = h2.close().await;
    assert!(seen.ended.is_none() && seen.protocol_error.is_none());

    let (frames, stream_id, fields, farewell) = verdict(transcript).await;
    let settings = Settings::new()
        .with(SettingId::EnablePush, 0)
        .with(SettingId::InitialWindowSize, GO_STREAM_WINDOW)
        .with(SettingId::MaxFrameSize, 1 << 20)
        .with(SettingId::MaxHeaderListSize, 10 << 20);
    assert_eq!(frames[0], Frame::Settings { ack: false, settings });
    assert_eq!(frames[1], Frame::WindowUpdate { stream_id: 0, increment: GO_CONNECTION_WINDOW });
    assert_eq!(frames[2], Frame::Settings { ack: true, settings: Settings::new() });
    assert_eq!(stream_id, 1);
    let names: Vec<&[u8]> = fields.iter().map(|field| field.name.as_slice()).collect();
    assert_eq!(names, [&b":authority"[..], b":method", b":path", b":scheme", b"accept-encoding", b"user-agent"]);
    assert_eq!(fields[2].value, b"/0");
    assert_eq!(farewell, Some(Frame::GoAway { last_stream_id: 0, code: ErrorCode::NoError, debug_data: Vec::new() }));
}

#[tokio::test(start_paused = true)]
async fn late_settings_are_timed_and_requests_do_not_wait_for_them() {
    let mut h2 = against(|mut server| async move {
        let (stream_id, _) = server.request().await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        server.send_settings().await;
        server.answer(stream_id).await;
        server.linger().await;
    })
    .await;
    h2.wait_settings(Duration::from_millis(300)).await;
    assert!(h2.seen.settings.is_none() && h2.is_usable());
    let exchange = fetch_one(&mut h2).await;
    assert_eq!(exchange.outcome, Outcome::Complete);
    let (_, at) = h2.seen.settings.as_ref().unwrap();
    assert!((1000..1010).contains(&at.as_millis()), "{at:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_without_settings_ends_in_a_stall_within_two_silences() {
    let mut h2 = against(|mut server| async move { server.linger().await }).await;
    h2.wait_settings(Duration::from_secs(3)).await;
    assert!(h2.seen.first_frame.is_none());
    let exchange = fetch_one(&mut h2).await;
    assert_eq!(exchange.outcome, Outcome::Stalled { ping_answered: Some(false) });
    assert!((2000..2010).contains(&exchange.took.as_millis()), "{:?}", exchange.took);
}

#[tokio::test(start_paused = true)]
async fn a_first_frame_that_is_not_settings_is_refused_with_goaway() {
    let (sender, answer) = oneshot::channel();
    let mut h2 = against(move |mut server| async move {
        server.send(Frame::Ping { ack: false, data: [0; 8] }).await;
        let _ = sender.send(server.recv_telling().await);
    })
    .await;
    h2.wait_settings(Duration::from_secs(1)).await;
    assert!(h2.seen.bad_preface && !h2.is_usable());
    assert_eq!(h2.seen.protocol_error_code.as_deref(), Some("PROTOCOL_ERROR"));
    assert_eq!(h2.seen.first_frame.as_ref().unwrap().0, "PING");
    assert_eq!(fetch_one(&mut h2).await.outcome, Outcome::Unsent);
    let goaway = Frame::GoAway { last_stream_id: 0, code: ErrorCode::ProtocolError, debug_data: Vec::new() };
    assert_eq!(verdict(answer).await, Some(goaway));
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_may_come_first_but_not_twice() {
    let mut h2 = against(|mut server| async move {
        let ack = || Frame::Settings { ack: true, settings: Settings::new() };
        server.send(ack()).await;
        server.send_settings().await;
        let (stream_id, _) = server.request().await;
        server.answer(stream_id).await;
        server.request().await;
        server.send(ack()).await;
        server.linger().await;
    })
    .await;
    assert_eq!(fetch_one(&mut h2).await.outcome, Outcome::Complete);
    assert!(h2.seen.settings_acked && !h2.seen.bad_preface);
    let exchange = fetch_one(&mut h2).await;
    assert!(
        matches!(exchange.outcome, Outcome::Lost(NetError { kind: ErrorKind::Protocol, .. })),
        "{:?}",
        exchange.outcome
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_http_1_is_a_bad_preface_with_a_name() {
    let mut h2 = against(|mut server| async move {
        server.send_bytes(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        server.linger().await;
    })
    .await;
    h2.wait_settings(Duration::from_secs(1)).await;
    assert!(h2.seen.bad_preface);
    assert!(h2.seen.protocol_error.as_ref().unwrap().contains("HTTP/1.x"), "{:?}", h2.seen.protocol_error);
}

async fn first_settings(settings: Settings) -> (bool, Option<String>) {
    let mut h2 = against(|mut server| async move {
        server.send(Frame::Settings { ack: false, settings }).await;
        server.linger().await;
    })
    .await;
    h2.wait_settings(Duration::from_secs(1)).await;
    assert!(h2.seen.settings.is_some(), "what was said is kept");
    (h2.seen.bad_preface, h2.seen.protocol_error_code.clone())
}

#[tokio::test(start_paused = true)]
async fn a_setting_is_refused_where_go_refuses_it() {
    for (id, value, code) in [
        (SettingId::InitialWindowSize, 1 << 31, "FLOW_CONTROL_ERROR"),
        (SettingId::MaxFrameSize, 16_383, "PROTOCOL_ERROR"),
        (SettingId::MaxFrameSize, 1 << 24, "PROTOCOL_ERROR"),
        (SettingId::EnablePush, 2, "PROTOCOL_ERROR"),
        (SettingId::EnableConnectProtocol, 2, "PROTOCOL_ERROR"),
    ] {
        let verdict = first_settings(Settings::new().with(id, value)).await;
        assert_eq!(verdict, (true, Some(code.to_owned())), "{id}={value}");
    }
    for (id, value) in [
        (SettingId::EnablePush, 1),
        (SettingId::NoRfc7540Priorities, 2),
        (SettingId::InitialWindowSize, (1 << 31) - 1),
        (SettingId::MaxHeaderListSize, u32::MAX),
    ] {
        assert_eq!(first_settings(Settings::new().with(id, value)).await, (false, None), "{id}={value}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_one_stream_is_honoured_and_a_later_one_too() {
    let (sender, at_once) = oneshot::channel();
    let mut h2 = against(move |mut server| async move {
        let limit = |streams| Frame::Settings {
            ack: false,
            settings: Settings::new().with(SettingId::MaxConcurrentStreams, streams),
        };
        server.send(limit(1)).await;
        for _ in 0..2 {
            let (stream_id, _) = server.request().await;
            let early = tokio::time::timeout(Duration::from_millis(100), server.request()).await;
            assert!(early.is_err(), "a second stream while one is open");
            server.answer(stream_id).await;
        }
        let (first, _) = server.request().await;
        server.send(limit(2)).await;
        let (second, _) = server.request().await;
        server.answer(second).await;
        server.answer(first).await;
        let _ = sender.send(());
        server.linger().await;
    })
    .await;
    h2.wait_settings(Duration::from_secs(1)).await;
    let exchanges = fetch(&mut h2, 4).await;
    verdict(at_once).await;
    assert!(exchanges.iter().all(|exchange| exchange.outcome == Outcome::Complete));
    let paths: Vec<&str> = exchanges.iter().map(|exchange| exchange.path.as_str()).collect();
    assert_eq!(paths, ["/0", "/1", "/2", "/3"]);
    assert_eq!(h2.seen.most_open, 2);
}

#[tokio::test(start_paused = true)]
async fn unknown_frames_and_settings_are_ignored() {
    let mut h2 = against(|mut server| async move {
        let settings = Settings::new().with(SettingId::from(0xabcd), 7);
        server.send(Frame::Settings { ack: false, settings }).await;
        let unknown = |kind| Frame::Unknown { kind, flags: Flags(0xff), stream_id: 1, payload: vec![1; 100] };
        server.send(unknown(0xc)).await;
        let (stream_id, _) = server.request().await;
        server.send(unknown(0xff)).await;
        server.answer(stream_id).await;
        server.linger().await;
    })
    .await;
    h2.wait_settings(Duration::from_secs(1)).await;
    assert_eq!(fetch_one(&mut h2).await.outcome, Outcome::Complete);
}
