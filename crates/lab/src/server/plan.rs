//! What one request is answered with: the file, and the fault that befalls it.

use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use goferry_wire::h2::ErrorCode;

use super::behaviour::{Behaviour, BodyFault, CutHow, Http2, Silence, Sumdb};
use super::counters::{Counters, RequestCount};
use crate::universe::{Body, FileKind, SUMDB, Universe};

/// Bytes that an endless body repeats.
static ENDLESS_CHUNK: [u8; 16 * 1024] = [b'x'; 16 * 1024];

/// The answer to one request.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body,
    pub(super) think: Duration,
    pub(super) end: End,
}

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// As it should.
    Complete,
    /// There is no answer at all.
    Never,
    /// RST_STREAM in place of an answer (HTTP/2 only).
    ResetAtOnce(ErrorCode),
    /// Something happens when so many body bytes have been sent.
    After(u64, Accident),
    /// The body repeats for ever.
    Endless,
    /// Undecodable header block (HTTP/2 only).
    CorruptHeaders,
    /// CONTINUATION for ever (HTTP/2 only).
    EndlessHeaders,
}

/// What happens inside a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accident {
    /// RST_STREAM (HTTP/2 only).
    Reset(ErrorCode),
    /// END_STREAM; a FIN on HTTP/1.1.
    Truncate,
    /// Nothing more on this stream.
    Stall,
    /// The connection is cut.
    Cut(CutHow),
}

impl Plan {
    /// Body bytes that are sent before the answer ends or goes wrong; `None`: without end.
    pub(super) fn sendable(&self) -> Option<u64> {
        let whole = self.body.len() as u64;
        match self.end {
            End::Complete => Some(whole),
            End::After(bytes, _) => Some(bytes.min(whole)),
            End::Endless => None,
            End::Never | End::ResetAtOnce(_) | End::CorruptHeaders | End::EndlessHeaders => Some(0),
        }
    }

    /// Up to `max` body bytes from `offset`.
    pub(super) fn chunk(&self, offset: u64, max: usize) -> &[u8] {
        if self.end == End::Endless {
            return &ENDLESS_CHUNK[..max.min(ENDLESS_CHUNK.len())];
        }
        let end = self.sendable().unwrap_or(0).min(offset.saturating_add(max as u64));
        let (from, to) = (usize::try_from(offset).unwrap_or(usize::MAX), usize::try_from(end).unwrap_or(usize::MAX));
        self.body.get(from..to).unwrap_or(&[])
    }
}

/// A request, as far as its answer depends on it.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    /// `Range`.
    pub(super) range: Option<String>,
    /// `If-Range`.
    pub(super) if_range: Option<String>,
}

/// Turns requests into plans.
#[derive(Debug)]
pub(super) struct Planner {
    pub(super) behaviour: Behaviour,
    pub(super) universe: Arc<Universe>,
    pub(super) counters: Arc<Counters>,
}

impl Planner {
    /// Counts a request and says how it is answered; `stream` is 0 on HTTP/1.1.
    pub(super) fn plan(&self, asked: &Asked, connection: u64, stream: u32) -> (Plan, RequestCount) {
        let kind = FileKind::of(&asked.path);
        let count = self.counters.request(connection, stream, kind, &asked.path);
        let mut plan = self.healthy(&asked.method, &asked.path, kind, count);
        if plan.status == 200 && kind == FileKind::Zip {
            in_part(&mut plan, asked);
        }
        if matches!(plan.status, 200 | 206) && plan.end == End::Complete {
            plan.end = match self.end(kind, count, stream > 0) {
                // What is shorter than that is sent to its end.
                End::After(bytes, _) if bytes > 0 && bytes >= plan.body.len() as u64 => End::Complete,
                end => end,
            };
        }
        if plan.end != End::Endless && plan.end != End::Never {
            plan.headers.push(("content-length", plan.body.len().to_string()));
        }
        self.counters
            .answered(count, if matches!(plan.end, End::Never | End::ResetAtOnce(_)) { 0 } else { plan.status });
        (plan, count)
    }

    fn healthy(&self, method: &str, path: &str, kind: FileKind, count: RequestCount) -> Plan {
        let answers = &self.behaviour.answers;
        let mut plan =
            Plan { status: 200, headers: Vec::new(), body: Body::default(), think: answers.think, end: End::Complete };
        if let Some(server) = answers.server {
            plan.headers.push(("server", server.to_owned()));
        }
        let forced = answers.status.iter().find(|(which, _)| which.matches(kind, count.for_filter(which.kind)));
        if let Some((_, status)) = forced {
            return self.refusal(plan, *status);
        }
        if method != "GET" && method != "HEAD" {
            return self.refusal(plan, 405);
        }
        if kind == FileKind::SumDb {
            let own = path.strip_prefix("/sumdb/").and_then(|rest| rest.strip_prefix(SUMDB)?.strip_prefix('/'));
            match answers.sumdb {
                Sumdb::Absent if own.is_some() => {
                    let Some(body) = own.and_then(|asked| self.universe.sumdb(asked)) else {
                        return self.refusal(plan, 404);
                    };
                    plan.headers.push(("content-type", kind.content_type().to_owned()));
                    plan.body = body;
                }
                Sumdb::Supported if path.ends_with("/supported") => return plan,
                Sumdb::Hanging => plan.end = End::Never,
                Sumdb::Absent | Sumdb::Supported => return self.refusal(plan, 404),
            }
            return plan;
        }
        let wrong = answers.wrong_content.is_some_and(|which| which.matches(kind, count.for_filter(which.kind)));
        match self.universe.file(path, wrong) {
            Some(body) => {
                plan.headers.push(("content-type", kind.content_type().to_owned()));
                plan.body = body;
                plan
            }
            None => self.refusal(plan, 404),
        }
    }

    fn refusal(&self, mut plan: Plan, status: u16) -> Plan {
        plan.status = status;
        plan.body = Body::from(format!("{status}: said the origin\n").into_bytes());
        plan.headers.push(("content-type", "text/plain; charset=utf-8".to_owned()));
        if let Some(seconds) = self.behaviour.answers.retry_after {
            plan.headers.push(("retry-after", seconds.to_string()));
        }
        plan
    }

    fn end(&self, kind: FileKind, count: RequestCount, http2: bool) -> End {
        let healthy = Http2::default();
        let h2 = if http2 { &self.behaviour.http2 } else { &healthy };
        let hit = |which: super::behaviour::Which| which.matches(kind, count.for_filter(which.kind));
        if self.behaviour.silence == Silence::AfterHeaders {
            return End::After(0, Accident::Stall);
        }
        if h2.corrupt_hpack.is_some_and(hit) {
            return End::CorruptHeaders;
        }
        if h2.endless_headers.is_some_and(hit) {
            return End::EndlessHeaders;
        }
        if let Some(reset) = h2.reset.filter(|reset| hit(reset.which)) {
            return reset
                .after_body
                .map_or(End::ResetAtOnce(reset.code), |bytes| End::After(bytes, Accident::Reset(reset.code)));
        }
        match self.behaviour.body {
            BodyFault::Truncate { after, which } if hit(which) => End::After(after, Accident::Truncate),
            BodyFault::Stall { after, which } if hit(which) => End::After(after, Accident::Stall),
            BodyFault::Cut { after, how, which } if hit(which) => End::After(after, Accident::Cut(how)),
            BodyFault::Endless { which } if hit(which) => End::Endless,
            _ => End::Complete,
        }
    }
}

/// Makes a zip's answer one that can be resumed (RFC 9110 section 14): a strong ETag, and the part that was asked for
/// unless it would be of another file.
fn in_part(plan: &mut Plan, asked: &Asked) {
    let mut hasher = DefaultHasher::new();
    hasher.write(&plan.body);
    let etag = format!("\"{:x}\"", hasher.finish());
    plan.headers.push(("accept-ranges", "bytes".to_owned()));
    let same = asked.if_range.as_ref().is_none_or(|wanted| *wanted == etag);
    plan.headers.push(("etag", etag));
    let Some(range) = asked.range.as_deref().filter(|_| same) else { return };
    let all = plan.body.len();
    match byte_range(range, all) {
        Some((from, to)) => {
            plan.status = 206;
            plan.headers.push(("content-range", format!("bytes {from}-{}/{all}", to - 1)));
            plan.body = plan.body[from..to].to_vec().into();
        }
        None => {
            plan.status = 416;
            plan.headers.push(("content-range", format!("bytes */{all}")));
            plan.body = Body::default();
        }
    }
}

/// `bytes=5-9` or `bytes=5-` of so many bytes: the first, and the one after the last. No other kind is known here.
fn byte_range(range: &str, all: usize) -> Option<(usize, usize)> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let from: usize = from.parse().ok()?;
    let to = if to.is_empty() { all } else { to.parse::<usize>().ok()?.checked_add(1)?.min(all) };
    (from < to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::byte_range;

    #[test]
    fn ranges_are_within_the_file() {
        assert_eq!(byte_range("bytes=0-", 10), Some((0, 10)));
        assert_eq!(byte_range("bytes=5-7", 10), Some((5, 8)));
        assert_eq!(byte_range("bytes=5-99", 10), Some((5, 10)));
        for bad in ["bytes=10-", "bytes=7-5", "bytes=-5", "bytes=a-b", "lines=1-2", ""] {
            assert_eq!(byte_range(bad, 10), None, "{bad}");
        }
    }
}
