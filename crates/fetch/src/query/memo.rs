//! Asking once: answers are kept while a command runs, and callers that ask at the same time share one request.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

/// Answers by question.
#[derive(Debug)]
pub(super) struct Memo<K, V> {
    cells: Mutex<HashMap<K, Arc<OnceCell<V>>>>,
}

impl<K, V> Default for Memo<K, V> {
    fn default() -> Memo<K, V> {
        Memo { cells: Mutex::default() }
    }
}

impl<K: Eq + Hash, V: Clone> Memo<K, V> {
    /// The answer to `key`: from before, from who is asking now, or from `ask`.
    pub(super) async fn get<F: Future<Output = V>>(&self, key: K, ask: impl FnOnce() -> F) -> V {
        let cell = self.lock().entry(key).or_default().clone();
        cell.get_or_init(ask).await.clone()
    }

    /// Keeps an answer that came with another one, unless there is one.
    pub(super) fn put(&self, key: K, value: V) {
        let cell = self.lock().entry(key).or_default().clone();
        // An answer that is there, or on its way, stays.
        let _ = cell.set(value);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<K, Arc<OnceCell<V>>>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
