//! Threads that speak with clients, one for each processor.
//!
//! A connection stays on the thread that it was given to, which has a runtime of its own: its reads, its answers and its
//! writes cost no wake of another thread and no move to another processor. What an answer waits for (an upstream, the
//! disk, the checksum database) is everybody's, and may last longer than the connection: it is begun on the runtime that
//! the server was made on ([`begun_on`]).

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Threads of all lanes together that may wait for the disk.
const BLOCKING: usize = 512;

/// The threads. They end when this is dropped, and what still runs on them with them.
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    threads: Vec<JoinHandle<()>>,
}

struct Lane {
    handle: Handle,
    connections: Arc<AtomicUsize>,
    /// Dropped, it ends the thread.
    _end: oneshot::Sender<()>,
}

/// A connection's place on a thread; free again when this is dropped.
pub(super) struct Place(Arc<AtomicUsize>);

impl Lanes {
    /// As many as there are processors.
    pub(super) fn start() -> io::Result<Lanes> {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let mut lanes = Lanes { lanes: Vec::with_capacity(count), threads: Vec::with_capacity(count) };
        for number in 0..count {
            let runtime =
                Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING.div_ceil(count)).build()?;
            let handle = runtime.handle().clone();
            let (end, ended) = oneshot::channel::<()>();
            let work = move || {
                let _ = runtime.block_on(ended);
            };
            let thread = thread::Builder::new().name(format!("lane-{number}")).spawn(work)?;
            lanes.threads.push(thread);
            lanes.lanes.push(Lane { handle, connections: Arc::default(), _end: end });
        }
        Ok(lanes)
    }

    /// The runtime with the fewest connections, and a place on it.
    pub(super) fn place(&self) -> (&Handle, Place) {
        let count = |lane: &&Lane| lane.connections.load(Ordering::Relaxed);
        let lane = self.lanes.iter().min_by_key(count).expect("there is one for each processor");
        lane.connections.fetch_add(1, Ordering::Relaxed);
        (&lane.handle, Place(Arc::clone(&lane.connections)))
    }

    /// Ends the threads, and waits for that.
    pub(super) async fn end(self) {
        drop(self.lanes);
        let _ = tokio::task::spawn_blocking(|| self.threads.into_iter().for_each(|thread| drop(thread.join()))).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Does `work` here, but what it begins (tasks, timers, connections) on `runtime`.
pub(super) fn begun_on<F: Future>(runtime: &Handle, mut work: Pin<&mut F>) -> impl Future<Output = F::Output> {
    poll_fn(move |context| {
        let _entered = runtime.enter();
        work.as_mut().poll(context)
    })
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn connections_are_dealt_out_evenly_and_keep_their_thread() {
        let lanes = Lanes::start().unwrap();
        let count = lanes.lanes.len();
        let mut places: Vec<_> = (0..2 * count).map(|_| lanes.place().1).collect();
        assert!(lanes.lanes.iter().all(|lane| lane.connections.load(Ordering::Relaxed) == 2));
        drop(places.pop());
        let free = lanes.lanes.iter().position(|lane| lane.connections.load(Ordering::Relaxed) == 1).unwrap();
        let (handle, _place) = lanes.place();
        assert_eq!(handle.id(), lanes.lanes[free].handle.id());
        let name = handle.spawn(async { thread::current().name().map(str::to_owned) }).await.unwrap();
        assert_eq!(name, Some(format!("lane-{free}")));
        lanes.end().await;
    }

    #[tokio::test]
    async fn what_an_answer_begins_outlives_the_threads() {
        let common = Handle::current();
        let lanes = Lanes::start().unwrap();
        let (sender, receiver) = oneshot::channel();
        let begin = async move {
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let _ = sender.send(Handle::current().id());
            });
        };
        let of = common.clone();
        lanes.place().0.spawn(async move { begun_on(&of, pin!(begin)).await }).await.unwrap();
        lanes.end().await;
        assert_eq!(receiver.await, Ok(common.id()));
    }
}
