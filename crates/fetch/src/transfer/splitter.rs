//! Work for connections that have none: halves of the pieces with the most left.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use goferry_module::ProxyUrl;
use tokio::sync::{Notify, mpsc};

use super::piece::Piece;
use crate::client::Client;
use crate::error::FetchError;

/// A piece with less left is not worth a request of its own.
const LEAST: u64 = 384 << 10;

/// Nor is one that is done soon: what is on its way already is thrown away when its end comes nearer.
const SOON: Duration = Duration::from_millis(900);

/// The transfers that may give pieces away.
#[derive(Debug, Default)]
pub struct Splitter {
    transfers: Mutex<Vec<Weak<Inner>>>,
    /// Signalled when there is one more.
    begun: Notify,
}

/// A transfer that may give pieces away, as long as this lives.
pub(super) struct Splittable(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    base: String,
    pieces: Mutex<Vec<Arc<Piece>>>,
    sender: Mutex<Option<mpsc::UnboundedSender<Arc<Piece>>>>,
}

impl Splittable {
    pub(super) fn new(pieces: Vec<Arc<Piece>>, base: &ProxyUrl) -> Splittable {
        let pieces = Mutex::new(pieces);
        Splittable(Arc::new(Inner { base: base.to_string(), pieces, sender: Mutex::new(None) }))
    }
}

impl Splitter {
    pub(super) fn register(&self, transfer: &Splittable) -> mpsc::UnboundedReceiver<Arc<Piece>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        *transfer.0.sender.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        self.transfers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&transfer.0));
        self.begun.notify_waiters();
        receiver
    }

    /// Resolves when there is a transfer that could be split.
    async fn begun(&self) {
        loop {
            let notified = self.begun.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            let alive = |transfer: &Weak<Inner>| transfer.strong_count() > 0;
            if self.transfers.lock().unwrap_or_else(PoisonError::into_inner).iter().any(alive) {
                return;
            }
            notified.await;
        }
    }

    /// Splits what comes from `base` whenever its pool has connections without work; ends when dropped.
    ///
    /// # Errors
    /// Where there can be no connection to `base`. Else it does not end by itself.
    pub async fn run(&self, client: &Client, base: &ProxyUrl) -> Result<(), FetchError> {
        self.begun().await;
        let pool = client.pool_of(base)?;
        let name = base.to_string();
        loop {
            self.begun().await;
            pool.idle().await;
            if pool.is_spread() && !pool.is_queueing() && self.split(&name) {
                // The new piece's request takes its place in the pool first.
                tokio::time::sleep(Duration::from_millis(5)).await;
            } else {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Halves the piece with the most left. False where none is worth it.
    fn split(&self, base: &str) -> bool {
        let mut transfers = self.transfers.lock().unwrap_or_else(PoisonError::into_inner);
        transfers.retain(|transfer| transfer.strong_count() > 0);
        let mut best: Option<(u64, Arc<Inner>, Arc<Piece>)> = None;
        for transfer in transfers.iter().filter_map(Weak::upgrade).filter(|transfer| transfer.base == base) {
            let pieces = transfer.pieces.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for piece in pieces {
                let left = piece.left();
                if left >= LEAST && piece.time_left() >= SOON && best.as_ref().is_none_or(|(most, ..)| left > *most) {
                    best = Some((left, Arc::clone(&transfer), piece));
                }
            }
        }
        let Some((_, transfer, piece)) = best else { return false };
        let half = Arc::new(piece.split());
        let mut pieces = transfer.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.retain(|piece| piece.left() > 0);
        pieces.push(Arc::clone(&half));
        let sender = transfer.sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().is_some_and(|sender| sender.send(half).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::super::range::Hole;
    use super::*;

    #[test]
    fn the_piece_with_the_most_left_is_halved() {
        let base = ProxyUrl::parse("https://goproxy.example.com").unwrap();
        let splitter = Splitter::default();
        let piece = |to| vec![Arc::new(Piece::new(&Hole { piece: 0, from: 0, to }))];
        let (small, large) = (Splittable::new(piece(100), &base), Splittable::new(piece(1 << 21), &base));
        let _small = splitter.register(&small);
        let mut asked = splitter.register(&large);
        assert!(splitter.split(&base.to_string()));
        let half = asked.try_recv().unwrap();
        assert_eq!((half.file, half.left()), (1 << 20, 1 << 20));
        assert!(!splitter.split("https://other.example.com"));
        drop(large);
        assert!(!splitter.split(&base.to_string()), "only what is large enough");
    }
}
