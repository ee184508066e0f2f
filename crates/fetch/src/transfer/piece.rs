//! A piece of a zip: from one byte to another, however often it must be asked for.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use goferry_module::ProxyUrl;
use goferry_net::pool::Response;

use super::{Progress, content_range};
use crate::cache::SegmentWriter;
use crate::client::{Client, Get, Next, Patience, Trouble, shown};
use crate::error::{FailKind, FetchError};

/// A piece at work. Its end may come nearer while it runs: then another piece does the rest.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) start: u64,
    at: AtomicU64,
    end: AtomicU64,
}

/// How a piece ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ended {
    /// All its bytes are there.
    Done,
    /// The answer ended here, and its length was not known before.
    AtEnd(u64),
}

impl Piece {
    pub(super) fn new(start: u64, end: u64) -> Piece {
        Piece { start, at: AtomicU64::new(start), end: AtomicU64::new(end) }
    }

    /// Bytes to come; 0 where the end is not known.
    pub(super) fn left(&self) -> u64 {
        let end = self.end.load(Ordering::Relaxed);
        if end == u64::MAX { 0 } else { end.saturating_sub(self.at.load(Ordering::Relaxed)) }
    }

    /// Gives the second half of what is left to a new piece.
    pub(super) fn split(&self) -> Piece {
        let (at, end) = (self.at.load(Ordering::Relaxed), self.end.load(Ordering::Relaxed));
        let middle = at + end.saturating_sub(at) / 2;
        self.end.store(middle, Ordering::Relaxed);
        Piece::new(middle, end)
    }

    #[expect(clippy::too_many_arguments, reason = "what a request was, and what it is continued with")]
    pub(super) async fn run(
        &self,
        client: &Client,
        base: &ProxyUrl,
        rest: &str,
        rank: u64,
        mut writer: SegmentWriter,
        mut response: Option<Response>,
        if_range: Option<String>,
        progress: &dyn Progress,
        received: &AtomicU64,
    ) -> Result<Ended, Trouble> {
        let url = shown(base, rest);
        let mut patience = Patience::new(*client.config());
        // A piece of a run before may have left bytes behind its start.
        self.at.store(writer.arrived().end().max(self.at.load(Ordering::Relaxed)), Ordering::Relaxed);
        loop {
            let (at, end) = (self.at.load(Ordering::Relaxed), self.end.load(Ordering::Relaxed));
            if at >= end {
                return Ok(Ended::Done);
            }
            let trouble = match response.take() {
                Some(response) => match self.take(response, &url, &mut writer, progress, received, &mut patience).await
                {
                    Ok(ended) => return Ok(ended),
                    Err(trouble) => trouble,
                },
                None if at > self.start && if_range.is_none() => {
                    // Without a validator the rest may be of another file: from the beginning, by the caller.
                    return Err(restart(&url));
                }
                None => {
                    let get = Get {
                        large: true,
                        rank,
                        expect: (end != u64::MAX).then(|| end - at),
                        range: Some((at, (end != u64::MAX).then_some(end))),
                        if_range: if_range.clone(),
                    };
                    match client.open(base, rest, &get).await {
                        Ok((again, _))
                            if again.status == 206 && content_range(&again).is_some_and(|(from, _)| from == at) =>
                        {
                            response = Some(again);
                            continue;
                        }
                        Ok(_) => return Err(restart(&url)),
                        Err(trouble) => trouble,
                    }
                }
            };
            match patience.after(trouble, &url) {
                Next::Wait(pause) => tokio::time::sleep(pause).await,
                Next::GiveUp(error) => return Err(Trouble::Final(error)),
            }
        }
    }

    async fn take(
        &self,
        mut response: Response,
        url: &str,
        writer: &mut SegmentWriter,
        progress: &dyn Progress,
        received: &AtomicU64,
        patience: &mut Patience,
    ) -> Result<Ended, Trouble> {
        loop {
            match response.body.chunk().await {
                Ok(Some(data)) => {
                    let at = self.at.load(Ordering::Relaxed);
                    let end = self.end.load(Ordering::Relaxed);
                    let room = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
                    let data = data.slice(..data.len().min(room));
                    writer.write_all(&data).map_err(|error| {
                        let error = FetchError::local(format_args!("writing what came from {url}"), &error);
                        Trouble::Final(error.with_advice(
                            "what has arrived is kept beside the zip's place in the module cache; the next run goes on from there",
                        ))
                    })?;
                    let count = data.len() as u64;
                    self.at.store(at + count, Ordering::Relaxed);
                    received.fetch_add(count, Ordering::Relaxed);
                    progress.bytes(count);
                    if at + count >= end {
                        // Dropping the answer cancels what another piece does.
                        return Ok(Ended::Done);
                    }
                    if patience.tried() && count > 0 {
                        patience.progress();
                    }
                }
                Ok(None) => {
                    let at = self.at.load(Ordering::Relaxed);
                    let end = self.end.load(Ordering::Relaxed);
                    if end == u64::MAX || at >= end {
                        return Ok(Ended::AtEnd(at));
                    }
                    let text = format!("GET {url}: the answer ended {} bytes early", end - at);
                    return Err(Trouble::Final(FetchError::invalid(text)));
                }
                Err(failure) => {
                    response.body.note_retry(&failure.to_string());
                    return Err(Trouble::Net(failure, None));
                }
            }
        }
    }
}

/// The server does not give pieces: the whole must be asked for again.
fn restart(url: &str) -> Trouble {
    let text = format!("GET {url}: the server does not resume");
    let error = FetchError::new(FailKind::Status(200), goferry_net::Party::Upstream, text);
    Trouble::Busy { error, after: Some(std::time::Duration::ZERO), status: 429 }
}
