//! A piece of a zip: from one byte to another, however often it must be asked for.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use goferry_module::zip::MAX_ZIP_FILE;
use goferry_net::pool::{Cause, Failure, Response};
use goferry_net::{ErrorKind, NetError, Party, Phase, Pool};

use super::Job;
use super::range::{Hole, goes_on, validator};
use crate::cache::{Origin, SegmentWriter};
use crate::client::{Get, Next, Patience, Trouble};
use crate::error::{FailKind, FetchError};

/// The window may open by so much while a piece's end comes nearer.
const CHUNK: u64 = 64 << 10;
/// What a server of HTTP/1.1, whom nothing but TCP holds back, is taken to have sent ahead.
const AHEAD: u64 = 512 << 10;

/// A piece at work. Its end may come nearer while it runs: then another piece does the rest.
#[derive(Debug)]
pub(super) struct Piece {
    /// Where in the zip its file begins.
    pub(super) file: u64,
    /// Where it began this time.
    from: u64,
    at: AtomicU64,
    end: AtomicU64,
    /// Up to where the server may send already, as far as that is known.
    granted: AtomicU64,
    began: Instant,
    /// Bytes that had not arrived before.
    new: AtomicU64,
}

/// How a piece ended.
pub(super) enum Ended {
    /// All its bytes are there, up to this one; it tells the length of the zip where that was not known.
    Done(u64),
    /// The server does not go on where it broke off: it gives the whole, or nothing that fits.
    Misfit(Option<Box<(Response, Pool)>>),
}

/// How a piece ended, and how many bytes it brought that had not arrived before.
pub(super) struct Progressed {
    pub(super) bytes: u64,
    pub(super) ended: Result<Ended, Trouble>,
}

impl Piece {
    pub(super) fn new(hole: &Hole) -> Piece {
        Piece {
            file: hole.piece,
            from: hole.from,
            at: AtomicU64::new(hole.from),
            end: AtomicU64::new(hole.to),
            granted: AtomicU64::new(u64::MAX),
            began: Instant::now(),
            new: AtomicU64::new(0),
        }
    }

    /// Bytes to come; 0 where the end is not known.
    pub(super) fn left(&self) -> u64 {
        let end = self.end();
        if end == u64::MAX { 0 } else { end.saturating_sub(self.at()) }
    }

    /// How long the rest takes at the rate so far; long where nothing came yet.
    pub(super) fn time_left(&self) -> Duration {
        let came = self.at().saturating_sub(self.from);
        let rate = came as f64 / self.began.elapsed().as_secs_f64().max(1e-3);
        Duration::from_secs_f64((self.left() as f64 / rate.max(1.0)).min(1e6))
    }

    /// How many bytes of what is left it can give away: at most half, and none that the server may be sending already.
    pub(super) fn spare(&self) -> u64 {
        if self.left() == 0 { 0 } else { self.end().saturating_sub(self.middle()) }
    }

    /// Gives what it can spare to a new piece.
    pub(super) fn split(&self) -> Piece {
        let (middle, end) = (self.middle(), self.end());
        self.end.store(middle, Ordering::Relaxed);
        Piece::new(&Hole { piece: middle, from: middle, to: end })
    }

    /// The server may send as far as here.
    pub(super) fn grant(&self, position: u64) {
        self.granted.store(position, Ordering::Relaxed);
    }

    fn middle(&self) -> u64 {
        let (at, end) = (self.at(), self.end());
        let granted = self.granted.load(Ordering::Relaxed).saturating_add(CHUNK);
        (at + end.saturating_sub(at) / 2).max(granted).min(end)
    }

    fn at(&self) -> u64 {
        self.at.load(Ordering::Relaxed)
    }

    fn end(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }

    /// Brings the piece here: with the answer that is `given`, where there is one, and asks for the rest of it until all
    /// is here. `kept` is whose bytes there are.
    pub(super) async fn run(
        &self,
        job: &Job,
        kept: &Origin,
        mut writer: SegmentWriter,
        given: Option<(Response, Pool)>,
    ) -> Progressed {
        let ended = self.persist(job, kept, &mut writer, given).await;
        Progressed { bytes: self.new.load(Ordering::Relaxed), ended }
    }

    async fn persist(
        &self,
        job: &Job,
        kept: &Origin,
        writer: &mut SegmentWriter,
        mut given: Option<(Response, Pool)>,
    ) -> Result<Ended, Trouble> {
        let mut patience = Patience::new(*job.client.config());
        // A piece of a run before may have left bytes behind its start.
        self.at.store(writer.arrived().end().max(self.at()), Ordering::Relaxed);
        loop {
            if self.at() >= self.end() {
                return Ok(Ended::Done(self.at()));
            }
            let trouble = match given.take() {
                Some((response, pool)) => match self.take(job, response, pool, writer, &mut patience).await {
                    Ok(ended) => {
                        job.tally().healed |= patience.tried();
                        return Ok(ended);
                    }
                    Err(trouble) => trouble,
                },
                None => match self.ask(job, kept, &patience).await {
                    Ok(answer) => match answer.0.status {
                        200 => return Ok(Ended::Misfit(Some(Box::new(answer)))),
                        _ => match goes_on(&answer.0, kept, self.at()) {
                            Some(total) => {
                                if let Some(total) = total {
                                    self.end.fetch_min(total, Ordering::Relaxed);
                                }
                                given = Some(answer);
                                continue;
                            }
                            None => return Ok(Ended::Misfit(None)),
                        },
                    },
                    Err(Trouble::Final(error)) if error.kind == FailKind::Status(416) => {
                        return Ok(Ended::Misfit(None));
                    }
                    Err(trouble) => trouble,
                },
            };
            match job.after(&mut patience, trouble) {
                Next::Wait(pause) => tokio::time::sleep(pause).await,
                Next::GiveUp(error) => return Err(Trouble::Final(error)),
            }
            if job.strict && validator(kept).is_none() {
                return Ok(Ended::Misfit(None));
            }
        }
    }

    async fn ask(&self, job: &Job, kept: &Origin, patience: &Patience) -> Result<(Response, Pool), Trouble> {
        // Nothing is known before the answer.
        self.grant(u64::MAX);
        let (at, end) = (self.at(), self.end());
        let known = end != u64::MAX;
        let get = Get {
            large: true,
            rank: patience.rank(job.rank),
            expect: known.then(|| end - at),
            range: Some((at, known.then_some(end))),
            if_range: validator(kept),
            moves: patience.moves(),
            left: Some(patience.left()),
        };
        job.client.open(&job.base, &job.rest, &get).await
    }

    async fn take(
        &self,
        job: &Job,
        mut response: Response,
        pool: Pool,
        writer: &mut SegmentWriter,
        patience: &mut Patience,
    ) -> Result<Ended, Trouble> {
        patience.answered();
        loop {
            let at = self.at();
            response.body.want(self.end().saturating_sub(at));
            self.grant(at.saturating_add(response.body.granted().unwrap_or(AHEAD)));
            match response.body.chunk().await {
                Ok(Some(data)) => {
                    let (at, end) = (self.at(), self.end());
                    let room = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
                    let data = data.slice(..data.len().min(room));
                    let count = data.len() as u64;
                    if at + count > MAX_ZIP_FILE {
                        let text = format!("GET {}: the zip has more bytes than a module may have (500 MiB)", job.url);
                        return Err(Trouble::Final(FetchError::invalid(text)));
                    }
                    writer.write_all(&data).map_err(|error| not_written(&job.url, &error))?;
                    self.at.store(at + count, Ordering::Relaxed);
                    let new = job.received(count);
                    self.new.fetch_add(new, Ordering::Relaxed);
                    patience.progress(new);
                    if at + count >= end {
                        // Dropping the answer cancels what another piece does.
                        return Ok(Ended::Done(at + count));
                    }
                }
                Ok(None) => {
                    let (at, end) = (self.at(), self.end());
                    if end == u64::MAX || at >= end {
                        return Ok(Ended::Done(at));
                    }
                    let failure = short(&job.url, &response, end - at);
                    return Err(Trouble::Net(failure, Some(pool)));
                }
                Err(failure) => {
                    response.body.note_retry(&failure.to_string());
                    return Err(Trouble::Net(failure, Some(pool)));
                }
            }
        }
    }
}

/// The answer ended as it should, but for the bytes that are missing: a server may give less than was asked for
/// (RFC 9110 section 15.3.7).
pub(super) fn short(url: &str, response: &Response, left: u64) -> Failure {
    let phase = if response.http2 { Phase::Http2 } else { Phase::Http1 };
    let text = format!("GET {url}: the answer ended {left} bytes early");
    let error = NetError::new(phase, ErrorKind::Closed, Party::Upstream, text);
    Failure { cause: Cause::Lost, error, connection: response.body.connection() }
}

fn not_written(url: &str, error: &std::io::Error) -> Trouble {
    let error = FetchError::local(format_args!("writing what came from {url}"), error);
    Trouble::Final(error.with_advice(
        "what has arrived is kept beside the zip's place in the module cache; the next run goes on from there",
    ))
}
