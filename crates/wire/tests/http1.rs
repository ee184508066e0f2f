//! HTTP/1.x heads and bodies: what RFC 9112 allows and forbids, round trips, and streams cut anywhere.

use goferry_wire::http1::{
    BodyDecoder, BodyError, BodyKind, ChunkedDecoder, ChunkedProblem, Fields, FramingError, HeadError, HeadLimits,
    HeadProblem, HeadReader, RequestHead, ResponseHead, Version, encode_chunk, encode_last_chunk,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn response(text: &str) -> Result<ResponseHead, HeadError> {
    HeadReader::default().push(text.as_bytes()).map(|head| head.expect("complete").0)
}

fn request(text: &str) -> Result<RequestHead, HeadError> {
    HeadReader::default().push(text.as_bytes()).map(|head| head.expect("complete").0)
}

#[test]
fn a_response_is_read_and_the_rest_is_left() {
    let bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nServer:nginx \r\nX: a\r\nx:\tb\r\n\r\nbody";
    let mut reader = HeadReader::<ResponseHead>::default();
    let (interim, used) = reader.push(bytes).unwrap().unwrap();
    assert!(interim.is_interim());
    let (head, more) = reader.push(&bytes[used..]).unwrap().unwrap();
    assert_eq!(&bytes[used + more..], b"body");
    assert_eq!((head.version, head.status, &head.reason[..]), (Version::HTTP_11, 200, "OK"));
    assert_eq!(head.fields.get_str("SERVER").as_deref(), Some("nginx"));
    assert_eq!(head.fields.get_all("x").collect::<Vec<_>>(), [b"a", b"b"]);
    assert_eq!(reader.finish(), Ok(()));
}

#[test]
fn what_servers_really_send_is_read() {
    assert_eq!(response("HTTP/1.1 200\r\n\r\n").unwrap().reason, "");
    assert_eq!(response("HTTP/1.0 404 Not Found\n\n").unwrap().version, Version::HTTP_10);
    assert_eq!(response("HTTP/1.1 200 \r\nA: b\r\n  c\r\n\td\r\n\r\n").unwrap().fields.get("a"), Some(&b"b c d"[..]));
    assert_eq!(request("\r\n\r\nGET / HTTP/1.1\r\n\r\n").unwrap().target, "/");
    assert_eq!(request("CONNECT example.com:443 HTTP/1.1\r\n\r\n").unwrap().method, "CONNECT");
}

#[test]
fn broken_heads_are_named_with_their_line() {
    use HeadProblem as P;
    for (text, line, problem) in [
        ("HTTP/2.0 200 OK\r\n\r\n", 1, P::Version),
        ("HTTP/1.1  200 OK\r\n\r\n", 1, P::Status),
        ("HTTP/1.1 20 OK\r\n\r\n", 1, P::Status),
        ("HTTP/1.1 099 OK\r\n\r\n", 1, P::Status),
        ("HTTP/1.1 2000 OK\r\n\r\n", 1, P::Status),
        ("HTTP/1.1 +20 OK\r\n\r\n", 1, P::Status),
        ("HTTP/1.1 200 O\rK\r\n\r\n", 1, P::Reason),
        ("HTTP/1.1 200 OK\r\nA: b\r\nbroken\r\n\r\n", 3, P::NoColon),
        ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", 2, P::BlankBeforeColon),
        ("HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", 2, P::FieldName),
        ("HTTP/1.1 200 OK\r\n: c\r\n\r\n", 2, P::FieldName),
        ("HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n", 2, P::FieldValue),
        ("HTTP/1.1 200 OK\r\nA: b\rc: d\r\n\r\n", 2, P::FieldValue),
        ("HTTP/1.1 200 OK\r\n folded\r\n\r\n", 2, P::FoldFirst),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", 1, P::NotHttp),
    ] {
        let error = response(text).unwrap_err();
        assert_eq!((error.line, error.problem), (line, problem), "{text:?}: {error}");
    }
    for (text, line, problem) in [
        ("GET / HTTP/1.1 x\r\n\r\n", 1, P::RequestLine),
        ("GET /\r\n\r\n", 1, P::RequestLine),
        ("G@T / HTTP/1.1\r\n\r\n", 1, P::Method),
        ("GET  HTTP/1.1\r\n\r\n", 1, P::Target),
        ("GET /\u{e4} HTTP/1.1\r\n\r\n", 1, P::Target),
        ("PRI * HTTP/2.0\r\n\r\n", 1, P::Version),
        ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 3, P::Fold),
    ] {
        let error = request(text).unwrap_err();
        assert_eq!((error.line, error.problem), (line, problem), "{text:?}: {error}");
    }
    assert_eq!(
        response("HTTP/1.1 200 OK\r\nbr\x1boken\r\n\r\n").unwrap_err().to_string(),
        "HTTP/1 head, line 2: the field has no colon: \"br\\x1boken\""
    );
}

#[test]
fn a_server_that_speaks_something_else_is_noticed_at_once() {
    for (bytes, excerpt) in [(&b"\x15\x03\x01"[..], "\\x15"), (b"\0\0\x12\x04", "\\x00"), (b"HTTX", "HTTX")] {
        let error = HeadReader::<ResponseHead>::default().push(bytes).unwrap_err();
        assert_eq!((error.problem, &error.excerpt[..]), (HeadProblem::NotHttp, excerpt));
    }
}

#[test]
fn endless_heads_end() {
    let limits = HeadLimits { bytes: 1000, fields: 10 };
    let mut reader = HeadReader::<ResponseHead>::new(limits);
    assert_eq!(reader.push(b"HTTP/1.1 200 OK\r\n"), Ok(None));
    let error = (0..1000).find_map(|_| reader.push(b"xxxxxxx").err()).expect("an end");
    assert_eq!((error.line, error.problem), (2, HeadProblem::TooLarge { limit: 1000 }));
    assert!(reader.current_line().len() <= 1000);
    assert_eq!(reader.push(b"\r\n\r\n"), Err(error));

    let mut reader = HeadReader::<ResponseHead>::new(limits);
    let text = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(11));
    assert_eq!(reader.push(text.as_bytes()).unwrap_err().problem, HeadProblem::TooManyFields { limit: 10 });

    let mut reader = HeadReader::<ResponseHead>::new(limits);
    assert_eq!(reader.push(b"HTTP/1.1 200 OK\r\nA: b"), Ok(None));
    let error = reader.finish().unwrap_err();
    assert_eq!(error.problem, HeadProblem::Ended { octets: 21 });
}

#[test]
fn body_lengths_follow_section_6_3() {
    let of = |method, text: &str| BodyKind::of_response(method, &response(text).unwrap());
    let ok = "HTTP/1.1 200 OK\r\n";
    assert_eq!(of("GET", &format!("{ok}\r\n")), Ok(BodyKind::UntilClose));
    assert_eq!(of("GET", &format!("{ok}Content-Length: 5\r\n\r\n")), Ok(BodyKind::Length(5)));
    assert_eq!(of("HEAD", &format!("{ok}Content-Length: 5\r\n\r\n")), Ok(BodyKind::None));
    assert_eq!(of("CONNECT", &format!("{ok}Content-Length: 5\r\n\r\n")), Ok(BodyKind::None));
    assert_eq!(of("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), Ok(BodyKind::None));
    assert_eq!(of("CONNECT", "HTTP/1.1 407 Auth\r\nContent-Length: 5\r\n\r\n"), Ok(BodyKind::Length(5)));
    assert_eq!(
        of("GET", &format!("{ok}Transfer-Encoding: gzip, Chunked\r\nContent-Length: 5\r\n\r\n")),
        Ok(BodyKind::Chunked)
    );
    assert_eq!(of("GET", &format!("{ok}Transfer-Encoding: gzip\r\n\r\n")), Ok(BodyKind::UntilClose));
    assert_eq!(
        of("GET", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        Err(FramingError::TransferEncodingIn10)
    );
    assert_eq!(of("GET", &format!("{ok}Content-Length: 5, 5\r\nContent-Length: 5\r\n\r\n")), Ok(BodyKind::Length(5)));
    assert_eq!(
        of("GET", &format!("{ok}Content-Length: 5\r\nContent-Length: 6\r\n\r\n")),
        Err(FramingError::ContentLengths(5, 6))
    );
    for bad in ["-1", "+1", "", "5,", "0x5", "18446744073709551616"] {
        assert!(
            matches!(of("GET", &format!("{ok}Content-Length: {bad}\r\n\r\n")), Err(FramingError::ContentLength(_))),
            "{bad}"
        );
    }
    let of = |text: &str| BodyKind::of_request(&request(text).unwrap());
    assert_eq!(of("GET / HTTP/1.1\r\n\r\n"), Ok(BodyKind::None));
    assert_eq!(of("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), Ok(BodyKind::Chunked));
    assert_eq!(of("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n"), Err(FramingError::TransferEncoding));
}

#[test]
fn connections_stay_by_section_9_3() {
    for (text, stays) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: foo, Close\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n", true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\nConnection: close\r\n\r\n", false),
        ("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n", false),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", true),
    ] {
        let head = response(text).unwrap();
        let body = BodyKind::of_response("GET", &head).unwrap();
        assert_eq!(head.keeps_alive(body), stays, "{text:?}");
    }
    assert!(!request("GET / HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap().keeps_alive());
}

/// Content, octets used if complete, trailers.
type Dechunked = (Vec<u8>, Option<usize>, Fields);

fn dechunk(bytes: &[u8]) -> Result<Dechunked, (u64, ChunkedProblem)> {
    let mut decoder = ChunkedDecoder::new(HeadLimits { bytes: 100, fields: 2 });
    let mut out = Vec::new();
    let used =
        decoder.push(bytes, |piece| out.extend_from_slice(piece)).map_err(|error| (error.offset, error.problem))?;
    Ok((out, used, decoder.trailers().clone()))
}

#[test]
fn chunks_are_taken_apart() {
    let bytes = b"4\r\nWiki\r\n0A; name=\"v\"\r\n in chunks\r\n000\r\nX-Sum: 1\r\n\r\nnext";
    let (out, used, trailers) = dechunk(bytes).unwrap();
    assert_eq!(out, b"Wiki in chunks");
    assert_eq!(used, Some(bytes.len() - 4));
    assert_eq!(trailers.get("x-sum"), Some(&b"1"[..]));
    let mut decoder = ChunkedDecoder::new(HeadLimits::default());
    assert_eq!(decoder.push(b"4\r\nWiki\r\n", |_| {}), Ok(None));
    let error = decoder.finish().unwrap_err();
    assert_eq!((error.offset, error.problem), (9, ChunkedProblem::Ended));
}

#[test]
fn broken_chunks_are_named_with_their_place() {
    use ChunkedProblem as P;
    for (bytes, offset, problem) in [
        (&b"\r\n"[..], 0, P::Size),
        (b"x\r\n", 0, P::Size),
        (b"-1\r\n", 0, P::Size),
        (b"1 2\r\n", 0, P::Size),
        (b"10000000000000000\r\n", 0, P::Size),
        (b"1\r\na\r\n1\na\r\n", 6, P::SizeLine),
        (b"1;\0\r\n", 0, P::SizeLine),
        (b"1\r\nab\r\n", 4, P::ChunkEnd),
        (b"1\r\na\rX", 4, P::ChunkEnd),
        (b"0\r\nbroken\r\n\r\n", 3, P::Trailer(HeadProblem::NoColon)),
        (b"0\r\na: b\r\nc: d\r\ne: f\r\n\r\n", 15, P::Trailer(HeadProblem::TooManyFields { limit: 2 })),
    ] {
        assert_eq!(dechunk(bytes).unwrap_err(), (offset, problem), "{:?}", bytes.escape_ascii().to_string());
    }
    let endless = [b"1;".as_slice(), &[b'x'; 10_000]].concat();
    assert_eq!(dechunk(&endless).unwrap_err(), (0, P::SizeLineTooLong));
    let endless = [b"0\r\na: ".as_slice(), &[b'x'; 10_000]].concat();
    assert_eq!(dechunk(&endless).unwrap_err(), (3, P::Trailer(HeadProblem::TooLarge { limit: 100 })));
}

#[test]
fn bodies_of_each_kind_end() {
    let mut body = BodyDecoder::new(BodyKind::None, HeadLimits::default());
    assert_eq!(body.push(b"", |_| {}), Ok(Some(0)));
    assert_eq!(body.push(b"next", |_| panic!("no content")), Ok(Some(0)));
    let mut body = BodyDecoder::new(BodyKind::Length(5), HeadLimits::default());
    assert_eq!(body.push(b"abc", |_| {}), Ok(None));
    assert_eq!(body.finish(), Err(BodyError::Ended { length: 5, missing: 2 }));
    assert_eq!(body.push(b"defg", |piece| assert_eq!(piece, b"de")), Ok(Some(2)));
    assert_eq!(body.finish(), Ok(()));
    let mut body = BodyDecoder::new(BodyKind::UntilClose, HeadLimits::default());
    assert_eq!(body.push(b"abc", |_| {}), Ok(None));
    assert_eq!(body.finish(), Ok(()));
    let mut body = BodyDecoder::new(BodyKind::Chunked, HeadLimits::default());
    assert_eq!(body.push(b"0\r\nA: b\r\n\r\n", |_| {}), Ok(Some(11)));
    assert_eq!(body.trailers().map(Fields::len), Some(1));
}

fn some_fields() -> impl Strategy<Value = Fields> {
    vec(("[A-Za-z0-9-]{1,12}", "([!-~]([ -~]{0,20}[!-~])?)?"), 0..8).prop_map(|all| all.into_iter().collect())
}

/// A head or body for the most part, damaged here and there.
fn almost(whole: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![prop::sample::select(b"\r\n\t :;0".to_vec()), any::<u8>()];
    (whole, vec((any::<prop::sample::Index>(), octet), 0..4)).prop_map(|(mut bytes, damage)| {
        for (place, value) in damage {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
        }
        bytes
    })
}

fn response_bytes() -> impl Strategy<Value = Vec<u8>> {
    (100..=999_u16, "[ -~]{0,10}", some_fields(), vec(any::<u8>(), 0..20)).prop_map(|(status, reason, fields, tail)| {
        let mut bytes = Vec::new();
        ResponseHead { version: Version::HTTP_11, status, reason, fields }.encode(&mut bytes);
        bytes.extend(tail);
        bytes
    })
}

fn chunked_bytes() -> impl Strategy<Value = Vec<u8>> {
    (vec(vec(any::<u8>(), 0..40), 0..6), some_fields(), vec(any::<u8>(), 0..20)).prop_map(|(chunks, trailers, tail)| {
        let mut bytes = Vec::new();
        chunks.iter().for_each(|chunk| encode_chunk(chunk, &mut bytes));
        encode_last_chunk(&trailers, &mut bytes);
        bytes.extend(tail);
        bytes
    })
}

proptest! {
    #[test]
    fn responses_go_there_and_back(
        minor in 0..=9_u8, status in 100..=999_u16, reason in "([!-~]([ -~]{0,20}[!-~])?)?", fields in some_fields(),
    ) {
        let head = ResponseHead { version: Version { minor }, status, reason, fields };
        let mut bytes = Vec::new();
        head.encode(&mut bytes);
        let got = HeadReader::<ResponseHead>::default().push(&bytes);
        prop_assert_eq!(got, Ok(Some((head, bytes.len()))));
    }

    #[test]
    fn requests_go_there_and_back(
        minor in 0..=9_u8, method in "[A-Z]{1,8}", target in "[!-~]{1,40}", fields in some_fields(),
    ) {
        let head = RequestHead { method, target, version: Version { minor }, fields };
        let mut bytes = Vec::new();
        head.encode(&mut bytes);
        let got = HeadReader::<RequestHead>::default().push(&bytes);
        prop_assert_eq!(got, Ok(Some((head, bytes.len()))));
    }

    #[test]
    fn a_head_does_not_care_how_bytes_arrive(bytes in almost(response_bytes()), length in 1..9_usize, bound in 1..200_usize) {
        let limits = HeadLimits { bytes: bound, fields: 4 };
        let expected = HeadReader::<ResponseHead>::new(limits).push(&bytes);
        let mut reader = HeadReader::<ResponseHead>::new(limits);
        let mut got = Ok(None);
        let mut before = 0;
        for piece in bytes.chunks(length) {
            got = reader.push(piece).map(|head| head.map(|(head, used)| (head, before + used)));
            prop_assert!(reader.current_line().len() <= bound);
            if got != Ok(None) {
                break;
            }
            before += piece.len();
        }
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn chunks_go_there_and_back(chunks in vec(vec(any::<u8>(), 0..40), 0..6), trailers in some_fields()) {
        let mut bytes = Vec::new();
        chunks.iter().for_each(|chunk| encode_chunk(chunk, &mut bytes));
        encode_last_chunk(&trailers, &mut bytes);
        let mut decoder = ChunkedDecoder::new(HeadLimits::default());
        let mut out = Vec::new();
        prop_assert_eq!(decoder.push(&bytes, |piece| out.extend_from_slice(piece)), Ok(Some(bytes.len())));
        prop_assert_eq!(out, chunks.concat());
        prop_assert_eq!(decoder.trailers(), &trailers);
    }

    #[test]
    fn chunks_do_not_care_how_bytes_arrive(bytes in almost(chunked_bytes()), length in 1..9_usize) {
        let limits = HeadLimits { bytes: 60, fields: 4 };
        let read = |length: usize| {
            let mut decoder = ChunkedDecoder::new(limits);
            let mut out = Vec::new();
            let mut result = Ok(None);
            let mut before = 0;
            for piece in bytes.chunks(length) {
                result = decoder.push(piece, |piece| out.extend_from_slice(piece));
                result = result.map(|used| used.map(|used| before + used));
                if result != Ok(None) {
                    break;
                }
                before += piece.len();
            }
            (result, out, decoder.trailers().clone())
        };
        prop_assert_eq!(read(length), read(bytes.len().max(1)));
    }
}
