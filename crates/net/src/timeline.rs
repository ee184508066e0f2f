//! What happened on one connection, in order: seen by a passive tap on its plain text, noted by the pool that drives it.
//!
//! The tap decodes frame headers and the small control frames whichever HTTP stack speaks; it takes no part. Counters
//! are exact; of events the newest [`KEPT`] stay.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use goferry_wire::h2::{Frame, FrameTap, TapEvent};
use serde::Serialize;
use tokio::time::Instant;

use crate::error::Phase;
use crate::io::Tap;
use crate::tcp_info::{TcpInfo, TcpWatch};

/// Events of one connection that are kept.
pub const KEPT: usize = 256;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A phase of opening it was done.
    Phase {
        /// Which.
        phase: Phase,
        /// How long it took.
        took: Duration,
    },
    /// The peer's SETTINGS.
    Settings {
        /// SETTINGS_MAX_CONCURRENT_STREAMS; `None` where the peer sets no limit.
        max_concurrent_streams: Option<u32>,
        /// SETTINGS_INITIAL_WINDOW_SIZE.
        initial_window: Option<u32>,
        /// SETTINGS_MAX_FRAME_SIZE.
        max_frame_size: Option<u32>,
    },
    /// GOAWAY from the peer.
    GoAway {
        /// The error code's name.
        code: String,
        /// The last stream that the peer has or will have answered.
        last_stream_id: u32,
    },
    /// RST_STREAM from the peer.
    Reset {
        /// The stream.
        stream_id: u32,
        /// The error code's name.
        code: String,
    },
    /// A PING was answered.
    Ping {
        /// The round trip, the peer's thinking included.
        round_trip: Duration,
    },
    /// Segments arrived out of order since the last such event.
    OutOfOrder {
        /// How many.
        segments: u32,
    },
    /// A request is sent again.
    Retry {
        /// Why.
        why: String,
    },
    /// It takes no more requests.
    Draining {
        /// Why.
        why: String,
    },
    /// It is over.
    Closed {
        /// Why.
        why: String,
    },
}

/// An event and when it happened, counted from the start of dialling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Timed {
    /// Since dialling began.
    pub at: Duration,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// The events and counters of one connection.
#[derive(Debug)]
pub struct Timeline {
    number: u32,
    born: Instant,
    bytes_in: AtomicU64,
    frames_in: AtomicU64,
    last_read_us: AtomicU64,
    first_read_us: AtomicU64,
    requests: AtomicU64,
    resets: AtomicU64,
    retries: AtomicU64,
    settings_seen: AtomicU64,
    max_streams: AtomicU32,
    out_of_order: AtomicU32,
    segments_in: AtomicU32,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    events: VecDeque<Timed>,
    forgotten: u64,
    address: Option<SocketAddr>,
    http2: bool,
    watch: Option<TcpWatch>,
    round_trip: Option<Duration>,
    /// The least last stream id of the peer's GOAWAYs.
    goaway: Option<u32>,
    closed: Option<(Duration, String)>,
}

/// A connection at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    /// Number within the pool, from 1.
    pub number: u32,
    /// The peer's address.
    pub address: Option<SocketAddr>,
    /// HTTP/2, or HTTP/1.1.
    pub http2: bool,
    /// Since dialling began; to its end where it is over.
    pub age: Duration,
    /// Requests sent on it.
    pub requests: u64,
    /// Bytes of plain text that arrived.
    pub bytes_in: u64,
    /// Frames that arrived.
    pub frames_in: u64,
    /// RST_STREAM frames that arrived.
    pub resets: u64,
    /// Requests that were sent again because of it.
    pub retries: u64,
    /// The best known round trip.
    pub round_trip: Option<Duration>,
    /// Segments that arrived out of order.
    pub out_of_order: u32,
    /// Segments with data that arrived; not part of `goferry.timeline/1`.
    #[serde(skip)]
    pub segments_in: u32,
    /// Whether the peer sent GOAWAY.
    pub goaway: bool,
    /// Why it ended.
    pub closed: Option<String>,
    /// The newest events.
    pub events: Vec<Timed>,
    /// Older events that were let go.
    pub forgotten: u64,
}

impl Timeline {
    /// A timeline that begins now.
    #[must_use]
    pub fn new(number: u32) -> Arc<Timeline> {
        Arc::new(Timeline {
            number,
            born: Instant::now(),
            bytes_in: AtomicU64::new(0),
            frames_in: AtomicU64::new(0),
            last_read_us: AtomicU64::new(0),
            first_read_us: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            resets: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            settings_seen: AtomicU64::new(0),
            max_streams: AtomicU32::new(u32::MAX),
            out_of_order: AtomicU32::new(0),
            segments_in: AtomicU32::new(0),
            inner: Mutex::new(Inner::default()),
        })
    }

    /// Its number within the pool.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Notes an event.
    pub fn note(&self, event: Event) {
        let at = self.born.elapsed();
        if matches!(event, Event::Retry { .. }) {
            self.retries.fetch_add(1, Ordering::Relaxed);
        }
        let mut inner = self.lock();
        match &event {
            Event::GoAway { last_stream_id, .. } => {
                inner.goaway = Some(inner.goaway.map_or(*last_stream_id, |old| old.min(*last_stream_id)));
            }
            Event::Ping { round_trip } => {
                inner.round_trip = Some(inner.round_trip.map_or(*round_trip, |old| old.min(*round_trip)));
            }
            Event::Closed { why } if inner.closed.is_none() => {
                inner.closed = Some((at, why.clone()));
                // A watch holds the socket open.
                let last = inner.watch.take().and_then(|watch| watch.read());
                inner.round_trip = inner.round_trip.or(last.map(|info| info.rtt()));
            }
            _ => {}
        }
        if inner.events.len() == KEPT {
            inner.events.pop_front();
            inner.forgotten += 1;
        }
        inner.events.push_back(Timed { at, event });
    }

    /// Plain-text bytes that arrived.
    #[must_use]
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    /// Requests sent.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Since the last byte arrived, or since dialling began.
    #[must_use]
    pub fn quiet(&self) -> Duration {
        self.born.elapsed().saturating_sub(Duration::from_micros(self.last_read_us.load(Ordering::Relaxed)))
    }

    /// When the first byte arrived, since dialling began.
    #[must_use]
    pub fn first_read(&self) -> Option<Duration> {
        let at = self.first_read_us.load(Ordering::Relaxed);
        (at > 0).then(|| Duration::from_micros(at))
    }

    /// Since dialling began.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.born.elapsed()
    }

    /// Whether the peer's SETTINGS came.
    #[must_use]
    pub fn settings_seen(&self) -> bool {
        self.settings_seen.load(Ordering::Relaxed) > 0
    }

    /// The peer's SETTINGS_MAX_CONCURRENT_STREAMS; `u32::MAX` where it set none.
    #[must_use]
    pub fn max_streams(&self) -> u32 {
        self.max_streams.load(Ordering::Relaxed)
    }

    /// Whether the peer sent GOAWAY.
    #[must_use]
    pub fn goaway(&self) -> bool {
        self.lock().goaway.is_some()
    }

    /// The least last stream id of the peer's GOAWAYs; `None` where there was none.
    #[must_use]
    pub fn last_stream_id(&self) -> Option<u32> {
        self.lock().goaway
    }

    /// The socket's counters now; a change in out-of-order arrivals becomes an event.
    pub fn read_tcp(&self) -> Option<TcpInfo> {
        let info = self.lock().watch.as_ref().and_then(TcpWatch::read)?;
        self.segments_in.store(info.data_segs_in, Ordering::Relaxed);
        let before = self.out_of_order.swap(info.rcv_ooopack, Ordering::Relaxed);
        if info.rcv_ooopack > before {
            self.note(Event::OutOfOrder { segments: info.rcv_ooopack - before });
        }
        Some(info)
    }

    /// The best known round trip to the one who answers: a PING's where there was one, since a forward proxy may
    /// answer for TCP.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        let inner = self.lock();
        inner.round_trip.or_else(|| inner.watch.as_ref().and_then(TcpWatch::read).map(|info| info.rtt()))
    }

    /// The connection as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let round_trip = self.round_trip();
        let inner = self.lock();
        Snapshot {
            number: self.number,
            address: inner.address,
            http2: inner.http2,
            age: inner.closed.as_ref().map_or_else(|| self.born.elapsed(), |(at, _)| *at),
            requests: self.requests(),
            bytes_in: self.bytes_in(),
            frames_in: self.frames_in.load(Ordering::Relaxed),
            resets: self.resets.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            round_trip,
            out_of_order: self.out_of_order.load(Ordering::Relaxed),
            segments_in: self.segments_in.load(Ordering::Relaxed),
            goaway: inner.goaway.is_some(),
            closed: inner.closed.as_ref().map(|(_, why)| why.clone()),
            events: inner.events.iter().cloned().collect(),
            forgotten: inner.forgotten,
        }
    }

    pub(crate) fn opened(
        &self,
        address: SocketAddr,
        http2: bool,
        watch: Option<TcpWatch>,
        phases: &[(Phase, Duration)],
    ) {
        for (phase, took) in phases {
            self.note(Event::Phase { phase: *phase, took: *took });
        }
        let mut inner = self.lock();
        inner.address = Some(address);
        inner.http2 = http2;
        inner.watch = watch;
    }

    pub(crate) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// A request that was counted was never sent.
    pub(crate) fn uncount_request(&self) {
        let _ = self.requests.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| old.checked_sub(1));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn saw(&self, bytes: usize) {
        let now = u64::try_from(self.born.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
        self.last_read_us.store(now, Ordering::Relaxed);
        let _ = self.first_read_us.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn frame(&self, event: TapEvent) {
        let TapEvent::Frame { frame, .. } = event else { return };
        self.frames_in.fetch_add(1, Ordering::Relaxed);
        match frame {
            Some(Frame::Settings { ack: false, settings }) => {
                self.settings_seen.fetch_add(1, Ordering::Relaxed);
                if let Some(limit) = settings.max_concurrent_streams() {
                    self.max_streams.store(limit, Ordering::Relaxed);
                }
                self.note(Event::Settings {
                    max_concurrent_streams: settings.max_concurrent_streams(),
                    initial_window: settings.initial_window_size(),
                    max_frame_size: settings.max_frame_size(),
                });
            }
            Some(Frame::GoAway { last_stream_id, code, .. }) => {
                self.note(Event::GoAway { code: code.to_string(), last_stream_id });
            }
            Some(Frame::RstStream { stream_id, code }) => {
                self.resets.fetch_add(1, Ordering::Relaxed);
                self.note(Event::Reset { stream_id, code: code.to_string() });
            }
            _ => {}
        }
    }
}

/// The tap that fills a [`Timeline`].
pub struct TimelineTap {
    timeline: Arc<Timeline>,
    frames: Option<FrameTap>,
}

impl TimelineTap {
    /// A tap on a connection's plain text; frames are decoded with `http2`.
    #[must_use]
    pub fn new(timeline: Arc<Timeline>, http2: bool) -> TimelineTap {
        TimelineTap { timeline, frames: http2.then(FrameTap::new) }
    }
}

impl Tap for TimelineTap {
    fn read(&mut self, bytes: &[u8]) {
        self.timeline.saw(bytes.len());
        if let Some(frames) = &mut self.frames {
            let timeline = &self.timeline;
            frames.push(bytes, |event| timeline.frame(event));
        }
    }
}
