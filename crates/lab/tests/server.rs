//! The origin, seen by a client that reads every frame.

mod raw;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use goferry_lab::certs::Authority;
use goferry_lab::server::behaviour::{
    BodyFault, Concurrency, CutHow, Goaway, LastStream, Reset, SettingsTiming, Silence, Which,
};
use goferry_lab::server::{Behaviour, Identity, Origin, OriginHandle};
use goferry_lab::universe::{Universe, ZipSize};
use goferry_wire::h2::{ErrorCode, Frame, SettingId, Settings};
use raw::RawClient;

const ZIP: usize = 200_000;

struct Lab {
    origin: OriginHandle,
    authority: Authority,
    universe: Arc<Universe>,
}

fn lab(change: impl FnOnce(&mut Behaviour)) -> Lab {
    let mut behaviour = Behaviour::default();
    change(&mut behaviour);
    let authority = Authority::new("lab test").unwrap();
    let universe = Arc::new(Universe::builder().modules(3).zip_size(ZipSize::Fixed(ZIP)).build());
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let identity = Identity { authority: &authority, hosts: &["127.0.0.1"] };
    let origin = Origin::start(behaviour, Arc::clone(&universe), Some(identity), listener).unwrap();
    Lab { origin, authority, universe }
}

impl Lab {
    fn client(&self) -> RawClient {
        RawClient::connect(self.origin.address(), &self.authority, Settings::new())
    }

    fn zip(&self, number: usize) -> String {
        format!("/{}/@v/v1.0.0.zip", self.universe.modules()[number].path)
    }

    fn info(&self) -> String {
        format!("/{}/@v/v1.0.0.info", self.universe.modules()[0].path)
    }
}

#[test]
fn a_healthy_origin_says_settings_first_and_answers() {
    let lab = lab(|_| {});
    let mut client = lab.client();
    client.get(1, &lab.info());
    let frames = client.frames_until_end_of(1);
    let Frame::Settings { ack: false, settings } = &frames[0] else { panic!("{frames:?}") };
    assert_eq!(settings.max_concurrent_streams(), Some(250));
    assert_eq!(client.status(&frames, 1), "200");
    let snapshot = lab.origin.snapshot();
    assert_eq!((snapshot.connections, snapshot.handshakes, snapshot.used_connections), (1, 1, 1));
    assert_eq!(snapshot.requests["info"], 1);
    assert_eq!(snapshot.log[0].path, lab.info());
    assert!(snapshot.frames_received["HEADERS"] == 1 && snapshot.frames_sent["SETTINGS"] >= 1);
}

#[test]
fn the_clients_window_is_respected_to_the_byte() {
    let lab = lab(|_| {});
    let settings = Settings::new().with(SettingId::InitialWindowSize, 10_000);
    let mut client = RawClient::connect(lab.origin.address(), &lab.authority, settings);
    client.get(1, &lab.zip(0));
    assert_eq!(client.data_within(1, Duration::from_millis(300)), 10_000);
    client.send(&Frame::WindowUpdate { stream_id: 1, increment: 5_000 });
    assert_eq!(client.data_within(1, Duration::from_millis(300)), 5_000);
    client.send(&Frame::WindowUpdate { stream_id: 1, increment: 1_000_000 });
    assert_eq!(client.data_within(1, Duration::from_millis(300)), 50_535, "the connection's window is 65,535");
}

#[test]
fn streams_share_the_connection_in_turn() {
    let lab = lab(|_| {});
    let mut client = lab.client();
    client.send(&Frame::WindowUpdate { stream_id: 0, increment: 10_000_000 });
    for number in 0..3 {
        client.get(1 + 2 * number as u32, &lab.zip(number));
    }
    let order: Vec<u32> = client
        .frames_for(Duration::from_millis(400))
        .iter()
        .filter_map(|frame| match frame {
            Frame::Data { stream_id, .. } => Some(*stream_id),
            _ => None,
        })
        .collect();
    assert_eq!(order.len(), 12, "three windows of 65,535 in frames of 16 KiB: {order:?}");
    for stream in [1, 3, 5] {
        let first = order.iter().position(|id| *id == stream).unwrap();
        assert!(first < 6, "stream {stream} waits too long: {order:?}");
    }
    assert_eq!(lab.origin.snapshot().max_concurrency, 3);
}

#[test]
fn settings_come_late_or_not_first_or_never() {
    let first_frame = |timing| {
        let lab = lab(|behaviour| behaviour.http2.settings_timing = timing);
        let start = Instant::now();
        let mut client = lab.client();
        client.get(1, &lab.info());
        let frames = client.frames_until_end_of(1);
        (frames[0].clone(), start.elapsed())
    };
    let (frame, after) = first_frame(SettingsTiming::After(Duration::from_millis(400)));
    assert!(matches!(frame, Frame::Settings { ack: false, .. }) && after >= Duration::from_millis(400));
    assert!(matches!(first_frame(SettingsTiming::AfterPing).0, Frame::Ping { .. }));
    assert!(matches!(first_frame(SettingsTiming::Never).0, Frame::Settings { ack: true, .. }));
}

#[test]
fn goaway_tells_the_truth_or_lies() {
    for (last_stream, said) in [(LastStream::Honest, 3), (LastStream::Lying, 1), (LastStream::Zero, 0)] {
        let goaway = Goaway { after_requests: 2, code: ErrorCode::NoError, last_stream, close_at_once: false };
        let lab = lab(|behaviour| behaviour.http2.goaway = Some(goaway));
        let mut client = lab.client();
        for stream in [1, 3, 5] {
            client.get(stream, &lab.info());
        }
        let frames = client.frames_until_close();
        let heard = frames.iter().find_map(|frame| match frame {
            Frame::GoAway { last_stream_id, .. } => Some(*last_stream_id),
            _ => None,
        });
        assert_eq!(heard, Some(said));
        let answered = |stream| {
            frames.iter().any(|frame| matches!(frame, Frame::Headers { stream_id, .. } if *stream_id == stream))
        };
        assert_eq!(
            (answered(1), answered(3), answered(5)),
            (true, last_stream != LastStream::Zero, false),
            "{last_stream:?}"
        );
    }
}

#[test]
fn resets_come_before_or_inside_the_body() {
    for (after_body, bytes) in [(None, 0), (Some(1000), 1000)] {
        let reset = Reset { code: ErrorCode::EnhanceYourCalm, after_body, which: Which::ZIPS };
        let lab = lab(|behaviour| behaviour.http2.reset = Some(reset));
        let mut client = lab.client();
        client.get(1, &lab.zip(0));
        let frames = client.frames_until_end_of(1);
        assert_eq!(raw::data_of(&frames, 1), bytes);
        assert!(frames.contains(&Frame::RstStream { stream_id: 1, code: ErrorCode::EnhanceYourCalm }));
        client.get(3, &lab.info());
        let frames = client.frames_until_end_of(3);
        assert_eq!(client.status(&frames, 3), "200", "other requests are not touched");
    }
}

#[test]
fn a_stalled_stream_leaves_ping_answered_and_a_black_hole_nothing() {
    for (black_hole, pong) in [(None, true), (Some(6_000), false)] {
        let lab = lab(|behaviour| {
            behaviour.body = BodyFault::Stall { after: 5_000, which: Which::ZIPS };
            behaviour.black_hole_after = black_hole;
        });
        let mut client = lab.client();
        client.get(1, &lab.zip(0));
        client.frames_for(Duration::from_millis(200));
        client.send(&Frame::Ping { ack: false, data: *b"anybody?" });
        let frames = client.frames_for(Duration::from_millis(300));
        assert_eq!(frames.contains(&Frame::Ping { ack: true, data: *b"anybody?" }), pong, "{frames:?}");
    }
}

#[test]
fn surplus_streams_are_refused() {
    let lab = lab(|behaviour| {
        behaviour.answers.think = Duration::from_millis(50);
        behaviour.http2.concurrency = Some(Concurrency { max: 1, refuse: true });
    });
    let mut client = lab.client();
    client.get(1, &lab.info());
    client.get(3, &lab.info());
    let frames = client.frames_until_end_of(1);
    assert!(frames.contains(&Frame::RstStream { stream_id: 3, code: ErrorCode::RefusedStream }), "{frames:?}");
    assert_eq!(client.status(&frames, 1), "200");
}

#[test]
fn the_connection_is_cut_inside_a_zip() {
    for how in [CutHow::Rst, CutHow::Fin] {
        let lab = lab(|behaviour| behaviour.body = BodyFault::Cut { after: 30_000, how, which: Which::ZIPS });
        let mut client = lab.client();
        client.get(1, &lab.zip(0));
        let frames = client.frames_until_close();
        assert!(raw::data_of(&frames, 1) <= 30_000);
        assert!(!frames.iter().any(|frame| matches!(frame, Frame::Data { end_stream: true, .. })));
    }
}

#[test]
fn a_body_without_end_goes_on_for_ever() {
    let lab = lab(|behaviour| behaviour.body = BodyFault::Endless { which: Which::ALL });
    let mut client = lab.client();
    client.send(&Frame::WindowUpdate { stream_id: 0, increment: 1 << 30 });
    client.send(&Frame::WindowUpdate { stream_id: 1, increment: 1 << 20 });
    client.get(1, &lab.info());
    client.send(&Frame::WindowUpdate { stream_id: 1, increment: 1 << 20 });
    let got = client.data_within(1, Duration::from_millis(500));
    assert!(got > 1 << 20, "{got}");
}

#[test]
fn headers_without_end_never_end() {
    let lab = lab(|behaviour| behaviour.http2.endless_headers = Some(Which::ALL));
    let mut client = lab.client();
    client.get(1, &lab.info());
    let frames = client.frames_for(Duration::from_millis(300));
    let pieces = frames.iter().filter(|frame| matches!(frame, Frame::Continuation { end_headers: false, .. })).count();
    assert!(pieces > 20, "{pieces}");
    assert!(!frames.iter().any(|frame| matches!(frame, Frame::Headers { end_headers: true, .. })));
}

#[test]
fn silence_is_silent() {
    let lab = lab(|behaviour| behaviour.silence = Silence::AfterTls);
    let mut client = lab.client();
    client.get(1, &lab.info());
    assert!(client.frames_for(Duration::from_millis(300)).is_empty());
    assert_eq!(lab.origin.snapshot().handshakes, 1);
}

#[test]
fn corrupt_header_blocks_cannot_be_decoded() {
    let lab = lab(|behaviour| behaviour.http2.corrupt_hpack = Some(Which::ALL));
    let mut client = lab.client();
    client.get(1, &lab.info());
    let frames = client.frames_for(Duration::from_millis(300));
    let block = frames.iter().find_map(|frame| match frame {
        Frame::Headers { fragment, .. } => Some(fragment.clone()),
        _ => None,
    });
    let mut decoder = goferry_wire::hpack::Decoder::new(goferry_wire::hpack::DecoderLimits::default());
    assert!(decoder.decode(&block.unwrap()).is_err());
}
