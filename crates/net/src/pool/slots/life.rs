//! How connections come, drain and end, and what is learnt from that.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{DIAL_PAUSE, KEPT, Queued, Shared, Slot, Slots, Told};
use crate::error::{ErrorKind, NetError, Party, Phase};
use crate::pool::connection::{Http1, Sender};
use crate::pool::{Cause, Class, Failure, Load};
use crate::timeline::{Event, Timeline};

impl Slots {
    /// A connection is open.
    pub(in crate::pool) fn add(&mut self, shared: Arc<Shared>, sender: Sender, now: Duration) {
        self.dialling = self.dialling.saturating_sub(1);
        self.opened += 1;
        let http2 = matches!(sender, Sender::Http2(_));
        // HTTP/2 was given up while this one was being opened.
        let draining = http2 && self.http1_only;
        if !draining {
            self.protocol = if http2 { "HTTP/2" } else { "HTTP/1.1" };
        }
        let standby = self.protocol == "HTTP/2" && self.usable() >= self.target;
        self.slots.push(Slot {
            shared,
            sender,
            in_flight: 0,
            large: 0,
            draining,
            standby,
            last_bytes: 0,
            last_rate: 0.0,
            mean_rate: 0.0,
            width: super::Width::default(),
            last_tick: now,
            idle_since: Some(now),
            abort: None,
        });
    }

    /// No connection could be opened: who waits is told, unless another connection serves them.
    pub(in crate::pool) fn dial_failed(&mut self, failure: &Failure, now: Duration) -> Vec<Told> {
        self.dialling = self.dialling.saturating_sub(1);
        *self.not_opened.entry(failure.error.phase).or_default() += 1;
        if self.usable() > 0 || self.dialling > 0 {
            self.target = self.usable().max(1);
            self.pause_dials(now);
            self.decide(now, format!("another connection could not be opened: {}", failure.error));
            return Vec::new();
        }
        self.fail_all(failure)
    }

    /// A connection could not be opened, or ended before it was of use.
    fn pause_dials(&mut self, now: Duration) {
        self.dial_again = now + self.dial_pause;
        self.dial_pause = (self.dial_pause * 2).min(DIAL_PAUSE.1);
    }

    fn fail_all(&mut self, failure: &Failure) -> Vec<Told> {
        let waiting = self.small.drain().chain(self.large.drain());
        waiting.map(|Queued(ticket, _)| (ticket.sender, failure.clone())).collect()
    }

    /// Requests that wait for nothing: connections are open, none is at work, and none takes a request for as long as
    /// SETTINGS may take (SETTINGS_MAX_CONCURRENT_STREAMS is 0). Those connections end.
    pub(in crate::pool) fn stuck(&mut self, now: Duration) -> Vec<Told> {
        let waits = !self.small.is_empty() || !self.large.is_empty();
        if !waits || self.usable() == 0 || self.slots.iter().any(|slot| slot.in_flight > 0) {
            self.stuck_since = None;
            return Vec::new();
        }
        let since = *self.stuck_since.get_or_insert(now);
        if now.saturating_sub(since) < self.config.settings_bound {
            return Vec::new();
        }
        self.stuck_since = None;
        let text = format!("the server has allowed no stream for {:.0} s", self.config.settings_bound.as_secs_f64());
        let numbers: Vec<u32> = self.slots.iter().map(|slot| slot.shared.timeline.number()).collect();
        for number in &numbers {
            self.end(*number, &text, now);
        }
        let error = NetError::new(Phase::Http2, ErrorKind::TimedOut, Party::Upstream, text);
        self.fail_all(&Failure { cause: Cause::Silent, error, connection: numbers.first().copied().unwrap_or(0) })
    }

    /// A request is over.
    pub(in crate::pool) fn release(&mut self, number: u32, class: Class, now: Duration, reusable: Option<Http1>) {
        let Some(index) = self.slots.iter().position(|slot| slot.shared.timeline.number() == number) else { return };
        let slot = &mut self.slots[index];
        slot.in_flight = slot.in_flight.saturating_sub(1);
        if class == Class::Large {
            slot.large = slot.large.saturating_sub(1);
        }
        if slot.in_flight == 0 {
            slot.idle_since = Some(now);
        }
        if !slot.draining {
            self.request_limit.passed(slot.shared.answered.load(Ordering::Relaxed));
        }
        if let Sender::Http1(_) = slot.sender {
            match reusable {
                Some(sender) => slot.sender = Sender::Http1(Some(sender)),
                None => self.end(number, "closed after an answer", now),
            }
        }
    }

    /// A connection is over.
    pub(in crate::pool) fn end(&mut self, number: u32, why: &str, now: Duration) {
        let Some(index) = self.slots.iter().position(|slot| slot.shared.timeline.number() == number) else { return };
        let slot = self.slots.swap_remove(index);
        slot.shared.dead.store(true, Ordering::Relaxed);
        if slot.shared.answered.load(Ordering::Relaxed) > 0 {
            self.dial_pause = DIAL_PAUSE.0;
        } else {
            self.pause_dials(now);
        }
        slot.shared.timeline.read_tcp();
        let timeline = &slot.shared.timeline;
        if timeline.goaway() {
            self.learn_limit(timeline);
        }
        timeline.note(Event::Closed { why: why.to_owned() });
        self.note_round_trip(timeline.round_trip());
        *self.ended.entry(why.split(':').next().unwrap_or(why).to_owned()).or_default() += 1;
        let snapshot = timeline.snapshot();
        self.gone_sums.0 += snapshot.requests;
        self.gone_sums.1 += u64::from(snapshot.requests > 0);
        self.gone_sums.2 += snapshot.bytes_in;
        self.gone_sums.3 += u64::from(snapshot.out_of_order);
        self.gone_segments += u64::from(snapshot.segments_in);
        if self.gone.len() == KEPT {
            self.gone.pop_front();
        }
        self.gone.push_back(Arc::clone(timeline));
        if let Some(abort) = slot.abort {
            abort.abort();
        }
        self.promote();
    }

    pub(in crate::pool) fn set_abort(&mut self, number: u32, abort: tokio::task::AbortHandle) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.shared.timeline.number() == number) {
            slot.abort = Some(abort);
        }
    }

    /// A connection takes no more requests.
    pub(in crate::pool) fn drain(&mut self, number: u32, why: &str) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.shared.timeline.number() == number && !slot.draining)
        {
            slot.draining = true;
            slot.shared.timeline.note(Event::Draining { why: why.to_owned() });
        }
        self.promote();
    }

    fn promote(&mut self) {
        if self.usable() < self.target
            && let Some(slot) = self.slots.iter_mut().find(|slot| slot.standby)
        {
            slot.standby = false;
        }
    }

    /// The requests after which a server sends GOAWAY: those it has answered, as far as the last stream id is honest.
    fn learn_limit(&mut self, timeline: &Timeline) {
        let sent = timeline.requests();
        let answered = timeline.last_stream_id().map_or(sent, |last| u64::from(last.div_ceil(2))).min(sent);
        self.request_limit.ended_at(answered);
    }

    pub(super) fn mark_goaways(&mut self) {
        let said = |slot: &&Slot| !slot.draining && slot.shared.timeline.goaway();
        let gone: Vec<u32> = self.slots.iter().filter(said).map(|slot| slot.shared.timeline.number()).collect();
        for number in gone {
            self.drain(number, "GOAWAY");
        }
    }

    /// What is sent beyond a server's limit would only be sent again.
    pub(super) fn mark_full(&mut self, index: usize) {
        let timeline = &self.slots[index].shared.timeline;
        let number = timeline.number();
        if self.request_limit.is_reached(timeline.requests()) {
            self.drain(number, "the server's limit of requests");
        }
    }

    pub(in crate::pool) fn give_up_http2(&mut self, now: Duration, proof: &str) -> bool {
        if self.http1_only || self.http1_impossible || !self.https {
            return false;
        }
        self.http1_only = true;
        self.protocol = "HTTP/1.1";
        self.decide(now, format!("HTTP/2 does not work here ({proof}): HTTP/1.1 from now on"));
        let numbers: Vec<u32> = self.slots.iter().map(|slot| slot.shared.timeline.number()).collect();
        for number in numbers {
            self.drain(number, "HTTP/2 was given up");
        }
        true
    }

    /// HTTP/1.1 alone cannot be opened: back to what the server speaks. Whether that was news.
    pub(in crate::pool) fn http1_refused(&mut self, now: Duration) -> bool {
        if !self.http1_only || !self.https || self.config.http1_only {
            return false;
        }
        self.http1_only = false;
        self.http1_impossible = true;
        self.decide(now, "the server takes no HTTP/1.1: back to HTTP/2".to_owned());
        true
    }

    /// The present load; the answers are counted elsewhere.
    pub(in crate::pool) fn load(&self) -> Load {
        let (mut requests, mut used, ..) = self.gone_sums;
        let mut segments_in = self.gone_segments;
        for slot in &self.slots {
            let timeline = &slot.shared.timeline;
            requests += timeline.requests();
            used += u64::from(timeline.requests() > 0);
            segments_in += u64::from(timeline.read_tcp().map_or(0, |info| info.data_segs_in));
        }
        let in_flight = self.slots.iter().map(|slot| (slot.shared.timeline.number(), slot.in_flight)).collect();
        let waiting = self.small.len() + self.large.len();
        Load { in_flight, waiting, segments_in, reused: requests.saturating_sub(used), ..Load::default() }
    }

    /// Connections that are to be closed: drained and done, or idle for too long.
    pub(in crate::pool) fn finished(&self, now: Duration) -> Vec<(u32, &'static str)> {
        let idle = |slot: &Slot| slot.idle_since.is_some_and(|since| now.saturating_sub(since) >= self.config.idle);
        self.slots
            .iter()
            .filter(|slot| slot.in_flight == 0)
            .filter_map(|slot| {
                let number = slot.shared.timeline.number();
                if slot.draining { Some((number, "drained")) } else { idle(slot).then_some((number, "idle")) }
            })
            .collect()
    }
}
