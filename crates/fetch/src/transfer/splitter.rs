//! Work for connections that have none: halves of the pieces with the most left.
//!
//! Nothing is fetched twice for it: what a piece gives away lies beyond what the stream's window lets the server send, and the
//! window is not opened further ([`goferry_net::pool::Body::want`]).

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use goferry_module::ProxyUrl;
use tokio::sync::{Notify, mpsc};

use super::piece::Piece;
use crate::client::Client;
use crate::error::FetchError;

/// Less is not worth a request of its own.
const LEAST: u64 = 192 << 10;

/// Nor is what is done soon.
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

    /// Halves the piece that has the most to spare. False where none is worth it.
    fn split(&self, base: &str) -> bool {
        let mut transfers = self.transfers.lock().unwrap_or_else(PoisonError::into_inner);
        transfers.retain(|transfer| transfer.strong_count() > 0);
        let mut best: Option<(u64, Arc<Inner>, Arc<Piece>)> = None;
        for transfer in transfers.iter().filter_map(Weak::upgrade).filter(|transfer| transfer.base == base) {
            let pieces = transfer.pieces.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for piece in pieces {
                let spare = piece.spare();
                let worth = spare >= LEAST && piece.time_left() >= SOON;
                if worth && best.as_ref().is_none_or(|(most, ..)| spare > *most) {
                    best = Some((spare, Arc::clone(&transfer), piece));
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
impl Splitter {
    /// Gives the second half of the first piece to nobody. False where there is no piece with enough to spare.
    pub(super) fn lose_half(&self) -> bool {
        let transfers = self.transfers.lock().unwrap();
        let Some(transfer) = transfers.iter().find_map(Weak::upgrade) else { return false };
        let pieces = transfer.pieces.lock().unwrap();
        pieces[0].spare() >= LEAST && pieces[0].split().left() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::range::Hole;
    use super::*;

    fn base() -> ProxyUrl {
        ProxyUrl::parse("https://goproxy.example.com").unwrap()
    }

    /// A transfer of one piece, of which the server may have sent so much.
    fn transfer(to: u64, granted: u64) -> Splittable {
        let piece = Piece::new(&Hole { piece: 0, from: 0, to });
        piece.grant(granted);
        Splittable::new(vec![Arc::new(piece)], &base())
    }

    #[test]
    fn the_piece_with_the_most_to_spare_is_halved() {
        let splitter = Splitter::default();
        let (small, large) = (transfer(100, 0), transfer(1 << 21, 0));
        let _small = splitter.register(&small);
        let mut asked = splitter.register(&large);
        assert!(splitter.split(&base().to_string()));
        let half = asked.try_recv().unwrap();
        assert_eq!((half.file, half.left()), (1 << 20, 1 << 20));
        assert!(!splitter.split("https://other.example.com"));
        drop(large);
        assert!(!splitter.split(&base().to_string()), "only what is large enough");
    }

    #[test]
    fn what_the_server_may_send_already_is_not_given_away() {
        let splitter = Splitter::default();
        let (first, second) = (transfer(4 << 20, 3 << 20), transfer(4 << 20, (4 << 20) - 1000));
        let mut asked = splitter.register(&first);
        let _second = splitter.register(&second);
        assert!(splitter.split(&base().to_string()));
        let rest = asked.try_recv().unwrap();
        assert!(rest.file > 3 << 20 && rest.file + rest.left() == 4 << 20, "{rest:?}");
        assert!(!splitter.split(&base().to_string()), "of the other one all may be on its way");
        let unanswered = transfer(4 << 20, u64::MAX);
        let _unanswered = splitter.register(&unanswered);
        assert!(!splitter.split(&base().to_string()));
    }
}
