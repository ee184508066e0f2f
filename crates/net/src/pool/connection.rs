//! One connection of the pool: opening it, sending a request on it, and what its errors mean.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Uri, Version, header};
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::monitor;
use super::response::{Body, Inbound, Response};
use super::slots::{Back, Shared};
use super::{Ask, Cause, Class, Failure, Inner, windows};
use crate::connect::{Connected, Connector};
use crate::error::{ErrorKind, NetError, Party, Phase};
use crate::h2::USER_AGENT;
use crate::io::Tapped;
use crate::timeline::{Event, Timeline, TimelineTap};

const MAX_FRAME: u32 = 64 << 10;
const MAX_HEADERS: u32 = 64 << 10;

pub(super) type Http1 = hyper::client::conn::http1::SendRequest<http_body_util::Empty<Bytes>>;

/// How requests are sent on a connection.
pub(super) enum Sender {
    Http2(h2::client::SendRequest<Bytes>),
    /// `None` while a request is on it.
    Http1(Option<Http1>),
}

/// The same, for one request.
enum Handle {
    Http2(h2::client::SendRequest<Bytes>),
    Http1(Option<Http1>),
}

impl Sender {
    pub(super) fn for_lease(&mut self) -> LeaseSender {
        LeaseSender(match self {
            Sender::Http2(sender) => Handle::Http2(sender.clone()),
            Sender::Http1(sender) => Handle::Http1(sender.take()),
        })
    }
}

/// What a lease sends with.
pub(super) struct LeaseSender(Handle);

/// The right to one request on a connection; given back when dropped.
pub(super) struct Lease {
    back: Back,
    pub(super) shared: Arc<Shared>,
    sender: Handle,
    class: Class,
    /// Bytes still expected.
    left: AtomicU64,
    /// Whether the request went to the connection.
    sent: bool,
    /// Whether an HTTP/1.1 connection ends with this answer.
    closes: bool,
    reusable: Option<Http1>,
    /// How often the request was moved already.
    moves: u32,
}

impl Lease {
    pub(super) fn new(back: Back, shared: Arc<Shared>, sender: LeaseSender, class: Class, expect: u64) -> Lease {
        let left = AtomicU64::new(if class == Class::Large { expect } else { 0 });
        Lease { back, shared, sender: sender.0, class, left, sent: false, closes: false, reusable: None, moves: 0 }
    }

    fn number(&self) -> u32 {
        self.shared.timeline.number()
    }

    /// The answer will have so many bytes.
    fn expect(&self, bytes: u64) {
        if self.class == Class::Large {
            let old = self.left.swap(bytes, Ordering::Relaxed);
            if bytes >= old {
                self.shared.outstanding.fetch_add(bytes - old, Ordering::Relaxed);
            } else {
                self.took(old - bytes);
            }
            if let Some(inner) = self.back.upgrade() {
                inner.lock().learn_size(bytes);
            }
        }
    }

    /// So many bytes of it came.
    pub(super) fn received(&self, bytes: u64) {
        if self.class == Class::Large {
            let left = self.left.load(Ordering::Relaxed);
            let taken = bytes.min(left);
            self.left.store(left - taken, Ordering::Relaxed);
            self.took(taken);
            if let Some(inner) = self.back.upgrade() {
                Inner::pump(&inner, false);
            }
        }
    }

    fn took(&self, bytes: u64) {
        let _ = self
            .shared
            .outstanding
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| Some(old.saturating_sub(bytes)));
    }

    /// The answer was read to its end: an HTTP/1.1 connection can be used again.
    pub(super) fn complete(&mut self) {
        if let Handle::Http1(sender) = &mut self.sender {
            self.reusable = sender.take().filter(|sender| !self.closes && !sender.is_closed());
        }
    }

    /// What ended the connection where something is known, for an error that only says that it ended.
    pub(super) fn failure(&self, error: Failure) -> Failure {
        if self.shared.dead.load(Ordering::Relaxed) && error.cause == Cause::Lost {
            let why = self.shared.timeline.snapshot().closed.unwrap_or_default();
            let cause =
                if why.starts_with("dead") || why.starts_with("no SETTINGS") { Cause::Dead } else { Cause::Lost };
            let error = NetError { detail: format!("{}: {why}", error.error.detail), ..error.error };
            return Failure { cause, error, connection: self.number() };
        }
        error
    }

    pub(super) fn fail(&self, cause: Cause, kind: ErrorKind, phase: Phase, text: String) -> Failure {
        Failure { cause, error: NetError::new(phase, kind, Party::Upstream, text), connection: self.number() }
    }
}

/// So often one request is moved at most, each time after twice as long.
const MOST_MOVES: u32 = 4;

/// How a request's connection does, beside the others.
struct Course {
    back: Back,
    shared: Arc<Shared>,
    http2: bool,
    moves: u32,
}

impl Course {
    /// After how long without a byte another connection is looked at.
    fn patience(&self) -> Duration {
        let inner = self.back.upgrade().filter(|_| self.http2 && self.moves < MOST_MOVES);
        let slow = inner.and_then(|inner| inner.lock().slow());
        slow.map_or(Duration::MAX, |slow| slow.saturating_mul(1 << self.moves.min(16)))
    }

    /// Whether the request, after `patience`, is better on another connection, where so many bytes of its answer may be on
    /// their way.
    fn may_move(&self, patience: Duration, coming: u64) -> bool {
        let inner = self.back.upgrade().filter(|_| patience < Duration::MAX);
        inner.is_some_and(|inner| inner.lock().may_move(self.shared.timeline.number(), patience, coming))
    }
}

impl Lease {
    fn course(&self) -> Course {
        let http2 = matches!(self.sender, Handle::Http2(_));
        Course { back: Back::clone(&self.back), shared: Arc::clone(&self.shared), http2, moves: self.moves }
    }

    pub(super) fn patience(&self) -> Duration {
        self.course().patience()
    }

    pub(super) fn may_move(&self, patience: Duration, coming: u64) -> bool {
        self.course().may_move(patience, coming)
    }

    /// A flow that lost its last segments waits for a time-out that doubles; others carry on meanwhile.
    pub(super) fn moved(&self, phase: Phase) -> Failure {
        let text = "slow on a path that loses: on another connection".to_owned();
        self.fail(Cause::Slow, ErrorKind::TimedOut, phase, text)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.took(self.left.load(Ordering::Relaxed));
        if !self.sent {
            self.shared.timeline.uncount_request();
            if let Handle::Http1(sender) = &mut self.sender {
                self.reusable = sender.take().filter(|sender| !sender.is_closed());
            }
        }
        let Some(inner) = self.back.upgrade() else { return };
        inner.lock().release(self.number(), self.class, inner.born.elapsed(), self.reusable.take());
        Inner::pump(&inner, false);
    }
}

pub(super) fn lost(connection: u32, text: &str) -> Failure {
    let error = NetError::new(Phase::Http2, ErrorKind::Closed, Party::Goferry, text);
    Failure { cause: Cause::Lost, error, connection }
}

/// Opens a connection and hands it to the pool, unless the pool goes away meanwhile.
pub(super) async fn open(back: Back, connector: Connector, mut alive: watch::Receiver<()>, number: u32) {
    let timeline = Timeline::new(number);
    let connected = tokio::select! {
        connected = connect(&back, &connector) => connected,
        _ = alive.changed() => return,
    };
    let Some(inner) = back.upgrade() else { return };
    let outcome = match connected {
        Ok(connected) => establish(&inner, &timeline, connected).await,
        Err(error) => Err(error),
    };
    if let Err(error) = outcome {
        let failure = Failure { cause: Cause::Dial, error, connection: number };
        let told = inner.lock().dial_failed(&failure, inner.born.elapsed());
        for (sender, failure) in told {
            let _ = sender.send(Err(failure));
        }
    }
    Inner::pump(&inner, false);
}

async fn connect(back: &Back, connector: &Connector) -> Result<Connected, NetError> {
    let http1_only = back.upgrade().is_some_and(|inner| inner.lock().http1_only);
    match connector.connect(http1_only).await {
        Err(error) if http1_only && matches!(error.kind, ErrorKind::Alert(_)) => {
            let news = back.upgrade().is_some_and(|inner| inner.lock().http1_refused(inner.born.elapsed()));
            if news { connector.connect(false).await } else { Err(error) }
        }
        outcome => outcome,
    }
}

async fn establish(inner: &Arc<Inner>, timeline: &Arc<Timeline>, connected: Connected) -> Result<(), NetError> {
    let http2 = connected.http2;
    timeline.opened(connected.address, http2, connected.watch, &connected.phases);
    let tap = Arc::new(Mutex::new(TimelineTap::new(Arc::clone(timeline), http2)));
    let stream = Tapped::new(connected.stream, tap);
    let number = timeline.number();
    let connections = inner.lock().sharing();
    let shared = Shared::new(Arc::clone(timeline), windows::of_stream(connections, 0, windows::STREAM_LEAST, false));
    let back = Arc::downgrade(inner);
    let over = {
        let timeline = Arc::clone(timeline);
        move |why: String| match back.upgrade() {
            Some(inner) => {
                let now = inner.born.elapsed();
                inner.lock().end(number, &why, now);
                Inner::pump(&inner, false);
            }
            None => timeline.note(Event::Closed { why }),
        }
    };
    let (sender, task) = if http2 {
        let handshake = h2::client::Builder::new()
            .enable_push(false)
            .initial_window_size(shared.stream_window.size())
            .initial_connection_window_size(windows::of_connection(number))
            .max_frame_size(MAX_FRAME)
            .max_header_list_size(MAX_HEADERS)
            .initial_max_send_streams(super::slots::BEFORE_SETTINGS)
            .max_concurrent_reset_streams(1024)
            .handshake::<_, Bytes>(stream)
            .await;
        let (sender, mut connection) = handshake
            .map_err(|error| NetError::new(Phase::Http2, ErrorKind::Protocol, Party::Upstream, error.to_string()))?;
        let ping = connection.ping_pong();
        monitor::watch_http2(Arc::downgrade(inner), Arc::clone(&shared), ping, inner.config);
        let driven = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let why = match windows::drive(connection, &driven.stream_window).await {
                Ok(()) => "closed by the peer".to_owned(),
                Err(error) if error.is_io() => format!("lost: {error}"),
                Err(error) if error.is_go_away() && error.is_remote() => {
                    format!("GOAWAY {}", reason(error.reason()))
                }
                Err(error) => format!("protocol error: {error}"),
            };
            over(why);
        });
        (Sender::Http2(sender), task)
    } else {
        let handshake = hyper::client::conn::http1::Builder::new()
            .max_headers(100)
            .handshake::<_, http_body_util::Empty<Bytes>>(TokioIo::new(stream))
            .await;
        let (sender, connection) = handshake
            .map_err(|error| NetError::new(Phase::Http1, ErrorKind::Protocol, Party::Upstream, error.to_string()))?;
        let task = tokio::spawn(async move {
            let why = match connection.await {
                Ok(()) => "closed by the peer".to_owned(),
                Err(error) => format!("lost: {error}"),
            };
            over(why);
        });
        (Sender::Http1(Some(sender)), task)
    };
    let mut slots = inner.lock();
    slots.add(shared, sender, inner.born.elapsed());
    slots.set_abort(number, task.abort_handle());
    if !slots.ticking {
        slots.ticking = true;
        monitor::tick(Arc::downgrade(inner));
    }
    Ok(())
}

/// Sends a request on a lease and awaits the head of its answer.
pub(super) async fn send(mut lease: Lease, ask: &Ask, connector: &Connector) -> Result<Response, Failure> {
    let http2 = matches!(lease.sender, Handle::Http2(_));
    let request = request(ask, connector, http2)
        .map_err(|text| lease.fail(Cause::Protocol, ErrorKind::Other, Phase::Http2, text))?;
    let phase = if http2 { Phase::Http2 } else { Phase::Http1 };
    let bound = ask.head_bound;
    let began = Instant::now();
    lease.moves = ask.moves;
    let course = lease.course();
    let coming = ask.expect.unwrap_or(0).min(lease.shared.stream_window.size().into());
    let mut answer = Box::pin(head(&mut lease, request));
    let answered = loop {
        let patience = course.patience();
        if let Ok(answered) = timeout(patience.min(bound), &mut answer).await {
            break Some(answered);
        }
        if began.elapsed() >= bound || course.may_move(patience, coming) {
            break None;
        }
    };
    drop(answer);
    let Some(answered) = answered else {
        if began.elapsed() < bound {
            return Err(lease.moved(phase));
        }
        let text = format!("no answer within {:.0} s although the connection lives", bound.as_secs_f64());
        return Err(lease.fail(Cause::Silent, ErrorKind::TimedOut, phase, text));
    };
    let (status, headers, inbound) = answered.map_err(|failure| lease.failure(failure))?;
    lease.shared.answered.fetch_add(1, Ordering::Relaxed);
    if let Some(inner) = lease.back.upgrade() {
        inner.answers.note(status, began.elapsed());
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let Some(length) = length {
        lease.expect(length);
    }
    let body = Body::new(inbound, lease, ask.pause_bound, length);
    Ok(Response { status, headers, length, body, http2 })
}

type Head = (u16, http::HeaderMap, Inbound);

async fn head(lease: &mut Lease, request: Request<()>) -> Result<Head, Failure> {
    let number = lease.number();
    match &mut lease.sender {
        Handle::Http2(sender) => {
            let unsent = |error: h2::Error| never_sent(http2_failure(&error, number));
            let mut sender = sender.clone().ready().await.map_err(unsent)?;
            let (answer, _) = sender.send_request(request, true).map_err(unsent)?;
            lease.sent = true;
            let response = answer.await.map_err(|error| http2_failure(&error, number))?;
            let (head, body) = response.into_parts();
            Ok((head.status.as_u16(), head.headers, Inbound::Http2(body)))
        }
        Handle::Http1(sender) => {
            let Some(sender) = sender else { return Err(never_sent(lost(number, "the connection is at work"))) };
            sender.ready().await.map_err(|error| never_sent(http1_failure(&error, number)))?;
            let request = request.map(|()| http_body_util::Empty::new());
            lease.sent = true;
            let answered = sender.send_request(request).await;
            let response = answered.map_err(|error| match http1_failure(&error, number) {
                // Taken back by the library: the connection had ended.
                failure if error.is_canceled() => never_sent(failure),
                failure => failure,
            })?;
            let (head, body) = response.into_parts();
            lease.closes = closes(head.version, &head.headers);
            Ok((head.status.as_u16(), head.headers, Inbound::Http1(body)))
        }
    }
}

/// A connection that had ended already.
fn never_sent(failure: Failure) -> Failure {
    if failure.cause == Cause::Lost { Failure { cause: Cause::Unsent, ..failure } } else { failure }
}

/// Whether the connection ends with this answer (RFC 9112 section 9.3).
fn closes(version: Version, headers: &http::HeaderMap) -> bool {
    let has = |option: &str| {
        let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(option))
    };
    has("close") || (version == Version::HTTP_10 && !has("keep-alive"))
}

fn request(ask: &Ask, connector: &Connector, http2: bool) -> Result<Request<()>, String> {
    let origin = connector.origin();
    let authority = origin.authority();
    let via = connector.absolute_via();
    let uri = if http2 || via.is_some() {
        format!("{}://{authority}{}", origin.scheme(), ask.target)
    } else {
        ask.target.clone()
    };
    let uri: Uri = uri.parse().map_err(|error| format!("{uri} is no request target: {error}"))?;
    let mut request = Request::new(());
    *request.uri_mut() = uri;
    *request.version_mut() = if http2 { Version::HTTP_2 } else { Version::HTTP_11 };
    let headers = request.headers_mut();
    headers.extend(ask.headers.clone());
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
    if !http2 {
        let host = HeaderValue::from_str(&authority).map_err(|error| format!("{authority} is no host: {error}"))?;
        headers.insert(header::HOST, host);
        if let Some(authorization) = via.and_then(crate::connect::Via::authorization) {
            let mut value = HeaderValue::from_str(&authorization).map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            headers.insert(header::PROXY_AUTHORIZATION, value);
        }
    }
    Ok(request)
}

/// What an error of HTTP/2 means for the request.
pub(super) fn http2_failure(error: &h2::Error, connection: u32) -> Failure {
    let code = reason(error.reason());
    let (cause, kind, party) = if error.is_go_away() && error.is_remote() {
        (Cause::GoAway(code), ErrorKind::Closed, Party::Upstream)
    } else if error.is_reset() && error.is_remote() {
        let cause =
            if error.reason() == Some(h2::Reason::REFUSED_STREAM) { Cause::Refused } else { Cause::Reset(code) };
        (cause, ErrorKind::Reset, Party::Upstream)
    } else if error.is_io() {
        (Cause::Lost, ErrorKind::Closed, Party::Network)
    } else if error.reason().is_some() {
        // What this side found wrong.
        (Cause::Protocol, ErrorKind::Protocol, Party::Upstream)
    } else {
        (Cause::Lost, ErrorKind::Closed, Party::Network)
    };
    Failure { cause, error: NetError::new(Phase::Http2, kind, party, error.to_string()), connection }
}

pub(super) fn http1_failure(error: &hyper::Error, connection: u32) -> Failure {
    let (cause, kind) = if error.is_parse() {
        (Cause::Protocol, ErrorKind::Protocol)
    } else if error.is_incomplete_message() {
        (Cause::Lost, ErrorKind::Closed)
    } else {
        (Cause::Lost, ErrorKind::Reset)
    };
    let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    let error = NetError::new(Phase::Http1, kind, Party::Network, format!("{error}{source}"));
    Failure { cause, error, connection }
}

fn reason(reason: Option<h2::Reason>) -> String {
    reason.map_or_else(String::new, |reason| goferry_wire::h2::ErrorCode::from(u32::from(reason)).to_string())
}

/// How long to wait at most for the pool to say that a connection is over, once its streams fail.
pub(super) const GRACE: Duration = Duration::from_millis(20);
