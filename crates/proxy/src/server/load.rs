//! How much a server has to do, and what each may hold in memory for that.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What all answers that come from files may hold together.
const PIECES: usize = 32 << 20;
/// What one may hold at least, and at most: less makes many system calls, more gains nothing.
const PIECE: (usize, usize) = (32 << 10, 512 << 10);
/// What a connection of TLS keeps of what its client does not take: where there are few connections, and where many.
const TLS: (usize, usize) = (64 << 10, 24 << 10);
/// What may wait to be sent on a stream of HTTP/2: where there are few connections, and where many.
const WAITING: (usize, usize) = (128 << 10, 32 << 10);
/// So many are many.
const MANY: usize = 64;

/// Counts.
#[derive(Default)]
pub(super) struct Load {
    /// Connections that are open.
    pub(super) connections: AtomicUsize,
    /// Answers that are being read from files.
    pub(super) readers: AtomicUsize,
}

impl Load {
    /// Bytes that are read of a file at once.
    pub(super) fn piece(&self) -> usize {
        let share = PIECES / self.readers.load(Ordering::Relaxed).max(1);
        // A power of two: whole frames of HTTP/2 and records of TLS, and few sizes of buffers in memory.
        1 << share.clamp(PIECE.0, PIECE.1).ilog2()
    }

    /// What a new connection of TLS may keep.
    pub(super) fn tls_buffer(&self) -> usize {
        if self.are_few() { TLS.0 } else { TLS.1 }
    }

    /// What may wait on each stream of a new connection of HTTP/2.
    pub(super) fn waiting(&self) -> usize {
        if self.are_few() { WAITING.0 } else { WAITING.1 }
    }

    fn are_few(&self) -> bool {
        self.connections.load(Ordering::Relaxed) < MANY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_clients_stay_below_200_megabytes() {
        let load = Load::default();
        assert_eq!(load.piece(), 512 << 10);
        load.readers.store(1000, Ordering::Relaxed);
        load.connections.store(1000, Ordering::Relaxed);
        // One piece on its way, and another that is read meanwhile.
        let each = 2 * load.piece() + load.tls_buffer();
        assert!(each * 1000 < 130 << 20, "{each}");
        // Over HTTP/2 more than a piece may wait; the first ones were told so when they were few.
        let (many, few) = (load.waiting() + load.piece() + TLS.1, WAITING.0 + load.piece() + TLS.0);
        assert!(many * (1000 - MANY) + few * MANY < 150 << 20, "{many} {few}");
        load.readers.store(1_000_000, Ordering::Relaxed);
        assert_eq!(load.piece(), 32 << 10);
    }
}
