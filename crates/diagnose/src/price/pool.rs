//! Which connection a request gets: the rules of `net/http` (`transport.go` and `internal/http2/client_conn_pool.go`),
//! and those of `goferry download`, which opens what it needs once.

use std::collections::VecDeque;

use crate::price::inputs::{PriceInputs, Protocol};

/// Idle HTTP/1.1 connections kept for a host (`DefaultMaxIdleConnsPerHost`).
const MAX_IDLE: usize = 2;

/// Who decides about connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// The go command: whoever finds none dials.
    Go,
    /// As many as said are opened at the start, requests wait for the least busy one.
    Fixed {
        /// How many connections.
        flows: usize,
        /// Requests that one carries at a time, if it is HTTP/2.
        streams: u32,
    },
}

#[derive(Debug)]
struct Conn {
    active: u32,
    asked: u32,
    /// When the client knows that the server takes no more.
    leaving: Option<u64>,
    closed: bool,
}

/// All connections to the module proxy.
#[derive(Debug)]
pub(crate) struct Pool {
    policy: Policy,
    http2: bool,
    keep_alive: bool,
    streams: u32,
    goaway_every: Option<u32>,
    conns: Vec<Conn>,
    /// HTTP/2: connections that take requests. HTTP/1.1: idle ones, last used last.
    ready: Vec<usize>,
    wanting: VecDeque<usize>,
    owners: Vec<usize>,
    pub(crate) dialled: u32,
    used: u32,
}

/// Pairs of task and connection.
pub(crate) type Given = Vec<(usize, usize)>;

impl Pool {
    pub(crate) fn new(inputs: &PriceInputs, policy: Policy) -> Pool {
        let path = &inputs.path;
        let (http2, keep_alive) = match path.protocol {
            Protocol::Http2 => (true, true),
            Protocol::Http1 { keep_alive } | Protocol::PlainHttp1 { keep_alive } => (false, keep_alive),
        };
        Pool {
            policy,
            http2,
            keep_alive,
            streams: match (http2, policy) {
                (false, _) => 1,
                (true, Policy::Go) => path.max_concurrent_streams,
                (true, Policy::Fixed { streams, .. }) => streams,
            },
            goaway_every: path.goaway_every,
            conns: Vec::new(),
            ready: Vec::new(),
            wanting: VecDeque::new(),
            owners: Vec::new(),
            dialled: 0,
            used: 0,
        }
    }

    /// Connections that carried at least one request.
    pub(crate) fn used(&self) -> u32 {
        self.used
    }

    /// A connection for the task, if one has room; else the task waits.
    pub(crate) fn acquire(&mut self, task: usize) -> Option<usize> {
        let conn = self.take_ready();
        if conn.is_none() {
            self.wanting.push_back(task);
        }
        conn
    }

    /// Whether one who waits dials.
    pub(crate) fn wants_dial(&self) -> bool {
        match self.policy {
            Policy::Go => true,
            Policy::Fixed { flows, .. } => {
                let open = self.conns.iter().filter(|c| !c.closed && c.leaving.is_none()).count();
                open + self.owners.len() - self.conns.len() < flows
            }
        }
    }

    /// A task that waits although nobody dials for it.
    pub(crate) fn left_waiting(&self) -> Option<usize> {
        match self.policy {
            Policy::Go => None,
            Policy::Fixed { .. } => self.wanting.front().copied(),
        }
    }

    /// A dial begins; the returned number names it.
    pub(crate) fn dialling(&mut self, owner: usize) -> usize {
        self.dialled += 1;
        self.owners.push(owner);
        self.owners.len() - 1
    }

    /// A dial is over: the connection if it is kept, who gets which one, and who must dial again.
    pub(crate) fn dialled(&mut self, dial: usize) -> (Option<usize>, Given, Option<usize>) {
        let owner = self.owners[dial];
        let surplus = self.policy == Policy::Go && self.http2 && !self.ready.is_empty() && self.has_room();
        let kept = if surplus {
            None // `addConnIfNeeded`: another connection can take the request, this one is closed.
        } else {
            self.conns.push(Conn { active: 0, asked: 0, leaving: None, closed: false });
            let conn = self.conns.len() - 1;
            self.ready.push(conn);
            Some(conn)
        };
        let mut given = Vec::new();
        if self.http2 || self.policy != Policy::Go {
            self.hand_out(&mut given);
        } else if let Some(place) = self.wanting.iter().position(|t| *t == owner) {
            // HTTP/1.1: the dial belongs to its request if that still waits, or else to the next one.
            if let Some(conn) = self.take_ready() {
                self.wanting.remove(place);
                given.push((owner, conn));
            }
        } else {
            self.hand_out(&mut given);
            self.close_surplus();
        }
        let again = (self.policy == Policy::Go && self.http2 && self.wanting.contains(&owner)).then_some(owner);
        (kept, given, again)
    }

    /// Counts a request on a connection. The time at which the client learns that the server did not take it, if so.
    pub(crate) fn count_request(&mut self, conn: usize, now: u64, rtt: u64) -> Option<u64> {
        let c = &mut self.conns[conn];
        c.asked += 1;
        self.used += u32::from(c.asked == 1);
        let every = self.goaway_every?;
        if c.asked < every {
            return None;
        }
        if c.asked == every {
            c.leaving = Some(now + rtt);
            return None;
        }
        c.leaving
    }

    /// The request leaves the connection without an answer.
    pub(crate) fn forget(&mut self, conn: usize) {
        self.conns[conn].active -= 1;
        self.retire(conn);
    }

    /// A response is complete: who gets the connection next.
    pub(crate) fn release(&mut self, conn: usize) -> Given {
        self.conns[conn].active -= 1;
        let mut given = Vec::new();
        if self.conns[conn].leaving.is_some() {
            self.retire(conn);
        }
        if self.http2 {
            if self.policy != Policy::Go {
                self.hand_out(&mut given);
            }
            return given;
        }
        if self.conns[conn].closed {
            return given;
        }
        if !self.keep_alive {
            self.conns[conn].closed = true;
            return given;
        }
        self.ready.push(conn);
        self.hand_out(&mut given);
        self.close_surplus();
        given
    }

    fn retire(&mut self, conn: usize) {
        self.conns[conn].closed = true;
        self.ready.retain(|c| *c != conn);
    }

    fn hand_out(&mut self, given: &mut Given) {
        while !self.wanting.is_empty() {
            let Some(conn) = self.take_ready() else {
                return;
            };
            if let Some(task) = self.wanting.pop_front() {
                given.push((task, conn));
            }
        }
    }

    fn has_room(&self) -> bool {
        self.ready.iter().any(|c| self.conns[*c].active < self.streams)
    }

    fn take_ready(&mut self) -> Option<usize> {
        if !self.http2 {
            let conn = self.ready.pop()?;
            self.conns[conn].active = 1;
            return Some(conn);
        }
        let conns = &self.conns;
        let mut open = self.ready.iter().copied().filter(|c| conns[*c].active < self.streams);
        let conn = match self.policy {
            Policy::Go => open.next(),
            Policy::Fixed { .. } => open.min_by_key(|c| conns[*c].active),
        }?;
        self.conns[conn].active += 1;
        Some(conn)
    }

    fn close_surplus(&mut self) {
        if self.policy == Policy::Go && !self.http2 {
            while self.ready.len() > MAX_IDLE {
                // `tryPutIdleConn`: the connection that comes third is closed.
                if let Some(conn) = self.ready.pop() {
                    self.conns[conn].closed = true;
                }
            }
        }
    }
}
