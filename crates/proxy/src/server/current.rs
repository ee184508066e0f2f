//! The proxy that answers now: another one takes its place when the settings are read again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::proxy::Proxy;

/// The proxy of a server.
pub(super) struct Current {
    generation: AtomicU64,
    proxy: Mutex<Arc<Proxy>>,
}

impl Current {
    pub(super) fn new(proxy: Arc<Proxy>) -> Arc<Current> {
        Arc::new(Current { generation: AtomicU64::new(0), proxy: Mutex::new(proxy) })
    }

    pub(super) fn get(&self) -> Arc<Proxy> {
        Arc::clone(&self.proxy.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another in its place; the old one ends with its last request.
    pub(super) fn swap(&self, proxy: Arc<Proxy>) {
        let mut current = self.proxy.lock().unwrap_or_else(PoisonError::into_inner);
        *current = proxy;
        // Raised while the lock is held: who sees the new number finds the new proxy.
        self.generation.fetch_add(1, Ordering::Release);
    }
}

/// The current proxy as a connection knows it: a request costs one read of a number that hardly ever changes.
pub(super) struct Follower {
    current: Arc<Current>,
    generation: u64,
    proxy: Arc<Proxy>,
}

impl Follower {
    pub(super) fn new(current: Arc<Current>) -> Follower {
        let generation = current.generation.load(Ordering::Acquire);
        let proxy = current.get();
        Follower { current, generation, proxy }
    }

    pub(super) fn proxy(&mut self) -> &Arc<Proxy> {
        let generation = self.current.generation.load(Ordering::Acquire);
        if generation != self.generation {
            self.generation = generation;
            self.proxy = self.current.get();
        }
        &self.proxy
    }
}
