//! How often and how long a file is tried.

use std::time::{Duration, Instant};

use goferry_net::Party;
use goferry_net::pool::{Cause, Failure};

use super::{ClientConfig, Trouble};
use crate::error::{FailKind, FetchError};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// 5xx answers rarely mend within seconds: fewer tries than for a broken stream.
const BUSY_TRIES: u32 = 4;
/// So many bytes are progress: less could go on for ever.
const PROGRESS: u64 = 16 << 10;
/// GOAWAY and REFUSED_STREAM say that the request was not processed: these come on top of the budget.
const FREE_TRIES: u32 = 24;
/// How long a body may pause; how long the head of an answer may take, of a small file and of a zip. A proxy that fetches the
/// module itself first may take long over it.
const PAUSE: Duration = Duration::from_secs(10);
const HEAD: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(90)];
/// No try is shorter because patience is nearly over.
const SHORTEST: Duration = Duration::from_secs(5);
/// So many of these and no answer: this server's HTTP/2 leads nowhere.
const FREE_OVER_HTTP2: u32 = 8;
/// The same for other failures.
const FAILED_OVER_HTTP2: u32 = 4;

/// What to do after a try that failed.
#[derive(Debug)]
pub enum Next {
    /// Try again after this.
    Wait(Duration),
    /// It is over.
    GiveUp(FetchError),
}

/// One file's budget. Progress restores it.
#[derive(Debug)]
pub struct Patience {
    config: ClientConfig,
    /// What it is again once something arrived.
    full: ClientConfig,
    tries: u32,
    free: u32,
    busy: u32,
    over_http2: u32,
    total: u32,
    /// The first failure since the last progress.
    since: Option<Instant>,
    arrived: u64,
    /// Failed attempts to open a connection.
    dials: u32,
    /// How often it was taken from a connection that stood still.
    moves: u32,
    /// Whether this try's answer has begun.
    answered: bool,
}

/// How long a try may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    /// For the head of the answer.
    pub(crate) head: Duration,
    /// For the next bytes of its body.
    pub(crate) pause: Duration,
}

impl Waits {
    /// Of a try that may take `left`, of `timeout` in all: an answer that stops leaves time to ask again.
    pub(crate) fn within(left: Duration, timeout: Duration, large: bool) -> Waits {
        Waits { head: left.min(HEAD[usize::from(large)]), pause: left.min(PAUSE).min(timeout / 3) }
    }
}

impl Patience {
    /// A whole budget.
    #[must_use]
    pub fn new(config: ClientConfig) -> Patience {
        Patience {
            config,
            full: config,
            tries: 0,
            free: 0,
            busy: 0,
            over_http2: 0,
            total: 0,
            since: None,
            arrived: 0,
            moves: 0,
            dials: 0,
            answered: false,
        }
    }

    /// The budget of `hurried` until something arrives, then that of `full`.
    pub(crate) fn hurried(hurried: ClientConfig, full: ClientConfig) -> Patience {
        Patience { full, ..Patience::new(hurried) }
    }

    /// Whether its budget is a small one.
    pub(crate) fn is_hurried(&self) -> bool {
        self.config.timeout < self.full.timeout || self.config.retries < self.full.retries
    }

    /// This try's answer has begun.
    pub(crate) fn answered(&mut self) {
        self.answered = true;
    }

    /// Since when it fails.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// How long the next try may take.
    pub(crate) fn left(&self) -> Duration {
        let gone = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        self.config.timeout.saturating_sub(gone).max(SHORTEST.min(self.config.timeout / 3))
    }

    /// Whether something failed so far.
    #[must_use]
    pub fn tried(&self) -> bool {
        self.total > 0
    }

    /// Bytes arrived: a server that breaks every stream after a while is got through in the end.
    pub fn progress(&mut self, bytes: u64) {
        self.arrived += bytes;
        if self.arrived >= PROGRESS {
            (self.tries, self.free, self.busy, self.over_http2) = (0, 0, 0, 0);
            (self.since, self.arrived, self.config) = (None, 0, self.full);
        }
    }

    /// How often it was moved from a connection that stood still.
    #[must_use]
    pub fn moves(&self) -> u32 {
        self.moves
    }

    /// The rank of the next try: what failed goes before what has not been tried.
    #[must_use]
    pub fn rank(&self, rank: u64) -> u64 {
        if self.tried() || self.moves > 0 { rank.saturating_add(1 << 48) } else { rank }
    }

    /// Judges a failed try of `url`, and gives HTTP/2 up where that was the proof that it does not work.
    pub(crate) fn after(&mut self, trouble: Trouble, url: &str) -> Next {
        if let Trouble::Net(failure, _) = &trouble
            && failure.cause == Cause::Slow
        {
            // Another connection does it; nothing failed.
            self.moves += 1;
            return Next::Wait(Duration::ZERO);
        }
        self.total += 1;
        // Counted from the first failure, and the silence before it: before that the request may have waited for its turn.
        let waits = Waits::within(self.config.timeout, self.full.timeout, false);
        let silent = match &trouble {
            Trouble::Net(failure, _) if failure.cause != Cause::Silent => Duration::ZERO,
            Trouble::Net(..) if self.answered => waits.pause,
            Trouble::Net(..) => waits.head,
            _ => Duration::ZERO,
        };
        self.answered = false;
        let since = *self.since.get_or_insert_with(|| {
            let now = Instant::now();
            now.checked_sub(silent).unwrap_or(now)
        });
        let late = since.elapsed() >= self.config.timeout;
        match trouble {
            Trouble::Final(error) => Next::GiveUp(error),
            Trouble::Busy { error, after, status } => {
                self.busy += 1;
                let most = if status == 429 { self.config.retries } else { BUSY_TRIES.min(self.config.retries) };
                let pause = after.map_or_else(|| pause(self.busy), |after| after.max(FIRST_PAUSE));
                // What the server asks for is waited for once, if it is no more than the whole time.
                let overdue = if self.busy == 1 { pause } else { since.elapsed() + pause } > self.config.timeout;
                let pause = pause + after.map_or(Duration::ZERO, |_| jitter(FIRST_PAUSE));
                if self.busy > most || late || overdue {
                    let error = if self.config.retries == 0 || self.busy <= 1 {
                        error
                    } else {
                        // What the server said is below the first line.
                        let (first, rest) =
                            error.detail.split_at(error.detail.find('\n').unwrap_or(error.detail.len()));
                        FetchError { detail: format!("{first} ({} tries){rest}", self.busy), ..error }
                    };
                    return Next::GiveUp(error);
                }
                Next::Wait(pause)
            }
            Trouble::Net(failure, pool) => {
                if let Some(pool) = &pool
                    && let Some(proof) = self.proof(&failure)
                {
                    pool.give_up_http2(&proof);
                }
                if is_free(&failure.cause) && self.free < FREE_TRIES && self.config.retries > 0 && !late {
                    self.free += 1;
                    return Next::Wait(if self.free < 3 { Duration::ZERO } else { pause(self.free - 2) });
                }
                self.tries += 1;
                if failure.cause == Cause::Dial {
                    self.dials += 1;
                }
                let unreachable = self.dials > most_dials(&failure);
                if unreachable || self.tries > self.config.retries || late || is_hopeless(&failure) {
                    return Next::GiveUp(given_up(&failure, url, self.total));
                }
                // The first time at once: most often it was the connection, and a new one is fine.
                Next::Wait(if self.tries == 1 && failure.cause != Cause::Dial {
                    jitter(FIRST_PAUSE / 4)
                } else {
                    pause(self.tries)
                })
            }
        }
    }

    /// Why HTTP/2 is to be given up, if this failure, or so many of them, says so.
    fn proof(&mut self, failure: &Failure) -> Option<String> {
        let http2 = failure.error.phase == goferry_net::Phase::Http2;
        if !http2 {
            return None;
        }
        let text = failure.error.to_string();
        match &failure.cause {
            Cause::Protocol => return Some(text),
            Cause::Dead if text.contains("no SETTINGS") => return Some("no SETTINGS from the server".to_owned()),
            Cause::GoAway(code) | Cause::Reset(code)
                if matches!(
                    code.as_str(),
                    "HTTP_1_1_REQUIRED"
                        | "COMPRESSION_ERROR"
                        | "INADEQUATE_SECURITY"
                        | "FRAME_SIZE_ERROR"
                        | "FLOW_CONTROL_ERROR"
                ) =>
            {
                return Some(code.clone());
            }
            Cause::GoAway(code) if code == "PROTOCOL_ERROR" => return Some(format!("GOAWAY {code}")),
            _ => {}
        }
        if is_free(&failure.cause) {
            let often = self.free + 1 == FREE_OVER_HTTP2;
            return often.then(|| format!("one request was turned away {FREE_OVER_HTTP2} times, last: {text}"));
        }
        self.over_http2 += 1;
        (self.over_http2 == FAILED_OVER_HTTP2)
            .then(|| format!("one request failed {FAILED_OVER_HTTP2} times, last: {text}"))
    }
}

/// The request was not processed, and the connection or the server is well.
fn is_free(cause: &Cause) -> bool {
    matches!(cause, Cause::Refused | Cause::Unsent) || matches!(cause, Cause::GoAway(code) if code == "NO_ERROR")
}

/// Alerts that come after the client's side of the handshake (RFC 8446 section 4.4.2.4) and will come again.
const REFUSALS: [&str; 4] =
    ["alert: CertificateRequired", "alert: HandshakeFailure", "alert: AccessDenied", "alert: UnknownCa"];

/// A server that restarts is back within seconds; one that is not there is not.
fn most_dials(failure: &Failure) -> u32 {
    if failure.error.kind == goferry_net::ErrorKind::TimedOut { 1 } else { 4 }
}

/// What no second try can mend: settings and certificates, not networks.
fn is_hopeless(failure: &Failure) -> bool {
    use goferry_net::{ErrorKind, Phase};
    if REFUSALS.iter().any(|alert| failure.error.detail.contains(alert)) {
        return true;
    }
    failure.cause == Cause::Dial
        && match (&failure.error.phase, &failure.error.kind) {
            (Phase::Tls | Phase::Tunnel, ErrorKind::Other) | (_, ErrorKind::NameNotFound | ErrorKind::Alert(_)) => true,
            (Phase::Tunnel, ErrorKind::Status(status)) => *status != 502 && *status != 503 && *status != 504,
            _ => false,
        }
}

fn given_up(failure: &Failure, url: &str, tries: u32) -> FetchError {
    let times = if tries > 1 { format!(" ({tries} tries)") } else { String::new() };
    let detail = format!("GET {url}: {}{times}", failure.error);
    let refused = REFUSALS.iter().any(|alert| detail.contains(alert));
    let party = if refused { Party::Upstream } else { failure.error.party };
    if detail.contains(REFUSALS[0]) {
        let error = FetchError::new(FailKind::Network(Some(Box::new(failure.error.clone()))), Party::Upstream, detail);
        return error.with_advice(
            "the server demands a TLS client certificate, which neither the go command nor goferry can give",
        );
    }
    let error = FetchError::new(FailKind::Network(Some(Box::new(failure.error.clone()))), party, detail);
    match party {
        Party::Goferry => error,
        _ => error.with_advice("goferry doctor finds what is wrong on the way and prints the remedy"),
    }
}

fn pause(tries: u32) -> Duration {
    let base = FIRST_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
    base / 2 + jitter(base)
}

/// A random time below `most`, so that many clients do not come back together.
fn jitter(most: Duration) -> Duration {
    use std::hash::{BuildHasher as _, Hasher as _};
    // RandomState is seeded by the system; each one differs.
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    most.mul_f64((random >> 11) as f64 / (1u64 << 53) as f64)
}
