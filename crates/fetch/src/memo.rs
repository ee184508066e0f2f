//! Work that is done once, whoever asks for it, and work that is done together.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use tokio::sync::OnceCell;

/// Answers by question. The first to ask does the work; the others wait for it, and all get the same answer. If the
/// first is dropped before it is done, the next one begins anew.
#[derive(Debug)]
pub(crate) struct Memo<K, V> {
    cells: Mutex<HashMap<K, Arc<OnceCell<V>>>>,
}

impl<K, V> Default for Memo<K, V> {
    fn default() -> Memo<K, V> {
        Memo { cells: Mutex::default() }
    }
}

impl<K: Eq + Hash, V: Clone> Memo<K, V> {
    /// The answer to `key`: from before, from who is asking now, or from `ask`.
    pub(crate) async fn get<F: Future<Output = V>>(&self, key: K, ask: impl FnOnce() -> F) -> V {
        let cell = self.lock().entry(key).or_default().clone();
        cell.get_or_init(ask).await.clone()
    }

    /// Keeps an answer that came with another one, unless there is one.
    pub(crate) fn put(&self, key: K, value: V) {
        let cell = self.lock().entry(key).or_default().clone();
        // An answer that is there, or on its way, stays.
        let _ = cell.set(value);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<K, Arc<OnceCell<V>>>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All results, in order. Meant for a few dozen futures: each wake-up polls every one that is not done.
pub(crate) async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<Option<Pin<Box<F>>>> = futures.into_iter().map(|future| Some(Box::pin(future))).collect();
    let mut done: Vec<Option<F::Output>> = waiting.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (slot, done) in waiting.iter_mut().zip(&mut done) {
            let Some(future) = slot else { continue };
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                (*slot, *done) = (None, Some(output));
            }
        }
        if waiting.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
