//! Responses on their way: chunks of streams, acknowledgements, losses and the holes that they leave in the order of bytes.

use std::collections::VecDeque;

use super::{Engine, Event};
use crate::price::flow::{Flow, MSS, RTO_MIN};

/// A response on its way.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) task: usize,
    pub(super) unsent: f64,
    pub(super) missing: f64,
    pub(super) in_flight: f64,
}

#[derive(Debug)]
pub(super) struct Hole {
    pub(super) fills: u64,
    pub(super) generation: u32,
    /// Chunks behind the hole: stream and bytes. The first is the lost one.
    pub(super) behind: Vec<(usize, u32)>,
    pub(super) timed_out: bool,
}

#[derive(Debug)]
pub(super) struct Wire {
    pub(super) flow: Flow,
    pub(super) streams: Vec<Stream>,
    pub(super) sending: VecDeque<usize>,
    pub(super) hole: Option<Hole>,
    pub(super) holes: u32,
    pub(super) server_ready: u64,
}

impl Engine<'_> {
    /// Sends what the window allows, a chunk of each stream in turn.
    pub(super) fn transmit(&mut self, conn: usize) {
        let window = self.inputs.path.stream_window.map(|w| w as f64);
        loop {
            let wire = &mut self.wires[conn];
            let room = wire.flow.room();
            if wire.sending.is_empty() || room < MSS.min(wire.flow.in_flight.max(1.0)) {
                return;
            }
            let mut chosen = None;
            for _ in 0..wire.sending.len() {
                let Some(id) = wire.sending.pop_front() else {
                    return;
                };
                let allowed = window.map_or(f64::INFINITY, |w| w - wire.streams[id].in_flight);
                if allowed >= 1.0 {
                    chosen = Some((id, allowed));
                    break;
                }
                wire.sending.push_back(id);
            }
            let Some((id, allowed)) = chosen else { return };
            let grain = wire.flow.grain().max(self.least_chunk.min(room));
            let bytes = wire.streams[id].unsent.min(allowed).min(grain).min(room.max(1.0)).ceil();
            let s = &mut wire.streams[id];
            s.unsent -= bytes;
            s.in_flight += bytes;
            if s.unsent > 0.0 {
                wire.sending.push_back(id);
            }
            let more = !wire.sending.is_empty();
            self.send_chunk(conn, id, bytes, more);
        }
    }

    pub(super) fn send_chunk(&mut self, conn: usize, stream: usize, bytes: f64, more: bool) {
        let (now, rtt) = (self.now, self.rtt);
        let leaves = self.link_free.max(now) + (bytes * self.ns_per_byte) as u64;
        self.link_free = leaves;
        let arrives = leaves + rtt / 2;
        let lost = self.loss.pass((bytes / MSS).ceil());
        let wire = &mut self.wires[conn];
        let alone = wire.flow.in_flight <= 0.0 && bytes <= MSS;
        wire.flow.send(now, rtt, bytes);
        let count = bytes as u32;
        // A later segment tells of a hole that only a timer would have found.
        if let Some(hole) = &mut wire.hole {
            let told = arrives + rtt + rtt / 4;
            if hole.timed_out && told < hole.fills {
                hole.timed_out = false;
                hole.fills = told;
                hole.generation += 1;
                let generation = hole.generation;
                self.at(told, Event::Fill { conn, generation });
            }
        }
        let Some(behind) = lost else {
            self.at(arrives, Event::Arrive { conn, stream, bytes: count });
            self.at(arrives + rtt / 2, Event::Ack { conn, stream, bytes: count });
            return;
        };
        let timed_out = behind < 1.0 && !more;
        let delay = match (timed_out, alone) {
            (false, _) => rtt,
            (true, false) => 2 * rtt,
            (true, true) => rtt + RTO_MIN,
        };
        let fills = arrives + delay;
        self.at(fills - rtt / 2, Event::Notice { conn, timed_out: timed_out && alone });
        let wire = &mut self.wires[conn];
        match &mut wire.hole {
            Some(hole) => {
                hole.behind.push((stream, count));
                if fills > hole.fills {
                    hole.fills = fills;
                    hole.timed_out = timed_out;
                    hole.generation += 1;
                    let generation = hole.generation;
                    self.at(fills, Event::Fill { conn, generation });
                }
            }
            None => {
                wire.holes += 1;
                let generation = wire.holes << 12;
                wire.hole = Some(Hole { fills, generation, behind: vec![(stream, count)], timed_out });
                self.at(fills, Event::Fill { conn, generation });
            }
        }
        self.at(fills + rtt / 2, Event::Ack { conn, stream, bytes: count });
    }

    pub(super) fn fill(&mut self, conn: usize, generation: u32) {
        let wire = &mut self.wires[conn];
        if wire.hole.as_ref().is_none_or(|h| h.generation != generation) {
            return;
        }
        let Some(hole) = wire.hole.take() else { return };
        for (stream, bytes) in hole.behind {
            self.deliver(conn, stream, bytes);
        }
    }

    pub(super) fn deliver(&mut self, conn: usize, stream: usize, bytes: u32) {
        let s = &mut self.wires[conn].streams[stream];
        s.missing -= f64::from(bytes);
        if s.missing > 0.0 {
            return;
        }
        let task = s.task;
        for (task, conn) in self.pool.release(conn) {
            self.ask(conn, task);
        }
        if let Some(waiting) = self.pool.left_waiting() {
            self.dial_if_wanted(waiting);
        }
        self.step(task);
    }
}
