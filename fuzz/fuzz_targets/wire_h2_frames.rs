//! HTTP/2 frames from any bytes, cut anywhere: same result, bounded memory, and what was decoded encodes again.
#![no_main]

use goferry_wire::h2::{Frame, FrameDecoder, FrameTap};
use libfuzzer_sys::fuzz_target;

const MAX_FRAME_SIZE: u32 = 1024;

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = (usize::from(input.0) + 1, input.1);

    let mut whole = FrameDecoder::with_max_frame_size(MAX_FRAME_SIZE);
    whole.push(bytes);
    let expected: Vec<_> = whole.by_ref().collect();
    let mut cut = FrameDecoder::with_max_frame_size(MAX_FRAME_SIZE);
    let mut got = Vec::new();
    for piece in bytes.chunks(piece) {
        cut.push(piece);
        got.extend(cut.by_ref());
        assert!(cut.buffered() <= MAX_FRAME_SIZE as usize + 9);
    }
    assert_eq!(got, expected);

    for frame in expected.into_iter().flatten() {
        let again = frame.to_bytes();
        let mut decoder = FrameDecoder::with_max_frame_size(MAX_FRAME_SIZE + 256);
        decoder.push(&again);
        assert_eq!(decoder.next(), Some(Ok::<Frame, _>(frame)));
        assert_eq!(decoder.buffered(), 0);
    }

    let mut whole = FrameTap::with_max_frame_size(1 << 16);
    let expected = whole.events(bytes);
    let mut cut = FrameTap::with_max_frame_size(1 << 16);
    let mut got = Vec::new();
    for piece in bytes.chunks(piece) {
        cut.push(piece, |event| got.push(event));
    }
    assert_eq!(got, expected);
    assert_eq!(cut.counts(), whole.counts());
});
