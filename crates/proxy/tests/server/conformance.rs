//! HTTP/2 by the book: what RFC 9113 and RFC 7541 say that a server does, a line a case. The client sends its preface, what
//! the case says, and then waits.
//!
//! A connection may end with PROTOCOL_ERROR where the book names a closer word: that is what the h2 library says of all that
//! its decoders find (sizes of frames, values of settings, header blocks). It ends all the same.
//!
//! Streams are opened for the large file where they are to stay open: the client's windows have no room for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use goferry_wire::h2::ErrorCode::{
    self, CompressionError, FlowControlError, FrameSizeError, ProtocolError, RefusedStream, StreamClosed,
};

use crate::http2::{
    ACK, CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PRIORITY, PUSH_PROMISE,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame, request,
};
use crate::world::{MOD, Served, ZIP};

/// What the server must do.
enum Expect {
    /// End the connection with one of these.
    Connection(&'static [ErrorCode]),
    /// End the stream, or the connection, with one of these.
    Stream(&'static [ErrorCode]),
    /// Go on.
    Alive,
    /// Answer on stream 1.
    Answer(u16),
}
use Expect::{Alive, Answer, Connection, Stream};

const WHOLE: u8 = END_HEADERS | END_STREAM;

/// A stream that stays open at the server's end, half closed at the client's.
fn half_closed() -> Vec<u8> {
    frame(HEADERS, WHOLE, 1, &request("GET", ZIP))
}

/// A stream whose body is still to come.
fn open() -> Vec<u8> {
    frame(HEADERS, END_HEADERS, 1, &request("POST", "/-/warm"))
}

fn setting(id: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

/// A GET with these fields after the pseudo-header fields.
fn with(fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, WHOLE, 1, &[request("GET", MOD), block(fields.iter().copied())].concat())
}

/// Only these fields.
fn only(fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, WHOLE, 1, &block(fields.iter().copied()))
}

/// A header block of these bytes after a good beginning.
fn hpack(bytes: &[u8]) -> Vec<u8> {
    frame(HEADERS, WHOLE, 1, &[&request("GET", MOD), bytes].concat())
}

fn then(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.concat()
}

fn run(cases: Vec<(&str, Vec<u8>, Expect)>) {
    let served = Served::new(|config| config.limits.streams = 10);
    let mut wrong = Vec::new();
    for (name, bytes, expect) in cases {
        let mut client = Client::with_window(served.connect(), 0);
        client.send(&bytes);
        client.io().set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        match catch_unwind(AssertUnwindSafe(|| judge(&mut client, &expect))) {
            Ok(Ok(())) => {}
            Ok(Err(text)) => wrong.push(format!("{name}: {text}")),
            Err(_) => wrong.push(format!("{name}: nothing came")),
        }
    }
    served.still_serves();
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

fn judge(client: &mut Client, expect: &Expect) -> Result<(), String> {
    let (kinds, codes): (&[u8], _) = match expect {
        Connection(codes) => (&[GOAWAY], codes),
        Stream(codes) => (&[GOAWAY, RST_STREAM], codes),
        Alive => {
            client.frame(PING, 0, 0, b"goferry!");
            let answer = client.next_of(|frame| frame.kind == GOAWAY || frame.payload == b"goferry!");
            return match answer {
                Some(frame) if frame.kind == PING => Ok(()),
                other => Err(format!("the connection did not go on: {other:?}")),
            };
        }
        Answer(status) => {
            let answer = client.next_of(|frame| matches!(frame.kind, HEADERS | RST_STREAM | GOAWAY));
            return match answer {
                Some(frame) if frame.kind == HEADERS && frame.status == Some(*status) => Ok(()),
                other => Err(format!("{status} was expected: {other:?}")),
            };
        }
    };
    // With a PING it is clear when nothing comes of it.
    client.frame(PING, 0, 0, b"waiting.");
    let answer = client.next_of(|frame| kinds.contains(&frame.kind) || frame.kind == PING && frame.flags == ACK);
    match answer {
        Some(frame)
            if frame
                .error()
                .is_some_and(|error| codes.contains(&error) || frame.kind == GOAWAY && error == ProtocolError) =>
        {
            Ok(())
        }
        Some(frame) if frame.kind == PING => {
            // A stream's end may come after it.
            let late = client.next_of(|frame| kinds.contains(&frame.kind));
            match late.as_ref().and_then(crate::http2::Frame::error) {
                Some(error) if codes.contains(&error) => Ok(()),
                _ => Err(format!("nothing was wrong with it: {late:?}")),
            }
        }
        other => Err(format!("{codes:?} was expected: {other:?}")),
    }
}

#[test]
fn frames() {
    run(vec![
        ("4.1: a frame of an unknown kind is passed over", frame(0xbe, 0, 0, b"nothing"), Alive),
        ("4.1: unknown flags are passed over", frame(PING, 0xfe, 0, &[0; 8]), Alive),
        ("4.1: the reserved bit is passed over", frame(PING, 0, 0x8000_0000, &[0; 8]), Alive),
        ("4.2: DATA larger than allowed", then(&[open(), frame(DATA, 0, 1, &[0; 16_385])]), Stream(&[FrameSizeError])),
        ("4.2: HEADERS larger than allowed", frame(HEADERS, WHOLE, 1, &[0; 16_385]), Connection(&[FrameSizeError])),
        ("6.1: DATA on stream 0", frame(DATA, 0, 0, b"x"), Connection(&[ProtocolError])),
        (
            "6.1: more padding than payload",
            then(&[open(), frame(DATA, PADDED, 1, &[9, 1])]),
            Connection(&[ProtocolError]),
        ),
        ("6.2: HEADERS on stream 0", frame(HEADERS, WHOLE, 0, &request("GET", MOD)), Connection(&[ProtocolError])),
        (
            "6.2: more padding than payload",
            frame(HEADERS, WHOLE | PADDED, 1, &[99, 0x82]),
            Connection(&[ProtocolError]),
        ),
        ("6.3: PRIORITY on stream 0", frame(PRIORITY, 0, 0, &[0, 0, 0, 3, 1]), Connection(&[ProtocolError])),
        ("6.3: PRIORITY of 4 bytes", then(&[half_closed(), frame(PRIORITY, 0, 1, &[0; 4])]), Stream(&[FrameSizeError])),
        ("6.4: RST_STREAM on stream 0", frame(RST_STREAM, 0, 0, &[0; 4]), Connection(&[ProtocolError])),
        (
            "6.4: RST_STREAM of 3 bytes",
            then(&[half_closed(), frame(RST_STREAM, 0, 1, &[0; 3])]),
            Connection(&[FrameSizeError]),
        ),
        ("6.5: SETTINGS on a stream", frame(SETTINGS, 0, 1, &[]), Connection(&[ProtocolError])),
        ("6.5: SETTINGS of 3 bytes", frame(SETTINGS, 0, 0, &[0; 3]), Connection(&[FrameSizeError])),
        ("6.5: SETTINGS ACK that says something", frame(SETTINGS, ACK, 0, &[0; 6]), Connection(&[FrameSizeError])),
        ("6.5.2: ENABLE_PUSH is 0 or 1", setting(2, 2), Connection(&[ProtocolError])),
        ("6.5.2: INITIAL_WINDOW_SIZE above 2^31-1", setting(4, 1 << 31), Connection(&[FlowControlError])),
        ("6.5.2: MAX_FRAME_SIZE below 2^14", setting(5, 16_383), Connection(&[ProtocolError])),
        ("6.5.2: MAX_FRAME_SIZE above 2^24-1", setting(5, 1 << 24), Connection(&[ProtocolError])),
        ("6.5.2: unknown settings are passed over", setting(0xbeef, 7), Alive),
        (
            "6.6: a client pushes nothing",
            then(&[half_closed(), frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2])]),
            Connection(&[ProtocolError]),
        ),
        ("6.7: PING on a stream", frame(PING, 0, 1, &[0; 8]), Connection(&[ProtocolError])),
        ("6.7: PING of 6 bytes", frame(PING, 0, 0, &[0; 6]), Connection(&[FrameSizeError])),
        ("6.7: PING that was not asked for", frame(PING, ACK, 0, &[1; 8]), Alive),
        ("6.8: GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8]), Connection(&[ProtocolError])),
        ("6.9: WINDOW_UPDATE of nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4]), Connection(&[ProtocolError])),
        (
            "6.9: of nothing on a stream",
            then(&[half_closed(), frame(WINDOW_UPDATE, 0, 1, &[0; 4])]),
            Stream(&[ProtocolError]),
        ),
        ("6.9: WINDOW_UPDATE of 3 bytes", frame(WINDOW_UPDATE, 0, 0, &[0; 3]), Connection(&[FrameSizeError])),
        (
            "6.9.1: a window above 2^31-1",
            frame(WINDOW_UPDATE, 0, 0, &[0x7f, 255, 255, 255]),
            Connection(&[FlowControlError]),
        ),
        (
            "6.9.1: a stream's window above 2^31-1",
            then(&[
                half_closed(),
                frame(WINDOW_UPDATE, 0, 1, &[0x7f, 255, 255, 255]),
                frame(WINDOW_UPDATE, 0, 1, &[0x7f, 255, 255, 255]),
            ]),
            Stream(&[FlowControlError]),
        ),
        ("6.10: CONTINUATION on stream 0", frame(CONTINUATION, END_HEADERS, 0, &[]), Connection(&[ProtocolError])),
        (
            "6.10: CONTINUATION of nothing",
            then(&[half_closed(), frame(CONTINUATION, END_HEADERS, 1, &[])]),
            Connection(&[ProtocolError]),
        ),
        (
            "6.10: another frame within a header block",
            then(&[frame(HEADERS, END_STREAM, 1, &request("GET", MOD)), frame(PING, 0, 0, &[0; 8])]),
            Connection(&[ProtocolError]),
        ),
        (
            "6.10: one of an unknown kind",
            then(&[frame(HEADERS, END_STREAM, 1, &request("GET", MOD)), frame(0xbe, 0, 1, &[])]),
            Connection(&[ProtocolError]),
        ),
        (
            "6.10: of another stream",
            then(&[frame(HEADERS, END_STREAM, 1, &request("GET", MOD)), frame(CONTINUATION, END_HEADERS, 3, &[])]),
            Connection(&[ProtocolError]),
        ),
        (
            "6.10: a header block in pieces",
            then(&[
                frame(HEADERS, END_STREAM, 1, &request("GET", "/nothing")[..9]),
                frame(CONTINUATION, 0, 1, &request("GET", "/nothing")[9..20]),
                frame(CONTINUATION, END_HEADERS, 1, &request("GET", "/nothing")[20..]),
            ]),
            Answer(404),
        ),
    ]);
}

#[test]
fn streams() {
    let reset = then(&[open(), frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes())]);
    run(vec![
        ("5.1: DATA on an idle stream", frame(DATA, END_STREAM, 1, b"x"), Connection(&[ProtocolError])),
        ("5.1: RST_STREAM on an idle stream", frame(RST_STREAM, 0, 1, &[0; 4]), Connection(&[ProtocolError])),
        (
            "5.1: WINDOW_UPDATE on an idle stream",
            frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]),
            Connection(&[ProtocolError]),
        ),
        ("5.1: CONTINUATION on an idle stream", frame(CONTINUATION, END_HEADERS, 1, &[]), Connection(&[ProtocolError])),
        ("5.1: PRIORITY on an idle stream", frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]), Alive),
        (
            "5.1: DATA on a half-closed stream",
            then(&[half_closed(), frame(DATA, END_STREAM, 1, b"x")]),
            Stream(&[StreamClosed]),
        ),
        ("5.1: HEADERS on a half-closed stream", then(&[half_closed(), half_closed()]), Stream(&[StreamClosed])),
        (
            "5.1: WINDOW_UPDATE on a half-closed stream",
            then(&[half_closed(), frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])]),
            Alive,
        ),
        (
            "5.1: PRIORITY on a half-closed stream",
            then(&[half_closed(), frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1])]),
            Alive,
        ),
        (
            "5.1: RST_STREAM on a half-closed stream",
            then(&[half_closed(), frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])]),
            Alive,
        ),
        (
            "5.1: DATA on a stream that was reset",
            then(&[reset.clone(), frame(DATA, END_STREAM, 1, b"x")]),
            Stream(&[StreamClosed]),
        ),
        (
            "5.1: HEADERS on a stream that was reset",
            then(&[reset.clone(), half_closed()]),
            Stream(&[StreamClosed, ProtocolError]),
        ),
        (
            "5.1: PRIORITY on a stream that was reset",
            then(&[reset.clone(), frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1])]),
            Alive,
        ),
        (
            "5.1: WINDOW_UPDATE on a stream that was reset",
            then(&[reset, frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])]),
            Alive,
        ),
        (
            "5.1.1: a stream with an even number",
            frame(HEADERS, WHOLE, 2, &request("GET", MOD)),
            Connection(&[ProtocolError]),
        ),
        (
            "5.1.1: numbers that fall",
            then(&[frame(HEADERS, WHOLE, 5, &request("GET", ZIP)), frame(HEADERS, WHOLE, 3, &request("GET", ZIP))]),
            Connection(&[ProtocolError]),
        ),
        (
            "5.1.2: more streams than allowed",
            // The server's SETTINGS may be on their way still: one that is over is refused either way.
            (0..20).flat_map(|number| frame(HEADERS, WHOLE, 2 * number + 1, &request("GET", ZIP))).collect(),
            Stream(&[RefusedStream, ProtocolError]),
        ),
        (
            "5.3: HEADERS that depends on itself",
            {
                let payload = [&[0, 0, 0, 1, 1][..], &request("GET", MOD)].concat();
                frame(HEADERS, WHOLE | 0x20, 1, &payload)
            },
            Stream(&[ProtocolError]),
        ),
        (
            "5.3: PRIORITY that depends on itself",
            then(&[half_closed(), frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 1])]),
            Stream(&[ProtocolError]),
        ),
        ("5.5: an unknown frame on a stream", then(&[half_closed(), frame(0xbe, 0, 1, b"x")]), Alive),
        ("8.1: HEADERS that are no trailers", then(&[open(), open()]), Stream(&[ProtocolError])),
    ]);
}

#[test]
fn trailers() {
    let ends = |flags, payload: &[u8]| then(&[open(), frame(DATA, 0, 1, b"[]"), frame(HEADERS, flags, 1, payload)]);
    let path = block([(":path", "/")]);
    // Sets a field into the table, where it is 62 (0xbe).
    let table = [request("POST", "/-/warm"), vec![0x40, 1, b'x', 1, b'y']].concat();
    let table = frame(HEADERS, END_HEADERS, 1, &table);
    run(vec![
        ("8.1: of a field", ends(WHOLE, &block([("x", "y")])), Answer(200)),
        ("8.1: of nothing", ends(WHOLE, &[]), Answer(200)),
        ("8.1: with a pseudo-header field", ends(WHOLE, &path), Stream(&[ProtocolError])),
        ("8.1: after a field", ends(WHOLE, &[block([("x", "y")]), path.clone()].concat()), Stream(&[ProtocolError])),
        ("8.1: padded", ends(WHOLE | PADDED, &[&[2][..], &path, &[0, 0]].concat()), Stream(&[ProtocolError])),
        ("8.1: one of the static table", ends(WHOLE, &[0x84]), Stream(&[ProtocolError])),
        (
            "8.1: in pieces",
            then(&[ends(END_STREAM, &path[..4]), frame(CONTINUATION, END_HEADERS, 1, &path[4..])]),
            Stream(&[ProtocolError]),
        ),
        (
            "RFC 7541 4.2: a change of the table's size first",
            ends(WHOLE, &[&[0x20][..], &block([("x", "y")])].concat()),
            Answer(200),
        ),
        (
            "and a pseudo-header field",
            ends(WHOLE, &[&[0x3f, 0xe1, 0x1f][..], &path].concat()),
            Stream(&[ProtocolError]),
        ),
        (
            "RFC 7541 2.3.3: a field of the table",
            then(&[table.clone(), frame(HEADERS, WHOLE, 1, &[0xbe])]),
            Answer(400),
        ),
        (
            "RFC 7541 2.3.3: nothing else is in it",
            then(&[table, frame(HEADERS, WHOLE, 1, &[0xbe]), frame(HEADERS, WHOLE, 3, &[0xbf])]),
            Connection(&[CompressionError]),
        ),
        (
            "another request in between",
            then(&[open(), frame(HEADERS, WHOLE, 3, &request("GET", ZIP)), frame(HEADERS, WHOLE, 1, &path)]),
            Stream(&[ProtocolError]),
        ),
        ("5.3: that depend on themselves", ends(WHOLE | 0x20, &[0, 0, 0, 1, 1]), Stream(&[ProtocolError])),
    ]);
}

#[test]
fn requests() {
    let upper = with(&[("X-Upper", "1")]);
    run(vec![
        ("8.2.1: a name in capitals", upper, Stream(&[ProtocolError])),
        ("8.2.1: a value with a line break", with(&[("x", "a\r\nb")]), Stream(&[ProtocolError])),
        ("8.2.2: connection", with(&[("connection", "keep-alive")]), Stream(&[ProtocolError])),
        ("8.2.2: transfer-encoding", with(&[("transfer-encoding", "chunked")]), Stream(&[ProtocolError])),
        ("8.2.2: te that is not trailers", with(&[("te", "trailers, deflate")]), Stream(&[ProtocolError])),
        ("8.2.2: te: trailers", with(&[("te", "trailers")]), Answer(200)),
        ("8.3: a pseudo-header field that is unknown", with(&[(":test", "x")]), Stream(&[ProtocolError])),
        ("8.3: one of an answer", with(&[(":status", "200")]), Stream(&[ProtocolError])),
        (
            "8.3: one after a field",
            only(&[(":method", "GET"), (":scheme", "http"), ("x", "y"), (":path", "/")]),
            Stream(&[ProtocolError]),
        ),
        ("8.3.1: no method", only(&[(":scheme", "http"), (":path", "/")]), Stream(&[ProtocolError])),
        ("8.3.1: no scheme", only(&[(":method", "GET"), (":path", "/")]), Stream(&[ProtocolError])),
        ("8.3.1: no path", only(&[(":method", "GET"), (":scheme", "http")]), Stream(&[ProtocolError])),
        (
            "8.3.1: no path, and an authority",
            only(&[(":method", "GET"), (":scheme", "http"), (":authority", "goproxy.example.com")]),
            Stream(&[ProtocolError]),
        ),
        (
            "8.3.1: an empty path",
            only(&[(":method", "GET"), (":scheme", "http"), (":path", "")]),
            Stream(&[ProtocolError]),
        ),
        ("8.3.1: two methods", with_twice((":method", "GET")), Stream(&[ProtocolError])),
        ("8.3.1: two schemes", with_twice((":scheme", "http")), Stream(&[ProtocolError])),
        ("8.3.1: two paths", with_twice((":path", "/")), Stream(&[ProtocolError])),
        (
            "8.1.1: a body that is not as long as it says",
            then(&[
                frame(HEADERS, END_HEADERS, 1, &[request("POST", "/"), block([("content-length", "1")])].concat()),
                frame(DATA, END_STREAM, 1, b"test"),
            ]),
            Stream(&[ProtocolError]),
        ),
        (
            "8.1.1: in several frames",
            then(&[
                frame(HEADERS, END_HEADERS, 1, &[request("POST", "/"), block([("content-length", "1")])].concat()),
                frame(DATA, 0, 1, b"test"),
                frame(DATA, END_STREAM, 1, b"test"),
            ]),
            Stream(&[ProtocolError]),
        ),
        (
            "8.1: a body and trailers",
            then(&[
                frame(HEADERS, END_HEADERS, 1, &request("POST", "/")),
                frame(DATA, 0, 1, b"test"),
                frame(HEADERS, WHOLE, 1, &block([("x", "y")])),
            ]),
            Answer(405),
        ),
        ("HEAD", frame(HEADERS, WHOLE, 1, &request("HEAD", MOD)), Answer(200)),
        ("8.5: CONNECT", only(&[(":method", "CONNECT"), (":authority", "x:443")]), Answer(405)),
    ]);
}

fn with_twice(field: (&str, &str)) -> Vec<u8> {
    only(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), field])
}

#[test]
fn compression() {
    run(vec![
        ("RFC 7541 2.3.3: an index that is not there", hpack(&[0xff, 0x7f]), Connection(&[CompressionError])),
        ("6.1: index 0", hpack(&[0x80]), Connection(&[CompressionError])),
        (
            "5.1: a number without end",
            hpack(&[0x7f, 255, 255, 255, 255, 255, 255, 255]),
            Connection(&[CompressionError]),
        ),
        ("5.2: a string that is longer than the block", hpack(&[0, 50, b'x']), Connection(&[CompressionError])),
        (
            "5.2: Huffman padding of more than 7 bits",
            hpack(&[0, 0x82, 0x1f, 0xff, 0x81, 0x1f]),
            Connection(&[CompressionError]),
        ),
        ("5.2: Huffman padding of zeros", hpack(&[0, 0x81, 0x18, 0x81, 0x1f]), Connection(&[CompressionError])),
        ("5.2: the symbol EOS", hpack(&[0, 0x84, 255, 255, 255, 255, 0x81, 0x1f]), Connection(&[CompressionError])),
        (
            "4.2: a table larger than allowed",
            frame(HEADERS, WHOLE, 1, &[&[0x3f, 0xe2, 0x7f][..], &request("GET", MOD)].concat()),
            Connection(&[CompressionError]),
        ),
        ("4.2: a change of the table's size after fields", hpack(&[0x20]), Connection(&[CompressionError])),
        ("4.2: before them", frame(HEADERS, WHOLE, 1, &[&[0x20][..], &request("GET", MOD)].concat()), Answer(200)),
        ("indexed fields", frame(HEADERS, WHOLE, 1, &[0x82, 0x86, 0x84, 0x01, 1, b'h']), Answer(200)),
    ]);
}

#[test]
fn windows() {
    let served = Served::new(|_| {});
    // No room: the head comes, nothing else.
    let mut client = Client::with_window(served.connect(), 0);
    client.frame(HEADERS, WHOLE, 1, &request("GET", MOD));
    client.until(|frame| frame.kind == HEADERS);
    client.frame(PING, 0, 0, &[0; 8]);
    assert_eq!(client.until(|frame| matches!(frame.kind, DATA | PING)).kind, PING);
    // Room for one byte, by WINDOW_UPDATE and by SETTINGS (section 6.9.2).
    client.frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]);
    assert_eq!(client.until(|frame| frame.kind == DATA).payload.len(), 1);
    client.send(&setting(4, 2));
    assert_eq!(client.until(|frame| frame.kind == DATA).payload.len(), 2);
    // A window may become negative, and then has to be made good.
    client.send(&setting(4, 0));
    client.frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 3]);
    assert_eq!(client.until(|frame| frame.kind == DATA).payload.len(), 1);
    client.send(&setting(4, 1000));
    let rest = client.until(|frame| frame.kind == DATA);
    assert!(rest.flags & END_STREAM != 0 && rest.payload.ends_with(b"go 1.21\n"), "{rest:?}");
}

#[test]
fn the_preface() {
    let served = Served::new(|_| {});
    // Its first bytes made it HTTP/2; what follows is none.
    let mut client = Client::new(served.connect());
    let settings = client.next().unwrap();
    assert_eq!((settings.kind, settings.flags), (SETTINGS, 0), "the server's preface");
    client.until(|frame| frame.kind == SETTINGS && frame.flags == ACK);
    // One that goes wrong is HTTP/1.1 that goes wrong.
    assert_eq!(served.ask("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").status, 400);
    served.still_serves();
}
