//! What a forward proxy has seen.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many different targets, and how many failures, are remembered.
const MAX_REMEMBERED: usize = 256;

/// A snapshot of a proxy's counters. What a client has received is counted already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardCounts {
    /// Connections accepted.
    pub connections: u64,
    /// CONNECT requests received, of HTTP or of SOCKS5, whatever became of them.
    pub connects: u64,
    /// Requests for `http://` URLs received, whatever became of them.
    pub plain_requests: u64,
    /// Statuses answered: the proxy's own, and those of origins for `http://` URLs (1xx not counted). A SOCKS5 proxy's are
    /// the reply codes of RFC 1928 section 6.
    pub statuses: BTreeMap<u16, u64>,
    /// Targets asked for (`host:port`), the first 256 different ones.
    pub targets: BTreeMap<String, u64>,
    /// Intercepted tunnels by the protocol agreed with the client: `h2`, `http/1.1`, or empty where ALPN was not used.
    pub intercepted: BTreeMap<String, u64>,
    /// Bytes from clients to origins; decrypted where intercepted; request heads of `http://` URLs as sent on.
    pub bytes_up: u64,
    /// Bytes from origins to clients; decrypted where intercepted.
    pub bytes_down: u64,
    /// Connections that ended by an error, and the first 256 errors in words.
    pub failed: u64,
    /// See [`ForwardCounts::failed`].
    pub failures: Vec<String>,
}

/// The counters of a running proxy.
#[derive(Default)]
pub(super) struct Counters(Mutex<ForwardCounts>);

impl Counters {
    pub(super) fn snapshot(&self) -> ForwardCounts {
        self.lock().clone()
    }

    pub(super) fn connection(&self) {
        self.lock().connections += 1;
    }

    pub(super) fn request(&self, connect: bool, target: &str) {
        let mut counts = self.lock();
        if connect {
            counts.connects += 1;
        } else {
            counts.plain_requests += 1;
        }
        if counts.targets.len() < MAX_REMEMBERED || counts.targets.contains_key(target) {
            *counts.targets.entry(target.to_owned()).or_default() += 1;
        }
    }

    pub(super) fn status(&self, status: u16) {
        *self.lock().statuses.entry(status).or_default() += 1;
    }

    pub(super) fn intercepted(&self, protocol: Option<&[u8]>) {
        let protocol = String::from_utf8_lossy(protocol.unwrap_or_default()).into_owned();
        *self.lock().intercepted.entry(protocol).or_default() += 1;
    }

    pub(super) fn up(&self, bytes: usize) {
        self.lock().bytes_up += bytes as u64;
    }

    pub(super) fn down(&self, bytes: usize) {
        self.lock().bytes_down += bytes as u64;
    }

    pub(super) fn failure(&self, why: String) {
        let mut counts = self.lock();
        counts.failed += 1;
        if counts.failures.len() < MAX_REMEMBERED {
            counts.failures.push(why);
        }
    }

    fn lock(&self) -> MutexGuard<'_, ForwardCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
