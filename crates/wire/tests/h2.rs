//! HTTP/2 frames: round trips, every length rule of RFC 9113, section 6, and streams cut anywhere.

use goferry_wire::h2::{
    ErrorCode, ErrorScope, Flags, Frame, FrameDecoder, FrameError, FrameHeader, FrameKind, FrameTap, PREFACE, Priority,
    SettingId, Settings, TapEvent,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn decode(kind: FrameKind, flags: Flags, stream_id: u32, payload: &[u8]) -> Result<Frame, FrameError> {
    Frame::decode(FrameHeader { length: payload.len() as u32, kind, flags, stream_id }, payload)
}

#[test]
fn the_go_clients_settings() {
    let bytes =
        [0, 0, 24, 4, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 4, 0, 0x40, 0, 0, 0, 5, 0, 0x10, 0, 0, 0, 6, 0, 0xa0, 0, 0];
    let mut decoder = FrameDecoder::new();
    decoder.push(&bytes);
    let frame = decoder.next().unwrap().unwrap();
    assert_eq!(frame.to_bytes(), bytes);
    let Frame::Settings { ack: false, settings } = frame else { panic!("{frame:?}") };
    assert_eq!(
        settings.to_string(),
        "ENABLE_PUSH=0, INITIAL_WINDOW_SIZE=4194304, MAX_FRAME_SIZE=1048576, MAX_HEADER_LIST_SIZE=10485760"
    );
    assert_eq!(settings.initial_window_size(), Some(4 << 20));
    assert_eq!(settings.validate_from_server(), Ok(()));
}

#[test]
fn sizes_and_streams_are_checked_for_each_kind() {
    use ErrorCode::{FrameSizeError, ProtocolError};
    use ErrorScope::{Connection, Stream};
    use FrameKind as K;
    const NONE: Flags = Flags::NONE;
    for (kind, flags, stream, payload, section, code, scope) in [
        (K::Data, NONE, 0, &[][..], "6.1", ProtocolError, Connection),
        (K::Data, Flags::PADDED, 1, &[], "6.1", FrameSizeError, Connection),
        (K::Data, Flags::PADDED, 1, &[3, 0, 0], "6.1", ProtocolError, Connection),
        (K::Headers, NONE, 0, &[], "6.2", ProtocolError, Connection),
        (K::Headers, Flags::PRIORITY, 1, &[0; 4], "6.2", FrameSizeError, Connection),
        (K::Headers, Flags(0x28), 1, &[1, 0, 0, 0, 1, 9], "6.2", ProtocolError, Connection),
        (K::Priority, NONE, 0, &[0; 5], "6.3", ProtocolError, Connection),
        (K::Priority, NONE, 1, &[0; 4], "6.3", FrameSizeError, Stream),
        (K::RstStream, NONE, 0, &[0; 4], "6.4", ProtocolError, Connection),
        (K::RstStream, NONE, 1, &[0; 3], "6.4", FrameSizeError, Connection),
        (K::Settings, NONE, 1, &[], "6.5", ProtocolError, Connection),
        (K::Settings, NONE, 0, &[0; 7], "6.5", FrameSizeError, Connection),
        (K::Settings, Flags::ACK, 0, &[0; 6], "6.5", FrameSizeError, Connection),
        (K::PushPromise, NONE, 0, &[0, 0, 0, 2], "6.6", ProtocolError, Connection),
        (K::PushPromise, NONE, 1, &[0, 0, 0], "6.6", FrameSizeError, Connection),
        (K::PushPromise, NONE, 1, &[0x80, 0, 0, 0], "6.6", ProtocolError, Connection),
        (K::Ping, NONE, 1, &[0; 8], "6.7", ProtocolError, Connection),
        (K::Ping, NONE, 0, &[0; 9], "6.7", FrameSizeError, Connection),
        (K::GoAway, NONE, 1, &[0; 8], "6.8", ProtocolError, Connection),
        (K::GoAway, NONE, 0, &[0; 7], "6.8", FrameSizeError, Connection),
        (K::WindowUpdate, NONE, 0, &[0; 3], "6.9", FrameSizeError, Connection),
        (K::WindowUpdate, NONE, 0, &[0x80, 0, 0, 0], "6.9", ProtocolError, Connection),
        (K::WindowUpdate, NONE, 1, &[0; 4], "6.9", ProtocolError, Stream),
        (K::Continuation, NONE, 0, &[], "6.10", ProtocolError, Connection),
    ] {
        let error = decode(kind, flags, stream, payload).expect_err(&format!("{kind} {flags:?} {payload:?}"));
        assert_eq!((error.section, error.code, error.scope), (section, code, scope), "{error}");
    }
    let header = FrameHeader { length: 4, kind: K::Ping, flags: NONE, stream_id: 0 };
    assert_eq!(Frame::decode(header, &[0; 8]).unwrap_err().section, "4.1");
}

#[test]
fn errors_say_what_where_and_what_to_answer() {
    let error = decode(FrameKind::WindowUpdate, Flags::NONE, 3, &[0; 4]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "WINDOW_UPDATE stream=3 len=4: the window increment is 0 (RFC 9113, section 6.9: stream error PROTOCOL_ERROR)"
    );
}

#[test]
fn padding_counts_against_the_window() {
    let frame = Frame::Data { stream_id: 1, data: vec![7; 10], end_stream: true, padding: Some(0) };
    assert_eq!(frame.flow_controlled_len(), 11);
    let frame = Frame::Data { stream_id: 1, data: vec![7; 10], end_stream: true, padding: Some(255) };
    assert_eq!(frame.flow_controlled_len(), 266);
    assert_eq!(Frame::Ping { ack: false, data: [0; 8] }.flow_controlled_len(), 0);
}

#[test]
fn a_decoder_stops_at_a_frame_that_is_too_large_and_only_there() {
    let mut decoder = FrameDecoder::new();
    decoder.push(&Frame::WindowUpdate { stream_id: 0, increment: 0 }.to_bytes());
    decoder.push(&Frame::Ping { ack: true, data: [1; 8] }.to_bytes());
    assert!(decoder.next().unwrap().is_err());
    assert_eq!(decoder.next(), Some(Ok(Frame::Ping { ack: true, data: [1; 8] })));
    decoder.push(b"HTTP/1.1 400 Bad Request\r\n");
    let error = decoder.next().unwrap().unwrap_err();
    assert_eq!((error.section, error.code), ("4.2", ErrorCode::FrameSizeError));
    assert!(decoder.is_lost());
    decoder.push(&Frame::Ping { ack: true, data: [1; 8] }.to_bytes());
    assert_eq!(decoder.next(), None);
    assert_eq!(decoder.buffered(), 0);
}

#[test]
fn a_tap_follows_a_client_and_keeps_no_payload() {
    let data = Frame::Data { stream_id: 1, data: vec![0; 100_000], end_stream: true, padding: None };
    let settings = Frame::Settings { ack: false, settings: Settings::new().with(SettingId::MaxConcurrentStreams, 1) };
    let goaway =
        Frame::GoAway { last_stream_id: 7, code: ErrorCode::EnhanceYourCalm, debug_data: b"too_many_pings".to_vec() };
    let mut bytes = PREFACE.to_vec();
    for frame in [&settings, &data, &goaway] {
        frame.encode(&mut bytes);
    }
    let mut tap = FrameTap::new();
    let events = tap.events(&bytes);
    let passed = |frame: &Frame, read: bool| TapEvent::Frame {
        header: frame.header(),
        frame: read.then(|| frame.clone()),
        error: None,
    };
    assert_eq!(
        events,
        [
            TapEvent::Preface,
            TapEvent::Header(settings.header()),
            passed(&settings, true),
            TapEvent::Header(data.header()),
            passed(&data, false),
            TapEvent::Header(goaway.header()),
            passed(&goaway, true),
        ]
    );
    assert_eq!(tap.counts().data_bytes, 100_000);
    assert_eq!(tap.counts().frames_of(FrameKind::Data), 1);
    assert_eq!(tap.counts().bytes, bytes.len() as u64);
    assert!(tap.is_between_frames());
}

#[test]
fn a_tap_cuts_endless_debug_data_off() {
    let goaway = Frame::GoAway { last_stream_id: 1, code: ErrorCode::NoError, debug_data: vec![b'x'; 1 << 20] };
    let mut tap = FrameTap::new();
    let events = tap.events(&goaway.to_bytes());
    let Some(TapEvent::Frame { header, frame: Some(Frame::GoAway { debug_data, .. }), .. }) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!((header.length, debug_data.len()), ((1 << 20) + 8, 4088));
}

#[test]
fn a_tap_reports_broken_control_frames_and_goes_on() {
    let mut bytes = Frame::WindowUpdate { stream_id: 0, increment: 0 }.to_bytes();
    Frame::Ping { ack: false, data: [0; 8] }.encode(&mut bytes);
    let events = FrameTap::new().events(&bytes);
    assert!(matches!(&events[1], TapEvent::Frame { frame: None, error: Some(error), .. } if error.section == "6.9"));
    assert!(matches!(&events[3], TapEvent::Frame { frame: Some(Frame::Ping { .. }), .. }));
}

#[test]
fn a_tap_with_a_limit_notices_that_it_is_lost() {
    let mut tap = FrameTap::with_max_frame_size(1 << 20);
    let events = tap.events(b"PRIVATE NETWORK, HTTP/1.1 400 Bad Request");
    assert_eq!(events.len(), 1);
    assert!(matches!(events[0], TapEvent::Lost(_)));
    assert_eq!(tap.events(&Frame::Ping { ack: false, data: [0; 8] }.to_bytes()), []);
}

fn stream_id() -> impl Strategy<Value = u32> {
    1..=0x7fff_ffff_u32
}

fn some_settings() -> impl Strategy<Value = Settings> {
    vec((any::<u16>(), any::<u32>()), 0..12)
        .prop_map(|all| all.into_iter().map(|(id, value)| (SettingId::from(id % 12), value)).collect())
}

fn frame() -> impl Strategy<Value = Frame> {
    let bytes = || vec(any::<u8>(), 0..600);
    let padding = || proptest::option::of(any::<u8>());
    let priority = || {
        (any::<bool>(), 0..=0x7fff_ffff_u32, any::<u8>()).prop_map(|(exclusive, dependency, weight)| Priority {
            exclusive,
            dependency,
            weight,
        })
    };
    prop_oneof![
        (stream_id(), bytes(), any::<bool>(), padding())
            .prop_map(|(stream_id, data, end_stream, padding)| Frame::Data { stream_id, data, end_stream, padding }),
        (stream_id(), bytes(), proptest::option::of(priority()), any::<bool>(), any::<bool>(), padding()).prop_map(
            |(stream_id, fragment, priority, end_stream, end_headers, padding)| {
                Frame::Headers { stream_id, fragment, priority, end_stream, end_headers, padding }
            }
        ),
        (stream_id(), priority()).prop_map(|(stream_id, priority)| Frame::Priority { stream_id, priority }),
        (stream_id(), any::<u32>()).prop_map(|(stream_id, code)| Frame::RstStream { stream_id, code: code.into() }),
        some_settings().prop_map(|settings| Frame::Settings { ack: false, settings }),
        Just(Frame::Settings { ack: true, settings: Settings::new() }),
        (stream_id(), stream_id(), bytes(), any::<bool>(), padding()).prop_map(
            |(stream_id, promised_id, fragment, end_headers, padding)| Frame::PushPromise {
                stream_id,
                promised_id,
                fragment,
                end_headers,
                padding
            }
        ),
        any::<(bool, [u8; 8])>().prop_map(|(ack, data)| Frame::Ping { ack, data }),
        (0..=0x7fff_ffff_u32, 0..20_u32, bytes()).prop_map(|(last_stream_id, code, debug_data)| {
            Frame::GoAway { last_stream_id, code: code.into(), debug_data }
        }),
        (0..=0x7fff_ffff_u32, 1..=0x7fff_ffff_u32)
            .prop_map(|(stream_id, increment)| { Frame::WindowUpdate { stream_id, increment } }),
        (stream_id(), bytes(), any::<bool>()).prop_map(|(stream_id, fragment, end_headers)| {
            Frame::Continuation { stream_id, fragment, end_headers }
        }),
        (10..=255_u8, any::<u8>(), 0..=0x7fff_ffff_u32, bytes()).prop_map(|(kind, flags, stream_id, payload)| {
            Frame::Unknown { kind, flags: Flags(flags), stream_id, payload }
        }),
    ]
}

/// Hands `bytes` to `push` in pieces of the given lengths, repeated.
fn in_pieces(bytes: &[u8], lengths: &[usize], mut push: impl FnMut(&[u8])) {
    let mut rest = bytes;
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            return;
        }
        let (piece, after) = rest.split_at((*length).min(rest.len()));
        push(piece);
        rest = after;
    }
}

/// Bytes that are frames for the most part, some of them damaged.
fn almost_frames() -> impl Strategy<Value = Vec<u8>> {
    (any::<bool>(), vec(frame(), 0..6), vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), vec(any::<u8>(), 0..40))
        .prop_map(|(preface, frames, damage, tail)| {
            let mut bytes = if preface { PREFACE.to_vec() } else { Vec::new() };
            frames.iter().for_each(|frame| frame.encode(&mut bytes));
            bytes.extend(tail);
            for (place, value) in damage {
                if !bytes.is_empty() {
                    let place = place.index(bytes.len());
                    bytes[place] = value;
                }
            }
            bytes
        })
}

proptest! {
    #[test]
    fn every_frame_goes_there_and_back(frame in frame()) {
        let bytes = frame.to_bytes();
        let header = FrameHeader::decode(bytes.first_chunk().unwrap());
        prop_assert_eq!(header, frame.header());
        prop_assert_eq!(Frame::decode(header, &bytes[9..]), Ok(frame));
    }

    #[test]
    fn every_header_goes_there_and_back(bytes in any::<[u8; 9]>()) {
        let mut without_reserved_bit = bytes;
        without_reserved_bit[5] &= 0x7f;
        prop_assert_eq!(FrameHeader::decode(&bytes).encode(), without_reserved_bit);
    }

    #[test]
    fn a_decoder_does_not_care_how_bytes_arrive(bytes in almost_frames(), lengths in vec(1..50_usize, 1..8)) {
        let mut whole = FrameDecoder::with_max_frame_size(16_384);
        whole.push(&bytes);
        let expected: Vec<_> = whole.by_ref().collect();
        let mut cut = FrameDecoder::with_max_frame_size(16_384);
        let mut got = Vec::new();
        let mut most = 0;
        in_pieces(&bytes, &lengths, |piece| {
            cut.push(piece);
            got.extend(cut.by_ref());
            most = most.max(cut.buffered());
        });
        prop_assert_eq!(got, expected);
        prop_assert_eq!(cut.buffered(), whole.buffered());
        prop_assert!(most <= 16_384 + 9);
    }

    #[test]
    fn a_tap_does_not_care_how_bytes_arrive(bytes in almost_frames(), lengths in vec(1..50_usize, 1..8)) {
        let mut whole = FrameTap::with_max_frame_size(1 << 16);
        let expected = whole.events(&bytes);
        let mut cut = FrameTap::with_max_frame_size(1 << 16);
        let mut got = Vec::new();
        in_pieces(&bytes, &lengths, |piece| cut.push(piece, |event| got.push(event)));
        prop_assert_eq!(got, expected);
        prop_assert_eq!(cut.counts(), whole.counts());
    }

    #[test]
    fn a_tap_and_a_decoder_see_the_same_frames(frames in vec(frame(), 0..10)) {
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| frame.encode(&mut bytes));
        let mut headers = Vec::new();
        FrameTap::new().push(&bytes, |event| if let TapEvent::Frame { header, .. } = event { headers.push(header) });
        let expected: Vec<_> = frames.iter().map(Frame::header).collect();
        prop_assert_eq!(headers, expected);
    }

    #[test]
    fn settings_go_there_and_back(settings in some_settings()) {
        let mut bytes = Vec::new();
        settings.encode(&mut bytes);
        prop_assert_eq!(Settings::decode(&bytes), Some(settings));
    }
}
