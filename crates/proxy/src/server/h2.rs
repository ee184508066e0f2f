//! HTTP/2, on the `h2` library itself: it tells the stream's number, and nothing is read from disk before the client's
//! window has room for it.
//!
//! A request is begun on the task of its connection. What is in memory is answered there and then; what has to wait goes
//! on in a task of its own.

mod tally;

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, DATE};
use http::{HeaderValue, Method, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};

use self::tally::{Running, Tally};
use super::current::Follower;
use super::frames::Counted;
use super::held::{Held, Hold};
use super::reader::Reader;
use super::{Fault, Link, PREFACE, Stop, answer, date, takes_body};
use crate::answer::{Answer, Content, Request};
use crate::config::Limits;
use crate::exchange::{Exchange, Refused};
use crate::proxy::Proxy;

/// What a client may send of a body before it must wait.
const WINDOW: u32 = 1 << 20;
/// Streams that were reset before they were looked at.
const UNSEEN_RESETS: usize = 64;
/// What is read of a body that nobody needs, and for how long: whether it is a right one is for HTTP to say.
const NEEDLESS: (usize, Duration) = (64 << 10, Duration::from_secs(1));
/// How long a client that is thrown out may take to hear why.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Serves a connection until it ends.
pub(super) async fn serve<I>(link: Arc<Link>, limits: Limits, io: I, mut stop: Stop) -> Result<(), h2::Error>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let flood = Arc::new(AtomicBool::new(false));
    let io = Counted::new(io, PREFACE.len(), &limits, Arc::clone(&flood));
    let hold = Hold::default();
    let io = Held::new(io, hold.clone());
    let handshake = Builder::new()
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.header_bytes)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_concurrent_reset_streams(limits.resets.min(UNSEEN_RESETS))
        .max_pending_accept_reset_streams(limits.resets.min(UNSEEN_RESETS))
        .max_local_error_reset_streams(Some(limits.resets))
        .max_send_buffer_size(link.shared.load.waiting())
        .handshake(io);
    let mut connection = match timeout(limits.header_time, handshake).await {
        Ok(connection) => connection?,
        Err(_) => {
            link.shared.tell(Refused::Timeout);
            return Ok(());
        }
    };
    let mut follower = Follower::new(Arc::clone(&link.shared.current));
    let tally = Tally::new();
    let mut asked = pin!(stop.asked());
    let mut timer = pin!(sleep_until(Instant::now() + limits.idle));
    let (mut stopping, mut closing, mut thrown_out) = (false, false, false);
    loop {
        tokio::select! {
            biased;
            accepted = poll_fn(|context| {
                hold.set(true);
                let first = connection.poll_accept(context);
                hold.set(false);
                // There are no more: what was answered goes out.
                if first.is_pending() { connection.poll_accept(context) } else { first }
            }) => match accepted {
                // Not answered, it is reset.
                Some(Ok(_)) if flood.load(Ordering::Relaxed) => {}
                Some(Ok((request, respond))) => {
                    let proxy = Arc::clone(follower.proxy());
                    let running = tally.running();
                    let mut one = Box::pin(one(proxy, Arc::clone(&link), running, request, respond));
                    if !poll_fn(|context| Poll::Ready(one.as_mut().poll(context).is_ready())).await {
                        tokio::spawn(one);
                    }
                }
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
            () = flooded(&flood), if !thrown_out => {
                tracing::warn!(peer = link.peer.address, "a flood of frames; the connection is closed");
                (thrown_out, closing) = (true, true);
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                timer.as_mut().reset(Instant::now() + LAST_WORDS);
            }
            () = asked.as_mut(), if !stopping => {
                stopping = true;
                connection.graceful_shutdown();
            }
            () = timer.as_mut() => {
                let now = Instant::now();
                let next = match tally.idle_since() {
                    _ if thrown_out => return Ok(()),
                    // What the client does not take of the last answers is not waited for for ever.
                    Some(_) if closing => return Ok(()),
                    Some(since) if since + limits.idle <= now => {
                        closing = true;
                        connection.graceful_shutdown();
                        now + limits.header_time
                    }
                    Some(since) => since + limits.idle,
                    None if closing => now + limits.header_time,
                    None => now + limits.idle,
                };
                timer.as_mut().reset(next);
            }
        }
    }
}

/// Ready when there is one. It is read where frames are read, which is done just before.
async fn flooded(flood: &AtomicBool) {
    poll_fn(|_| if flood.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }).await;
}

async fn one(
    proxy: Arc<Proxy>,
    link: Arc<Link>,
    _running: Running,
    request: http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let limits = proxy.config().limits;
    let stream = u64::from(respond.stream_id().as_u32());
    let (parts, incoming) = request.into_parts();
    // No `:path` (RFC 9113 section 8.3.1): the library looks only where there is an `:authority`.
    if parts.uri.path().is_empty() && parts.method != Method::CONNECT {
        respond.send_reset(Reason::PROTOCOL_ERROR);
        return;
    }
    let wanted = takes_body(&parts.method, parts.uri.path());
    let (body, fault) = if incoming.is_end_stream() {
        (Bytes::new(), None)
    } else {
        match body(&link, &limits, incoming, wanted).await {
            Ok(body) => (body, None),
            Err(Some(fault)) => (Bytes::new(), Some(fault)),
            Err(None) => return,
        }
    };
    let path = parts.uri.path().to_owned();
    let peer = Arc::clone(&link.peer);
    let request = Request { peer, stream, method: parts.method, path, headers: parts.headers, body };
    // A client that goes away is not answered; what is being fetched for it stays.
    let (answer, exchange) = tokio::select! {
        biased;
        answer = answer(&link.shared.common, &proxy, &request, fault) => answer,
        _ = poll_fn(|context| respond.poll_reset(context)) => return,
    };
    let _ = send(answer, exchange, &request.method, respond, &link, limits.stall).await;
}

/// The body; `Err(None)` where it broke off, or was none by the rules of HTTP.
async fn body(link: &Link, limits: &Limits, body: RecvStream, wanted: bool) -> Result<Bytes, Option<Fault>> {
    if !wanted {
        return match timeout(NEEDLESS.1, collect(body, NEEDLESS.0)).await {
            Ok(Err(None)) => Err(None),
            _ => Ok(Bytes::new()),
        };
    }
    let collected = timeout(limits.stall, async {
        let _turn = link.shared.bodies.acquire().await;
        collect(body, limits.body_bytes).await
    });
    collected.await.unwrap_or(Err(Some(Fault::Incomplete)))
}

async fn collect(mut body: RecvStream, limit: usize) -> Result<Bytes, Option<Fault>> {
    let mut all = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(|_| None)?;
        if all.len() + data.len() > limit {
            return Err(Some(Fault::TooLarge));
        }
        all.extend_from_slice(&data);
        let _ = body.flow_control().release_capacity(data.len());
    }
    Ok(all.freeze())
}

async fn send(
    answer: Answer,
    mut exchange: Exchange,
    method: &Method,
    mut respond: SendResponse<Bytes>,
    link: &Link,
    stall: Duration,
) -> Result<(), h2::Error> {
    let length = answer.content.length();
    let content = if *method == Method::HEAD { Content::Empty } else { answer.content };
    let mut response = Response::new(());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    if let Some(length) = length.filter(|_| answer.status != StatusCode::NOT_MODIFIED) {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if let Some(now) = date::now() {
        response.headers_mut().insert(DATE, now);
    }
    let ended = content.length() == Some(0);
    let mut stream = respond.send_response(response, ended)?;
    if ended {
        exchange.complete();
        return Ok(());
    }
    // What is in memory is shared, and may wait there until the window has room for it.
    if let Content::Bytes(bytes) = content {
        exchange.sent(bytes.len());
        exchange.complete();
        return stream.send_data(bytes, true);
    }
    let mut reader = Reader::new(content, exchange, &link.shared.load);
    loop {
        let most = reader.piece();
        stream.reserve_capacity(most);
        let room = match timeout(stall, room(&mut stream)).await {
            Ok(Some(room)) => room?,
            // The client reset it, or its connection is over.
            Ok(None) => return Ok(()),
            Err(_) => {
                stream.send_reset(Reason::CANCEL);
                return Ok(());
            }
        };
        let next = tokio::select! {
            biased;
            piece = poll_fn(|context| reader.poll_next(context, room.min(most))) => piece,
            _ = poll_fn(|context| stream.poll_reset(context)) => return Ok(()),
        };
        match next {
            Some(Ok(piece)) => {
                let last = reader.left() == Some(0);
                stream.send_data(piece, last)?;
                if last {
                    return Ok(());
                }
            }
            Some(Err(error)) => {
                tracing::error!(%error, "reading what is being sent");
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Ok(());
            }
            None => return stream.send_data(Bytes::new(), true),
        }
    }
}

/// How much the client has room for; waits until it has any. `None` where the stream is over.
async fn room(stream: &mut SendStream<Bytes>) -> Option<Result<usize, h2::Error>> {
    if stream.capacity() > 0 {
        return Some(Ok(stream.capacity()));
    }
    loop {
        match poll_fn(|context| stream.poll_capacity(context)).await {
            Some(Ok(0)) => {}
            other => return other,
        }
    }
}
