//! One flight for one thing, however many wait for it.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderValue;
use tokio::sync::watch;

use crate::via;

/// What is being done now. Whoever asks first starts it, in a task of its own: that the asker goes away does not end it.
pub struct Flights<K, V> {
    flying: Arc<Flying<K, V>>,
}

/// The results to come, by what they are of. There is more than one only on behalf of different proxies ([`via`]).
type Flying<K, V> = Mutex<HashMap<K, Vec<Flight<V>>>>;

/// A result to come.
struct Flight<V> {
    /// On whose behalf it is fetched, where it is.
    via: Option<HeaderValue>,
    result: watch::Receiver<Option<V>>,
}

/// A result, and whether it was on its way before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Landed<V> {
    /// The result.
    pub value: V,
    /// Whether someone else had asked for it first.
    pub joined: bool,
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Flights { flying: Arc::default() }
    }
}

impl<K: Clone + Eq + Hash + Send + 'static, V: Clone + Send + Sync + 'static> Flights<K, V> {
    /// The result of `work`, or of the same work that another asker began. `None` where it panicked.
    pub async fn join<F>(&self, key: &K, work: impl FnOnce() -> F) -> Option<Landed<V>>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let (mut receiver, joined) = self.begin(key, work);
        let value = receiver.wait_for(Option::is_some).await.ok()?.clone()?;
        Some(Landed { value, joined })
    }

    /// Begins the work without waiting for it. False where it is on its way already.
    pub fn start<F>(&self, key: &K, work: impl FnOnce() -> F) -> bool
    where
        F: Future<Output = V> + Send + 'static,
    {
        !self.begin(key, work).1
    }

    /// How much is on its way.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.flying).values().map(Vec::len).sum()
    }

    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn begin<F>(&self, key: &K, work: impl FnOnce() -> F) -> (watch::Receiver<Option<V>>, bool)
    where
        F: Future<Output = V> + Send + 'static,
    {
        let chain = via::current();
        let mut flying = lock(&self.flying);
        let joins = |flight: &&Flight<V>| chain.as_ref().is_none_or(|chain| chain.joins(flight.via.as_ref()));
        if let Some(flight) = flying.get(key).and_then(|flights| flights.iter().find(joins)) {
            return (flight.result.clone(), true);
        }
        let (sender, receiver) = watch::channel(None);
        let via = chain.as_ref().map(|chain| chain.via().clone());
        flying.entry(key.clone()).or_default().push(Flight { via: via.clone(), result: receiver.clone() });
        drop(flying);
        let over = Over { flying: Arc::clone(&self.flying), key: key.clone(), via };
        let work = work();
        tokio::spawn(async move {
            let value = match chain {
                None => work.await,
                Some(chain) => Box::pin(chain.scope(work)).await,
            };
            // Whoever comes from now on finds what was done in the store.
            drop(over);
            let _ = sender.send(Some(value));
        });
        (receiver, false)
    }
}

/// Takes a flight off the list, also where its task panics.
struct Over<K: Eq + Hash, V> {
    flying: Arc<Flying<K, V>>,
    key: K,
    via: Option<HeaderValue>,
}

impl<K: Eq + Hash, V> Drop for Over<K, V> {
    fn drop(&mut self) {
        let mut flying = lock(&self.flying);
        if let Some(flights) = flying.get_mut(&self.key) {
            flights.retain(|flight| flight.via != self.via);
            if flights.is_empty() {
                flying.remove(&self.key);
            }
        }
    }
}

fn lock<K, V>(flying: &Flying<K, V>) -> MutexGuard<'_, HashMap<K, Vec<Flight<V>>>> {
    flying.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn many_askers_one_flight() {
        let flights = Flights::<u8, u32>::default();
        let count = Arc::new(AtomicU32::new(0));
        let ask = || {
            flights.join(&1, || {
                let count = Arc::clone(&count);
                async move {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    count.fetch_add(1, Ordering::Relaxed)
                }
            })
        };
        let (a, b, c) = tokio::join!(ask(), ask(), ask());
        assert_eq!(a, Some(Landed { value: 0, joined: false }));
        assert_eq!([b, c], [Some(Landed { value: 0, joined: true }); 2]);
        assert_eq!(ask().await.map(|landed| landed.value), Some(1), "it is over: the next one begins anew");
        assert!(flights.is_empty());
    }

    #[tokio::test]
    async fn who_asks_on_behalf_of_others_waits_for_no_flight_that_is_not() {
        let flights = Flights::<u8, u32>::default();
        let count = AtomicU32::new(0);
        let ask = || {
            flights.join(&1, || {
                let number = count.fetch_add(1, Ordering::Relaxed);
                async move {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    // A flight knows on whose behalf it is.
                    (number + 1) * if via::current().is_some() { 10 } else { 1 }
                }
            })
        };
        let through = |name: &str| via::Chain::apart(name).scope(ask());
        let all = tokio::join!(ask(), through("a"), through("b"), through("a"), ask());
        let landed = |value, joined| Some(Landed { value, joined });
        assert_eq!((all.0, all.1, all.2), (landed(1, false), landed(20, false), landed(30, false)));
        assert_eq!((all.3, all.4), (landed(20, true), landed(1, true)));
        assert!(flights.is_empty());
        // Whoever asks for itself may wait for any.
        let both = tokio::join!(through("a"), ask());
        assert_eq!(both, (landed(40, false), landed(40, true)));
    }

    #[tokio::test]
    async fn an_asker_that_goes_away_ends_nothing() {
        let flights = Flights::<u8, u8>::default();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let gone = tokio::time::timeout(
            Duration::from_millis(5),
            flights.join(&1, || async move {
                tokio::time::sleep(Duration::from_millis(30)).await;
                let _ = sender.send(());
                7
            }),
        );
        assert!(gone.await.is_err());
        assert_eq!(receiver.await, Ok(()));
    }

    #[tokio::test]
    async fn a_panic_is_no_answer_and_stays_no_flight() {
        let flights = Flights::<u8, u8>::default();
        assert_eq!(flights.join(&1, || async { panic!("on purpose") }).await, None);
        assert_eq!(flights.join(&1, || async { 3 }).await.map(|landed| landed.value), Some(3));
    }
}
