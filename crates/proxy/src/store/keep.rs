//! What is done for a store while it is served: `list` files kept current, what killed processes left removed, the space
//! kept below a cap, and word from other processes heeded.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use goferry_fetch::FetchError;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::scan::Scan;
use super::{Store, blocking, prune};
use crate::config::SourceMode;

/// How often small things are done.
const TICK: Duration = Duration::from_secs(2);
/// How often the folder is looked through, because others write to it too.
const SCAN: Duration = Duration::from_secs(10 * 60);
/// When it is tried again where too little could be removed.
const PAUSE: Duration = Duration::from_secs(30);
/// What was used within this time is not removed to save space: it may be being looked up again right now.
const KEEP: Duration = Duration::from_secs(60);

/// Does it until dropped.
#[derive(Debug)]
pub struct Keeper(JoinHandle<()>);

impl Keeper {
    /// Begins, where the store may be written. Must be called within a tokio runtime.
    #[must_use]
    pub fn start(store: &Arc<Store>, max_size: Option<u64>) -> Option<Keeper> {
        if store.mode() != SourceMode::Fetch {
            return None;
        }
        let store = Arc::clone(store);
        Some(Keeper(tokio::spawn(async move {
            let mut state = State::default();
            let mut ticks = tokio::time::interval(TICK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let store = Arc::clone(&store);
                let done = blocking(move || {
                    let outcome = state.tick(&store, max_size);
                    Ok((state, outcome))
                });
                match done.await {
                    Ok((next, outcome)) => {
                        state = next;
                        if let Err(error) = outcome {
                            tracing::warn!(%error, "looking after the store");
                        }
                    }
                    Err(_) => return,
                }
            }
        })))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What is known of the folder.
#[derive(Clone, Copy, Default)]
struct State {
    /// When another process last said that it took something out.
    told: Option<SystemTime>,
    scanned: Option<Instant>,
    /// Until when nothing is tried again, because all that is there was used just now.
    patience: Option<Instant>,
}

impl State {
    fn tick(&mut self, store: &Store, max_size: Option<u64>) -> Result<(), FetchError> {
        store.cache().flush_lists();
        let told = fs::metadata(store.changed_file()).and_then(|meta| meta.modified()).ok();
        if told != self.told {
            if self.scanned.is_some() {
                store.forget_all();
            }
            self.told = told;
        }
        let over = |bytes: u64| max_size.is_some_and(|most| bytes > most);
        let due = self.scanned.is_none_or(|at| at.elapsed() >= SCAN);
        if !due && (!over(store.bytes()) || self.patience.is_some_and(|until| Instant::now() < until)) {
            return Ok(());
        }
        store.flush_uses();
        // What is stored while the folder is being looked through is counted once or twice, never not at all.
        let before = store.bytes();
        let mut scan = Scan::of(store.dir())?;
        if due {
            scan.stale_lists.drain(..).for_each(|path| store.cache().list_changed(&path));
            store.cache().flush_lists();
            prune::sweep(store.dir(), &scan);
            self.scanned = Some(Instant::now());
        }
        let mut bytes = scan.bytes() - scan.direct;
        if let Some(most) = max_size.filter(|most| bytes > *most) {
            // A little more than is needed, so that the next file does not begin it all again.
            let limits = prune::Limits { max_size: Some(most / 10 * 9), older_than: None, keep: KEEP };
            let pruned = prune::prune(store.dir(), &scan, &limits, false)?;
            for victim in &pruned.victims {
                store.forget(&victim.module);
            }
            tracing::info!(
                removed = pruned.victims.len(),
                freed = pruned.freed,
                left = pruned.left,
                most,
                "what was not used for longest was taken out of the store"
            );
            bytes = pruned.left;
            self.patience = over(bytes).then(|| Instant::now() + PAUSE);
        }
        store.size.fetch_add(bytes.wrapping_sub(before), Ordering::Relaxed);
        Ok(())
    }
}
