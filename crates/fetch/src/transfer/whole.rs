//! A transfer from its first request to the whole zip, however often answers break off.

use std::sync::Arc;

use bytes::BytesMut;
use goferry_module::ModuleVersion;
use goferry_module::zip::MAX_ZIP_FILE;
use goferry_net::pool::Response;
use goferry_net::{Party, Pool};
use tokio::task::JoinSet;

use super::piece::{Ended, Piece, Progressed};
use super::range::{Hole, goes_on, holes, origin, validator};
use super::splitter::Splittable;
use super::{Arrived, Context, IN_MEMORY, Job, blocking, restart};
use crate::cache::{Origin, PartialZip, Zip};
use crate::client::{Get, Next, Patience, Trouble};
use crate::error::{FailKind, FetchError};

/// One zip under way.
pub(super) struct Transfer<'a> {
    context: &'a Context,
    module: &'a ModuleVersion,
    job: Arc<Job>,
    patience: Patience,
    held: Held,
    /// Answers that were not the rest of what is held.
    misfits: u32,
    /// Whether what is held is of more than one answer.
    assembled: bool,
}

/// What has come so far.
enum Held {
    Nothing,
    /// A small zip, and whose bytes they are.
    Memory(BytesMut, Origin),
    Disk(PartialZip),
}

/// An answer, and the pool that it came from.
type Given = (Response, Pool);

/// How taking an answer ended.
enum Taken {
    All(Zip),
    /// All that was asked for came, and yet something is missing.
    More,
    /// What is held is of no use: the server gives the whole, or no part that fits.
    Misfit(Option<Given>),
}

impl<'a> Transfer<'a> {
    /// Looks at what is there of an earlier run.
    pub(super) async fn begin(
        context: &'a Context,
        module: &'a ModuleVersion,
        job: Arc<Job>,
    ) -> Result<Transfer<'a>, FetchError> {
        let mut held = Held::Nothing;
        if let Some(parts) = context.earlier(module).await? {
            // They must be of the same URL, with a validator that the server can be asked about.
            let fits = |origin: &Origin| origin.url == job.url && validator(origin).is_some();
            if !job.strict && parts.origin().is_some_and(fits) {
                held = Held::Disk(parts);
            } else {
                parts.discard();
            }
        }
        let patience = Patience::new(*job.client.config());
        let assembled = matches!(held, Held::Disk(_));
        Ok(Transfer { context, module, job, patience, held, misfits: 0, assembled })
    }

    /// Tries until it is there, or patience is over.
    pub(super) async fn run(mut self) -> Result<Arrived, FetchError> {
        let refused = |error: FetchError| error.asked_of(&self.job.base);
        let pass = self.job.standing.admit(&self.job.url).await.map_err(refused)?;
        let config = *self.job.client.config();
        self.patience = Patience::hurried(pass.patience(config), config);
        loop {
            match self.attempt().await {
                Ok(zip) => {
                    let tally = self.job.tally();
                    if self.patience.tried() || tally.healed {
                        self.job.client.note_healed();
                    }
                    return Ok(Arrived { zip, bytes: tally.received, assembled: self.assembled });
                }
                Err(trouble) => match self.job.after(&mut self.patience, trouble) {
                    Next::Wait(pause) => tokio::time::sleep(pause).await,
                    Next::GiveUp(error) => return Err(error),
                },
            }
        }
    }

    async fn attempt(&mut self) -> Result<Zip, Trouble> {
        let mut given = None;
        loop {
            if self.job.strict && !self.is_vouched_for() {
                self.discard();
            }
            let missing = self.missing().map_err(Trouble::Final)?;
            if missing.is_empty()
                && let Held::Disk(parts) = std::mem::replace(&mut self.held, Held::Nothing)
            {
                let total = parts.origin().and_then(|origin| origin.total).unwrap_or(0);
                self.job.expect(total);
                self.job.have(total);
                return join(parts, total).await.map_err(Trouble::Final);
            }
            let (response, pool) = match given.take() {
                Some(given) => given,
                None => match self.ask(&missing).await? {
                    Some(given) => given,
                    None => {
                        self.misfit()?;
                        continue;
                    }
                },
            };
            match self.take(response, pool, missing).await? {
                Taken::All(zip) => return Ok(zip),
                Taken::More => {}
                Taken::Misfit(instead) => {
                    self.misfit()?;
                    given = instead;
                }
            }
        }
    }

    /// Asks for the first bytes that are missing. `None`: the server says that there are none (416).
    async fn ask(&self, missing: &[Hole]) -> Result<Option<Given>, Trouble> {
        let first = missing.first().filter(|hole| hole.from > 0 || hole.to != u64::MAX);
        // The whole, or all from here on, needs no end.
        let range = first.map(|hole| (hole.from, (missing.len() > 1).then_some(hole.to)));
        let range = range.filter(|(from, to)| *from > 0 || to.is_some());
        let get = Get {
            large: true,
            rank: self.patience.rank(self.job.rank),
            expect: first.filter(|_| range.is_some()).map(|hole| hole.to - hole.from),
            range,
            if_range: if range.is_some() { self.origin().and_then(validator) } else { None },
            moves: self.patience.moves(),
            left: Some(self.patience.left()),
        };
        match self.job.client.open(&self.job.base, &self.job.rest, &get).await {
            Ok(given) => Ok(Some(given)),
            Err(Trouble::Final(error)) if error.kind == FailKind::Status(416) && range.is_some() => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// Takes an answer: the whole zip, or what comes next of it.
    async fn take(&mut self, response: Response, pool: Pool, missing: Vec<Hole>) -> Result<Taken, Trouble> {
        let job = Arc::clone(&self.job);
        self.patience.answered();
        let mut total = response.length;
        if response.status == 206 {
            let from = missing.first().map_or(0, |hole| hole.from);
            let kept = self.origin().cloned().unwrap_or_default();
            match goes_on(&response, &kept, from) {
                Some(whole) => total = whole,
                None => return Ok(Taken::Misfit(None)),
            }
            self.assembled = true;
        } else if !matches!(self.held, Held::Nothing) {
            // The server gives the whole: what is held is of no use.
            self.misfit()?;
        }
        if let Some(total) = total {
            if total > MAX_ZIP_FILE {
                let text = format!("GET {}: the zip has {total} bytes, more than a module may have (500 MiB)", job.url);
                return Err(Trouble::Final(FetchError::invalid(text)));
            }
            job.expect(total);
        }
        let origin = origin(&response, &job.url, total);
        match (std::mem::replace(&mut self.held, Held::Nothing), total) {
            (Held::Memory(data, origin), _) => self.in_memory(response, pool, data, origin).await,
            (Held::Nothing, Some(total)) if total <= IN_MEMORY => {
                let data = BytesMut::with_capacity(usize::try_from(total).unwrap_or(0));
                self.in_memory(response, pool, data, origin).await
            }
            (Held::Nothing, _) => {
                let mut parts = self.context.parts(self.module).await.map_err(Trouble::Final)?;
                restart(&mut parts, origin).map_err(Trouble::Final)?;
                let whole = vec![Hole { piece: 0, from: 0, to: total.unwrap_or(u64::MAX) }];
                self.on_disk(parts, (response, pool), whole, total).await
            }
            (Held::Disk(parts), _) => {
                let mut missing = missing;
                if let (Some(total), Some(last)) = (total, missing.last_mut()) {
                    last.to = last.to.min(total);
                }
                self.on_disk(parts, (response, pool), missing, total).await
            }
        }
    }

    async fn in_memory(
        &mut self,
        mut response: Response,
        pool: Pool,
        mut data: BytesMut,
        origin: Origin,
    ) -> Result<Taken, Trouble> {
        let total = origin.total.unwrap_or(IN_MEMORY);
        self.job.have(data.len() as u64);
        loop {
            match response.body.chunk().await {
                Ok(Some(chunk)) => {
                    if (data.len() + chunk.len()) as u64 > total {
                        // The body is longer than Content-Range says.
                        return Ok(Taken::Misfit(None));
                    }
                    data.extend_from_slice(&chunk);
                    let new = self.job.received(chunk.len() as u64);
                    self.patience.progress(new);
                }
                Ok(None) if data.len() as u64 == total => return Ok(Taken::All(Zip::of_bytes(data.freeze()))),
                Ok(None) => {
                    // A server may give less than was asked for (RFC 9110 section 15.3.7).
                    let trouble = self.broke_off(&mut response, pool, total - data.len() as u64);
                    self.held = Held::Memory(data, origin);
                    return Err(trouble);
                }
                Err(failure) => {
                    response.body.note_retry(&failure.to_string());
                    self.held = Held::Memory(data, origin);
                    return Err(Trouble::Net(failure, Some(pool)));
                }
            }
        }
    }

    fn broke_off(&self, response: &mut Response, pool: Pool, left: u64) -> Trouble {
        let failure = super::piece::short(&self.job.url, response, left);
        response.body.note_retry(&failure.to_string());
        Trouble::Net(failure, Some(pool))
    }

    /// Fills what is missing on disk: the first hole with the answer that came, others and pieces that are split off
    /// with requests of their own.
    async fn on_disk(
        &mut self,
        parts: PartialZip,
        given: Given,
        missing: Vec<Hole>,
        total: Option<u64>,
    ) -> Result<Taken, Trouble> {
        let kept = Arc::new(parts.origin().cloned().unwrap_or_default());
        let lacking: u64 = missing.iter().map(|hole| hole.to.saturating_sub(hole.from)).sum();
        self.job.have(total.map_or(missing[0].from, |total| total.saturating_sub(lacking)));
        let pieces: Vec<Arc<Piece>> = missing.iter().map(|hole| Arc::new(Piece::new(hole))).collect();
        let may_split = !self.job.strict && total.is_some() && validator(&kept).is_some();
        let splittable = may_split.then(|| Splittable::new(pieces.clone(), &self.job.base));
        let mut asks = splittable.as_ref().map(|splittable| self.context.splitter.register(splittable));
        let mut running = JoinSet::new();
        let mut given = Some(given);
        let limit = total.unwrap_or(u64::MAX);
        let mut start = |running: &mut JoinSet<_>, piece: Arc<Piece>| -> Result<(), Trouble> {
            let writer = parts.segment(piece.file, limit).map_err(Trouble::Final)?;
            let (job, kept, given) = (Arc::clone(&self.job), Arc::clone(&kept), given.take());
            running.spawn(async move { piece.run(&job, &kept, writer, given).await });
            Ok(())
        };
        for piece in pieces {
            start(&mut running, piece)?;
        }
        let mut length = total;
        let mut over: Option<Result<Taken, Trouble>> = None;
        let mut progressed = 0;
        loop {
            let ended = tokio::select! {
                ended = running.join_next() => match ended {
                    Some(ended) => ended,
                    None => break,
                },
                Some(piece) = async { match &mut asks { Some(asks) => asks.recv().await, None => None } } => {
                    if over.is_none() {
                        self.assembled = true;
                        start(&mut running, piece)?;
                    }
                    continue;
                }
            };
            let failed = match ended {
                Ok(Progressed { bytes, ended }) => {
                    progressed += bytes;
                    match ended {
                        Ok(Ended::Done(position)) => {
                            length = length.or(Some(position));
                            continue;
                        }
                        Ok(Ended::Misfit(instead)) => Ok(Taken::Misfit(instead.map(|given| *given))),
                        Err(trouble) => Err(trouble),
                    }
                }
                Err(error) if error.is_cancelled() => continue,
                Err(error) => {
                    let text = format!("receiving {}: {error}", self.job.url);
                    Err(Trouble::Final(FetchError::new(FailKind::Invalid, Party::Goferry, text)))
                }
            };
            if over.is_none() {
                over = Some(failed);
                // What has come stays on disk.
                running.abort_all();
            }
        }
        self.assembled |= self.job.tally().healed;
        match over {
            None => {
                let length = length.unwrap_or(0);
                // A half may have been given away just as the last piece ended: then nobody was there to take it.
                let left: u64 = holes(&parts.segments().map_err(Trouble::Final)?, length)
                    .iter()
                    .map(|hole| hole.to - hole.from)
                    .sum();
                if (1..lacking).contains(&left) {
                    self.held = Held::Disk(parts);
                    return Ok(Taken::More);
                }
                join(parts, length).await.map(Taken::All).map_err(Trouble::Final)
            }
            Some(outcome) => {
                self.held = Held::Disk(parts);
                if outcome.is_err() {
                    self.patience.progress(progressed);
                }
                outcome
            }
        }
    }

    /// What is held cannot be gone on with.
    fn misfit(&mut self) -> Result<(), Trouble> {
        self.discard();
        self.misfits += 1;
        if self.misfits <= self.job.client.config().retries.max(1) {
            return Ok(());
        }
        let text =
            format!("GET {}: it breaks off each time, and the server does not go on where it broke off", self.job.url);
        Err(Trouble::Final(FetchError::new(FailKind::Network(None), Party::Upstream, text)))
    }

    fn discard(&mut self) {
        if let Held::Disk(parts) = std::mem::replace(&mut self.held, Held::Nothing) {
            parts.discard();
        }
        self.assembled = false;
        let mut tally = self.job.tally();
        (tally.have, tally.healed) = (0, false);
    }

    fn origin(&self) -> Option<&Origin> {
        match &self.held {
            Held::Nothing => None,
            Held::Memory(_, origin) => Some(origin),
            Held::Disk(parts) => parts.origin(),
        }
    }

    fn is_vouched_for(&self) -> bool {
        self.origin().is_none_or(|origin| validator(origin).is_some())
    }

    /// What has not come yet.
    fn missing(&self) -> Result<Vec<Hole>, FetchError> {
        let from = |from, total: Option<u64>| vec![Hole { piece: 0, from, to: total.unwrap_or(u64::MAX) }];
        Ok(match &self.held {
            Held::Nothing => from(0, None),
            Held::Memory(data, origin) => from(data.len() as u64, origin.total),
            Held::Disk(parts) => match parts.origin().and_then(|origin| origin.total) {
                Some(total) => holes(&parts.segments()?, total),
                None => {
                    // Where the end is not known there is one piece.
                    holes(&parts.segments()?, u64::MAX)
                        .into_iter()
                        .take(1)
                        .map(|hole| Hole { to: u64::MAX, ..hole })
                        .collect()
                }
            },
        })
    }
}

async fn join(parts: PartialZip, total: u64) -> Result<Zip, FetchError> {
    blocking(move || parts.join(total)).await
}
