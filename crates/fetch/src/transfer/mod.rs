//! One zip from one proxy to disk: resumed where it broke, in several pieces at once where one flow is slow.
//!
//! Small zips stay in memory until they are unpacked. Larger ones stream into pieces that survive a kill
//! ([`crate::cache::PartialZip`]). When the pool has more than one connection and one of them runs out of work, the piece with the
//! most left gives its second half away ([`Splitter`]).

mod piece;
mod splitter;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use goferry_module::zip::MAX_ZIP_FILE;
use goferry_module::{ModuleVersion, ProxyUrl, Scheme};
use goferry_net::Party;
use goferry_net::pool::Response;
use tokio::task::JoinSet;

use crate::cache::{ModCache, Origin, PartialZip, Zip};
use crate::client::{Client, Get, Next, Patience, Trouble, local, shown};
use crate::error::{FailKind, FetchError};
use piece::{Ended, Piece};
use splitter::Splittable;
pub use splitter::Splitter;

/// Zips up to this size stay in memory.
const IN_MEMORY: u64 = 1 << 20;
/// How long another process that is at the same zip is waited for.
const OTHER_PROCESS: Duration = Duration::from_secs(60);

/// Told of every byte that arrives.
pub trait Progress: Send + Sync {
    /// So many bytes of a zip arrived.
    fn bytes(&self, count: u64);
    /// A zip that has begun to arrive has so many bytes; what is on disk already included.
    fn expected(&self, count: u64);
}

/// What a transfer needs beside its URL.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) client: Arc<Client>,
    pub(crate) cache: Arc<ModCache>,
    pub(crate) splitter: Arc<Splitter>,
    pub(crate) progress: Arc<dyn Progress>,
}

/// A zip that arrived.
pub(crate) struct Arrived {
    pub(crate) zip: Zip,
    pub(crate) bytes: u64,
    /// Whether it was put together from more than one answer, so that a wrong hash may be the fault of that.
    pub(crate) assembled: bool,
}

impl Context {
    /// Fetches the zip of `module` from `base`. With `afresh` nothing that is on disk is used, and nothing is split.
    pub(crate) async fn zip(
        &self,
        module: &ModuleVersion,
        base: &ProxyUrl,
        rest: &str,
        rank: u64,
        afresh: bool,
    ) -> Result<Arrived, FetchError> {
        if base.scheme() == Scheme::File {
            return self.local(module, base, rest).await;
        }
        let url = shown(base, rest);
        let mut patience = Patience::new(*self.client.config());
        let mut parts = if self.has_parts(module) { Some(self.parts(module).await?) } else { None };
        if afresh && let Some(parts) = parts.take() {
            parts.discard();
        }
        // What is on disk must be of the same URL, with a validator that the server can be asked about.
        if parts.as_ref().is_some_and(|parts| {
            parts
                .origin()
                .is_none_or(|origin| origin.url != url || (origin.etag.is_none() && origin.last_modified.is_none()))
        }) && let Some(parts) = parts.take()
        {
            parts.discard();
        }
        let mut kept: Option<Kept> = None;
        loop {
            let have = match &kept {
                Some(kept) => kept.data.len() as u64,
                None => parts.as_ref().map_or(Ok(0), PartialZip::contiguous)?,
            };
            let total = parts.as_ref().and_then(|parts| parts.origin()?.total);
            if let (Some(all), Some(total)) = (parts.take_if(|_| total == Some(have) && have > 0), total) {
                self.progress.expected(total);
                self.progress.bytes(total);
                return Ok(Arrived { zip: join(all, total).await?, bytes: 0, assembled: true });
            }
            let get = Get {
                large: true,
                rank,
                range: (have > 0).then_some((have, None)),
                if_range: match &kept {
                    Some(kept) => kept.validator.clone(),
                    None => parts.as_ref().and_then(|parts| validator(parts.origin()?)),
                },
                ..Get::default()
            };
            let trouble = match self.client.open(base, rest, &get).await {
                Ok((response, pool)) => {
                    let begun = Begun { response, pool, have, afresh };
                    match self.receive(module, base, rest, rank, begun, &mut kept, &mut parts, &mut patience).await {
                        Ok(arrived) => {
                            if patience.tried() {
                                self.client.note_healed();
                            }
                            return Ok(arrived);
                        }
                        Err(trouble) => trouble,
                    }
                }
                Err(Trouble::Final(error)) if error.kind == FailKind::Status(416) && have > 0 => {
                    kept = None;
                    if let Some(parts) = parts.take() {
                        parts.discard();
                    }
                    continue;
                }
                Err(trouble) => trouble,
            };
            match patience.after(trouble, &url) {
                Next::Wait(pause) => tokio::time::sleep(pause).await,
                Next::GiveUp(error) => return Err(error),
            }
        }
    }

    /// Takes an answer's body.
    #[expect(clippy::too_many_arguments, reason = "what a request was, and what it is continued with")]
    async fn receive(
        &self,
        module: &ModuleVersion,
        base: &ProxyUrl,
        rest: &str,
        rank: u64,
        begun: Begun,
        kept: &mut Option<Kept>,
        parts: &mut Option<PartialZip>,
        patience: &mut Patience,
    ) -> Result<Arrived, Trouble> {
        let Begun { response, pool, have, afresh } = begun;
        let url = shown(base, rest);
        let from = match response.status {
            206 => match content_range(&response) {
                Some((from, total)) if from == have => Some((from, total)),
                _ => {
                    return Err(Trouble::Final(FetchError::invalid(format!(
                        "GET {url}: 206 with another range than the one asked for"
                    ))));
                }
            },
            _ => None,
        };
        let total = from.map_or(response.length, |(_, total)| total);
        if let Some(total) = total {
            if total > MAX_ZIP_FILE {
                let text = format!("GET {url}: the zip has {total} bytes, more than a module may have (500 MiB)");
                return Err(Trouble::Final(FetchError::invalid(text)));
            }
            if kept.is_none() {
                self.progress.expected(total);
            }
        }
        // What is kept goes on where it stopped, or is replaced by an answer that begins anew.
        let started = kept.take().filter(|_| from.is_some());
        if let Some(begun) =
            started.or_else(|| Kept::begin(&response, &url, total?).filter(|_| from.is_none() && parts.is_none()))
        {
            return self.in_memory(response, pool, begun, (!afresh).then_some(kept), patience).await;
        }
        let origin = origin(&response, &url, total);
        let mut all = match (parts.take(), from) {
            (Some(parts), Some(_)) => parts,
            (parts, _) => {
                // The server gives the whole: what is on disk is of no use.
                if let Some(parts) = parts {
                    parts.discard();
                }
                let mut parts = self.parts(module).await.map_err(Trouble::Final)?;
                restart(&mut parts, origin.clone()).map_err(Trouble::Final)?;
                parts
            }
        };
        let start = from.map_or(0, |(from, _)| from);
        if start > 0 {
            self.progress.bytes(start);
        }
        let end = total.unwrap_or(u64::MAX);
        let piece = Arc::new(Piece::new(start, end));
        let outcome = self
            .pieces(&mut all, base, rest, rank, response, &piece, &origin, afresh || pool.connections() == 0, patience)
            .await;
        match outcome {
            Ok((total, bytes, several)) => {
                let zip = join(all, total).await.map_err(Trouble::Final)?;
                Ok(Arrived { zip, bytes, assembled: several || start > 0 })
            }
            Err(trouble) => {
                // What arrived is resumed by the next try, or the next run.
                *parts = Some(all);
                Err(match trouble {
                    Trouble::Net(failure, None) => Trouble::Net(failure, Some(pool)),
                    other => other,
                })
            }
        }
    }

    /// Takes a small zip's body. What came of it before it broke off stays in `keep`, where that is wanted.
    async fn in_memory(
        &self,
        mut response: Response,
        pool: goferry_net::Pool,
        mut all: Kept,
        keep: Option<&mut Option<Kept>>,
        patience: &mut Patience,
    ) -> Result<Arrived, Trouble> {
        let before = all.data.len();
        loop {
            match response.body.chunk().await {
                Ok(Some(data)) => {
                    if (all.data.len() + data.len()) as u64 > IN_MEMORY {
                        // Content-Range and the body do not agree: all of it again.
                        return Err(Trouble::Final(FetchError::invalid("a zip that grows while it is sent")));
                    }
                    self.progress.bytes(data.len() as u64);
                    all.data.extend_from_slice(&data);
                }
                Ok(None) => {
                    let bytes = all.data.len() as u64;
                    return Ok(Arrived { zip: Zip::of_bytes(all.data.freeze()), bytes, assembled: before > 0 });
                }
                Err(failure) => {
                    response.body.note_retry(&failure.to_string());
                    if all.data.len() > before {
                        patience.progress();
                    }
                    if let Some(keep) = keep.filter(|_| !all.data.is_empty()) {
                        *keep = Some(all);
                    }
                    return Err(Trouble::Net(failure, Some(pool)));
                }
            }
        }
    }

    /// Runs the first piece with the answer that came, and those that are split from it.
    #[expect(clippy::too_many_arguments, reason = "what a request was, and what it is continued with")]
    async fn pieces(
        &self,
        all: &mut PartialZip,
        base: &ProxyUrl,
        rest: &str,
        rank: u64,
        response: Response,
        first: &Arc<Piece>,
        origin: &Origin,
        whole: bool,
        patience: &mut Patience,
    ) -> Result<(u64, u64, bool), Trouble> {
        let if_range = validator(origin);
        let received = Arc::new(AtomicU64::new(0));
        let open =
            |piece: &Piece| all.segment(piece.start, origin.total.unwrap_or(MAX_ZIP_FILE)).map_err(Trouble::Final);
        let run = |piece: Arc<Piece>, writer, response: Option<Response>, if_range: Option<String>| {
            let (client, progress, received) =
                (Arc::clone(&self.client), Arc::clone(&self.progress), Arc::clone(&received));
            let (base, rest) = (base.clone(), rest.to_owned());
            async move {
                piece.run(&client, &base, &rest, rank, writer, response, if_range, progress.as_ref(), &received).await
            }
        };
        let mut running = JoinSet::new();
        running.spawn(run(Arc::clone(first), open(first)?, Some(response), if_range.clone()));
        let splittable =
            (!whole && origin.total.is_some() && if_range.is_some()).then(|| Splittable::new(Arc::clone(first), base));
        let mut asks = splittable.as_ref().map(|splittable| self.splitter.register(splittable));
        let mut several = false;
        let mut total = origin.total;
        let mut trouble = None;
        loop {
            let ended = tokio::select! {
                ended = running.join_next() => match ended {
                    Some(ended) => ended,
                    None => break,
                },
                Some(piece) = async { match &mut asks { Some(asks) => asks.recv().await, None => None } } => {
                    if trouble.is_none() {
                        several = true;
                        running.spawn(run(Arc::clone(&piece), open(&piece)?, None, if_range.clone()));
                    }
                    continue;
                }
            };
            match ended {
                Ok(Ok(Ended::AtEnd(position))) => total = total.or(Some(position)),
                Ok(Ok(Ended::Done)) => {}
                Ok(Err(failed)) => {
                    // The others are worth their bytes: they end by themselves, at their bounds at the latest.
                    trouble = trouble.or(Some(failed));
                    running.abort_all();
                }
                Err(error) if error.is_cancelled() => {}
                Err(error) => {
                    let text = format!("receiving {}: {error}", shown(base, rest));
                    trouble =
                        trouble.or(Some(Trouble::Final(FetchError::new(FailKind::Invalid, Party::Goferry, text))));
                }
            }
        }
        let bytes = received.load(Ordering::Relaxed);
        if bytes > 0 {
            patience.progress();
        }
        match (trouble, total) {
            (Some(trouble), _) => Err(trouble),
            (None, Some(total)) => Ok((total, bytes, several)),
            (None, None) => Ok((bytes, bytes, several)),
        }
    }

    /// Whether something of the zip arrived in an earlier run.
    fn has_parts(&self, module: &ModuleVersion) -> bool {
        let mut description = self.cache.file(module, goferry_module::FileKind::Zip).into_os_string();
        description.push(".goferry-part.json");
        std::path::Path::new(&description).exists()
    }

    async fn parts(&self, module: &ModuleVersion) -> Result<PartialZip, FetchError> {
        let (cache, module) = (Arc::clone(&self.cache), module.clone());
        blocking(move || cache.partial_zip(&module, OTHER_PROCESS)).await
    }

    /// A zip of a `file://` proxy.
    async fn local(&self, module: &ModuleVersion, base: &ProxyUrl, rest: &str) -> Result<Arrived, FetchError> {
        let path = local::path(base, rest)?;
        let (cache, module) = (Arc::clone(&self.cache), module.clone());
        let arrived = blocking(move || {
            let fail = |error: std::io::Error| local::not_found_or(&path, &error);
            let mut file = std::fs::File::open(&path).map_err(fail)?;
            let size = file.metadata().map_err(fail)?.len();
            if size > MAX_ZIP_FILE {
                return Err(FetchError::invalid(format!("{}: more than 500 MiB", path.display())));
            }
            let zip = if size <= IN_MEMORY {
                let mut data = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
                std::io::Read::read_to_end(&mut std::io::Read::take(&mut file, IN_MEMORY), &mut data).map_err(fail)?;
                Zip::of_bytes(data.into())
            } else {
                let mut parts = cache.partial_zip(&module, OTHER_PROCESS)?;
                let url = format!("file://{}", path.display());
                restart(&mut parts, Origin { url, total: Some(size), ..Origin::default() })?;
                let mut writer = parts.segment(0, size)?;
                std::io::copy(&mut file, &mut writer).map_err(fail)?;
                parts.join(size)?
            };
            Ok(Arrived { zip, bytes: size, assembled: false })
        })
        .await?;
        self.progress.expected(arrived.bytes);
        self.progress.bytes(arrived.bytes);
        Ok(arrived)
    }
}

/// Empties what is there, whosever bytes they were.
fn restart(parts: &mut PartialZip, origin: Origin) -> Result<(), FetchError> {
    parts.set_origin(Origin::default())?;
    parts.set_origin(origin)
}

/// What has come of a small zip.
struct Kept {
    data: BytesMut,
    /// What the rest is asked for with, so that it is not of another file.
    validator: Option<String>,
}

impl Kept {
    /// For an answer that begins at the first byte and has `total` of them; `None` where they are too many for memory.
    fn begin(response: &Response, url: &str, total: u64) -> Option<Kept> {
        let size = usize::try_from(total).ok().filter(|_| total <= IN_MEMORY)?;
        let validator = validator(&origin(response, url, Some(total)));
        Some(Kept { data: BytesMut::with_capacity(size), validator })
    }
}

struct Begun {
    response: Response,
    pool: goferry_net::Pool,
    have: u64,
    afresh: bool,
}

async fn join(parts: PartialZip, total: u64) -> Result<Zip, FetchError> {
    blocking(move || parts.join(total)).await
}

/// Runs what blocks where that is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FetchError> + Send + 'static,
) -> Result<T, FetchError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(FetchError::new(FailKind::Invalid, Party::Goferry, format!("a task ended: {error}"))),
    }
}

/// What `If-Range` may be sent with (RFC 9110 section 13.1.5): a strong ETag, else Last-Modified.
fn validator(origin: &Origin) -> Option<String> {
    let strong = origin.etag.as_ref().filter(|etag| !etag.starts_with("W/"));
    strong.or(origin.last_modified.as_ref()).cloned()
}

fn origin(response: &Response, url: &str, total: Option<u64>) -> Origin {
    let field = |name| response.header(name).filter(|value| value.len() <= 256).map(str::to_owned);
    Origin { url: url.to_owned(), etag: field("etag"), last_modified: field("last-modified"), total }
}

/// `Content-Range: bytes 5-9/10`: where it begins, and the whole length where that is said.
fn content_range(response: &Response) -> Option<(u64, Option<u64>)> {
    parse_content_range(response.header("content-range")?)
}

fn parse_content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (from, to) = range.split_once('-')?;
    let (from, to): (u64, u64) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    let total = if total.trim() == "*" { None } else { Some(total.trim().parse::<u64>().ok()?) };
    (from <= to && total.is_none_or(|total| to < total)).then_some((from, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        assert_eq!(parse_content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(parse_content_range("bytes 0-0/*"), Some((0, None)));
        for bad in ["bytes 5-10/10", "bytes 9-5/10", "bytes */10", "octets 0-1/2", "bytes a-b/c", ""] {
            assert_eq!(parse_content_range(bad), None, "{bad}");
        }
    }
}
