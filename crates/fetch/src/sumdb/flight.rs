//! Work that is done once, whoever asks for it, and work that is done together.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use tokio::sync::OnceCell;

use crate::error::FetchError;

type Cell<V> = Arc<OnceCell<Result<V, FetchError>>>;

/// Results by key. The first to ask for a key does the work; the others wait for it, and all get the same result, be
/// it an error. If the first is dropped before it is done, the next one begins anew.
pub(super) struct Flights<K, V> {
    cells: Mutex<HashMap<K, Cell<V>>>,
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self { cells: Mutex::default() }
    }
}

impl<K: Hash + Eq, V: Clone> Flights<K, V> {
    pub(super) async fn get<F>(&self, key: K, work: impl FnOnce() -> F) -> Result<V, FetchError>
    where
        F: Future<Output = Result<V, FetchError>>,
    {
        let cell = self.cells.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone();
        cell.get_or_init(work).await.clone()
    }
}

/// All results, in order. Meant for a few dozen futures: each wake-up polls every one that is not done.
pub(super) async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
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
