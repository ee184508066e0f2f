//! HTTP/1.x heads and bodies from any bytes, cut anywhere: same result, bounded, and what was read can be written.
#![no_main]

use goferry_wire::http1::{
    BodyDecoder, BodyKind, ChunkedDecoder, ChunkedError, Fields, Head, HeadError, HeadLimits,
    HeadReader, RequestHead, ResponseHead,
};
use libfuzzer_sys::fuzz_target;

const LIMITS: HeadLimits = HeadLimits {
    bytes: 512,
    fields: 8,
};

/// The first head and the octets it took.
fn head<H: Head>(bytes: &[u8], piece: usize) -> Result<Option<(H, usize)>, HeadError> {
    let mut reader = HeadReader::new(LIMITS);
    let mut before = 0;
    for piece in bytes.chunks(piece) {
        if let Some((head, used)) = reader.push(piece)? {
            return Ok(Some((head, before + used)));
        }
        assert!(reader.current_line().len() <= LIMITS.bytes);
        before += piece.len();
    }
    reader.finish()?;
    Ok(None)
}

type Body = (Vec<u8>, Option<usize>, Fields);

fn chunked(bytes: &[u8], piece: usize) -> (Body, Result<(), ChunkedError>) {
    let mut decoder = ChunkedDecoder::new(LIMITS);
    let mut content = Vec::new();
    let mut before = 0;
    for piece in bytes.chunks(piece) {
        match decoder.push(piece, |piece| content.extend_from_slice(piece)) {
            Ok(Some(used)) => {
                return (
                    (content, Some(before + used), decoder.trailers().clone()),
                    Ok(()),
                );
            }
            Ok(None) => before += piece.len(),
            Err(error) => return ((content, None, decoder.trailers().clone()), Err(error)),
        }
    }
    (
        (content, None, decoder.trailers().clone()),
        decoder.finish(),
    )
}

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = (usize::from(input.0) + 1, input.1);
    let whole = bytes.len().max(1);

    let response = head::<ResponseHead>(bytes, whole);
    assert_eq!(head(bytes, piece), response);
    if let Ok(Some((head, used))) = response {
        assert!(head.fields.len() <= LIMITS.fields);
        if let Ok(kind) = BodyKind::of_response("GET", &head) {
            let _ = head.keeps_alive(kind);
            let mut left = 0;
            let done =
                BodyDecoder::new(kind, LIMITS).push(&bytes[used..], |piece| left += piece.len());
            assert!(left <= bytes.len() - used);
            assert!(!matches!(done, Ok(Some(octets)) if octets > bytes.len() - used));
        }
        let mut again = Vec::new();
        head.encode(&mut again);
        let limits = HeadLimits {
            bytes: again.len(),
            ..LIMITS
        };
        assert_eq!(
            HeadReader::new(limits).push(&again),
            Ok(Some((head, again.len())))
        );
    }

    let request = head::<RequestHead>(bytes, whole);
    assert_eq!(head(bytes, piece), request);
    if let Ok(Some((head, _))) = request {
        let _ = BodyKind::of_request(&head);
        let mut again = Vec::new();
        head.encode(&mut again);
        let limits = HeadLimits {
            bytes: again.len(),
            ..LIMITS
        };
        assert_eq!(
            HeadReader::new(limits).push(&again),
            Ok(Some((head, again.len())))
        );
    }

    assert_eq!(chunked(bytes, piece), chunked(bytes, whole));
});
