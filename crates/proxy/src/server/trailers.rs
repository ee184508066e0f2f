//! Trailers of a request: they may hold no pseudo-header field (RFC 9113 section 8.1), and the `h2` library passes over one
//! that they hold. It refuses one that comes after a field. So here a field is set before them.
//!
//! Only the library knows what a header block says, and what is set into it here leaves its table alone. As long as no body
//! is under way on a connection, which is always so with go commands, its bytes are not looked at, and not copied.
//!
//! Passed over is still: a block that is cut, by a CONTINUATION frame, within changes of the table's size at its beginning.

use std::collections::BTreeSet;

use bytes::{Buf as _, BytesMut};
use tokio::io::ReadBuf;

use super::frames::{CONTINUATION, END_HEADERS, HEAD, HEADERS, Head, RST_STREAM};

/// A kind of frames, and flags (RFC 9113 sections 6.1 and 6.2).
const DATA: u8 = 0;
const END_STREAM: u8 = 1;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;
/// Bytes of a priority.
const PRIORITY_BYTES: usize = 5;
/// A frame may not be larger (`SETTINGS_MAX_FRAME_SIZE`): what is, the library refuses.
const LARGEST: usize = 1 << 14;
/// The field `x` with no value, a literal that is not indexed (RFC 7541 section 6.2.2).
const FIELD: [u8; 4] = [0, 1, b'x', 0];

/// The bytes of a connection from where a body begins to where none is under way.
#[derive(Default)]
pub(super) struct Trailers {
    /// Streams whose body is under way. The server may have ended them.
    open: BTreeSet<u32>,
    /// How many are remembered.
    limit: usize,
    /// What came of a frame that has to be looked at as a whole.
    held: Vec<u8>,
    /// Bytes of a payload to come that is not looked at.
    left: usize,
    /// To be read by the library.
    out: BytesMut,
}

impl Trailers {
    /// For a connection with `streams` streams at once.
    pub(super) fn new(streams: usize) -> Trailers {
        Trailers { limit: streams.max(1), ..Trailers::default() }
    }

    /// Whether a request with this head has a body, so that all from its payload on has to come here.
    pub(super) fn begins(head: &Head) -> bool {
        head.kind() == HEADERS && head.flags() & END_STREAM == 0
    }

    /// A body begins: the payload of this head comes next.
    pub(super) fn begin(&mut self, head: &Head) {
        self.left = head.length();
        self.opened(head.stream());
    }

    /// Whether what is read has to come here.
    pub(super) fn watching(&self) -> bool {
        !self.open.is_empty() || self.left > 0 || !self.held.is_empty()
    }

    /// What was read.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let pass = self.left.min(bytes.len());
                self.out.extend_from_slice(&bytes[..pass]);
                self.left -= pass;
                bytes = &bytes[pass..];
                continue;
            }
            let wanted = match self.held.first_chunk::<HEAD>() {
                Some(head) => HEAD + Head(*head).length(),
                None => HEAD,
            };
            let take = (wanted - self.held.len()).min(bytes.len());
            self.held.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            self.look();
        }
    }

    /// Moves what there is; whether that was anything.
    pub(super) fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let count = self.out.len().min(buffer.remaining());
        if count == 0 {
            return false;
        }
        buffer.put_slice(&self.out[..count]);
        self.out.advance(count);
        if self.out.is_empty() && !self.watching() {
            (self.held, self.out) = (Vec::new(), BytesMut::new());
        }
        true
    }

    /// Looks at what is held, and lets it go where it is whole.
    fn look(&mut self) {
        let Some(head) = self.held.first_chunk::<HEAD>().map(|head| Head(*head)) else { return };
        let trailers = head.kind() == HEADERS && head.length() <= LARGEST && self.open.contains(&head.stream());
        if !trailers {
            match head.kind() {
                HEADERS if Trailers::begins(&head) => self.opened(head.stream()),
                DATA if head.flags() & END_STREAM != 0 => _ = self.open.remove(&head.stream()),
                RST_STREAM => _ = self.open.remove(&head.stream()),
                _ => {}
            }
            self.left = head.length();
        } else if self.held.len() < HEAD + head.length() {
            return;
        } else {
            self.open.remove(&head.stream());
            if behind_a_field(&head, &self.held[HEAD..], &mut self.out).is_some() {
                self.held.clear();
                return;
            }
        }
        self.out.extend_from_slice(&self.held);
        self.held.clear();
    }

    fn opened(&mut self, stream: u32) {
        self.open.insert(stream);
        if self.open.len() > self.limit {
            self.open.pop_first();
        }
    }
}

/// Writes a HEADERS frame as two, the first with what comes before fields and a field, the second with the rest; `None`
/// where it is wrong, and the library says so.
fn behind_a_field(head: &Head, payload: &[u8], out: &mut BytesMut) -> Option<()> {
    let mut payload = payload;
    if head.flags() & PADDED != 0 {
        let (padding, rest) = payload.split_first()?;
        payload = rest.get(..rest.len().checked_sub(usize::from(*padding))?)?;
    }
    let priority = if head.flags() & PRIORITY != 0 { PRIORITY_BYTES } else { 0 };
    let (before, after) = payload.split_at(priority + size_updates(payload.get(priority..)?)?);
    let first = Head::new(before.len() + FIELD.len(), HEADERS, head.flags() & (END_STREAM | PRIORITY), head.stream());
    let second = Head::new(after.len(), CONTINUATION, head.flags() & END_HEADERS, head.stream());
    for bytes in [&first.0, before, &FIELD, &second.0, after] {
        out.extend_from_slice(bytes);
    }
    Some(())
}

/// The length of the changes of the table's size that a block begins with (RFC 7541 section 6.3): they come before all
/// fields. `None` where the bytes end within one.
fn size_updates(block: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(first) = block.get(at).filter(|first| *first >> 5 == 1) {
        at += 1;
        if first & 0x1f == 0x1f {
            at += block[at..].iter().position(|byte| byte & 0x80 == 0)? + 1;
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        [&Head::new(payload.len(), kind, flags, stream).0[..], payload].concat()
    }

    /// What the library is given after the head of a request with a body on stream 1, however it is cut.
    fn given(bytes: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        for cut in [1, 2, 8, 9, 10, 13, 1 << 20] {
            let mut trailers = Trailers::new(4);
            trailers.begin(&Head::new(3, HEADERS, END_HEADERS, 1));
            trailers.take(&[7, 7, 7]);
            let mut given = Vec::new();
            let mut room = [0; 20];
            for piece in bytes.chunks(cut) {
                trailers.take(piece);
                let mut buffer = ReadBuf::new(&mut room);
                while trailers.give(&mut buffer) {
                    given.extend_from_slice(buffer.filled());
                    buffer.clear();
                }
            }
            assert!(given.starts_with(&[7, 7, 7]));
            all.push(given.split_off(3));
        }
        assert!(all.iter().all(|one| *one == all[0]), "it depends on how it is cut: {all:?}");
        all.swap_remove(0)
    }

    #[test]
    fn trailers_come_behind_a_field() {
        let whole = END_HEADERS | END_STREAM;
        let body = frame(DATA, 0, 1, b"body");
        let split = |before: &[u8], flags, after: &[u8], end| {
            let first = frame(HEADERS, flags, 1, &[before, &FIELD].concat());
            [body.clone(), first, frame(CONTINUATION, end, 1, after)].concat()
        };
        let sent = |flags, payload: &[u8]| given(&[body.clone(), frame(HEADERS, flags, 1, payload)].concat());
        assert_eq!(sent(whole, b"\x83abc"), split(b"", END_STREAM, b"\x83abc", END_HEADERS));
        assert_eq!(sent(END_STREAM, b"\x83abc"), split(b"", END_STREAM, b"\x83abc", 0), "more of it follows");
        assert_eq!(sent(whole | PADDED, b"\x02\x83ab\0\0"), split(b"", END_STREAM, b"\x83ab", END_HEADERS));
        let both = END_STREAM | PRIORITY;
        assert_eq!(sent(whole | PRIORITY, b"\0\0\0\x03\x01\x83"), split(b"\0\0\0\x03\x01", both, b"\x83", END_HEADERS));
        let sizes = b"\x20\x3f\xe1\x1f";
        assert_eq!(sent(whole, &[&sizes[..], b"\x83"].concat()), split(sizes, END_STREAM, b"\x83", END_HEADERS));
        assert_eq!(sent(whole, b""), split(b"", END_STREAM, b"", END_HEADERS));
    }

    #[test]
    fn all_else_stays_as_it_is() {
        let whole = END_HEADERS | END_STREAM;
        let trailers = frame(HEADERS, whole, 1, b"\x83");
        for (name, before) in [
            ("of another stream", frame(HEADERS, whole, 3, b"\x83")),
            ("after the end of the body", [frame(DATA, END_STREAM, 1, b"x"), trailers.clone()].concat()),
            ("after a reset", [frame(RST_STREAM, 0, 1, &[0; 4]), trailers.clone()].concat()),
            ("more padding than payload", frame(HEADERS, whole | PADDED, 1, b"\x09\x83")),
            ("no padding's length", frame(HEADERS, whole | PADDED, 1, b"")),
            ("half a priority", frame(HEADERS, whole | PRIORITY, 1, b"\0\0")),
            ("a size without end", frame(HEADERS, END_STREAM, 1, b"\x3f\xff")),
            ("too large", frame(HEADERS, whole, 1, &[0x83; LARGEST + 1])),
        ] {
            assert_eq!(given(&before), before, "{name}");
        }
    }

    #[test]
    fn it_watches_while_there_are_bodies_and_remembers_a_limited_number() {
        let mut trailers = Trailers::new(4);
        assert!(!trailers.watching());
        trailers.begin(&Head::new(0, HEADERS, END_HEADERS, 1));
        assert!(trailers.watching());
        trailers.take(&frame(DATA, END_STREAM, 1, b"x"));
        assert!(!trailers.watching());
        trailers.begin(&Head::new(0, HEADERS, END_HEADERS, 3));
        for stream in 2..1000 {
            trailers.take(&frame(HEADERS, END_HEADERS, 2 * stream + 1, b""));
        }
        assert_eq!(trailers.open, BTreeSet::from([1993, 1995, 1997, 1999]));
        trailers.take(&[0]);
        for stream in [1993, 1995, 1997, 1999] {
            trailers.open.remove(&stream);
        }
        assert!(trailers.watching(), "a byte of a head is held");
    }
}
