//! Floods of frames: the connection ends with ENHANCE_YOUR_CALM, and the others do not feel it.

use std::thread;

use goferry_wire::h2::ErrorCode;

use crate::http2::WINDOW_UPDATE;
use crate::http2::{
    ACK, CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING, PRIORITY, RST_STREAM,
    SETTINGS, block, frame, request,
};
use crate::world::{MOD, Served, ZIP};

/// Frames that are sent at most; far less has to do.
const MANY: u32 = 60_000;

/// Sends what `frames` makes of 0, 1, 2, … until the server closes; gives the error of its GOAWAY.
fn flood(served: &Served, frames: impl Fn(u32) -> Vec<u8>) -> Option<ErrorCode> {
    let socket = served.connect();
    // What is answered is read all the while: it would wait behind the flood otherwise.
    let mut reader = Client::reader(socket.try_clone().unwrap());
    let reads = thread::spawn(move || reader.until_closed());
    let mut client = Client::new(socket);
    for first in (0..MANY).step_by(100) {
        let many: Vec<u8> = (first..first + 100).flat_map(&frames).collect();
        if !client.send(&many) {
            break;
        }
    }
    let last = reads.join().unwrap().into_iter().rfind(|frame| frame.kind == GOAWAY);
    last.as_ref().and_then(Frame::error)
}

#[test]
fn streams_that_are_reset_at_once() {
    let served = Served::new(|_| {});
    let error = flood(&served, |number| {
        let stream = 2 * number + 1;
        let mut bytes = frame(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", MOD));
        bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        bytes
    });
    assert_eq!(error, Some(ErrorCode::EnhanceYourCalm));
    served.still_serves();
}

#[test]
fn streams_that_are_reset_when_their_answer_has_begun() {
    let served = Served::new(|config| config.limits.resets = 100);
    let mut client = Client::new(served.connect());
    let mut answered = 0;
    for number in 0..200 {
        let stream = 2 * number + 1;
        client.frame(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", ZIP));
        // Not all at once: each is looked at before it is reset.
        let Some(frame) = std::iter::from_fn(|| client.next())
            .find(|frame| frame.kind == GOAWAY || frame.kind == HEADERS && frame.stream == stream)
        else {
            break;
        };
        if frame.kind == GOAWAY {
            assert_eq!(frame.error(), Some(ErrorCode::EnhanceYourCalm));
            assert!(answered >= 100, "{answered}");
            served.still_serves();
            return;
        }
        answered += 1;
        client.frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
    }
    panic!("{answered} streams were reset, and nothing was said");
}

#[test]
fn a_client_that_gives_up_now_and_then_is_not_thrown_out() {
    let served = Served::new(|_| {});
    let mut client = Client::new(served.connect());
    client.frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes());
    for number in 0..300 {
        let stream = 2 * number + 1;
        client.frame(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", ZIP));
        client.until(|frame| frame.kind == HEADERS && frame.stream == stream);
        client.frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
    }
    assert_eq!(client.get(601, "/nothing"), 404);
}

#[test]
fn control_frames() {
    let served = Served::new(|_| {});
    for (name, bytes) in [
        ("PING", frame(PING, 0, 0, &[0; 8])),
        ("PING with ACK", frame(PING, ACK, 0, &[0; 8])),
        ("SETTINGS", frame(SETTINGS, 0, 0, &[])),
        ("PRIORITY", frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1])),
    ] {
        let error = flood(&served, |_| bytes.clone());
        assert_eq!(error, Some(ErrorCode::EnhanceYourCalm), "{name}");
    }
    served.still_serves();
}

#[test]
fn header_blocks_without_end() {
    let served = Served::new(|_| {});
    let error = flood(&served, |number| match number {
        0 => frame(HEADERS, END_STREAM, 1, &request("GET", MOD)),
        _ => frame(CONTINUATION, 0, 1, &block([("x", "y")])),
    });
    assert_eq!(error, Some(ErrorCode::EnhanceYourCalm));
    let error = flood(&served, |number| match number {
        0 => frame(HEADERS, END_STREAM, 1, &request("GET", MOD)),
        _ => frame(CONTINUATION, 0, 1, &[]),
    });
    assert_eq!(error, Some(ErrorCode::EnhanceYourCalm));
    served.still_serves();
}

#[test]
fn small_pieces_of_a_body() {
    let served = Served::new(|_| {});
    let error = flood(&served, |number| match number {
        0 => frame(HEADERS, END_HEADERS, 1, &request("POST", "/-/warm")),
        _ => frame(DATA, 0, 1, &[]),
    });
    assert_eq!(error, Some(ErrorCode::EnhanceYourCalm));
    served.still_serves();
}

#[test]
fn heads_that_are_too_large() {
    let served = Served::new(|_| {});
    // One that is compressed to nothing (RFC 7541 section 7.3): one field of 4 kB, put into the table and named 2,000 times.
    let mut bomb = request("GET", MOD);
    bomb.extend([0x40, 1, b'x', 127, 0xa1, 0x1e]);
    bomb.extend([b'y'; 4000]);
    bomb.extend([0xbe; 2000]);
    let mut client = Client::new(served.connect());
    client.frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb);
    let answer = client.next_of(|frame| matches!(frame.kind, HEADERS | RST_STREAM | GOAWAY));
    assert!(answer.is_none_or(|frame| frame.status != Some(200)), "it was answered with 200");
    // One that is just too large is answered, and the connection goes on.
    let mut client = Client::new(served.connect());
    let large = "y".repeat(10_000);
    let mut fields = request("GET", MOD);
    for _ in 0..4 {
        fields.extend(block([("x", large.as_str())]));
    }
    let (first, rest) = fields.split_at(16_000);
    client.frame(HEADERS, END_STREAM, 1, first);
    let (second, third) = rest.split_at(16_000);
    client.frame(CONTINUATION, 0, 1, second);
    client.frame(CONTINUATION, END_HEADERS, 1, third);
    assert_eq!(client.status(1), 431);
    assert_eq!(client.get(3, MOD), 200);
    served.still_serves();
}
