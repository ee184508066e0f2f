//! How long the upstream was waited for while a request was being answered, and whether what it sent was mended: for the log
//! of requests, also where there was nothing to answer with in the end.

use std::cell::Cell;
use std::future::Future;
use std::time::{Duration, Instant};

use crate::answer::Cache;
use crate::flight::Landed;

/// What is told of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waited {
    /// `None` where the upstream was not waited for.
    pub(crate) upstream: Option<Duration>,
    /// Whether what came had to be mended.
    pub(crate) healed: bool,
}

tokio::task_local! {
    static WAITED: Cell<Waited>;
}

/// Answers a request, and says how the upstream was waited for within [`upstream`].
pub(crate) async fn noting<F: Future>(answering: F) -> (F::Output, Waited) {
    let both = async {
        let output = answering.await;
        (output, WAITED.with(Cell::get))
    };
    WAITED.scope(Cell::default(), both).await
}

/// Waits for the upstream.
pub(crate) async fn upstream<F: Future>(asking: F) -> F::Output {
    let _waiting = Waiting(Instant::now());
    asking.await
}

/// What the upstream sent had to be mended.
pub(crate) fn healed() {
    note(|waited| waited.healed = true);
}

/// What a flight brought, and from where; with it came whether it had to be mended, which is told here.
pub(crate) fn landed<T>(Landed { value: (value, healed), joined }: Landed<(T, bool)>) -> (T, Cache) {
    if healed {
        self::healed();
    }
    (value, if joined { Cache::Joined } else { Cache::Miss })
}

/// Ends also where the upstream is not waited for any longer.
struct Waiting(Instant);

impl Drop for Waiting {
    fn drop(&mut self) {
        note(|waited| waited.upstream = Some(waited.upstream.unwrap_or_default() + self.0.elapsed()));
    }
}

/// Does nothing where nobody wants to know.
fn note(change: impl FnOnce(&mut Waited)) {
    let _ = WAITED.try_with(|cell| {
        let mut waited = cell.get();
        change(&mut waited);
        cell.set(waited);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_waited_for_counts_also_where_it_is_given_up() {
        let second = Duration::from_secs(1);
        let (output, waited) = noting(async {
            tokio::time::sleep(second).await;
            upstream(async { 7 }).await
        })
        .await;
        assert_eq!(output, 7);
        assert!(waited.upstream.is_some_and(|time| time < second) && !waited.healed, "{waited:?}");
        let (_, waited) = noting(tokio::time::timeout(second, upstream(std::future::pending::<()>()))).await;
        assert!(waited.upstream.is_some());
        let (_, waited) = noting(async { healed() }).await;
        assert_eq!(waited, Waited { upstream: None, healed: true });
        // Nobody listens.
        upstream(async {}).await;
    }
}
