//! The thread that carries the packets of one direction from one TUN interface to the other.
//!
//! It sleeps in `ppoll` while nothing is due, wakes at once for a packet on an idle link, and while packets flow it works in rounds of
//! [`ROUND`]: so a sparse exchange is timed to some 10 µs, a dense one to [`ROUND`]. 200 Mbit/s take about a third of a core, most of it
//! the receiving kernel's TCP, which runs inside the `write`.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::prctl;
use nix::sys::time::TimeSpec;

use super::control::{Control, Direction};
use super::packet;
use super::shaper::{Fate, Shaper};
use super::sys;

/// The pause between two looks at a link that is busy.
const ROUND: Duration = Duration::from_micros(200);
/// Packets read in a row before those that are due are delivered.
const BATCH: usize = 256;
/// Room for the largest packet: the MTU is 1500, and TUN never hands out more.
const PACKET: usize = 2048;
/// The most bytes on their way at once. Only a link without a rate can reach it; what comes then counts as dropped by the queue.
const IN_FLIGHT: usize = 64 << 20;
/// Above the processes under test, which may keep every core busy.
const NICE: i32 = -15;

/// One direction of a link.
pub(super) struct Relay {
    pub(super) from: Arc<File>,
    pub(super) to: Arc<File>,
    pub(super) direction: Direction,
    pub(super) shaper: Shaper,
    pub(super) control: Arc<Control>,
    /// Closed by the other end when the link is dropped.
    pub(super) stop: UnixStream,
}

impl Relay {
    /// Carries packets until the link is dropped or its interface is gone.
    pub(super) fn run(mut self) {
        // Both only sharpen the timing; without them the relay still works.
        let _ = prctl::set_timerslack(1);
        let _ = sys::set_thread_niceness(NICE);
        let mut on_the_way = OnTheWay::default();
        let mut buffer = [0; PACKET];
        loop {
            let Some(read) = self.read_batch(&mut buffer, &mut on_the_way) else {
                return;
            };
            let delivered = self.deliver_due(&mut on_the_way);
            let wait = match (read + delivered, on_the_way.next_due()) {
                (0, None) => None,
                (0, Some(due)) => Some(due.saturating_duration_since(Instant::now())),
                (BATCH.., _) => Some(Duration::ZERO),
                _ => {
                    std::thread::sleep(ROUND);
                    Some(Duration::ZERO)
                }
            };
            if !self.wait(wait) {
                return;
            }
        }
    }

    /// Reads what the sending side has put out, at most [`BATCH`] packets. `None`: the interface is gone.
    fn read_batch(&mut self, buffer: &mut [u8], on_the_way: &mut OnTheWay) -> Option<usize> {
        for count in 0..BATCH {
            match (&*self.from).read(buffer) {
                Ok(0) => return Some(count),
                Ok(length) => self.accept(&buffer[..length], on_the_way),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Some(count),
                    ErrorKind::Interrupted => {}
                    _ => return None,
                },
            }
        }
        Some(BATCH)
    }

    fn accept(&mut self, packet: &[u8], on_the_way: &mut OnTheWay) {
        let lane = self.control.lane(self.direction);
        lane.offered.add(1);
        if self.control.swallows(packet::kind(packet)) {
            lane.swallowed.add(1);
            return;
        }
        if on_the_way.bytes + packet.len() > IN_FLIGHT {
            lane.queue_dropped.add(1);
            return;
        }
        match self.shaper.offer(Instant::now(), packet.len(), lane.loss()) {
            Fate::Arrives(due) => on_the_way.push(due, packet),
            Fate::Lost => lane.lost.add(1),
            Fate::QueueFull => lane.queue_dropped.add(1),
        }
    }

    fn deliver_due(&self, on_the_way: &mut OnTheWay) -> usize {
        let lane = self.control.lane(self.direction);
        let now = Instant::now();
        let mut count = 0;
        while let Some(packet) = on_the_way.pop_due(now) {
            count += 1;
            if self.control.blackhole() {
                lane.swallowed.add(1);
                continue;
            }
            match (&*self.to).write_all(&packet) {
                Ok(()) => {
                    lane.delivered.add(1);
                    lane.delivered_bytes.add(packet.len() as u64);
                }
                Err(_) => lane.refused.add(1),
            }
        }
        count
    }

    /// Waits for a packet, for `timeout`, or for the end. `false` is the end.
    fn wait(&self, timeout: Option<Duration>) -> bool {
        let mut fds =
            [PollFd::new(self.from.as_fd(), PollFlags::POLLIN), PollFd::new(self.stop.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut fds, timeout.map(TimeSpec::from_duration), None) {
            Ok(_) | Err(nix::Error::EINTR) => fds[1].revents().is_none_or(|events| events.is_empty()),
            Err(_) => false,
        }
    }
}

/// Packets in the order of their arrival.
#[derive(Default)]
struct OnTheWay {
    packets: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
}

impl OnTheWay {
    fn push(&mut self, due: Instant, packet: &[u8]) {
        self.bytes += packet.len();
        self.packets.push_back((due, packet.to_vec()));
    }

    fn pop_due(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.packets.front().filter(|(due, _)| *due <= now)?;
        let (_, packet) = self.packets.pop_front()?;
        self.bytes -= packet.len();
        Some(packet)
    }

    fn next_due(&self) -> Option<Instant> {
        self.packets.front().map(|(due, _)| *due)
    }
}
