//! Looking at the frames of a connection somebody else speaks.

use std::collections::BTreeMap;

use super::{FRAME_HEADER_LEN, Frame, FrameError, FrameHeader, FrameKind, MAX_MAX_FRAME_SIZE, PREFACE};

/// Octets of one control frame that a tap keeps. Longer GOAWAYs are cut off here, other frames are not read.
const KEEP: usize = 4096;

/// Reads one direction of a connection without taking part in it.
///
/// Of every frame it reports the header. It also reads the small control frames SETTINGS, RST_STREAM, GOAWAY, PING
/// and WINDOW_UPDATE; the payloads of all others pass without being kept, so it needs a few kilobytes at most. A
/// client's preface at the very start is recognised and skipped.
///
/// It is made for one direction from its first byte on. Where a stream is not HTTP/2 at all, it will show as frames
/// that make no sense: the first frame of each side has to be SETTINGS (RFC 9113, section 3.4).
#[derive(Debug)]
pub struct FrameTap {
    state: State,
    max_frame_size: u32,
    counts: TapCounts,
}

#[derive(Debug)]
enum State {
    /// This many octets of the preface have been seen.
    Preface(usize),
    /// Some octets of a header.
    Header { have: usize, bytes: [u8; FRAME_HEADER_LEN] },
    /// Inside a payload: `left` octets are to come, `kept` is what was kept of it.
    Payload { header: FrameHeader, left: u32, kept: Vec<u8> },
    /// Out of step.
    Lost,
}

const BEFORE_HEADER: State = State::Header { have: 0, bytes: [0; FRAME_HEADER_LEN] };

/// What a tap saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TapEvent {
    /// The client's preface has passed.
    Preface,
    /// A header has passed; its payload follows, if it has one. The matching [`TapEvent::Frame`] tells when that has
    /// passed too.
    Header(FrameHeader),
    /// A frame has passed.
    Frame {
        /// Its header.
        header: FrameHeader,
        /// The frame, if it is one of the small control frames and without error. Of a GOAWAY with more than
        /// 4,088 octets of debug data, only those.
        frame: Option<Frame>,
        /// What is wrong with it, where it is one that is read and has an error.
        error: Option<FrameError>,
    },
    /// A header announces more than the limit: the tap is out of step, or this is not HTTP/2. Nothing follows.
    Lost(FrameHeader),
}

/// What passed in total.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TapCounts {
    /// All octets, preface included.
    pub bytes: u64,
    /// Frames that have passed entirely, by kind.
    pub frames: BTreeMap<FrameKind, u64>,
    /// Octets of DATA payload, padding included.
    pub data_bytes: u64,
    /// Octets of HEADERS, PUSH_PROMISE and CONTINUATION payload.
    pub header_bytes: u64,
}

impl TapCounts {
    /// Frames of one kind that have passed entirely.
    pub fn frames_of(&self, kind: FrameKind) -> u64 {
        self.frames.get(&kind).copied().unwrap_or(0)
    }
}

impl FrameTap {
    /// A tap that believes any length a header can say, up to 2^24-1 octets.
    pub fn new() -> Self {
        Self::with_max_frame_size(MAX_MAX_FRAME_SIZE)
    }

    /// A tap that takes a header with a longer payload than this, in octets, as a sign of being out of step.
    pub fn with_max_frame_size(max_frame_size: u32) -> Self {
        Self { state: State::Preface(0), max_frame_size, counts: TapCounts::default() }
    }

    /// Totals so far.
    pub fn counts(&self) -> &TapCounts {
        &self.counts
    }

    /// Whether the tap is between two frames, or at the start: where a stream may end without cutting one off.
    pub fn is_between_frames(&self) -> bool {
        matches!(self.state, State::Preface(0) | State::Header { have: 0, .. })
    }

    /// Looks at bytes that pass, and calls `on` for each thing they complete, in order.
    pub fn push(&mut self, mut bytes: &[u8], mut on: impl FnMut(TapEvent)) {
        self.counts.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            bytes = self.step(bytes, &mut on);
        }
    }

    /// [`FrameTap::push`], with the events in a list.
    pub fn events(&mut self, bytes: &[u8]) -> Vec<TapEvent> {
        let mut events = Vec::new();
        self.push(bytes, |event| events.push(event));
        events
    }

    /// Moves on by some octets of `bytes`, which is not empty, or to another state, and gives the rest.
    fn step<'a>(&mut self, bytes: &'a [u8], on: &mut impl FnMut(TapEvent)) -> &'a [u8] {
        match &mut self.state {
            State::Preface(seen) => {
                let same = bytes.iter().zip(&PREFACE[*seen..]).take_while(|(a, b)| a == b).count();
                let have = *seen + same;
                if have == PREFACE.len() {
                    self.state = BEFORE_HEADER;
                    on(TapEvent::Preface);
                } else if same == bytes.len() {
                    self.state = State::Preface(have);
                } else {
                    // Not a preface after all. What looked like one was the start of the first frames.
                    self.state = BEFORE_HEADER;
                    let mut again = &PREFACE[..have];
                    while !again.is_empty() {
                        again = self.step(again, on);
                    }
                }
                &bytes[same..]
            }
            State::Header { have, bytes: header } => {
                let take = bytes.len().min(FRAME_HEADER_LEN - *have);
                header[*have..*have + take].copy_from_slice(&bytes[..take]);
                *have += take;
                if *have == FRAME_HEADER_LEN {
                    let header = FrameHeader::decode(header);
                    self.begin(header, on);
                }
                &bytes[take..]
            }
            State::Payload { header, left, kept } => {
                let take = bytes.len().min(*left as usize);
                if is_read(header.kind) {
                    let room = KEEP.saturating_sub(kept.len()).min(take);
                    kept.extend_from_slice(&bytes[..room]);
                }
                match header.kind {
                    FrameKind::Data => self.counts.data_bytes += take as u64,
                    FrameKind::Headers | FrameKind::PushPromise | FrameKind::Continuation => {
                        self.counts.header_bytes += take as u64;
                    }
                    _ => {}
                }
                *left -= take as u32;
                if *left == 0 {
                    let (header, kept) = (*header, std::mem::take(kept));
                    self.end(header, &kept, on);
                }
                &bytes[take..]
            }
            State::Lost => &[],
        }
    }

    fn begin(&mut self, header: FrameHeader, on: &mut impl FnMut(TapEvent)) {
        if header.length > self.max_frame_size {
            self.state = State::Lost;
            on(TapEvent::Lost(header));
            return;
        }
        on(TapEvent::Header(header));
        if header.length == 0 {
            self.end(header, &[], on);
        } else {
            self.state = State::Payload { header, left: header.length, kept: Vec::new() };
        }
    }

    fn end(&mut self, header: FrameHeader, kept: &[u8], on: &mut impl FnMut(TapEvent)) {
        self.state = BEFORE_HEADER;
        *self.counts.frames.entry(header.kind).or_default() += 1;
        let whole = kept.len() == header.length as usize;
        let (frame, error) = if is_read(header.kind) && (whole || header.kind == FrameKind::GoAway) {
            // A GOAWAY that was cut off is read as if it had been as long as what was kept.
            let shown = FrameHeader { length: kept.len() as u32, ..header };
            match Frame::decode(shown, kept) {
                Ok(frame) => (Some(frame), None),
                Err(error) => (None, Some(FrameError { header, ..error })),
            }
        } else {
            (None, None)
        };
        on(TapEvent::Frame { header, frame, error });
    }
}

impl Default for FrameTap {
    fn default() -> Self {
        Self::new()
    }
}

fn is_read(kind: FrameKind) -> bool {
    matches!(
        kind,
        FrameKind::Settings | FrameKind::RstStream | FrameKind::GoAway | FrameKind::Ping | FrameKind::WindowUpdate
    )
}
