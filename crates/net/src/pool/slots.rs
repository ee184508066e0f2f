//! Who waits and which connection has room: the pool's state, without any waiting or I/O of its own.

mod life;
mod limit;
mod readings;

use std::cmp::Ordering as Order;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::oneshot;

use self::limit::RequestLimit;
use self::readings::Width;
use super::connection::{Lease, Sender};
use super::growth::Growth;
use super::windows::StreamWindow;
use super::{Ask, Class, Decided, Failure, Inner, PoolConfig, Summary};
use crate::error::Phase;
use crate::timeline::Timeline;

/// Streams on a connection before the server's SETTINGS came: few, since a low limit would refuse the surplus.
pub(super) const BEFORE_SETTINGS: usize = 32;
/// What a large answer is assumed to have before its Content-Length is known.
const UNKNOWN: u64 = 64 << 10;
/// A connection is given large files until so many bytes are outstanding, whatever its rate.
const FLOOR: u64 = 256 << 10;
/// The same where several connections share the work.
const FLOOR_SHARED: u64 = 96 << 10;
/// A connection with more work than this, in seconds at its own rate, and than four round trips, may give some to one
/// without any.
const SLOW_WORK: f64 = 0.1;
/// One byte of so many may be sent in vain for that.
const VAIN: u64 = 100;
/// Decisions and ended connections that are remembered.
const KEPT: usize = 64;
/// Pauses after a connection could not be opened while others serve: the first, and the longest.
const DIAL_PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(8));
/// Small files in a row while large ones wait.
const SMALL_IN_A_ROW: u32 = 3;
/// Small files that a standby connection has in flight at once, beside one for each that it has answered: as many as its
/// congestion window carries in a round trip.
const STANDBY_AT_ONCE: u64 = 4;

/// A request that waits.
pub(super) struct Ticket {
    class: Class,
    rank: u64,
    expect: u64,
    sender: oneshot::Sender<Result<Lease, Failure>>,
}

impl Ticket {
    pub(super) fn new(ask: &Ask, sender: oneshot::Sender<Result<Lease, Failure>>) -> Ticket {
        let expect = ask.expect.unwrap_or(if ask.class == Class::Large { UNKNOWN } else { 1024 });
        Ticket { class: ask.class, rank: ask.rank, expect, sender }
    }
}

/// In a heap: the highest rank first, then who came first.
struct Queued(Ticket, u64);

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Order::Equal
    }
}
impl Eq for Queued {}
impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}
impl Ord for Queued {
    fn cmp(&self, other: &Self) -> Order {
        self.0.rank.cmp(&other.0.rank).then(other.1.cmp(&self.1))
    }
}

/// A caller, and what it is told.
pub(super) type Told = (oneshot::Sender<Result<Lease, Failure>>, Failure);

/// What a connection and the requests on it share.
pub(super) struct Shared {
    pub(super) timeline: Arc<Timeline>,
    /// Bytes that the large requests on it are still expected to bring.
    pub(super) outstanding: AtomicU64,
    /// How many bytes may be outstanding before it is given another large request.
    room: AtomicU64,
    pub(super) dead: AtomicBool,
    /// Requests that were answered on it.
    pub(super) answered: AtomicU64,
    pub(super) stream_window: StreamWindow,
}

pub(super) struct Slot {
    pub(super) shared: Arc<Shared>,
    sender: Sender,
    in_flight: usize,
    large: usize,
    draining: bool,
    /// Kept warm for when another one ends.
    standby: bool,
    last_bytes: u64,
    last_rate: f64,
    /// The same, smoothed over some ten ticks.
    mean_rate: f64,
    width: Width,
    last_tick: Duration,
    idle_since: Option<Duration>,
    pub(super) abort: Option<tokio::task::AbortHandle>,
}

pub(super) struct Slots {
    config: PoolConfig,
    slots: Vec<Slot>,
    small: BinaryHeap<Queued>,
    large: BinaryHeap<Queued>,
    arrivals: u64,
    dialling: usize,
    target: usize,
    https: bool,
    protocol: &'static str,
    pub(super) http1_only: bool,
    http1_impossible: bool,
    pub(super) growth: Growth,
    pub(super) ticking: bool,
    opened: u64,
    not_opened: BTreeMap<Phase, u64>,
    most: usize,
    known_size: (u64, u64),
    request_limit: RequestLimit,
    small_in_a_row: u32,
    dial_pause: Duration,
    /// No connection is opened beside others before this.
    dial_again: Duration,
    /// Since when requests wait although nothing is at work.
    stuck_since: Option<Duration>,
    ended: BTreeMap<String, u64>,
    gone: VecDeque<Arc<Timeline>>,
    gone_sums: (u64, u64, u64, u64),
    gone_segments: u64,
    round_trip: Option<Duration>,
    /// At most so many bytes were sent in vain, for requests that were moved from a slow connection.
    sent_in_vain: u64,
    decisions: VecDeque<Decided>,
}

impl Slots {
    pub(super) fn new(config: &PoolConfig, https: bool) -> Slots {
        Slots {
            config: *config,
            slots: Vec::new(),
            small: BinaryHeap::new(),
            large: BinaryHeap::new(),
            arrivals: 0,
            dialling: 0,
            target: 1,
            https,
            protocol: "",
            http1_only: config.http1_only || !https,
            http1_impossible: false,
            growth: Growth::new(config.max_connections),
            ticking: false,
            opened: 0,
            not_opened: BTreeMap::new(),
            most: 0,
            known_size: (0, 0),
            request_limit: RequestLimit::default(),
            small_in_a_row: 0,
            dial_pause: DIAL_PAUSE.0,
            dial_again: Duration::ZERO,
            stuck_since: None,
            ended: BTreeMap::new(),
            gone: VecDeque::new(),
            gone_sums: (0, 0, 0, 0),
            gone_segments: 0,
            round_trip: None,
            sent_in_vain: 0,
            decisions: VecDeque::new(),
        }
    }

    pub(super) fn wait(&mut self, ticket: Ticket) {
        self.arrivals += 1;
        let queue = if ticket.class == Class::Large { &mut self.large } else { &mut self.small };
        queue.push(Queued(ticket, self.arrivals));
    }

    /// Connections that take requests.
    pub(super) fn usable(&self) -> usize {
        self.slots.iter().filter(|slot| !slot.draining && !slot.standby).count()
    }

    /// Connections that share the work, now or soon.
    pub(super) fn sharing(&self) -> usize {
        self.usable().max(self.target)
    }

    /// Gives waiting requests to connections with room.
    pub(super) fn grant(&mut self, inner: &Arc<Inner>) -> Vec<(oneshot::Sender<Result<Lease, Failure>>, Lease)> {
        let mut granted = Vec::new();
        self.mark_goaways();
        while let Some((class, index)) = self.next() {
            let Some(Queued(ticket, _)) = self.queue(class).pop() else { break };
            let expect = self.expected(&ticket);
            self.small_in_a_row = if class == Class::Small { self.small_in_a_row.saturating_add(1) } else { 0 };
            let slot = &mut self.slots[index];
            slot.in_flight += 1;
            slot.idle_since = None;
            if class == Class::Large {
                slot.large += 1;
                slot.shared.outstanding.fetch_add(expect, Ordering::Relaxed);
            }
            slot.shared.timeline.count_request();
            let sender = slot.sender.for_lease();
            let lease = Lease::new(Arc::downgrade(inner), Arc::clone(&slot.shared), sender, class, expect);
            granted.push((ticket.sender, lease));
            self.mark_full(index);
        }
        self.most = self.most.max(self.slots.iter().filter(|slot| slot.in_flight > 0).count());
        granted
    }

    /// Which queue's first goes where. Small files go first, but not for ever.
    fn next(&mut self) -> Option<(Class, usize)> {
        for class in [Class::Small, Class::Large] {
            let queue = self.queue(class);
            while queue.peek().is_some_and(|first| first.0.sender.is_closed()) {
                queue.pop();
            }
        }
        let mut order = [Class::Small, Class::Large];
        if self.small_in_a_row >= SMALL_IN_A_ROW {
            order.reverse();
        }
        order.into_iter().find_map(|class| {
            let waits = !self.queue(class).is_empty();
            let index = if waits { self.place(class) } else { None };
            index.map(|index| (class, index))
        })
    }

    fn queue(&mut self, class: Class) -> &mut BinaryHeap<Queued> {
        if class == Class::Large { &mut self.large } else { &mut self.small }
    }

    /// Large answers of unknown size are taken to be as the ones so far.
    fn expected(&self, ticket: &Ticket) -> u64 {
        match self.known_size {
            (sum, count) if ticket.class == Class::Large && ticket.expect == UNKNOWN => {
                sum.checked_div(count).unwrap_or(UNKNOWN)
            }
            _ => ticket.expect,
        }
    }

    pub(super) fn learn_size(&mut self, bytes: u64) {
        self.known_size = (self.known_size.0.saturating_add(bytes), self.known_size.1 + 1);
    }

    /// The connection that the next request of `class` goes to.
    fn place(&self, class: Class) -> Option<usize> {
        let floor = if self.usable() > 1 { FLOOR_SHARED } else { FLOOR };
        let (small_waits, large_waits) = (!self.small.is_empty(), !self.large.is_empty());
        // With one request a connection the classes share connections, else streams.
        let lanes = self.usable();
        let busy_lanes = self.slots.iter().filter(|slot| slot.large > 0).count();
        let room = |slot: &&Slot| {
            if slot.draining || slot.shared.dead.load(Ordering::Relaxed) {
                return false;
            }
            let limit = self.limit(slot);
            if slot.in_flight >= limit {
                return false;
            }
            match class {
                // Neither class may shut the other out.
                Class::Small => !large_waits || slot.in_flight - slot.large < limit - limit / 4,
                Class::Large => {
                    let cap = slot.shared.room.load(Ordering::Relaxed).max(floor);
                    let share =
                        if limit == 1 { busy_lanes < lanes.div_ceil(2) } else { slot.large < limit.div_ceil(2) };
                    (!small_waits || share)
                        && (slot.shared.outstanding.load(Ordering::Relaxed) < cap
                            || slot.large == 0
                            || (large_waits && slot.large < slot.width.streams()))
                }
            }
        };
        let load = |slot: &Slot| match class {
            Class::Small => slot.in_flight as u64,
            // How long what it has will take: bytes outstanding by what it carries.
            Class::Large => {
                let room = slot.shared.room.load(Ordering::Relaxed).max(floor);
                slot.shared.outstanding.load(Ordering::Relaxed).saturating_mul(1024) / room.max(1)
            }
        };
        let candidates = self.slots.iter().enumerate().filter(|(_, slot)| room(slot));
        // One whose flow stands still is the last choice.
        let stall = self.stall();
        let still = |slot: &Slot| slot.in_flight > 0 && slot.shared.timeline.quiet() >= stall;
        let warm = class == Class::Small && self.slots.iter().any(|slot| !slot.standby && self.is_near_limit(slot));
        let order = |slot: &Slot| (self.rank(slot, warm), still(slot), load(slot));
        candidates.min_by_key(|(_, slot)| order(slot)).map(|(index, _)| index)
    }

    /// How willingly a connection is used: 0 most. The standby is left alone, but when it is to be made `warm`: then it is
    /// given as much as its congestion window takes, so that it can carry all once the other one ends. One at its limit of
    /// requests is the last choice.
    fn rank(&self, slot: &Slot, warm: bool) -> u8 {
        let timeline = &slot.shared.timeline;
        let answered = slot.shared.answered.load(Ordering::Relaxed);
        if self.request_limit.is_tried(timeline.requests(), answered) {
            return 2;
        }
        let takes = timeline.settings_seen() && (slot.in_flight as u64) < STANDBY_AT_ONCE.saturating_add(answered);
        u8::from(slot.standby && !(warm && takes))
    }

    /// Whether a connection may soon take no more requests.
    fn is_near_limit(&self, slot: &Slot) -> bool {
        !slot.draining && self.request_limit.is_near(slot.shared.timeline.requests())
    }

    /// Streams that a connection may have.
    fn limit(&self, slot: &Slot) -> usize {
        match &slot.sender {
            Sender::Http1(_) => 1,
            Sender::Http2(_) if !slot.shared.timeline.settings_seen() => BEFORE_SETTINGS.min(self.config.max_streams),
            Sender::Http2(_) => (slot.shared.timeline.max_streams() as usize).min(self.config.max_streams),
        }
    }

    /// How many connections to open now; they are counted as being opened.
    pub(super) fn due(&mut self, warm: bool, now: Duration) -> usize {
        let waiting = self.small.len() + self.large.len();
        let have = self.usable() + self.dialling;
        if have == 0 && (waiting > 0 || warm) {
            self.dialling += 1;
            return 1;
        }
        if now < self.dial_again {
            return 0;
        }
        let mut wanted = self.target;
        let http1 = self.protocol == "HTTP/1.1" || self.http1_only;
        if http1 {
            // One request at a time each: as many as wait, up to the cap.
            wanted = (self.usable() + waiting).min(self.config.max_connections);
        }
        if waiting == 0 && !self.growth.is_trying() {
            wanted = wanted.min(have);
        }
        let about_to_end = self.slots.iter().filter(|slot| self.is_near_limit(slot) && !slot.standby).count();
        let standby = self.slots.iter().filter(|slot| slot.standby).count();
        let spare = !http1 && about_to_end > 0 && standby == 0 && self.dialling == 0;
        let spare = usize::from(spare && self.slots.len() < self.config.max_connections);
        let open = wanted.saturating_sub(have) + spare;
        self.dialling += open;
        open
    }

    /// After how long without a byte a request on a path that loses is better on another connection: what a time-out of
    /// TCP takes, or some round trips. `None` where there is only one, or nothing was lost.
    pub(super) fn slow(&self) -> Option<Duration> {
        (self.growth.is_lossy() && self.usable() > 1).then(|| self.stall())
    }

    fn stall(&self) -> Duration {
        (self.round_trip.unwrap_or(Duration::from_millis(50)) * 4)
            .clamp(Duration::from_millis(200), Duration::from_secs(3))
    }

    /// Whether a request that has been on this connection for `patience` is better on another: its flow stands still and
    /// others move, or has much to do yet and others have nothing. At most `cost` bytes would be sent in vain for that: in all
    /// no more than a hundredth, unless a flow stands still.
    pub(super) fn may_move(&mut self, number: u32, patience: Duration, cost: u64) -> bool {
        let Some(own) = self.slots.iter().find(|slot| slot.shared.timeline.number() == number) else { return false };
        if self.slow().is_none() || !self.small.is_empty() || !self.large.is_empty() || self.growth.is_full() {
            return false;
        }
        let others = || {
            let others = self.slots.iter().filter(|slot| slot.shared.timeline.number() != number);
            others.filter(|slot| !slot.draining && !slot.standby && slot.in_flight < self.limit(slot))
        };
        if own.shared.timeline.quiet() >= patience {
            return others().any(|slot| slot.in_flight == 0 || slot.shared.timeline.quiet() < patience);
        }
        let left = own.shared.outstanding.load(Ordering::Relaxed) as f64 / own.mean_rate.max(1.0);
        let round_trips = self.round_trip.unwrap_or_default().as_secs_f64() * 4.0;
        let worth = left > round_trips.max(SLOW_WORK) && others().any(|slot| slot.in_flight == 0);
        let spent = self.sent_in_vain.saturating_add(cost);
        let may = worth && spent <= self.bytes_in() / VAIN;
        if may {
            self.sent_in_vain = spent;
        }
        may
    }

    /// Bytes of plain text received on all connections so far.
    fn bytes_in(&self) -> u64 {
        self.gone_sums.2 + self.slots.iter().map(|slot| slot.shared.timeline.bytes_in()).sum::<u64>()
    }

    /// Whether a connection has room for a large file and nothing waits.
    pub(super) fn has_spare_room(&self) -> bool {
        self.large.is_empty() && self.small.is_empty() && self.place(Class::Large).is_some()
    }

    pub(super) fn decide(&mut self, at: Duration, text: String) {
        tracing::debug!(at = at.as_secs_f64(), text, "pool");
        if self.decisions.len() == KEPT {
            self.decisions.pop_front();
        }
        self.decisions.push_back(Decided { at, text });
    }

    pub(super) fn is_at_work(&self) -> bool {
        self.dialling > 0 || !self.slots.is_empty() || !self.small.is_empty() || !self.large.is_empty()
    }

    /// Whether requests are in flight on a connection.
    pub(super) fn is_busy(&self, number: u32) -> bool {
        self.slots.iter().any(|slot| slot.shared.timeline.number() == number && slot.in_flight > 0)
    }

    pub(super) fn timelines(&self) -> Vec<Arc<Timeline>> {
        let open = self.slots.iter().map(|slot| Arc::clone(&slot.shared.timeline));
        self.gone.iter().cloned().chain(open).collect()
    }

    pub(super) fn summary(&self) -> Summary {
        let (mut requests, mut used, _, mut out_of_order) = self.gone_sums;
        for slot in &self.slots {
            let timeline = &slot.shared.timeline;
            requests += timeline.requests();
            used += u64::from(timeline.requests() > 0);
            out_of_order += u64::from(timeline.read_tcp().map_or(0, |info| info.rcv_ooopack));
        }
        Summary {
            origin: String::new(),
            protocol: self.protocol,
            opened: self.opened,
            not_opened: self.not_opened.clone(),
            open: self.slots.len(),
            most: self.most,
            requests,
            reuse: if requests == 0 { 0.0 } else { (requests - used.min(requests)) as f64 / requests as f64 },
            bytes: self.bytes_in(),
            ended: self.ended.clone(),
            out_of_order,
            round_trip: self.round_trip,
            decisions: self.decisions.iter().cloned().collect(),
        }
    }
}

impl Shared {
    pub(super) fn new(timeline: Arc<Timeline>, stream_window: u32) -> Arc<Shared> {
        Arc::new(Shared {
            timeline,
            outstanding: AtomicU64::new(0),
            room: AtomicU64::new(0),
            dead: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            stream_window: StreamWindow::new(stream_window),
        })
    }
}

/// A way back to the pool that does not keep it alive.
pub(super) type Back = Weak<Inner>;
