//! How an origin stands: one that failed as a whole must not keep every next file waiting as long again to find that out.
//!
//! | state | what becomes of a request | next |
//! |---|---|---|
//! | well | it is sent, with all patience | *doubted* or *shunned* when a file is given up for what is no fault of the file, and nothing came from the origin meanwhile |
//! | doubted | the first is sent, with little patience; others wait for what becomes of it | *well* at the first sign of life, else *shunned* |
//! | shunned | it fails at once, with the words of the failure | after [`ClientConfig::cool_down`], or as long as Retry-After says: the next one is sent as above, and others go on to fail |
//!
//! Where no connection can be opened, and where the origin says for how long it wants to be left alone, there is no doubt.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use goferry_net::pool::Cause;
use tokio::sync::Notify;

use super::{ClientConfig, Trouble};
use crate::error::{FailKind, FetchError};

/// How long the one request goes on that finds out.
const PROBE: Duration = Duration::from_secs(5);
/// The longest Retry-After that others are kept off for.
const LONGEST: Duration = Duration::from_secs(30);

/// How one origin stands.
#[derive(Debug)]
pub(crate) struct Standing {
    cool: Duration,
    state: Mutex<State>,
    /// Nothing is held against it: what arrives need not lock.
    well: AtomicBool,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    now: Now,
    /// When something last came from it.
    good: Option<Instant>,
    failed: Option<(Instant, FetchError)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Now {
    Well,
    Doubted,
    Shunned(Instant),
    /// One request finds out; whether others wait for it.
    Probed(bool),
}

/// Leave to send a request.
#[derive(Debug)]
pub(crate) struct Pass {
    standing: Arc<Standing>,
    probe: bool,
}

impl Pass {
    /// How patient the request is to be.
    pub(crate) fn patience(&self, config: ClientConfig) -> ClientConfig {
        if self.probe {
            ClientConfig { retries: config.retries.min(1), timeout: config.timeout.min(PROBE), ..config }
        } else {
            config
        }
    }
}

impl Drop for Pass {
    /// Who was to find out went away, or found nothing.
    fn drop(&mut self) {
        if self.probe {
            let mut state = self.standing.lock();
            if matches!(state.now, Now::Probed(_)) {
                state.now = Now::Doubted;
                self.standing.changed.notify_waiters();
            }
        }
    }
}

/// What a failed try says of the origin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Blame {
    /// Nothing.
    None,
    /// It answered.
    Alive,
    /// It may be the file's or the connection's.
    Maybe,
    /// It is the origin's; for so long, where that is known.
    Sure(Option<Duration>),
}

impl Blame {
    pub(super) fn of(trouble: &Trouble) -> Blame {
        match trouble {
            Trouble::Net(failure, _) if failure.cause == Cause::Slow => Blame::None,
            Trouble::Net(failure, _) if failure.cause == Cause::Dial => Blame::Sure(None),
            Trouble::Net(..) => Blame::Maybe,
            Trouble::Busy { status: 429 | 503, after: Some(after), .. } => Blame::Sure(Some(*after)),
            Trouble::Busy { status: 429 | 503, .. } => Blame::Maybe,
            Trouble::Busy { .. } => Blame::Alive,
            Trouble::Final(error) => match error.kind {
                // A piece of a zip that was given up comes here as final.
                FailKind::Status(429 | 500..) => Blame::None,
                FailKind::NotFound(_) | FailKind::Status(_) => Blame::Alive,
                _ => Blame::None,
            },
        }
    }
}

impl Standing {
    /// One that is well. With a `cool` of zero it stays so.
    pub(super) fn new(cool: Duration) -> Standing {
        let state = State { now: Now::Well, good: None, failed: None };
        Standing { cool, state: Mutex::new(state), well: AtomicBool::new(true), changed: Notify::new() }
    }

    /// Leave to ask for `url`.
    pub(crate) async fn admit(self: &Arc<Self>, url: &str) -> Result<Pass, FetchError> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.lock();
                let pass = |probe| Ok(Pass { standing: Arc::clone(self), probe });
                match state.now {
                    Now::Well => return pass(false),
                    Now::Doubted => {
                        state.now = Now::Probed(true);
                        return pass(true);
                    }
                    Now::Shunned(until) if until <= Instant::now() => {
                        state.now = Now::Probed(false);
                        return pass(true);
                    }
                    Now::Shunned(_) | Now::Probed(false) => match state.refusal(url) {
                        Some(error) => return Err(error),
                        None => return pass(false),
                    },
                    Now::Probed(true) => {}
                }
            }
            changed.await;
        }
    }

    /// Something came from it.
    pub(crate) fn good(&self) {
        if self.cool.is_zero() {
            return;
        }
        let mut state = self.lock();
        state.good = Some(Instant::now());
        if state.now != Now::Well {
            state.now = Now::Well;
            state.failed = None;
            self.well.store(true, Ordering::Relaxed);
            self.changed.notify_waiters();
        }
    }

    /// A file that failed since `since` was given up; `probe`: it was to find out.
    pub(super) fn bad(&self, blame: Blame, probe: bool, since: Instant, error: &FetchError) {
        let sure = match blame {
            Blame::None => return,
            Blame::Alive => return self.good(),
            Blame::Maybe => None,
            Blame::Sure(after) => Some(after),
        };
        let mut state = self.lock();
        if self.cool.is_zero() || state.good.is_some_and(|good| good >= since) {
            return;
        }
        let now = Instant::now();
        state.now = match (state.now, sure) {
            (Now::Probed(_), None) if probe => Now::Shunned(now + self.cool),
            (known @ (Now::Shunned(_) | Now::Probed(_)), None) => known,
            (_, None) => Now::Doubted,
            (_, Some(after)) => Now::Shunned(now + after.unwrap_or_default().min(LONGEST).max(self.cool)),
        };
        state.failed = Some((now, error.clone()));
        self.well.store(false, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Why a request that has failed since `since` is not sent again, though it might be.
    pub(super) fn given_up(&self, since: Instant, url: &str) -> Option<FetchError> {
        if self.well.load(Ordering::Relaxed) {
            return None;
        }
        let state = self.lock();
        let alive = state.good.is_some_and(|good| good >= since);
        if alive || !matches!(state.now, Now::Shunned(_)) { None } else { state.refusal(url) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn refusal(&self, url: &str) -> Option<FetchError> {
        let (since, error) = self.failed.as_ref()?;
        let seconds = since.elapsed().as_secs();
        let why = error.detail.trim_start_matches("GET ");
        Some(FetchError {
            detail: format!("GET {url}: not asked, for it failed {seconds} s ago: {why}"),
            ..error.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use goferry_net::Party;

    use super::*;

    const COOL: Duration = Duration::from_millis(200);

    fn standing() -> Arc<Standing> {
        Arc::new(Standing::new(COOL))
    }

    fn error() -> FetchError {
        FetchError::new(FailKind::Network(None), Party::Upstream, "GET http://a/first: refused")
    }

    fn words(refused: Result<Pass, FetchError>) -> String {
        refused.err().unwrap().detail
    }

    #[tokio::test]
    async fn who_cannot_be_reached_is_left_alone_for_a_while() {
        let standing = standing();
        let since = Instant::now();
        assert!(!standing.admit("http://a/b").await.unwrap().probe);
        standing.bad(Blame::Sure(None), false, since, &error());
        let text = words(standing.admit("http://a/b").await);
        assert_eq!(text, "GET http://a/b: not asked, for it failed 0 s ago: http://a/first: refused");
        // A request that is under way is not sent again, unless it began to fail after something came.
        assert!(standing.given_up(since, "http://a/c").is_some());
        tokio::time::sleep(COOL).await;
        // One finds out, the others go on to fail.
        let pass = standing.admit("http://a/b").await.unwrap();
        assert!(pass.probe && pass.patience(ClientConfig::default()).timeout == PROBE);
        assert!(standing.admit("http://a/b").await.is_err());
        standing.bad(Blame::Sure(None), false, Instant::now(), &error());
        drop(pass);
        assert!(standing.admit("http://a/b").await.is_err());
        tokio::time::sleep(COOL).await;
        let pass = standing.admit("http://a/b").await.unwrap();
        standing.good();
        drop(pass);
        assert!(!standing.admit("http://a/b").await.unwrap().probe);
        assert!(standing.given_up(since, "http://a/c").is_none());
    }

    #[tokio::test]
    async fn where_there_is_doubt_one_finds_out_and_others_wait() {
        let standing = standing();
        standing.bad(Blame::Maybe, false, Instant::now(), &error());
        let pass = standing.admit("http://a/b").await.unwrap();
        assert!(pass.probe);
        let other = tokio::spawn({
            let standing = Arc::clone(&standing);
            async move { standing.admit("http://a/c").await.map(|pass| pass.probe) }
        });
        tokio::time::sleep(COOL / 4).await;
        assert!(!other.is_finished());
        // Who was to find out went away: the next one does.
        drop(pass);
        assert_eq!(other.await.unwrap(), Ok(true));
        // Its pass is gone too.
        let pass = standing.admit("http://a/b").await.unwrap();
        standing.bad(Blame::Maybe, false, Instant::now(), &error());
        assert!(matches!(standing.lock().now, Now::Probed(true)), "who does not know yet is asked");
        standing.bad(Blame::Maybe, true, Instant::now(), &error());
        drop(pass);
        assert!(standing.admit("http://a/b").await.is_err());
    }

    #[tokio::test]
    async fn what_came_meanwhile_speaks_for_it() {
        let standing = standing();
        let since = Instant::now();
        standing.bad(Blame::Alive, false, since, &error());
        standing.bad(Blame::Maybe, false, since, &error());
        standing.bad(Blame::Sure(None), false, since, &error());
        assert!(!standing.admit("http://a/b").await.unwrap().probe);
        // What it asks for itself is kept to, but not for ever.
        standing.bad(Blame::Sure(Some(Duration::from_secs(3600))), false, Instant::now(), &error());
        let Now::Shunned(until) = standing.lock().now else { panic!("it is not shunned") };
        assert!(until <= Instant::now() + LONGEST && until > Instant::now() + LONGEST / 2);
        let never = Arc::new(Standing::new(Duration::ZERO));
        never.bad(Blame::Sure(None), false, Instant::now(), &error());
        assert!(!never.admit("http://a/b").await.unwrap().probe);
    }
}
