//! The clock of the model: an event queue with processors, a shared link and the connections on it.
//!
//! Time is in nanoseconds from the start. Nothing here is random, and the number of events is bounded by the number of
//! files and by a grain that grows with the bytes.

mod transfer;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use crate::price::flow::{Flow, LossPattern};
use crate::price::inputs::{PriceInputs, Protocol};
use crate::price::pool::Pool;

use self::transfer::{Stream, Wire};

/// Bytes of response headers and framing beside each body.
const RESPONSE_OVERHEAD: f64 = 150.0;
/// Chunks into which all bytes of a run are cut at most.
const MAX_CHUNKS: f64 = 12_000.0;
/// Events of one run; what is left then is extrapolated. Real projects need a hundredth of them.
const MAX_EVENTS: u64 = 1_000_000;

pub(crate) fn ns(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX / 4)
}

/// One thing after another that a worker does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Waits.
    Delay(u64),
    /// Uses a processor.
    Cpu(u64),
    /// Asks for a file of that many bytes.
    Fetch(u64),
}

impl Step {
    /// Share in the work of a run: bytes, and a little for each request.
    fn weight(&self) -> f64 {
        match self {
            Step::Fetch(bytes) => *bytes as f64 + RESPONSE_OVERHEAD,
            Step::Delay(_) | Step::Cpu(_) => 0.0,
        }
    }
}

/// What a worker does for one file, and the tasks that it makes known.
#[derive(Debug, Default)]
pub(crate) struct Task {
    pub(crate) steps: Vec<Step>,
    pub(crate) children: std::ops::Range<usize>,
    next: usize,
}

impl Task {
    pub(crate) fn new(steps: Vec<Step>) -> Task {
        Task { steps, children: 0..0, next: 0 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// The task's present step is over.
    Step(usize),
    /// TCP, CONNECT and TLS of a dial are over on the wire.
    Greeted(usize),
    /// The dial is over.
    Dialled(usize),
    /// The server learns of the request.
    Asked {
        conn: usize,
        task: usize,
    },
    /// The connection says good-bye: requests it did not take are asked again.
    Refused {
        task: usize,
    },
    Ack {
        conn: usize,
        stream: usize,
        bytes: u32,
    },
    /// The sender notices a loss.
    Notice {
        conn: usize,
        timed_out: bool,
    },
    Arrive {
        conn: usize,
        stream: usize,
        bytes: u32,
    },
    /// A lost segment arrives after all, if nothing changed since.
    Fill {
        conn: usize,
        generation: u32,
    },
}

/// Everything that happens.
pub(crate) struct Engine<'a> {
    pub(crate) inputs: &'a PriceInputs,
    pub(crate) now: u64,
    pub(crate) rtt: u64,
    pub(crate) requests: u32,
    pub(crate) pool: Pool,
    queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
    sequence: u64,
    cores: Vec<u64>,
    link_free: u64,
    ns_per_byte: f64,
    flow_ceiling: f64,
    least_chunk: f64,
    loss: LossPattern,
    wires: Vec<Wire>,
    tasks: Vec<Task>,
    waiting: VecDeque<usize>,
    active: usize,
    width: usize,
    finished: usize,
}

impl<'a> Engine<'a> {
    /// `expected` is how many bytes will pass in all.
    pub(crate) fn new(inputs: &'a PriceInputs, pool: Pool, expected: f64) -> Engine<'a> {
        let path = &inputs.path;
        let ns_per_byte = path.bandwidth.map_or(0.0, |b| 8e9 / b);
        let bdp = path.bandwidth.map_or(64e6, |b| b / 8.0 * path.rtt.as_secs_f64());
        let cores = inputs.client.num_cpu.min(inputs.client.gomaxprocs) as usize;
        Engine {
            inputs,
            now: 0,
            rtt: ns(path.rtt),
            requests: 0,
            pool,
            queue: BinaryHeap::new(),
            sequence: 0,
            cores: vec![0; cores.min(64)],
            link_free: 0,
            ns_per_byte,
            flow_ceiling: 2.0 * bdp,
            least_chunk: expected / MAX_CHUNKS,
            loss: LossPattern::new(path.loss),
            wires: Vec::new(),
            tasks: Vec::new(),
            waiting: VecDeque::new(),
            active: 0,
            width: 1,
            finished: 0,
        }
    }

    /// Does all tasks, `width` at a time, in order; tasks that others make known wait for those. `roots` are known at the start.
    pub(crate) fn run(&mut self, tasks: Vec<Task>, roots: usize, width: usize) {
        self.tasks = tasks;
        self.finished = 0;
        self.active = 0;
        self.width = width.max(1);
        self.waiting = (0..roots.min(self.tasks.len())).collect();
        self.start_tasks();
        let start = self.now;
        while self.finished < self.tasks.len() {
            let Some(Reverse((time, _, event))) = self.queue.pop() else {
                debug_assert!(false, "tasks wait and nothing happens");
                return;
            };
            self.now = self.now.max(time);
            self.handle(event);
            if self.sequence > MAX_EVENTS {
                return self.extrapolate(start);
            }
        }
    }

    /// What is left takes as long for each byte as what is done did.
    fn extrapolate(&mut self, start: u64) {
        let wanted: f64 = self.tasks.iter().flat_map(|t| &t.steps).map(Step::weight).sum();
        let left: f64 = self.wires.iter().flat_map(|w| &w.streams).map(|s| s.missing.max(0.0)).sum();
        let unasked = self.tasks.iter().flat_map(|t| t.steps.iter().skip(t.next)).map(Step::weight).sum::<f64>();
        let done = (wanted - left - unasked).max(1.0);
        self.now += ((self.now - start) as f64 * ((left + unasked) / done).min(1e6)) as u64;
        self.queue.clear();
    }

    fn at(&mut self, time: u64, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse((time, self.sequence, event)));
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Step(task) => self.step(task),
            Event::Greeted(dial) => {
                let work = if matches!(self.inputs.path.protocol, Protocol::PlainHttp1 { .. }) {
                    0
                } else {
                    ns(self.inputs.costs.handshake)
                };
                let done = self.use_core(work);
                self.at(done, Event::Dialled(dial));
            }
            Event::Dialled(dial) => self.dialled(dial),
            Event::Asked { conn, task } => self.answer(conn, task),
            Event::Refused { task } => self.acquire(task),
            Event::Notice { conn, timed_out } => self.wires[conn].flow.lose(self.now, timed_out),
            Event::Ack { conn, stream, bytes } => {
                let (now, rtt) = (self.now, self.rtt);
                let wire = &mut self.wires[conn];
                wire.streams[stream].in_flight -= f64::from(bytes);
                wire.flow.ack(now, rtt, f64::from(bytes));
                self.transmit(conn);
            }
            Event::Arrive { conn, stream, bytes } => match &mut self.wires[conn].hole {
                Some(hole) => hole.behind.push((stream, bytes)),
                None => self.deliver(conn, stream, bytes),
            },
            Event::Fill { conn, generation } => self.fill(conn, generation),
        }
    }

    fn start_tasks(&mut self) {
        while self.active < self.width {
            let Some(task) = self.waiting.pop_front() else {
                return;
            };
            self.active += 1;
            self.step(task);
        }
    }

    fn step(&mut self, task: usize) {
        let t = &mut self.tasks[task];
        let Some(step) = t.steps.get(t.next).copied() else {
            let children = t.children.clone();
            self.finished += 1;
            self.active -= 1;
            self.waiting.extend(children);
            self.start_tasks();
            return;
        };
        t.next += 1;
        match step {
            Step::Delay(d) => self.at(self.now + d, Event::Step(task)),
            Step::Cpu(d) => {
                let done = self.use_core(d);
                self.at(done, Event::Step(task));
            }
            Step::Fetch(_) => {
                self.requests += 1;
                self.acquire(task);
            }
        }
    }

    fn use_core(&mut self, work: u64) -> u64 {
        let now = self.now;
        let Some(core) = self.cores.iter_mut().min() else {
            return now;
        };
        *core = now.max(*core) + work;
        *core
    }

    /// The task needs a connection for its present fetch.
    fn acquire(&mut self, task: usize) {
        match self.pool.acquire(task) {
            Some(conn) => self.ask(conn, task),
            None => self.dial_if_wanted(task),
        }
    }

    fn dial_if_wanted(&mut self, task: usize) {
        if self.pool.wants_dial() {
            self.dial(task);
        }
    }

    fn dial(&mut self, owner: usize) {
        let path = &self.inputs.path;
        let dial = self.pool.dialling(owner);
        let tls = if matches!(path.protocol, Protocol::PlainHttp1 { .. }) { 0 } else { path.tls_rtts };
        let mut time = ns(path.dns) + self.rtt * u64::from(1 + path.connect_rtts + tls);
        if self.loss.pass(1.0).is_some() {
            time += 1_000_000_000; // SYN time-out (RFC 6298, section 2)
        }
        if tls > 0 && self.loss.pass(3.0).is_some() {
            time += 2 * self.rtt;
        }
        self.at(self.now + time, Event::Greeted(dial));
    }

    fn dialled(&mut self, dial: usize) {
        let (kept, given, again) = self.pool.dialled(dial);
        if let Some(conn) = kept {
            debug_assert_eq!(conn, self.wires.len());
            self.wires.push(Wire {
                flow: Flow::new(self.inputs.path.congestion, self.flow_ceiling),
                streams: Vec::new(),
                sending: VecDeque::new(),
                hole: None,
                holes: 0,
                server_ready: self.now + ns(self.inputs.path.settings_delay),
            });
        }
        for (task, conn) in given {
            self.ask(conn, task);
        }
        if let Some(task) = again {
            self.dial(task);
        }
    }

    fn ask(&mut self, conn: usize, task: usize) {
        if let Some(known) = self.pool.count_request(conn, self.now, self.rtt) {
            self.pool.forget(conn);
            self.at(known, Event::Refused { task });
            return;
        }
        let ready = (self.now + self.rtt / 2).max(self.wires[conn].server_ready);
        self.at(ready + ns(self.inputs.path.server_think), Event::Asked { conn, task });
    }

    fn answer(&mut self, conn: usize, task: usize) {
        let t = &self.tasks[task];
        let Some(Step::Fetch(bytes)) = t.steps.get(t.next - 1).copied() else {
            return;
        };
        let size = bytes as f64 + RESPONSE_OVERHEAD;
        let wire = &mut self.wires[conn];
        wire.sending.push_back(wire.streams.len());
        wire.streams.push(Stream { task, unsent: size, missing: size, in_flight: 0.0 });
        self.transmit(conn);
    }
}
