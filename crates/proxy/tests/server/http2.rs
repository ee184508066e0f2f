//! A client of HTTP/2 that writes its frames by hand (RFC 9113 section 4.1).

use std::io::{Read, Write};
use std::net::TcpStream;

use goferry_wire::h2::ErrorCode;
use goferry_wire::hpack::{Decoder, DecoderLimits};

use crate::world::timed_out;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;

/// A frame that came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
    /// Of HEADERS.
    pub(crate) status: Option<u16>,
}

impl Frame {
    /// The four bytes from `at` on.
    pub(crate) fn word(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap()) & 0x7fff_ffff
    }

    /// The error of a GOAWAY or RST_STREAM.
    pub(crate) fn error(&self) -> Option<ErrorCode> {
        match self.kind {
            GOAWAY => Some(ErrorCode::from(self.word(4))),
            RST_STREAM => Some(ErrorCode::from(self.word(0))),
            _ => None,
        }
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A header block: every field a literal that is not indexed (RFC 7541 section 6.2.2).
pub(crate) fn block<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            let mut length = text.len();
            if length < 127 {
                block.push(u8::try_from(length).unwrap());
            } else {
                block.push(127);
                length -= 127;
                while length >= 128 {
                    block.push((length % 128) as u8 | 128);
                    length /= 128;
                }
                block.push(u8::try_from(length).unwrap());
            }
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

pub(crate) fn request(method: &str, path: &str) -> Vec<u8> {
    block([(":method", method), (":scheme", "http"), (":authority", "goproxy.example.com"), (":path", path)])
}

/// A connection; its preface is sent, and SETTINGS are acknowledged as they come.
pub(crate) struct Client<S: Read + Write = TcpStream> {
    io: S,
    hpack: Decoder,
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn new(io: S) -> Client<S> {
        Self::with_window(io, 65_535)
    }

    /// With this window for each stream.
    pub(crate) fn with_window(mut io: S, window: u32) -> Client<S> {
        let mut setting = vec![0, 4];
        setting.extend(window.to_be_bytes());
        let _ = io.write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &setting)].concat());
        Client { io, hpack: Decoder::new(DecoderLimits::default()) }
    }

    /// Only reads; somebody else writes.
    pub(crate) fn reader(io: S) -> Client<S> {
        Client { io, hpack: Decoder::new(DecoderLimits::default()) }
    }

    pub(crate) fn io(&mut self) -> &mut S {
        &mut self.io
    }

    /// Sends bytes; whether they are taken does not matter, what is answered does.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.io.write_all(bytes).and_then(|()| self.io.flush()).is_ok()
    }

    pub(crate) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.send(&frame(kind, flags, stream, payload))
    }

    /// The next frame; `None` where the connection is over.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        read(&mut self.io, &mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
        let mut payload = vec![0; length];
        read(&mut self.io, &mut payload)?;
        let mut frame = Frame { kind: head[3], flags: head[4], stream, payload, status: None };
        if frame.kind == HEADERS {
            let fields = self.hpack.decode(&frame.payload).unwrap();
            let status = fields.iter().find(|field| field.name == b":status").unwrap();
            frame.status = Some(std::str::from_utf8(&status.value).unwrap().parse().unwrap());
        }
        if frame.kind == SETTINGS && frame.flags & ACK == 0 {
            self.frame(SETTINGS, ACK, 0, &[]);
        }
        if frame.kind == PING && frame.flags & ACK == 0 {
            self.frame(PING, ACK, 0, &frame.payload);
        }
        Some(frame)
    }

    /// The first such frame.
    pub(crate) fn until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let frame = self.next().expect("the connection is over, and it has not come");
            if wanted(&frame) {
                return frame;
            }
        }
    }

    /// The first such frame; `None` where the connection is over before.
    pub(crate) fn next_of(&mut self, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        std::iter::from_fn(|| self.next()).find(wanted)
    }

    /// All that come to the end.
    pub(crate) fn until_closed(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.next()).collect()
    }

    /// Still there?
    pub(crate) fn ping(&mut self) {
        self.frame(PING, 0, 0, b"goferry!");
        let pong = self.until(|frame| frame.kind == PING && frame.flags & ACK != 0);
        assert_eq!(pong.payload, b"goferry!");
    }

    /// Asks, reads the answer to its end and gives its status.
    pub(crate) fn get(&mut self, stream: u32, path: &str) -> u16 {
        self.frame(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", path));
        self.status(stream)
    }

    /// Reads the answer on a stream to its end and gives its status.
    pub(crate) fn status(&mut self, stream: u32) -> u16 {
        let head = self.until(|frame| frame.kind == HEADERS && frame.stream == stream);
        if head.flags & END_STREAM == 0 {
            self.until(|frame| frame.stream == stream && frame.kind == DATA && frame.flags & END_STREAM != 0);
        }
        head.status.unwrap_or_default()
    }
}

fn read(io: &mut impl Read, mut buffer: &mut [u8]) -> Option<()> {
    while !buffer.is_empty() {
        match io.read(buffer) {
            Ok(0) => return None,
            Ok(count) => buffer = &mut buffer[count..],
            Err(error) if timed_out(&error) => panic!("nothing came: {error}"),
            Err(_) => return None,
        }
    }
    Some(())
}
